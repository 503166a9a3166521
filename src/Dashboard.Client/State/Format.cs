using System.Globalization;

namespace Dashboard.Client.State;

/// <summary>Numbers, sizes, times and shares as people read them.</summary>
public static class Format
{
    private static readonly CultureInfo C = CultureInfo.InvariantCulture;

    /// <summary>"12,345".</summary>
    public static string Count(long value) => value.ToString("N0", C);

    /// <summary>"1 image", "1,300 images"; irregular plurals are given.</summary>
    public static string Count(long value, string one, string? many = null) => Count(value) + " " + (value == 1 ? one : many ?? one + "s");

    /// <summary>A share in [0, 1] as "66%"; below 10% with one decimal where that says more; signed with a minus sign.</summary>
    public static string Percent(double share, int? decimals = null)
    {
        if (double.IsNaN(share))
        {
            return "unknown";
        }

        var percent = share * 100;
        if (decimals is null && Math.Abs(percent) is > 0 and < 0.05)
        {
            return percent > 0 ? "<0.1%" : "0%";
        }

        var digits = decimals ?? (Math.Abs(percent) is > 0 and < 1 ? 1 : 0);
        var text = Math.Abs(percent).ToString("N" + digits, C);
        var isZero = text.All(c => c is '0' or '.' or ',');
        return (percent < 0 && !isZero ? "−" : "") + text + "%";
    }

    /// <summary>A number with about three significant digits, at most three decimals, and a proper minus sign.</summary>
    public static string Number(double value)
    {
        if (double.IsNaN(value))
        {
            return "unknown";
        }

        var size = Math.Abs(value);
        var text = size switch
        {
            0 => "0",
            >= 1000 => size.ToString("N0", C),
            >= 100 => size.ToString("0", C),
            >= 10 => size.ToString("0.0", C),
            >= 0.01 => size.ToString("0.00", C),
            >= 0.0005 => size.ToString("0.000", C),
            _ => "0",
        };
        return (value < 0 && text.Any(c => c is > '0' and <= '9') ? "−" : "") + text;
    }

    /// <summary>A number with two decimals and a proper minus sign, for columns and rows of numbers that are compared.</summary>
    public static string Fixed(double value)
    {
        if (double.IsNaN(value))
        {
            return "unknown";
        }

        var text = Math.Abs(value).ToString("0.00", C);
        return (value < 0 && text != "0.00" ? "−" : "") + text;
    }

    /// <summary>"640 KB", "1.4 GB" (powers of 1,000).</summary>
    public static string Bytes(long bytes) => bytes switch
    {
        >= 1_000_000_000 => (bytes / 1e9).ToString("0.0", C) + " GB",
        >= 1_000_000 => (bytes / 1e6).ToString("0", C) + " MB",
        >= 1_000 => (bytes / 1e3).ToString("0", C) + " KB",
        _ => bytes.ToString(C) + " B",
    };

    /// <summary>"0.4 s", "42 s", "3 min 10 s", "2 h 5 min".</summary>
    public static string Duration(double seconds)
    {
        if (seconds < 10)
        {
            return Math.Max(0, seconds).ToString(seconds is >= 0.05 and < 9.95 ? "0.0" : "0", C) + " s";
        }

        var whole = (long)Math.Round(seconds);
        return whole switch
        {
            < 60 => $"{whole} s",
            < 600 => whole % 60 == 0 ? $"{whole / 60} min" : $"{whole / 60} min {whole % 60} s",
            < 3600 => $"{(whole + 30) / 60} min",
            _ => $"{whole / 3600} h {whole % 3600 / 60} min",
        };
    }

    /// <summary>A time still to go, rounded so that it does not flicker: "a few seconds", "about 40 s", "about 3 min".</summary>
    public static string Left(double seconds) => seconds switch
    {
        < 5 => "a few seconds",
        < 60 => $"about {Math.Ceiling(seconds / 5) * 5:0} s",
        < 3600 => $"about {Math.Ceiling(seconds / 60):0} min",
        _ => $"about {(long)seconds / 3600} h {(long)seconds % 3600 / 60} min",
    };

    /// <summary>Items per second: "22 images/s", "3.4 classes/s"; slow ones per minute.</summary>
    public static string Rate(double perSecond, string unit)
    {
        var many = Plural(unit);
        return perSecond switch
        {
            >= 10 => $"{perSecond.ToString("N0", C)} {many}/s",
            >= 0.5 => $"{perSecond.ToString("0.0", C)} {many}/s",
            _ => $"{(perSecond * 60).ToString("0.0", C)} {many}/min",
        };
    }

    /// <summary>The plural of a unit that may be one already: "image" and "images" give "images".</summary>
    public static string Plural(string unit) => unit == "class" ? "classes" : unit.EndsWith('s') ? unit : unit + "s";

    /// <summary>"just now", "5 min ago", "yesterday", "3 Mar 2026".</summary>
    public static string Ago(DateTimeOffset when, DateTimeOffset now)
    {
        var age = now - when;
        return age.TotalSeconds switch
        {
            < 45 => "just now",
            < 3600 => $"{Math.Max(1, (int)Math.Round(age.TotalMinutes))} min ago",
            < 86400 => $"{(int)age.TotalHours} h ago",
            < 2 * 86400 => "yesterday",
            < 14 * 86400 => $"{(int)age.TotalDays} days ago",
            _ => when.UtcDateTime.ToString("d MMM yyyy", C),
        };
    }

    /// <summary>"3 March 2026, 14:05 UTC".</summary>
    public static string Exact(DateTimeOffset when) => when.UtcDateTime.ToString("d MMMM yyyy, HH:mm", C) + " UTC";

    /// <summary>With a capital first letter.</summary>
    public static string Capital(string text) => text.Length == 0 ? text : char.ToUpperInvariant(text[0]) + text[1..];

    /// <summary>A number for CSS and SVG: invariant, at most three decimals.</summary>
    public static string Css(double value) => (double.IsFinite(value) ? value : 0).ToString("0.###", C);

    /// <summary>An area under the ROC curve: three digits after the point.</summary>
    public static string Auc(double value) => double.IsFinite(value) ? value.ToString("0.000", C) : "–";

    /// <summary>A number with its sign.</summary>
    public static string Signed(double value) => (value > 0 ? "+" : value < 0 ? "−" : "") + Number(Math.Abs(value));

    /// <summary>A p-value from its logarithm: "0.03", "1e−12".</summary>
    public static string PowerOfTen(double log10) =>
        log10 > -3 ? Math.Pow(10, Math.Min(0, log10)).ToString("0.###", C) : "1e−" + Math.Floor(-log10).ToString("N0", C);
}
