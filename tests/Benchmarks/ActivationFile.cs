using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Analysis.Networks.Files;
using Analysis.Numerics;

namespace Benchmarks;

/// <summary>Writes made-up activations with known structure, as large as asked for, to measure runs on precomputed activations.</summary>
internal static class ActivationFile
{
    private const int Classes = 100;
    private const int Active = 8;
    private const int Preferred = 24;
    private const int Part = 4096;

    /// <summary>
    /// safetensors of rows×columns float32 ≥ 0: each row is a sum of 8 of the atoms (--components, non-negative, sparse unit
    /// vectors), six of them from the 24 that its class prefers, with exponential coefficients, and a little noise.
    /// 100 classes, in order.
    /// </summary>
    public static BenchmarkReport Write(BenchmarkOptions options)
    {
        var (n, c, k) = (options.Rows, options.Columns, Math.Max(options.Components, Preferred));
        var path = Path.GetFullPath(options.Output ?? "activations.safetensors");
        var clock = Stopwatch.StartNew();
        var random = new SplitMix64(20_260_101);
        var atoms = new float[k][];
        for (var i = 0; i < k; i++)
        {
            atoms[i] = new float[c];
            var norm = 0.0;
            for (var j = 0; j < c; j++)
            {
                atoms[i][j] = random.NextDouble() < 0.1 ? (float)-Math.Log(1 - random.NextDouble()) : 0;
                norm += atoms[i][j] * atoms[i][j];
            }

            for (var j = 0; j < c; j++)
            {
                atoms[i][j] /= (float)Math.Sqrt(Math.Max(norm, 1e-9));
            }
        }

        var preferred = Enumerable.Range(0, Classes).Select(_ => Enumerable.Range(0, Preferred).Select(_ => random.NextInt(k)).ToArray()).ToArray();
        var labels = new long[n];
        using (var writer = SafetensorsWriter.Create(
            path,
            [("labels", new TensorHeader(ElementType.Int64, [n])), ("activations", new TensorHeader(ElementType.Float32, [n, c]))],
            new Dictionary<string, string>
            {
                ["classes"] = JsonSerializer.Serialize(Enumerable.Range(0, Classes).Select(i => string.Create(CultureInfo.InvariantCulture, $"class {i:000}"))),
            }))
        {
            for (var i = 0; i < n; i++)
            {
                labels[i] = (long)i * Classes / n;
            }

            writer.Write<long>("labels", labels);
            for (var start = 0; start < n; start += Part)
            {
                var rows = Math.Min(Part, n - start);
                var values = new float[rows * c];
                for (var i = 0; i < rows; i++)
                {
                    var row = values.AsSpan(i * c, c);
                    for (var j = 0; j < c; j++)
                    {
                        row[j] = (float)(0.01 * random.NextDouble());
                    }

                    for (var a = 0; a < Active; a++)
                    {
                        var atom = atoms[a < 6 ? preferred[labels[start + i]][random.NextInt(Preferred)] : random.NextInt(k)];
                        var weight = (float)-Math.Log(1 - random.NextDouble());
                        for (var j = 0; j < c; j++)
                        {
                            row[j] += weight * atom[j];
                        }
                    }
                }

                writer.Write<float>("activations", values);
            }

            writer.Complete();
        }

        return new BenchmarkReport("activations").With("rows", n).With("columns", c).With("atoms", k).With("file", path)
            .With("bytes", new FileInfo(path).Length).With("seconds", clock.Elapsed.TotalSeconds).With("runs", 1).WithPeak();
    }
}
