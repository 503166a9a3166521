using Analysis.Numerics;
using TorchSharp;
using Xunit;
using static TorchSharp.torch;

namespace Analysis.Tests;

/// <summary>
/// Reference values: every file in the folder named by ATLAS_GOLDEN (default: the golden folder beside the tests' sources)
/// whose name starts with a known stem, so that other fixtures of the same form can be tried.
/// </summary>
public static class GoldenFiles
{
    /// <summary>Stands for "no file of this pattern": such a row passes.</summary>
    public const string None = "(no file)";

    public static string Folder => Environment.GetEnvironmentVariable("ATLAS_GOLDEN") is { Length: > 0 } folder
        ? Path.GetFullPath(folder)
        : Path.Combine(RepositoryRoot, "tests", "Analysis.Tests", "golden");

    public static string RepositoryRoot
    {
        get
        {
            for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "Dashboard.sln")))
                {
                    return folder.FullName;
                }
            }

            return Directory.GetCurrentDirectory();
        }
    }

    public static TheoryData<string> Rows(string pattern)
    {
        var data = new TheoryData<string>();
        if (Directory.Exists(Folder))
        {
            foreach (var file in Directory.EnumerateFiles(Folder, pattern).Order(StringComparer.Ordinal))
            {
                data.Add(Path.GetFileName(file));
            }
        }

        if (data.Count == 0)
        {
            data.Add(None);
        }

        return data;
    }

    public static bool TryOpen(string file, out NpzArchive archive)
    {
        torch.set_num_threads(1);
        archive = null!;
        if (file == None)
        {
            return false;
        }

        archive = NpzArchive.Open(Path.Combine(Folder, file));
        return true;
    }

    public static Tensor Tensor(this NpzArchive archive, string name) => archive[name].ToTensor();

    public static double[] Doubles(this NpzArchive archive, string name) => archive[name].ToDoubles();

    public static int[] Ints(this NpzArchive archive, string name) => archive[name].ToInt32s();

    public static bool[] Bools(this NpzArchive archive, string name) => archive[name].ToBooleans();

    public static DenseMatrix Matrix(this NpzArchive archive, string name) => archive[name].ToMatrix();

    public static double Scalar(this NpzArchive archive, string name) => archive[name].ToDoubles()[0];
}

/// <summary>Comparisons with tolerances; NaN equals NaN only.</summary>
public static class Close
{
    public static void Absolute(IReadOnlyList<double> expected, IReadOnlyList<double> actual, double tolerance, string what = "value")
    {
        Assert.Equal(expected.Count, actual.Count);
        for (var i = 0; i < expected.Count; i++)
        {
            var good = double.IsNaN(expected[i])
                ? double.IsNaN(actual[i])
                : expected[i] == actual[i] || Math.Abs(expected[i] - actual[i]) <= tolerance;
            Assert.True(good, $"{what}[{i}]: expected {expected[i]:R}, got {actual[i]:R}, tolerance {tolerance}");
        }
    }

    /// <summary>|e − a| at most tolerance × max(|e|, floor).</summary>
    public static void Relative(IReadOnlyList<double> expected, IReadOnlyList<double> actual, double tolerance, string what = "value", double floor = 1e-3)
    {
        Assert.Equal(expected.Count, actual.Count);
        for (var i = 0; i < expected.Count; i++)
        {
            var good = double.IsNaN(expected[i])
                ? double.IsNaN(actual[i])
                : expected[i] == actual[i] || Math.Abs(expected[i] - actual[i]) <= tolerance * Math.Max(Math.Abs(expected[i]), floor);
            Assert.True(good, $"{what}[{i}]: expected {expected[i]:R}, got {actual[i]:R}, relative tolerance {tolerance}");
        }
    }

    public static double[] Values(Tensor tensor)
    {
        using var host = tensor.to(ScalarType.Float64).cpu().contiguous();
        return host.data<double>().ToArray();
    }
}
