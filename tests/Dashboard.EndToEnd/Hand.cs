namespace Dashboard.EndToEnd;

/// <summary>Somebody at a page, who works either with the mouse or with the keyboard alone.</summary>
/// <param name="page">The page.</param>
/// <param name="keyboard">By keyboard: everything is reached with Tab and used with keys; no element is given the focus by a script.</param>
public sealed class Hand(IPage page, bool keyboard)
{
    // The stop of the tab order before an element gets the focus; the page itself where the element is the first one.
    private const string FocusBefore = """
        e => {
          const within = e.closest('dialog[open], .mud-dialog') ?? document;
          const stops = [...within.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex]')]
            .filter(s => s === e || s.tabIndex >= 0 && !s.disabled && s.checkVisibility({ visibilityProperty: true }) && !(s.type === 'radio' && s.name === e.name && !s.checked));
          e.scrollIntoView({ block: 'center' });
          const before = stops[stops.indexOf(e) - 1];
          if (before) before.focus({ preventScroll: true }); else (within === document ? document.activeElement : within).blur();
        }
        """;

    /// <summary>The page.</summary>
    public IPage Page => page;

    /// <summary>True where the mouse is not used.</summary>
    public bool Keyboard => keyboard;

    /// <inheritdoc/>
    public override string ToString() => keyboard ? "keyboard" : "mouse";

    /// <summary>A list to choose from, by its label.</summary>
    public ILocator List(string label) => page.GetByRole(AriaRole.Combobox, new() { Name = label, Exact = true });

    /// <summary>Presses a button, follows a link, ticks a box, opens what is folded.</summary>
    public async Task PressAsync(ILocator what)
    {
        if (!keyboard)
        {
            await what.ClickAsync();
            return;
        }

        await ReachAsync(what);
        await page.Keyboard.PressAsync(await what.EvaluateAsync<bool>("e => e.tagName === 'INPUT'") ? "Space" : "Enter");
    }

    /// <summary>Chooses an option by its words.</summary>
    public async Task ChooseAsync(ILocator list, string option)
    {
        if (!keyboard)
        {
            await list.SelectOptionAsync(new SelectOptionValue { Label = option });
            return;
        }

        await ReachAsync(list);
        // Letters choose the next option that begins with them; from the first one on, none is left out.
        await page.Keyboard.PressAsync("Home");
        if (await list.Locator("option:checked").InnerTextAsync() != option)
        {
            await page.Keyboard.TypeAsync(option);
        }

        await Expect(list.Locator("option:checked")).ToHaveTextAsync(option);
    }

    /// <summary>Writes into a field and leaves it.</summary>
    public async Task WriteAsync(ILocator field, string text)
    {
        if (keyboard)
        {
            await ReachAsync(field);
            await page.Keyboard.PressAsync("Control+a");
            await page.Keyboard.TypeAsync(text);
            await page.Keyboard.PressAsync("Tab");
        }
        else
        {
            await field.FillAsync(text);
            await field.BlurAsync();
        }
    }

    /// <summary>Comes to an element with Tab. It fails where no Tab leads there, or where the focus cannot be seen.</summary>
    public async Task ReachAsync(ILocator what)
    {
        await what.WaitForAsync();
        await what.EvaluateAsync(FocusBefore);
        // Chromium stops at areas that scroll, too.
        for (var presses = 0; presses < 4; presses++)
        {
            await page.Keyboard.PressAsync("Tab");
            if (await what.EvaluateAsync<bool>("e => e === document.activeElement"))
            {
                return;
            }
        }

        Assert.Fail($"Tab does not lead to {what}; it led to {await page.EvaluateAsync<string>("document.activeElement.outerHTML.slice(0, 300)")}");
    }
}
