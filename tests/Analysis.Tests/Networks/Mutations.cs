using FsCheck;
using FsCheck.Fluent;

namespace Analysis.Tests.Networks;

/// <summary>Random damage to a file: changed bytes, and sometimes a cut or an insertion.</summary>
internal sealed record Mutation((int Position, int Value)[] Edits, int Cut, int Insert)
{
    public byte[] Apply(byte[] original)
    {
        var bytes = original.ToList();
        foreach (var (position, value) in Edits)
        {
            bytes[position % bytes.Count] = (byte)value;
        }

        if (Insert % 4 == 0)
        {
            bytes.Insert(Insert % bytes.Count, (byte)(Insert >> 8));
        }

        if (Cut % 4 == 0)
        {
            bytes.RemoveRange(Cut % bytes.Count, bytes.Count - (Cut % bytes.Count));
        }

        return [.. bytes];
    }
}

/// <summary>Checks a property over random damage, the same in every run.</summary>
internal static class Mutations
{
    // Bytes that stand for structure in JSON and pickles make deeper paths likely.
    private static readonly byte[] Telling = [.. "{}[](),:\"0123456789-eENabcdehjqrstu.KMJXRQ"u8, 0, 1, 0x7f, 0x80, 0x81, 0x85, 0x86, 0x87, 0x8a, 0x93, 0x94, 0xff];

    public static void Check(int count, Action<Mutation> property)
    {
        var value = Gen.OneOf(Gen.Choose(0, 255), Gen.Elements(Telling).Select(b => (int)b));
        var edit = from position in Gen.Choose(0, 1 << 24) from v in value select (position, v);
        var mutation =
            from length in Gen.Choose(1, 5)
            from edits in Gen.ArrayOf(edit, length)
            from cut in Gen.Choose(1, 1 << 20)
            from insert in Gen.Choose(1, 1 << 20)
            select new Mutation(edits, cut, insert);
        FsCheck.Check.One(
            Config.QuickThrowOnFailure.WithMaxTest(count).WithReplay(20260101, 297),
            Prop.ForAll(mutation.ToArbitrary(), property));
    }
}
