namespace Dashboard.EndToEnd;

/// <summary>
/// Everything that a person does on the pages: by mouse, again by keyboard alone, and the address at the end opens the same
/// in a browser that has not been there before.
/// </summary>
public sealed class FlowTests(Stage stage)
{
    // What a person would compare: the words, what is chosen, what is pressed. How long ago something was, and what it will take, is left out.
    private const string Look = """
        () => {
          const main = document.querySelector('main');
          let words = main.innerText;
          for (const t of main.querySelectorAll('time')) words = words.replace(t.innerText, '');
          const fields = [...main.querySelectorAll('input, select, textarea')].map(e => e.type === 'checkbox' || e.type === 'radio' ? e.checked : e.value);
          const pressed = [...main.querySelectorAll('[aria-pressed=true], [aria-current]')].map(e => e.textContent.trim());
          return JSON.stringify([words.replace(/\s+/g, ' ').replace(/\b[0-9.]+ (s|min)\b/g, ''), fields, pressed]);
        }
        """;

    private const int Minutes = 60_000;

    /// <summary>What is done.</summary>
    /// <param name="Start">Address where it begins.</param>
    /// <param name="Do">Does it, and sees that it came about.</param>
    /// <param name="End">Parts of the address at the end; null where the end is not a state of a page.</param>
    /// <param name="Same">Both hands end at the same address.</param>
    private sealed record Flow(string Start, Func<Hand, Task> Do, string? End = null, bool Same = true);

    [Theory]
    [InlineData("atlas: search, order and filter")]
    [InlineData("atlas: a class is opened")]
    [InlineData("map: colours, and a group that stands out")]
    [InlineData("map: a lasso lists what is inside")]
    [InlineData("shared concepts: a pair of classes, and one concept whole")]
    [InlineData("class: colours, maps and one concept")]
    [InlineData("class: a strategy")]
    [InlineData("class: a lasso and its images")]
    [InlineData("class: a point is opened")]
    [InlineData("class: the next class")]
    [InlineData("class: images are tagged")]
    [InlineData("concept: maps")]
    [InlineData("concept: a name and a note")]
    [InlineData("concept: left out of lists and listed under another")]
    [InlineData("sample: the map of a concept")]
    [InlineData("sample: the nearest image")]
    [InlineData("sample: an attribution map is asked for")]
    [InlineData("own image: chosen, explained and read")]
    [InlineData("outliers: filters and one image")]
    [InlineData("outliers: a verdict and back")]
    [InlineData("outliers: the list is saved")]
    [InlineData("share: a link is made and ended")]
    [InlineData("new analysis: from folders to the review")]
    [InlineData("new analysis: parameters")]
    [InlineData("labels: found, searched, one chosen")]
    [InlineData("probes: a concept is defined")]
    [InlineData("probes: one is trained and read layer by layer")]
    [InlineData("smallest change: asked for and stopped")]
    [InlineData("training images: asked for and stopped")]
    [InlineData("remove and retrain: planned")]
    [InlineData("remove and retrain: run to its end and read")]
    [InlineData("compare: what to compare")]
    [InlineData("compare: methods compared and read")]
    [InlineData("compare: two analyses, and how their concepts are ordered")]
    [InlineData("search images: one concept present, one absent")]
    [InlineData("search everything")]
    public async Task It_is_done_by_mouse_and_by_keyboard_alone_and_its_address_opens_the_same(string name)
    {
        var flow = await FlowAsync(name);
        await using var visitor = await stage.VisitorAsync();
        await BeginAsync(visitor, flow);
        await flow.Do(new Hand(visitor.Page, keyboard: false));
        await EndAsync(visitor, flow);

        await using var other = await stage.VisitorAsync();
        if (flow.End is not null)
        {
            await other.GoAsync(visitor.Page.Url);
            await LooksAlikeAsync(visitor.Page, other.Page);
        }

        await BeginAsync(other, flow);
        await flow.Do(new Hand(other.Page, keyboard: true));
        await EndAsync(other, flow);
        if (flow is { End: not null, Same: true })
        {
            Assert.Equal(Sorted(visitor.Page.Url), Sorted(other.Page.Url));
        }

        visitor.AssertNoFault();
        other.AssertNoFault();
    }

    /// <summary>Behind its name an option may have a label, where another test has found some.</summary>
    private static async Task ChooseConceptAsync(Hand hand, ILocator list, ConceptCard concept)
    {
        var option = list.Locator("option").Filter(new() { HasTextRegex = new($"^{Regex.Escape(Client.State.Names.Concept(concept))}(\\s|$)") });
        await Expect(option).ToHaveCountAsync(1);
        await hand.ChooseAsync(list, await option.InnerTextAsync());
    }

    private async Task<Flow> FlowAsync(string name)
    {
        var site = stage.Site;
        var id = (await site.CompleteSampleAsync()).Id;
        var view = await site.GetAsync<ClassView>($"/api/analyses/{id}/classes/0");
        var concept = view.Concepts[0];
        var prototype = view.Strategies[0].Prototype;
        return name switch
        {
            "atlas: search, order and filter" => new(PageUrls.Atlas(id), async hand =>
            {
                await hand.ChooseAsync(hand.List("Sort"), "Accuracy, lowest first");
                await hand.ChooseAsync(hand.List("Show"), "With outliers");
                await hand.WriteAsync(hand.Page.GetByPlaceholder("Search classes, concepts, labels"), "star");
            }, "search=star&sort=accuracy&show=outliers"),

            "atlas: a class is opened" => new(PageUrls.Atlas(id), async hand =>
            {
                // By mouse at the class's name: its concepts have links of their own.
                var tile = hand.Page.Locator(".class-row .tile .cover").First;
                await (hand.Keyboard ? hand.PressAsync(tile) : tile.ClickAsync(new() { Position = new() { X = 20, Y = (await tile.BoundingBoxAsync())!.Height - 20 } }));
                await Expect(hand.Page.Locator(".concepts .concept").First).ToBeVisibleAsync();
            }, "/classes/"),

            "map: colours, and a group that stands out" => new(PageUrls.Atlas(id, "map"), async hand =>
            {
                await Expect(hand.Page.Locator(".plot[data-count]")).ToBeVisibleAsync();
                await hand.PressAsync(hand.Page.Locator(".legend button.group").First);
                await Expect(hand.Page.Locator(".legend button.group").First).ToHaveAttributeAsync("aria-pressed", "true");
                await Expect(hand.Page).ToHaveURLAsync(new Regex("group=0"));
                await hand.ChooseAsync(hand.List("Colour by"), "importance");
            }, "tab=map&group=0&colour=importance"),

            "map: a lasso lists what is inside" => new(PageUrls.Atlas(id, "map"), async hand =>
            {
                await LassoAsync(hand);
                await Expect(hand.Page.GetByTestId("selection")).ToContainTextAsync("inside the lasso");
                await Expect(hand.Page.GetByTestId("selection").Locator("a.member").First).ToBeVisibleAsync();
            }, "lasso=", Same: false),

            "shared concepts: a pair of classes, and one concept whole" => new(PageUrls.Atlas(id, "shared"), async hand =>
            {
                var cells = hand.Page.Locator(".field-of-cells[data-classes]");
                await cells.WaitForAsync();
                await hand.PressAsync(hand.Page.Locator(".groups button.title").First);
                await Expect(hand.Page.GetByTestId("shared-whole")).ToBeVisibleAsync();
                await Expect(hand.Page).ToHaveURLAsync(new Regex("shared=0"));
                // The cell of the first class with the second.
                if (hand.Keyboard)
                {
                    await hand.ReachAsync(cells);
                    await hand.Page.Keyboard.PressAsync("ArrowRight");
                    await hand.Page.Keyboard.PressAsync("ArrowRight");
                    await hand.Page.Keyboard.PressAsync("Enter");
                }
                else
                {
                    await cells.ScrollIntoViewIfNeededAsync();
                    var box = (await cells.BoundingBoxAsync())!;
                    var (side, classes) = (Math.Min(box.Width, box.Height), int.Parse((await cells.GetAttributeAsync("data-classes"))!, System.Globalization.CultureInfo.InvariantCulture));
                    await hand.Page.Mouse.ClickAsync(box.X + ((box.Width - side) / 2) + (1.5f * side / classes), box.Y + (0.5f * side / classes));
                }
            }, "a="),

            "class: colours, maps and one concept" => new(PageUrls.Class(id, 0), async hand =>
            {
                await hand.ChooseAsync(hand.List("Colour by"), "right or wrong");
                await Expect(hand.Page).ToHaveURLAsync(new Regex("colour=correct"));
                await hand.PressAsync(hand.Page.GetByRole(AriaRole.Button, new() { Name = "Maps" }).First);
                await Expect(hand.Page).ToHaveURLAsync(new Regex("maps="));
                await hand.PressAsync(hand.Page.GetByRole(AriaRole.Button, new() { Name = "Filter" }).First);
            }, "concept="),

            "class: a strategy" => new(PageUrls.Class(id, 0), async hand =>
            {
                await hand.PressAsync(hand.Page.Locator("button.strategy").First);
                await Expect(hand.Page.Locator("#gallery-title")).ToContainTextAsync("trategy A");
            }, "strategy=0"),

            "class: a lasso and its images" => new(PageUrls.Class(id, 0), async hand =>
            {
                await LassoAsync(hand);
                await Expect(hand.Page.Locator("#gallery-title")).ToContainTextAsync("inside the lasso");
                if (hand.Keyboard)
                {
                    // Escape lets go of it, and Space takes it again, twice as much at the second press.
                    await hand.Page.Keyboard.PressAsync("Escape");
                    await Expect(hand.Page.Locator("#gallery-title")).ToContainTextAsync("All ");
                    await hand.Page.Keyboard.PressAsync("Space");
                    await Expect(hand.Page.Locator("#gallery-title")).ToContainTextAsync("inside the lasso");
                    var few = await hand.Page.Locator("#gallery-title").InnerTextAsync();
                    await hand.Page.Keyboard.PressAsync("Space");
                    await Expect(hand.Page.Locator("#gallery-title")).Not.ToHaveTextAsync(few);
                }
            }, "lasso=", Same: false),

            "class: a point is opened" => new(PageUrls.Class(id, 0), async hand =>
            {
                if (hand.Keyboard)
                {
                    await hand.ReachAsync(hand.Page.Locator(".plot[data-count]"));
                    await hand.Page.Keyboard.PressAsync("ArrowRight");
                    await Expect(hand.Page.Locator(".cloud-tip")).ToBeVisibleAsync();
                    await hand.Page.Keyboard.PressAsync("Enter");
                }
                else
                {
                    await FirstStartTests.PointAtASampleAsync(hand.Page);
                    await hand.Page.Mouse.DownAsync();
                    await hand.Page.Mouse.UpAsync();
                }

                await Expect(hand.Page.GetByRole(AriaRole.Heading, new() { Name = "Predictions" })).ToBeVisibleAsync();
            }, "/samples/", Same: false),

            "class: the next class" => new(PageUrls.Class(id, 0), async hand =>
            {
                var next = hand.Page.GetByRole(AriaRole.Link, new() { Name = "Next class" });
                await next.WaitForAsync();
                await (hand.Keyboard ? hand.Page.Keyboard.PressAsync("ArrowRight") : next.ClickAsync());
                await Expect(hand.Page).ToHaveURLAsync(new Regex("/classes/1$"));
                await Expect(hand.Page.GetByRole(AriaRole.Heading, new() { Level = 1 })).Not.ToHaveTextAsync(view.DisplayName);
            }, "/classes/1"),

            "class: images are tagged" => new(PageUrls.Class(id, 0), async hand =>
            {
                await hand.PressAsync(hand.Page.GetByRole(AriaRole.Button, new() { Name = "Tag images" }));
                var bar = hand.Page.GetByTestId("tagging-bar");
                var picture = hand.Page.Locator(".gallery .taggable").First;
                if (hand.Keyboard)
                {
                    await hand.ReachAsync(picture.Locator("a"));
                    await hand.Page.Keyboard.PressAsync("n");
                }
                else
                {
                    await picture.GetByRole(AriaRole.Button, new() { Name = "Does not show it", Exact = true }).ClickAsync();
                }

                await Expect(bar).ToContainTextAsync("0 show it, 1 do");
                await hand.PressAsync(bar.GetByRole(AriaRole.Button, new() { Name = "Clear" }));
                await Expect(bar).ToContainTextAsync("Nothing tagged yet");
                await hand.PressAsync(bar.GetByRole(AriaRole.Button, new() { Name = "Stop" }));
                await Expect(bar).ToHaveCountAsync(0);
            }),

            "concept: maps" => new(PageUrls.Concept(id, concept.Id), hand => hand.PressAsync(hand.Page.GetByRole(AriaRole.Button, new() { Name = "Maps" })), "maps="),

            "concept: a name and a note" => new(PageUrls.Concept(id, view.Concepts[^1].Id), async hand =>
            {
                await hand.PressAsync(hand.Page.GetByRole(AriaRole.Button, new() { NameRegex = new("^(Name it|Rename)$") }));
                await Expect(hand.Page.GetByLabel("Name of the concept")).ToBeFocusedAsync();
                await hand.Page.Keyboard.PressAsync("Control+a");
                await hand.Page.Keyboard.TypeAsync($"named by {hand}");
                await hand.PressAsync(hand.Page.GetByRole(AriaRole.Button, new() { Name = "Save" }));
                await Expect(hand.Page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToContainTextAsync($"named by {hand}");
                await hand.WriteAsync(hand.Page.GetByLabel("Note on this concept"), $"Seen by {hand}.");
                await Expect(hand.Page.GetByText("saved", new() { Exact = true })).ToBeVisibleAsync();
            }),

            "concept: left out of lists and listed under another" => new(PageUrls.Concept(id, view.Concepts[^1].Id), async hand =>
            {
                var box = hand.Page.GetByLabel("Leave it out of lists");
                await hand.PressAsync(box);
                await Expect(hand.Page.GetByText("left out of lists")).ToBeVisibleAsync();
                await hand.PressAsync(box);
                await Expect(hand.Page.GetByText("left out of lists")).ToHaveCountAsync(0);
                var list = hand.Page.Locator("select:has(option:text-is('no other concept'))");
                await ChooseConceptAsync(hand, list, concept);
                await Expect(hand.Page.GetByRole(AriaRole.Link, new() { NameRegex = new("^same as ") })).ToBeVisibleAsync();
                await hand.ChooseAsync(list, "no other concept");
                await Expect(hand.Page.GetByRole(AriaRole.Link, new() { NameRegex = new("^same as ") })).ToHaveCountAsync(0);
            }),

            "sample: the map of a concept" => new(PageUrls.Sample(id, prototype), hand => hand.PressAsync(hand.Page.Locator(".map-strip button").Nth(1)), "map="),

            "sample: the nearest image" => new(PageUrls.Sample(id, prototype), async hand =>
            {
                await hand.PressAsync(hand.Page.Locator("section:has(h2:text-is('Nearest in concept space')) a.pic").First);
                await Expect(hand.Page).Not.ToHaveURLAsync(new Regex($"/samples/{prototype}$"));
            }, "/samples/"),

            "sample: an attribution map is asked for" => new(PageUrls.Sample(id, prototype), async hand =>
            {
                var card = hand.Page.GetByRole(AriaRole.Region, new() { Name = "Attribution map" });
                await ChooseConceptAsync(hand, card.GetByRole(AriaRole.Combobox, new() { Name = "Concept" }), view.Concepts[1]);
                await Expect(hand.Page).ToHaveURLAsync(new Regex("attribution="));
                await hand.PressAsync(card.GetByRole(AriaRole.Button, new() { Name = "Fast", Exact = true }));
                await Expect(card.GetByRole(AriaRole.Button, new() { Name = "Make the fast map" })).ToBeVisibleAsync();
            }, "way=fast"),

            "own image: chosen, explained and read" => new(PageUrls.OwnImage(id), async hand =>
            {
                // Each hand brings its own; the network has not seen either as an own image.
                var file = Directory.EnumerateFiles(Path.Combine(site.SampleImages, hand.Keyboard ? "plain star" : "red disc"), "*.png").Order(StringComparer.Ordinal).Last();
                var choose = hand.Page.Locator(".drop input[type=file]");
                await Expect(choose).ToBeEnabledAsync();
                var chooser = await hand.Page.RunAndWaitForFileChooserAsync(() => hand.Keyboard ? hand.PressAsync(choose) : hand.Page.GetByText("Choose a file").ClickAsync());
                await chooser.SetFilesAsync(file);
                await Expect(hand.Page).ToHaveURLAsync(new Regex("/images/[0-9a-f]{64}$"));
                var waterfall = hand.Page.Locator(".waterfall .row-w.total");
                await Expect(waterfall).ToBeVisibleAsync(new() { Timeout = 2 * Minutes });
                await hand.ChooseAsync(hand.List("By the concepts of"), "dotted ring");
                await Expect(hand.Page).ToHaveURLAsync(new Regex("class=[0-9]+"));
                await Expect(hand.Page.GetByRole(AriaRole.Heading, new() { Name = "For and against “dotted ring”" })).ToBeVisibleAsync(new() { Timeout = 2 * Minutes });
                await hand.PressAsync(hand.Page.Locator(".map-strip button").Nth(1));
                await Expect(hand.Page.Locator(".large img.map")).ToBeVisibleAsync();
            }, "/images/&class=&map=", Same: false),

            "outliers: filters and one image" => new(PageUrls.Outliers(id), async hand =>
            {
                await hand.PressAsync(hand.Page.Locator(".filters .chip").Nth(1));
                await Expect(hand.Page).ToHaveURLAsync(new Regex("kind="));
                await hand.PressAsync(hand.Page.GetByLabel("without a verdict"));
                await Expect(hand.Page).ToHaveURLAsync(new Regex("unjudged=true"));
                await hand.PressAsync(hand.Page.Locator(".outlier-tile").First);
                await Expect(hand.Page.Locator(".detail .verdicts")).ToBeVisibleAsync();
            }, "image="),

            "outliers: a verdict and back" => new(PageUrls.Outliers(id), async hand =>
            {
                var first = hand.Page.Locator(".outlier-tile").First;
                await hand.PressAsync(first);
                await hand.PressAsync(hand.Page.Locator(".detail .verdicts button").Nth(1));
                await Expect(first.Locator(".verdict")).ToHaveTextAsync("Wrong label");
                await hand.PressAsync(hand.Page.Locator(".detail .verdicts").GetByRole(AriaRole.Button, new() { NameRegex = new("^Undo") }));
                await Expect(first.Locator(".verdict")).ToHaveCountAsync(0);
            }),

            "outliers: the list is saved" => new(PageUrls.Outliers(id), async hand =>
            {
                var file = await hand.Page.RunAndWaitForDownloadAsync(() => hand.PressAsync(hand.Page.GetByRole(AriaRole.Link, new() { Name = "Save" })));
                Assert.EndsWith(".html", file.SuggestedFilename);
            }),

            "share: a link is made and ended" => new(PageUrls.Outliers(id), async hand =>
            {
                var share = hand.Page.GetByRole(AriaRole.Button, new() { Name = "Share", Exact = true });
                await hand.PressAsync(share);
                var dialog = hand.Page.GetByRole(AriaRole.Dialog);
                var ends = dialog.GetByRole(AriaRole.Button, new() { Name = "End link" });
                await Expect(dialog.GetByRole(AriaRole.Button, new() { Name = "Make a link" })).ToBeVisibleAsync();
                await Expect(dialog.Locator(".skeleton")).ToHaveCountAsync(0);
                var links = await ends.CountAsync();
                await hand.PressAsync(dialog.GetByRole(AriaRole.Button, new() { Name = "Make a link" }));
                await Expect(ends).ToHaveCountAsync(links + 1);
                // What it shows is fetched as by a stranger.
                using var answer = await site.Http.GetAsync(await dialog.Locator("input[readonly]").First.InputValueAsync(), TestContext.Current.CancellationToken);
                Assert.True(answer.IsSuccessStatusCode);
                await hand.PressAsync(ends.First);
                await Expect(ends).ToHaveCountAsync(links);
                await hand.Page.Keyboard.PressAsync("Escape");
                await Expect(dialog).ToHaveCountAsync(0);
                await Expect(share).ToBeFocusedAsync();
            }),

            "new analysis: from folders to the review" => new(PageUrls.New, async hand =>
            {
                var folders = hand.Page.Locator(".entries");
                var next = hand.Page.GetByRole(AriaRole.Button, new() { NameRegex = new("^Next") });
                var root = folders.GetByRole(AriaRole.Button, new() { NameRegex = new($"{Regex.Escape(Path.GetFileName(site.Folder))}$") });
                await hand.PressAsync(root);
                await hand.PressAsync(folders.GetByRole(AriaRole.Button, new() { Name = "data", Exact = true }));
                await hand.PressAsync(folders.GetByRole(AriaRole.Button, new() { Name = "sample", Exact = true }));
                await hand.PressAsync(folders.GetByRole(AriaRole.Button, new() { Name = "Use images" }));
                await Expect(hand.Page.Locator(".examples img")).ToHaveCountAsync(12);
                await hand.PressAsync(next);
                await hand.PressAsync(root);
                await hand.PressAsync(folders.GetByRole(AriaRole.Button, new() { Name = "networks", Exact = true }));
                await hand.PressAsync(folders.GetByRole(AriaRole.Button, new() { NameRegex = new("sample.safetensors") }));
                await Expect(hand.Page.Locator(".layer.on")).ToContainTextAsync("suggested");
                await hand.PressAsync(next);
                await Expect(hand.Page.Locator(".preset").First).ToBeVisibleAsync();
                await hand.PressAsync(next);
                await Expect(hand.Page.Locator(".costs b")).ToHaveCountAsync(3);
                await Expect(hand.Page.GetByRole(AriaRole.Button, new() { Name = "Start" })).ToBeEnabledAsync();
            }, "step=review"),

            "new analysis: parameters" => new($"/new?data={Uri.EscapeDataString(site.SampleImages)}&network={Uri.EscapeDataString(site.SampleNetwork)}&step=method", async hand =>
            {
                await hand.PressAsync(hand.Page.GetByText("Method and parameters"));
                await hand.WriteAsync(hand.Page.GetByLabel("Images, at most"), "300");
            }, "300"),

            "labels: found, searched, one chosen" => new(PageUrls.Labels(id), async hand =>
            {
                var find = hand.Page.GetByRole(AriaRole.Button, new() { Name = "Find labels" });
                var rows = hand.Page.Locator("table.units tbody tr:has(button.unit)");
                await Expect(find.Or(rows.First).First).ToBeVisibleAsync();
                if (await find.IsVisibleAsync())
                {
                    await hand.PressAsync(find);
                }

                await Expect(rows.First).ToBeVisibleAsync(new() { Timeout = 4 * Minutes });
                await hand.ChooseAsync(hand.List("Show"), "Concepts");
                await Expect(hand.Page).ToHaveURLAsync(new Regex("show=concepts"));
                await hand.WriteAsync(hand.Page.GetByPlaceholder("Search labels"), "striped");
                await Expect(rows.First.Locator(".formula")).ToContainTextAsync("striped");
                await hand.PressAsync(rows.First.Locator("button.unit"));
                await Expect(hand.Page.Locator(".detail p.formula")).ToBeVisibleAsync();
            }, "unit=c"),

            "probes: a concept is defined" => new(PageUrls.DefineConcept(id), async hand =>
            {
                await hand.PressAsync(hand.Page.GetByRole(AriaRole.Checkbox, new() { NameRegex = new("^dotted star") }));
                await hand.PressAsync(hand.Page.GetByRole(AriaRole.Checkbox, new() { NameRegex = new("^dotted ring") }));
                await Expect(hand.Page.GetByTestId("draft-counts")).ToBeVisibleAsync();
                var name = $"Defined by {hand} {Guid.NewGuid().ToString("N")[..6]}";
                await hand.WriteAsync(hand.Page.GetByTestId("concept-name"), name);
                await hand.PressAsync(hand.Page.GetByRole(AriaRole.Button, new() { Name = "Keep the concept" }));
                await Expect(hand.Page.GetByRole(AriaRole.Heading, new() { Level = 1 })).ToContainTextAsync(name);
            }, "/probes/", Same: false),

            "probes: one is trained and read layer by layer" => new(PageUrls.Probe(id, (await site.UserConceptAsync(id, "Anything with dots", "dotted ring", "dotted star")).Id), async hand =>
            {
                var train = hand.Page.GetByRole(AriaRole.Button, new() { Name = "Train its probe" });
                var layer = hand.Page.GetByRole(AriaRole.Button, new() { Name = "conv1" });
                await Expect(train.Or(layer).First).ToBeVisibleAsync();
                if (await train.IsVisibleAsync())
                {
                    await hand.PressAsync(train);
                }

                await Expect(layer).ToBeVisibleAsync(new() { Timeout = 4 * Minutes });
                await hand.PressAsync(layer);
                await Expect(hand.Page).ToHaveURLAsync(new Regex("layer=conv1"));
                await hand.ChooseAsync(hand.List("Show"), "AUC");
            }, "layer=conv1&figure=auc"),

            "smallest change: asked for and stopped" => new(PageUrls.Backpropagation(id), async hand =>
            {
                await hand.ChooseAsync(hand.List("Concept"), "striped ring");
                await hand.PressAsync(hand.Page.GetByRole(AriaRole.Group, new() { Name = "What the probe shall say" }).GetByRole(AriaRole.Button).Nth(1));
                await Expect(hand.Page).ToHaveURLAsync(new Regex("direction="));
                await hand.PressAsync(hand.Page.GetByLabel("Sparse probe"));
                await Expect(hand.Page).ToHaveURLAsync(new Regex("sparse="));
                await hand.PressAsync(hand.Page.Locator("a.pic").First);
                await StartAndStopAsync(hand, "Find the smallest change");
            }, "sample="),

            "training images: asked for and stopped" => new(PageUrls.TrainingImages(id), async hand =>
            {
                await hand.ChooseAsync(hand.List("What was taught"), "A class");
                await Expect(hand.Page).ToHaveURLAsync(new Regex("target=class"));
                await hand.ChooseAsync(hand.List("Class"), "plain star");
                await StartAndStopAsync(hand, "Find the training images");
            }, "of="),

            "remove and retrain: planned" => new(PageUrls.Retraining(id), async hand =>
            {
                await hand.ChooseAsync(hand.List("Concept"), "striped ring");
                await Expect(hand.Page).ToHaveURLAsync(new Regex("concept="));
                await hand.ChooseAsync(hand.List("Networks each"), "1");
                await Expect(hand.Page).ToHaveURLAsync(new Regex("networks=1"));
                await hand.WriteAsync(hand.Page.GetByLabel("Epochs"), "2");
                await Expect(hand.Page).ToHaveURLAsync(new Regex("epochs=2"));
                await hand.PressAsync(hand.Page.GetByRole(AriaRole.Group, new() { Name = "Share of the training images" }).GetByRole(AriaRole.Checkbox).First);
            }, "shares="),

            "remove and retrain: run to its end and read" => new($"{PageUrls.Retraining(id, "k:striped ring")}&ranking=probe&sets=top&networks=1&epochs=1", async hand =>
            {
                // Two networks of one epoch each; the second hand finds what the first has computed.
                var rows = hand.Page.Locator("table.removal tbody tr");
                var start = hand.Page.GetByRole(AriaRole.Button, new() { NameRegex = new("^Start \\(") });
                var measure = hand.Page.GetByRole(AriaRole.Button, new() { Name = "Measure what it costs" });
                await Expect(measure.Or(start).Or(rows.First).First).ToBeVisibleAsync();
                if (await measure.IsVisibleAsync())
                {
                    await hand.PressAsync(measure);
                    await Expect(hand.Page.GetByTestId("cost")).ToContainTextAsync("2 networks", new() { Timeout = 2 * Minutes });
                    await hand.PressAsync(start);
                }

                await Expect(hand.Page.GetByRole(AriaRole.Heading, new() { Name = "What it found" })).ToBeVisibleAsync(new() { Timeout = 4 * Minutes });
                await Expect(rows).ToHaveCountAsync(2);
                await Expect(rows.Last).ToContainTextAsync("%");
                await hand.ChooseAsync(hand.List("Probe at layer").Last, "layer1");
            }, "layer=layer1&networks=1&epochs=1"),

            "compare: what to compare" => new(PageUrls.Compare(id), async hand =>
            {
                await hand.PressAsync(hand.Page.GetByRole(AriaRole.Group, new() { Name = "Methods" }).GetByRole(AriaRole.Button, new() { Name = "PCA", Exact = true }));
                await Expect(hand.Page).ToHaveURLAsync(new Regex("methods="));
                await hand.PressAsync(hand.Page.GetByRole(AriaRole.Group, new() { Name = "Numbers of concepts" }).GetByRole(AriaRole.Button, new() { Name = "15", Exact = true }));
                await Expect(hand.Page).ToHaveURLAsync(new Regex("k="));
                await hand.WriteAsync(hand.Page.GetByLabel("Classes, at most"), "3");
            }, "classes=3"),

            "compare: methods compared and read" => new($"/compare?analysis={(await site.SecondRunAsync()).Id}&methods=nmf,pca&k=2,5&importance=none&classes=1", async hand =>
            {
                var verdict = hand.Page.GetByTestId("verdict");
                var compare = hand.Page.GetByRole(AriaRole.Button, new() { Name = "Compare", Exact = true });
                await Expect(compare.Or(verdict).First).ToBeVisibleAsync();
                if (await compare.IsVisibleAsync())
                {
                    await hand.PressAsync(compare);
                }

                await Expect(verdict).Not.ToBeEmptyAsync(new() { Timeout = 4 * Minutes });
                await Expect(hand.Page.Locator(".curve svg.main-svg").First).ToBeVisibleAsync();
                var numbers = hand.Page.GetByRole(AriaRole.Group, new() { Name = "Number of concepts", Exact = true }).GetByRole(AriaRole.Button);
                await Expect(numbers).ToHaveCountAsync(2);
                await hand.PressAsync(numbers.First);
                await Expect(hand.Page.Locator("#table-title")).ToHaveTextAsync("With k = 2");
                await Expect(hand.Page.Locator("[aria-labelledby=table-title] tbody tr")).ToHaveCountAsync(2);
            }, "at=2"),

            "compare: two analyses, and how their concepts are ordered" => new(PageUrls.CompareRuns(id, (await site.SecondRunAsync()).Id), async hand =>
            {
                await hand.PressAsync(hand.Page.Locator("button.sort").Nth(1));
                await Expect(hand.Page).ToHaveURLAsync(new Regex("sort="));
                await hand.PressAsync(hand.Page.Locator("button.pick:text-is('plain star')"));
                await Expect(hand.Page.Locator(".pair-list .pic").First).ToBeVisibleAsync();
            }, "class="),

            "search images: one concept present, one absent" => new(PageUrls.Search(id), async hand =>
            {
                var words = hand.Page.GetByLabel("Concept by class, name, label or number");
                await FindAsync(hand, words, "plain star c0", "Images that show");
                await Expect(hand.Page.Locator(".picked.with")).ToHaveCountAsync(1);
                await Expect(hand.Page.Locator(".one .pic").First).ToBeVisibleAsync();
                await FindAsync(hand, words, "plain star c1", "Images that do not show");
                await Expect(hand.Page).ToHaveURLAsync(new Regex("without=[0-9]+"));
                await hand.ChooseAsync(hand.List("Shows: strongest"), "25%");
                await Expect(hand.Page.Locator(".one .pic").First).ToBeVisibleAsync();
            }, "with=&without=&top=25"),

            "search everything" => new(PageUrls.Atlas(id), async hand =>
            {
                var palette = hand.Page.GetByRole(AriaRole.Dialog, new() { Name = "Search everything" });
                await (hand.Keyboard ? hand.Page.Keyboard.PressAsync("Control+k") : hand.Page.Locator(".ask-button").ClickAsync());
                await hand.Page.Keyboard.TypeAsync("keyboard shortcuts");
                var found = palette.GetByRole(AriaRole.Option, new() { NameRegex = new("Keyboard shortcuts") });
                await Expect(found).ToBeVisibleAsync();
                await (hand.Keyboard ? hand.Page.Keyboard.PressAsync("Enter") : found.ClickAsync());
                var help = hand.Page.GetByRole(AriaRole.Dialog, new() { Name = "Keyboard shortcuts" });
                await Expect(help).ToBeVisibleAsync();
                await hand.PressAsync(help.GetByRole(AriaRole.Button, new() { Name = "Close" }));
                await Expect(help).ToBeHiddenAsync();
            }),

            _ => throw new ArgumentOutOfRangeException(nameof(name), name, "There is no such flow."),
        };
    }

    /// <summary>Writes words and chooses what the first concept found is to be.</summary>
    private static async Task FindAsync(Hand hand, ILocator field, string words, string button)
    {
        if (hand.Keyboard)
        {
            await hand.ReachAsync(field);
            await hand.Page.Keyboard.TypeAsync(words);
        }
        else
        {
            await field.FillAsync(words);
        }

        await Expect(hand.Page.Locator(".finder [role=status]")).ToHaveTextAsync(new Regex("^[0-9]+ concept"));
        await hand.PressAsync(hand.Page.Locator(".hits li").First.GetByRole(AriaRole.Button, new() { NameRegex = new($"^{button} ") }));
    }

    /// <summary>A part of the points: by mouse drawn around, by keyboard what lies around the point in the middle.</summary>
    private static async Task LassoAsync(Hand hand)
    {
        var page = hand.Page;
        var plot = page.Locator(".plot[data-count]");
        await plot.WaitForAsync();
        if (hand.Keyboard)
        {
            await hand.ReachAsync(plot);
            await page.Keyboard.PressAsync("Space");
            return;
        }

        await page.GetByRole(AriaRole.Button, new() { Name = "Lasso" }).ClickAsync();
        await plot.ScrollIntoViewIfNeededAsync();
        var box = (await plot.BoundingBoxAsync())!;
        (double X, double Y)[] corners = [(0.02, 0.02), (0.6, 0.02), (0.6, 0.98), (0.02, 0.98), (0.02, 0.5)];
        await page.Mouse.MoveAsync((float)(box.X + corners[0].X * box.Width), (float)(box.Y + corners[0].Y * box.Height));
        await page.Mouse.DownAsync();
        foreach (var (x, y) in corners)
        {
            await page.Mouse.MoveAsync((float)(box.X + x * box.Width), (float)(box.Y + y * box.Height), new() { Steps = 6 });
        }

        await page.Mouse.UpAsync();
        await Expect(page).ToHaveURLAsync(new Regex("lasso="));
        // The button stays pressed in this browser only: it says how the mouse works, not what is shown.
        await page.GetByRole(AriaRole.Button, new() { Name = "Lasso" }).ClickAsync();
    }

    /// <summary>Starts a task and stops it; who comes second goes on with it and stops it again.</summary>
    private static async Task StartAndStopAsync(Hand hand, string start)
    {
        var panel = hand.Page.Locator(".task-panel");
        await hand.PressAsync(panel.GetByRole(AriaRole.Button, new() { NameRegex = new($"^({start}|Go on)$") }));
        await hand.PressAsync(panel.GetByRole(AriaRole.Button, new() { Name = "Stop" }));
        await Expect(panel).ToContainTextAsync("Stopped. What is done is kept.");
    }

    private static async Task BeginAsync(Visitor visitor, Flow flow)
    {
        await visitor.GoAsync(flow.Start);
        await Expect(visitor.Page.Locator(".skeleton")).ToHaveCountAsync(0);
    }

    private static async Task EndAsync(Visitor visitor, Flow flow)
    {
        if (flow.End is { } end)
        {
            // Its parts in any order: what was chosen first stands first.
            foreach (var part in end.Split('&'))
            {
                await Expect(visitor.Page).ToHaveURLAsync(new Regex(Regex.Escape(part)));
            }

            // What is told under the mouse goes with it.
            await visitor.Page.Mouse.MoveAsync(0, 0);
            await visitor.Page.WaitForLoadStateAsync(LoadState.NetworkIdle);
        }
    }

    private static string Sorted(string address) => string.Join('&', address.Split('?', '&').Order(StringComparer.Ordinal));

    private static async Task LooksAlikeAsync(IPage page, IPage other)
    {
        var wanted = await page.EvaluateAsync<string>(Look);
        try
        {
            await other.WaitForFunctionAsync($"wanted => ({Look})() === wanted", wanted);
        }
        catch (TimeoutException)
        {
            Assert.Equal(wanted, await other.EvaluateAsync<string>(Look));
            Assert.Fail("They came to look alike too late.");
        }
    }
}
