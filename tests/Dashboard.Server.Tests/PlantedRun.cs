using System.Text.Json;
using Analysis.Atlas;
using Analysis.Runs;
using Dashboard.Client.Contracts;
using Dashboard.Server.Configuration;
using Dashboard.Server.Data;
using Microsoft.EntityFrameworkCore;
using Xunit;

namespace Dashboard.Server.Tests;

/// <summary>A finished analysis of known numbers: rows of the catalogue and the files that the engine would have written.</summary>
internal sealed class PlantedRun
{
    private const int Channels = 6;

    public required string Id { get; init; }

    public string Name { get; init; } = "run";

    public string Network { get; init; } = "the network";

    public string Layer { get; init; } = "layer3";

    public string Method { get; init; } = "unique";

    public AnalysisState State { get; init; } = AnalysisState.Completed;

    public IReadOnlyList<PlantedClass> Classes { get; init; } = [];

    /// <summary>A unit vector along a channel, turned a little towards the last one.</summary>
    public static float[] Vector(int channel, double length = 1) =>
        [.. Enumerable.Range(0, Channels).Select(c => (float)(length * (c == channel ? 1 : c == Channels - 1 ? 0.1 : 0)))];

    public async Task<int> WriteAsync(TestSite site)
    {
        var cancellation = TestContext.Current.CancellationToken;
        await using var database = await site.Get<IDbContextFactory<DashboardDbContext>>().CreateDbContextAsync(cancellation);
        var analysis = new AnalysisEntity { Id = Id, Name = Name, Request = JsonSerializer.Serialize(Request, Json.Options), State = State, Layer = Layer, Method = Method, OutputNames = """["cat","dog"]""" };
        database.Analyses.Add(analysis);
        await database.SaveChangesAsync(cancellation);
        var folder = site.Get<DataFolders>().Run(Id);
        Directory.CreateDirectory(Path.Combine(folder, "atlas", "classes"));
        await File.WriteAllBytesAsync(Path.Combine(folder, "manifest.json"), JsonSerializer.SerializeToUtf8Bytes(Manifest(), AnalysisJson.Options), cancellation);
        var (row, concept) = (0, 0);
        foreach (var (planted, index) in Classes.Select((planted, index) => (planted, index)))
        {
            var (n, k) = (planted.Paths.Count, planted.Concepts.Count);
            var samples = Enumerable.Range(row, n).ToArray();
            var atlas = new ClassAtlas
            {
                Class = index,
                Name = planted.Name,
                DisplayName = planted.Name,
                Label = index,
                Embedding = "none",
                Strategies = [new StrategyEntry(0, n, 1, row, [.. planted.Concepts.Select(c => c.Importance)], "all")],
                Concepts =
                [
                    .. planted.Concepts.Select((c, rank) => new ConceptEntry { Id = concept + rank, Rank = rank, Importance = c.Importance, Prevalence = 1, Reliability = 1, Exemplars = [new Exemplar(row, 1, 0, 0, 1, 1, "top")] }),
                ],
            };
            database.Classes.Add(new ClassEntity
            {
                AnalysisKey = analysis.Key, Index = index, Name = planted.Name, DisplayName = planted.Name, Label = index, Images = n, Accuracy = 1, Concepts = k, Strategies = 1, Ready = true,
                Atlas = JsonSerializer.Serialize(atlas, Json.Options),
            });
            database.Concepts.AddRange(planted.Concepts.Select((c, rank) => new ConceptEntity { AnalysisKey = analysis.Key, Id = concept + rank, Class = index, Rank = rank, Importance = c.Importance }));
            var predicted = planted.Paths.Select((_, i) => planted.Wrong.Contains(i) ? 1 - index : index).ToArray();
            database.Samples.AddRange(planted.Paths.Select((path, i) => new SampleEntity
            {
                AnalysisKey = analysis.Key, Index = samples[i], Path = path, Class = index, Label = index, Predicted = predicted[i], Confidence = 0.9, Strategy = 0,
                OutlierKind = planted.Odd.Contains(i) ? "rare" : "", OutlierRank = samples[i] + 1, OutlierScore = 0.5,
            }));
            var arrays = new ClassArrays
            {
                Sample = samples, Layout = new float[2 * n], Strategy = new int[n], Strongest = new int[n], Predicted = predicted, Target = [.. Enumerable.Repeat(index, n)], RunnerUp = new int[n],
                Concepts = k, Contributions = new float[n * (k + 1)], Against = new float[n * (k + 1)], MapHeight = 0, MapWidth = 0, MapScale = new float[k], Maps = default,
            };
            var coefficients = Enumerable.Range(0, n).SelectMany(i => planted.Concepts.Select(c => c.Coefficient(planted.Paths[i]))).ToArray();
            ClassArraysFile.Write(ClassArraysFile.PathOf(folder, index), arrays, coefficients, [.. planted.Concepts.SelectMany(c => c.Vector)], new float[n]);
            (row, concept) = (row + n, concept + k);
        }

        await database.SaveChangesAsync(cancellation);
        return analysis.Key;
    }

    private AnalysisRequest Request => new() { Dataset = "/data", Method = Method };

    private Manifest Manifest() => new()
    {
        Id = Id,
        Created = DateTimeOffset.UnixEpoch,
        Engine = "test",
        Request = Request,
        Keys = new Dictionary<string, string>(),
        Dataset = new ManifestDataset("data", string.Join('|', Classes.SelectMany(c => c.Paths)), Classes.Sum(c => c.Paths.Count), [.. Classes.Select(c => c.Name)]),
        Network = new ManifestNetwork(Network, Network, "resnet", ["cat", "dog"]),
        Layer = new ManifestLayer(Layer, Channels, 1, 1),
        Device = "cpu",
        Stages = [],
        Skipped = [],
        Metrics = new Dictionary<string, double>(),
    };
}

/// <summary>A class of a <see cref="PlantedRun"/>.</summary>
/// <param name="Name">Name of the folder.</param>
/// <param name="Paths">Its images.</param>
/// <param name="Concepts">Its concepts, most important first.</param>
internal sealed record PlantedClass(string Name, IReadOnlyList<string> Paths, IReadOnlyList<PlantedConcept> Concepts)
{
    /// <summary>Positions of the images that are predicted as the other class.</summary>
    public IReadOnlyList<int> Wrong { get; init; } = [];

    /// <summary>Positions of the images that are flagged.</summary>
    public IReadOnlyList<int> Odd { get; init; } = [];
}

/// <summary>A concept of a <see cref="PlantedClass"/>.</summary>
/// <param name="Importance">Share of the score.</param>
/// <param name="Vector">Its vector.</param>
/// <param name="Coefficient">How strongly it is present in the image of a path.</param>
internal sealed record PlantedConcept(double Importance, float[] Vector, Func<string, float> Coefficient);
