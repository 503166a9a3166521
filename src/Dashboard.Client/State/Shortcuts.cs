namespace Dashboard.Client.State;

/// <summary>Keyboard shortcuts by place, as the help shows them; a key is one word.</summary>
public static class Shortcuts
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<(string Place, IReadOnlyList<(string Key, string What)> Keys)> All { get; } =
    [
        ("Everywhere",
        [
            ("Ctrl+K", "search pages, classes, concepts, labels and actions"),
            ("/", "go to the search field of the page, or search everything"),
            ("?", "show these shortcuts"),
            ("Tab", "go on; Shift+Tab goes back"),
            ("Esc", "close what is open"),
        ]),
        ("Walls of images and classes",
        [
            ("← → ↑ ↓", "move from picture to picture"),
            ("Home End", "first and last picture"),
            ("Enter", "open"),
            ("p n", "while tagging: shows it, does not show it"),
        ]),
        ("Class, strategy, sample",
        [
            ("← →", "previous and next, outside a wall"),
        ]),
        ("Points of a graph",
        [
            ("← → ↑ ↓", "move from point to point"),
            ("Enter", "open what the point stands for"),
            ("Space", "select what is around it, once more twice as much"),
            ("Esc", "let go of the selection"),
            ("+ −", "zoom"),
        ]),
        ("Outliers",
        [
            ("← → ↑ ↓", "move"),
            ("f", "fine"), ("l", "wrong label"), ("r", "remove"), ("c", "confounder"), ("u", "undo"),
        ]),
    ];
}
