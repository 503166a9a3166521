using Dashboard.Client.Contracts;
using Dashboard.Client.State;
using Xunit;

namespace Dashboard.Client.Tests.State;

public sealed class WizardTests
{
    private static Wizard Empty => Wizard.FromQuery(new Dictionary<string, string?>());

    [Fact]
    public void Steps_open_one_after_the_other()
    {
        Assert.True(Wizard.CanEnter("data", null, null));
        Assert.False(Wizard.CanEnter("network", null, null));
        Assert.False(Wizard.CanEnter("network", Samples.Dataset(0), null));
        Assert.True(Wizard.CanEnter("network", Samples.Dataset(), null));
        Assert.False(Wizard.CanEnter("review", Samples.Dataset(), null));
        Assert.False(Wizard.CanEnter("review", Samples.Dataset(), Samples.Network()));
        Assert.True(Wizard.CanEnter("review", Samples.Dataset(), Samples.Network(Samples.Layer("layer3"))));
    }

    [Fact]
    public void What_is_missing_is_said_in_words()
    {
        Assert.Equal("Choose the folder that holds the images, or a file of activations.", Empty.Missing(null, null, Samples.Catalogue));
        Assert.Null(Empty.Missing(Samples.Dataset(), null, Samples.Catalogue));
        var network = Empty with { Step = "network" };
        Assert.Equal("Choose the file that holds the network's weights.", network.Missing(Samples.Dataset(), null, Samples.Catalogue));
        var review = (Empty with { Step = "review" }).With(r => r with { Concepts = 0 });
        Assert.Equal("Choose between 1 and 100 concepts a class.", review.Missing(Samples.Dataset(), Samples.Network(Samples.Layer("a")), Samples.Catalogue));
    }

    [Fact]
    public void The_suggested_layer_is_taken_until_another_is_chosen()
    {
        var network = Samples.Network(Samples.Layer("a"), Samples.Layer("b", suggested: true));
        Assert.Equal("b", Wizard.Layer(Empty.Request, network)!.Name);
        Assert.Equal("a", Wizard.Layer(Empty.Request with { Layer = "a" }, network)!.Name);
        Assert.Equal("b", Wizard.Layer(Empty.Request with { Layer = "gone" }, network)!.Name);
        Assert.Null(Wizard.Layer(Empty.Request, null));
    }

    [Fact]
    public void Everything_chosen_survives_the_address()
    {
        var chosen = (Empty with { Step = "review" }).WithDataset("/data/a b").WithNetwork("/n.safetensors")
            .With(r => r with { Layer = "layer2", Concepts = 7, Relevance = "official", Limit = 500, Seed = 3, Device = "cpu", Name = "My run" });
        var query = chosen.ToQuery().Where(p => p.Value is not null).ToDictionary(p => p.Key, p => (string?)FormattableString.Invariant($"{p.Value}"));
        Assert.Equal(chosen, Wizard.FromQuery(query));
    }

    [Fact]
    public void Defaults_leave_the_address_empty_and_nonsense_in_it_is_ignored()
    {
        Assert.All(Empty.ToQuery().Values, Assert.Null);
        var odd = Wizard.FromQuery(new Dictionary<string, string?> { ["step"] = "nowhere", ["concepts"] = "many", ["relevance"] = "none", ["preset"] = "?" });
        Assert.Equal("data", odd.Step);
        Assert.Equal(10, odd.Request.Concepts);
        Assert.Equal("directional", odd.Request.Relevance);
        Assert.Equal("", odd.Preset);
    }

    [Fact]
    public void A_preset_sets_its_parameters_and_a_change_by_hand_leaves_it()
    {
        var quick = Empty.WithPreset("quick");
        Assert.Equal((6, 1000), (quick.Request.Concepts, quick.Request.Limit));
        Assert.Equal("", quick.With(r => r with { Seed = 1 }).Preset);
        Assert.Null(quick.WithPreset("balanced").Request.Limit);
    }

    [Fact]
    public void Another_network_forgets_the_layer_of_the_old_one()
    {
        var wizard = Empty.With(r => r with { Layer = "layer2", Architecture = "resnet20" }).WithNetwork("/other.pth");
        Assert.Null(wizard.Request.Layer);
        Assert.Null(wizard.Request.Architecture);
    }

    [Fact]
    public void Method_and_parameters_come_back_from_the_address()
    {
        var wizard = Empty.WithPreset("parts").WithParameter("alpha", 0.25).With(r => r with { Scope = "dataset", PerClass = 7, Importance = "sobol" });
        var query = wizard.ToQuery().Where(p => p.Value is not null).ToDictionary(p => p.Key, p => Convert.ToString(p.Value, System.Globalization.CultureInfo.InvariantCulture));
        var back = Wizard.FromQuery(query);
        Assert.Equal(wizard.Request with { Parameters = back.Request.Parameters }, back.Request);
        Assert.Equal(new Dictionary<string, double> { ["alpha"] = 0.25 }, back.Request.Parameters);
        Assert.Equal("", back.Preset);
        Assert.Empty(back.WithMethod("unique").Request.Parameters);
    }

    [Fact]
    public void Presets_without_their_method_are_not_offered_and_those_the_layer_forbids_say_why()
    {
        var signed = Samples.Layer("avgpool") with { NonNegative = false };
        var presets = Wizard.PresetsFor(new NewAnalysis(), signed, Samples.Catalogue).ToList();
        Assert.DoesNotContain(presets, p => p.Preset.Key == "sparse");
        Assert.Null(presets.Single(p => p.Preset.Key == "balanced").Problem);
        Assert.Equal(
            "NMF needs activations without negative values, and the layer avgpool has some. Choose Unique concepts or PCA, or a layer that ends in a rectification.",
            presets.Single(p => p.Preset.Key == "parts").Problem);
        Assert.Null(Wizard.PresetsFor(new NewAnalysis(), Samples.Layer("relu"), Samples.Catalogue).Single(p => p.Preset.Key == "parts").Problem);
    }

    public static TheoryData<string, NewAnalysis> Refused => new()
    {
        { "method", new NewAnalysis { Method = "magic" } },
        { "granularity", new NewAnalysis { Granularity = "positions" } },
        { "scope", new NewAnalysis { Scope = "dataset" } },
        { "concepts", new NewAnalysis { Concepts = 101 } },
        { "concepts", new NewAnalysis { Method = "pca", Concepts = 65 } },
        { "concepts", new NewAnalysis { Method = "nmf", Scope = "dataset", Concepts = 2001 } },
        { "perclass", new NewAnalysis { Method = "nmf", Scope = "dataset", PerClass = -1 } },
        { "importance", new NewAnalysis { Importance = "guess" } },
        { "alpha", new NewAnalysis { Method = "nmf", Parameters = new Dictionary<string, double> { ["alpha"] = 11 } } },
        { "beta", new NewAnalysis { Method = "nmf", Parameters = new Dictionary<string, double> { ["beta"] = 1 } } },
    };

    [Theory]
    [MemberData(nameof(Refused))]
    public void What_does_not_go_together_is_refused_beside_its_field(string field, NewAnalysis request) =>
        Assert.Equal([field], MethodRules.Problems(request, Samples.Layer("relu"), Samples.Catalogue).Keys);

    [Theory]
    [InlineData("nmf", "positions", "dataset", 200)]
    [InlineData("pca", "crops", "class", 64)]
    [InlineData("unique", "pooled", "class", 100)]
    public void What_goes_together_is_not_refused(string method, string granularity, string scope, int concepts) => Assert.Empty(
        MethodRules.Problems(new NewAnalysis { Method = method, Granularity = granularity, Scope = scope, Concepts = concepts }, Samples.Layer("relu"), Samples.Catalogue));

    [Fact]
    public void The_method_in_words_names_what_differs_from_the_usual() => Assert.Equal(
        "NMF on positions, 200 concepts for the data set, 7 kept a class, weighed by Sobol, alpha 0.5",
        MethodRules.Text(
            new NewAnalysis { Method = "nmf", Granularity = "positions", Scope = "dataset", Concepts = 200, PerClass = 7, Importance = "sobol", Parameters = new Dictionary<string, double> { ["alpha"] = 0.5 } },
            Samples.Catalogue));
}
