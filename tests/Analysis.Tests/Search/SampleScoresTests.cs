using Analysis.Atlas;
using Analysis.Datasets.Sample;
using Analysis.Networks.Files;
using Analysis.Search;
using Xunit;

namespace Analysis.Tests.Search;

public sealed class SampleScoresTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("atlas-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void Projections_and_likeness_are_those_of_the_definition_over_all_parts()
    {
        // More rows than one part, and a length that no vector of the processor divides.
        const int n = 5000;
        const int c = 13;
        var random = new Random(2);
        var pooled = Enumerable.Range(0, n * c).Select(_ => (float)(3 + random.NextDouble())).ToArray();
        var mean = Enumerable.Range(0, c).Select(channel => Enumerable.Range(0, n).Average(row => (double)pooled[(row * c) + channel])).ToArray();
        Write(pooled, mean, n, c);
        var scores = new SampleScores(_folder);
        float[][] vectors = [[.. Enumerable.Range(0, c).Select(_ => (float)(random.NextDouble() - 0.5))], [1, .. new float[c - 1]]];
        var projected = scores.Project(vectors, TestContext.Current.CancellationToken);
        var likeness = scores.Likeness(scores.Pooled(4321)!, TestContext.Current.CancellationToken);
        for (var row = 0; row < n; row++)
        {
            var a = pooled.AsSpan(row * c, c).ToArray();
            Assert.Equal(a.Zip(vectors[0], (x, v) => (double)x * v).Sum(), projected[0][row], 1e-4);
            Assert.Equal(a[0], projected[1][row]);
            Assert.Equal(Cosine(a, pooled.AsSpan(4321 * c, c).ToArray()), likeness[row], 1e-4);
        }

        Assert.Equal(4321, Array.IndexOf(likeness, likeness.Max()));
        Assert.Null(scores.Pooled(n));
        Assert.Throws<AnalysisException>(() => scores.Project([[1, 2]], TestContext.Current.CancellationToken));
        Assert.Throws<AnalysisException>(() => scores.Likeness([1, 2], TestContext.Current.CancellationToken));

        double Cosine(float[] a, float[] b)
        {
            double dot = 0, first = 0, second = 0;
            for (var i = 0; i < c; i++)
            {
                var (x, y) = (a[i] - mean[i], b[i] - mean[i]);
                (dot, first, second) = (dot + (x * y), first + (x * x), second + (y * y));
            }

            return dot / Math.Sqrt(first * second);
        }
    }

    [Fact]
    public void What_equals_the_average_is_like_nothing()
    {
        Write([1, 1, 3, 1, 2, 1], [2, 1], 3, 2);
        Assert.Equal([-1, 1, 0], new SampleScores(_folder).Likeness([4, 1], TestContext.Current.CancellationToken));
        Assert.Equal([0, 0, 0], new SampleScores(_folder).Likeness([2, 1], TestContext.Current.CancellationToken));
    }

    [Fact]
    public void An_analysis_without_activations_says_so()
    {
        Assert.False(new SampleScores(_folder).Exist);
        var fault = Assert.Throws<AnalysisException>(() => new SampleScores(_folder).Project([[1]], TestContext.Current.CancellationToken));
        Assert.Contains("no recorded activations", fault.Message);
        using (var writer = SafetensorsWriter.Create(Path.Combine(_folder, "tensors.safetensors"), [("pooled", new TensorHeader(ElementType.Float32, [4]))]))
        {
            writer.Write<float>("pooled", [1, 2, 3, 4]);
            writer.Complete();
        }

        Assert.Throws<AnalysisException>(() => new SampleScores(_folder).Project([[1]], TestContext.Current.CancellationToken));
    }

    [Fact]
    public void In_a_generated_atlas_a_planted_concept_leads_to_the_images_that_use_it()
    {
        var options = new GeneratedAtlasOptions { Classes = 12, Samples = 50, Concepts = 4, Seed = 3 };
        GeneratedAtlas.Write(_folder, GeneratedDataset.Create(Path.Combine(_folder, "data"), 12, 50, 3), options, "test", cancellation: TestContext.Current.CancellationToken);
        var scores = new SampleScores(_folder);
        var classOf = Enumerable.Range(0, 600).Select(row => row / 50).ToArray();
        var (own, group) = (0, 0);
        for (var index = 0; index < 12; index++)
        {
            var column = scores.Project([ClassArraysFile.ReadVector(ClassArraysFile.PathOf(_folder, index), 0)], TestContext.Current.CancellationToken);
            var found = new CombinationSearch { ClassOf = classOf, Present = [Placing.Of(column[0])], Strongest = 0.1 }.Find(20);
            Assert.Equal(60, found.Matches);
            own += found.Rows.Count(row => classOf[row] == index);
            group += found.Rows.Count(row => classOf[row] % SampleClasses.Shapes.Count == index % SampleClasses.Shapes.Count);
        }

        // One class in twelve would be 20, its group 30 of these 240: the strongest images are those whose class uses the concept.
        Assert.True(own > 150 && group > 180, $"{own} images of the class and {group} of its group");
    }

    private void Write(float[] pooled, double[] mean, int n, int c)
    {
        using var writer = SafetensorsWriter.Create(
            Path.Combine(_folder, "tensors.safetensors"), [("mean", new TensorHeader(ElementType.Float64, [c])), ("pooled", new TensorHeader(ElementType.Float32, [n, c]))]);
        writer.Write<double>("mean", mean);
        writer.Write<float>("pooled", pooled);
        writer.Complete();
    }
}
