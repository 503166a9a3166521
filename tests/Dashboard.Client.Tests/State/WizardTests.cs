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
        Assert.Equal("Choose the folder that holds the images.", Empty.Missing(null, null));
        Assert.Null(Empty.Missing(Samples.Dataset(), null));
        var network = Empty with { Step = "network" };
        Assert.Equal("Choose the file that holds the network's weights.", network.Missing(Samples.Dataset(), null));
        var review = (Empty with { Step = "review" }).With(r => r with { Concepts = 0 });
        Assert.Equal("Choose between 1 and 200 concepts a class.", review.Missing(Samples.Dataset(), Samples.Network(Samples.Layer("a"))));
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
}
