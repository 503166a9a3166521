using System.Text;

namespace Analysis.Networks.Files;

/// <summary>Words for messages about files. Text from a file is shortened and freed of control characters first.</summary>
internal static class FileFault
{
    /// <summary>Why the operating system refused, without the full path that its own message carries.</summary>
    public static string Describe(Exception exception) => exception switch
    {
        FileNotFoundException or DirectoryNotFoundException => "it does not exist",
        UnauthorizedAccessException => "it is a folder or access is denied",
        PathTooLongException => "its path is too long",
        EndOfStreamException => "it ends too early",
        _ => "the system reports an error while reading it",
    };

    /// <summary>At most 80 characters, control characters replaced.</summary>
    public static string Short(string text)
    {
        var builder = new StringBuilder();
        foreach (var character in text.Length > 80 ? text.AsSpan(0, 80) : text)
        {
            builder.Append(char.IsControl(character) || char.IsSurrogate(character) ? '?' : character);
        }

        return text.Length > 80 ? builder.Append('…').ToString() : builder.ToString();
    }

    /// <summary>The first five names and how many more there are.</summary>
    public static string List(IEnumerable<string> names)
    {
        var all = names.ToList();
        var shown = string.Join(", ", all.Take(5).Select(Short));
        return all.Count > 5 ? $"{shown} and {all.Count - 5} more" : all.Count == 0 ? "nothing" : shown;
    }
}
