using Dashboard.Client.State;
using Xunit;

namespace Dashboard.Client.Tests.State;

public sealed class PendingTests
{
    [Fact]
    public void An_earlier_answer_does_not_write_over_what_was_set_since()
    {
        var text = new Pending<string>("");
        text.Set("s");
        text.Set("st");
        text.Give("s");
        Assert.Equal("st", text.Value);
        text.Set("sta");
        text.Give("st");
        text.Give("sta");
        Assert.Equal("sta", text.Value);
    }

    [Fact]
    public void Another_address_is_obeyed_also_while_answers_are_missing()
    {
        var place = new Pending<int?>(null);
        place.Give(3);
        Assert.Equal(3, place.Value);
        place.Set(4);
        place.Give(null);
        Assert.Null(place.Value);
        // What was not answered any more is no answer later.
        place.Give(4);
        Assert.Equal(4, place.Value);
        place.Give(3);
        Assert.Equal(3, place.Value);
    }

    [Fact]
    public void The_same_address_again_changes_nothing()
    {
        var place = new Pending<int?>(2);
        place.Set(5);
        place.Give(2);
        Assert.Equal(5, place.Value);
    }
}
