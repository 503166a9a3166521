namespace Analysis;

/// <summary>
/// A failure that a user can act on. The message names the thing, the value and the remedy, and is shown as it is:
/// never a stack trace, never a path outside what the user gave.
/// </summary>
public sealed class AnalysisException : Exception
{
    /// <summary>Creates the failure.</summary>
    /// <param name="message">What is wrong, with the offending name and value, in one sentence.</param>
    /// <param name="remedy">What the user can do about it; empty where nothing helps.</param>
    /// <param name="inner">The cause, kept for the log.</param>
    public AnalysisException(string message, string remedy = "", Exception? inner = null)
        : base(remedy.Length == 0 ? message : $"{message} {remedy}", inner)
    {
        Remedy = remedy;
    }

    /// <summary>What the user can do about it; empty where nothing helps.</summary>
    public string Remedy { get; }
}
