using System.Text;
using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;

namespace Dashboard.EndToEnd;

/// <summary>axe-core on what a visitor sees now, in light and in dark: every rule that it has on by default, best practices included.</summary>
internal static class Accessibility
{
    // Elements named for each rule that is broken.
    private const int Examples = 3;

    /// <summary>Fails with the rule, the element and the reason of each violation.</summary>
    public static async Task AssertAccessibleAsync(this Visitor visitor, string place)
    {
        var found = await visitor.ViolationsAsync(place);
        Assert.True(found.Length == 0, found);
    }

    /// <summary>Violations in words, a line each; empty where there are none.</summary>
    public static async Task<string> ViolationsAsync(this Visitor visitor, string place)
    {
        var found = new StringBuilder();
        foreach (var colours in new[] { ColorScheme.Light, ColorScheme.Dark })
        {
            await visitor.Page.EmulateMediaAsync(new() { ColorScheme = colours });
            // Dark differs from light by its colours: the two rules about them that are on by default are asked again.
            var options = new AxeRunOptions { ResultTypes = [ResultType.Violations] };
            if (colours == ColorScheme.Dark)
            {
                options.RunOnly = RunOnlyOptions.Rules("color-contrast", "link-in-text-block");
            }

            var result = await visitor.Page.RunAxe(options);
            foreach (var violation in result.Violations)
            {
                foreach (var node in violation.Nodes.Take(Examples))
                {
                    var reasons = node.Any.Concat(node.All).Concat(node.None).Select(check => check.Message);
                    found.AppendLine($"{place}, {colours}: {violation.Id} at {node.Target}: {string.Join("; ", reasons)}");
                }

                if (violation.Nodes.Length > Examples)
                {
                    found.AppendLine($"{place}, {colours}: {violation.Id} at {violation.Nodes.Length - Examples} more");
                }
            }
        }

        await visitor.Page.EmulateMediaAsync(new() { ColorScheme = ColorScheme.Light });
        return found.ToString();
    }
}
