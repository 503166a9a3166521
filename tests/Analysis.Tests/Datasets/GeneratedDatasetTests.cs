using System.Text.Json;
using Analysis.Atlas;
using Analysis.Datasets;
using Analysis.Datasets.Sample;
using Analysis.Runs;
using Xunit;

namespace Analysis.Tests.Datasets;

public sealed class GeneratedDatasetTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("atlas-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_million_images_are_listed_in_order_and_drawn_when_looked_at()
    {
        GeneratedDataset.Create(_folder, 1000, 1300, 3);
        var dataset = DatasetLoader.Open(_folder, TestContext.Current.CancellationToken);
        Assert.Equal(1_300_000, dataset.Samples.Count);
        Assert.Equal(1000, dataset.Classes.Count);
        var around = Enumerable.Range(1299, 3).Select(i => dataset.Samples[i].Path).ToArray();
        Assert.Equal(around.Order(StringComparer.Ordinal), around);
        Assert.Equal("g00000001", dataset.Samples[1300].ClassName);
        var image = dataset.Read(1_234_567);
        Assert.False(image.Encoded);
        Assert.Equal(image.Width * image.Height * 3, image.Bytes.Length);
        Assert.Equal(image.Bytes, dataset.Read(1_234_567).Bytes);
        Assert.NotEqual(image.Bytes, dataset.Read(1_234_568).Bytes);
        // Names stay different where classes outnumber what can be shown.
        Assert.Equal(1000, Enumerable.Range(0, 1000).Select(GeneratedDataset.NameOf).Distinct().Count());
    }

    [Theory]
    [InlineData("{\"generated\":1,\"classes\":1000000000,\"images\":2,\"seed\":0}")]
    [InlineData("{\"generated\":1,\"classes\":2,\"images\":-5,\"seed\":0}")]
    public void A_file_that_asks_for_too_much_is_refused(string text)
    {
        File.WriteAllText(Path.Combine(_folder, GeneratedDataset.FileName), text);
        var fault = Assert.Throws<AnalysisException>(() => DatasetLoader.Open(_folder, TestContext.Current.CancellationToken));
        Assert.Contains(GeneratedDataset.FileName, fault.Message);
    }

    [Fact]
    public void What_is_generated_holds_together()
    {
        var options = new GeneratedAtlasOptions { Classes = 7, Samples = 60, Concepts = 5, Seed = 9 };
        var result = Path.Combine(_folder, "result");
        var manifest = GeneratedAtlas.Write(result, GeneratedDataset.Create(Path.Combine(_folder, "data"), 7, 60, 9), options, "test", cancellation: TestContext.Current.CancellationToken);
        Assert.Contains(GeneratedAtlas.ManifestKey, manifest.Keys.Keys);
        for (var index = 0; index < 7; index++)
        {
            var atlas = JsonSerializer.Deserialize<ClassAtlas>(File.ReadAllText(ClassArraysFile.AtlasPathOf(result, index)), AnalysisJson.Line)!;
            var arrays = ClassArraysFile.Read(ClassArraysFile.PathOf(result, index));
            Assert.Equal(5, arrays.Concepts);
            // Strongest first; the importance is the mean share of the logit, and the strategies are those of the arrays.
            Assert.Equal(atlas.Concepts.OrderByDescending(c => c.Importance).Select(c => c.Id), atlas.Concepts.Select(c => c.Id));
            for (var c = 0; c < 5; c++)
            {
                var mean = Enumerable.Range(0, 60).Average(i => arrays.Contributions[(6 * i) + c] / Enumerable.Range(0, 6).Sum(j => (double)arrays.Contributions[(6 * i) + j]));
                Assert.Equal(mean, atlas.Concepts[c].Importance, 4);
            }

            Assert.Equal(atlas.Strategies.Select(s => s.Size), Enumerable.Range(0, atlas.Strategies.Count).Select(s => arrays.Strategy.Count(a => a == s)));
            Assert.Equal(atlas.Strategies.OrderByDescending(s => s.Size).Select(s => s.Index), atlas.Strategies.Select(s => s.Index));
            Assert.All(atlas.Concepts.SelectMany(c => c.Exemplars), e => Assert.InRange(e.Sample, index * 60, (index * 60) + 59));
        }

        var rows = ResultTables.Read<SampleRow>(result, "samples");
        Assert.Equal(Enumerable.Range(1, 420), rows.Select(r => r.OutlierRank!.Value).Order());
        Assert.Equal(rows.Max(r => r.OutlierScore), rows.Single(r => r.OutlierRank == 1).OutlierScore);
        var map = ConceptMapFile.TryRead(result)!.Value;
        Assert.Equal(Enumerable.Range(0, 35), map.Concepts);
    }
}
