using Bunit;
using Dashboard.Client.Components;
using Xunit;

namespace Dashboard.Client.Tests.Components;

/// <summary>A component that goes away does not wait for a browser that has left the page.</summary>
public sealed class ReleaseTests : BunitContext
{
    [Fact]
    public async Task Going_away_waits_for_no_answer_of_the_browser()
    {
        var module = JSInterop.SetupModule("./_content/Dashboard.Client/Components/Keyboard.razor.js");
        var listener = module.SetupModule(call => call.Identifier == "listen");
        // Asked, and never answered.
        var asked = listener.SetupVoid("dispose");
        Render<Keyboard>(parameters => parameters.Add(keyboard => keyboard.Keys, ["f"]));
        await DisposeComponentsAsync().WaitAsync(TimeSpan.FromSeconds(10), Xunit.TestContext.Current.CancellationToken);
        asked.VerifyInvoke("dispose");
    }
}
