namespace Dashboard.Server.Images;

/// <summary>Letters of 5 × 7 dots, drawn here so that a picture with a name in it needs no font on the machine.</summary>
internal static class PixelFont
{
    /// <summary>Dots of a letter in a row.</summary>
    public const int Width = 5;

    /// <summary>Rows of a letter.</summary>
    public const int Height = 7;

    private const string Digits = "0123456789ABCDEFGHIJKLMNOPQRSTUV";

    // A letter, then a digit for each of its rows from the top: five bits, the leftmost dot first.
    private const string Shapes =
        "AEHHVHHH BUHHUHHU CEHGGGHE DUHHHHHU EVGGUGGV FVGGUGGG GEHGNHHE HHHHVHHH IE44444E J72222IC KHIKOKIH LGGGGGGV MHRLLHHH "
        + "NHPLJHHH OEHHHHHE PUHHUGGG QEHHHLID RUHHUKIH SFGGE11U TV444444 UHHHHHHE VHHHHHA4 WHHHLLRH XHHA4AHH YHHA4444 ZV1248GV "
        + "a00E1FHF bGGUHHHU c00EGGHE d11FHHHF e00EHVGE f68S8888 g00FHF1E hGGUHHHH i40C444E j20622IC kGGIKOKI lC44444E m00QLLLH "
        + "n00UHHHH o00EHHHE p00UHUGG q00FHF11 r00MPGGG s00FGE1U t88S8896 u00HHHJD v00HHHA4 w00HHLLA x00HA4AH y00HHF1E z00V248V "
        + "0EHJLPHE 14C4444E 2EH1248V 3V2421HE 426AIV22 5VGU11HE 668GUHHE 7V124888 8EHHEHHE 9EHHF12C "
        + "-000E000 _000000V .00000CC (2488842 )8422248 +044V440 ,0000C48 …000000L";

    private static readonly Dictionary<char, string> Letters = Shapes.Split(' ').ToDictionary(shape => shape[0], shape => shape[1..]);

    /// <summary>Whether every letter of a text is there; a space always is.</summary>
    public static bool Has(string text) => text.All(letter => letter == ' ' || Letters.ContainsKey(letter));

    /// <summary>Whether a letter has a dot at a place; false outside and for unknown letters.</summary>
    public static bool Dot(char letter, int x, int y) =>
        x is >= 0 and < Width && y is >= 0 and < Height && Letters.TryGetValue(letter, out var rows) && ((Digits.IndexOf(rows[y], StringComparison.Ordinal) >> (Width - 1 - x)) & 1) == 1;
}
