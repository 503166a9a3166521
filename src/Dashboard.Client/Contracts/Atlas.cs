namespace Dashboard.Client.Contracts;

/// <summary>What a page of one analysis shows.</summary>
public interface IAnalysisView
{
    /// <summary>The analysis.</summary>
    AnalysisSummary Analysis { get; }
}

/// <summary>A label that is surely more than chance, in short; its evidence is on the page of labels.</summary>
/// <param name="Text">The formula in words. Several concepts may share it.</param>
/// <param name="Auc">AUC on images that the search did not see; null where none of them fulfils the formula.</param>
/// <param name="Evidence">Address of the evidence.</param>
public sealed record ShortLabel(string Text, double? Auc, string Evidence)
{
    /// <summary>The formula without the concept's own class, where that is one of its conditions; null where it is not.</summary>
    public string? WithinClass { get; init; }

    /// <summary>What stands where the class is in sight: of the class itself the label says nothing new there, and what tells its concepts apart comes after it.</summary>
    public string Brief => WithinClass ?? Text;
}

/// <summary>What is known of how a concept is called.</summary>
public interface INamedConcept
{
    /// <summary>0-based rank in its class.</summary>
    int Rank { get; }

    /// <summary>Name by a person; null or "c3" where nobody gave one.</summary>
    string? Name { get; }

    /// <summary>Its label in the newest labels of the analysis; null where it has none that is significant.</summary>
    ShortLabel? Label { get; }
}

/// <summary>A concept shown small: on a tile or in a list.</summary>
/// <param name="Id">Concept identifier in the analysis.</param>
/// <param name="Name">Name by a person; "c3" otherwise.</param>
/// <param name="Rank">0-based rank in its class.</param>
/// <param name="Share">Share of the logit, signed.</param>
/// <param name="Exemplar">0-based exemplar whose crop stands for it.</param>
/// <param name="Label">Its significant label; null where there is none.</param>
public sealed record ConceptTile(int Id, string Name, int Rank, double Share, int Exemplar = 0, ShortLabel? Label = null) : INamedConcept;

/// <summary>One class on the atlas page.</summary>
public sealed record ClassTile
{
    /// <summary>0-based index in the analysis.</summary>
    public required int Index { get; init; }

    /// <summary>Folder name.</summary>
    public required string Name { get; init; }

    /// <summary>Name for display.</summary>
    public required string DisplayName { get; init; }

    /// <summary>Images of the class.</summary>
    public int Images { get; init; }

    /// <summary>Share predicted as the class; null without a label.</summary>
    public double? Accuracy { get; init; }

    /// <summary>Number of concepts.</summary>
    public int Concepts { get; init; }

    /// <summary>The strongest three.</summary>
    public IReadOnlyList<ConceptTile> Strongest { get; init; } = [];

    /// <summary>Labels of its concepts, each once, without those that may be chance; empty before any were found.</summary>
    public IReadOnlyList<string> Labels { get; init; } = [];

    /// <summary>Group of classes with like concepts, a place in <see cref="AtlasView.Groups"/>; −1 for none.</summary>
    public int Group { get; init; } = -1;

    /// <summary>Number of strategies.</summary>
    public int Strategies { get; init; }

    /// <summary>Samples flagged as outliers.</summary>
    public int Outliers { get; init; }

    /// <summary>Samples flagged as confounded: a likely shortcut.</summary>
    public int Confounded { get; init; }

    /// <summary>True once the class can be browsed.</summary>
    public bool Ready { get; init; }
}

/// <summary>A group of similar concepts of different classes.</summary>
/// <param name="Number">Number of the group.</param>
/// <param name="Members">Its concepts with their classes.</param>
/// <param name="Cosine">Mean pairwise cosine.</param>
public sealed record SharedConcept(int Number, IReadOnlyList<SharedMember> Members, double Cosine);

/// <summary>A member of a shared concept.</summary>
/// <param name="Class">Class index.</param>
/// <param name="ClassName">Display name of the class.</param>
/// <param name="Concept">The concept.</param>
public sealed record SharedMember(int Class, string ClassName, ConceptTile Concept);

/// <summary>Classes whose concepts are alike, found by clustering; at most eight groups.</summary>
/// <param name="Name">Its two most typical classes, or its only one.</param>
/// <param name="Classes">Number of classes.</param>
public sealed record ClassGroup(string Name, int Classes);

/// <summary>The atlas page.</summary>
public sealed record AtlasView : IAnalysisView
{
    /// <inheritdoc/>
    public required AnalysisSummary Analysis { get; init; }

    /// <summary>All classes in order, ready or not.</summary>
    public required IReadOnlyList<ClassTile> Classes { get; init; }

    /// <summary>Concepts shared between classes, largest group first.</summary>
    public IReadOnlyList<SharedConcept> Shared { get; init; } = [];

    /// <summary>Groups of like classes, largest first.</summary>
    public IReadOnlyList<ClassGroup> Groups { get; init; } = [];

    /// <summary>Flagged outliers by kind.</summary>
    public IReadOnlyDictionary<string, int> OutlierKinds { get; init; } = new Dictionary<string, int>();
}

/// <summary>Concepts that a person holds to be one, taken together.</summary>
/// <param name="Concepts">Identifiers of those listed under another one, in the order of their ranks.</param>
/// <param name="Importance">Share of the mean logit of all of them and the one that they are listed under, signed.</param>
/// <param name="ImportanceSpread">Standard deviation of their common per-image share; null where it is not known.</param>
public sealed record MergedShare(IReadOnlyList<int> Concepts, double Importance, double? ImportanceSpread);

/// <summary>One concept on a class page.</summary>
public sealed record ConceptCard : INamedConcept
{
    /// <summary>Identifier.</summary>
    public required int Id { get; init; }

    /// <summary>0-based rank in its class.</summary>
    public required int Rank { get; init; }

    /// <summary>Name by a person, else null.</summary>
    public string? Name { get; init; }

    /// <inheritdoc/>
    public ShortLabel? Label { get; init; }

    /// <summary>A person has put it away: it is left out of lists, and counts in every number as before.</summary>
    public bool Hidden { get; init; }

    /// <summary>The concept of its class that a person holds to be the same; null where none.</summary>
    public int? Into { get; init; }

    /// <summary>On a class page, what it carries together with the concepts listed under it; null where there are none.</summary>
    public MergedShare? Merged { get; init; }

    /// <summary>Share of the mean logit, signed.</summary>
    public double Importance { get; init; }

    /// <summary>Standard deviation of the per-image share.</summary>
    public double ImportanceSpread { get; init; }

    /// <summary>Mean coefficient.</summary>
    public double Prevalence { get; init; }

    /// <summary>Share of images in which it is active.</summary>
    public double ActiveShare { get; init; }

    /// <summary>Effect on the logit of one unit.</summary>
    public double Reliability { get; init; }

    /// <summary>z score of its direction; null where undefined.</summary>
    public double? Relevance { get; init; }

    /// <summary>Stability in [0, 1]; null where unknown.</summary>
    public double? Stability { get; init; }

    /// <summary>Group of similar concepts; null where none.</summary>
    public int? Shared { get; init; }

    /// <summary>Singular direction.</summary>
    public int? Direction { get; init; }

    /// <summary>Cluster on the direction.</summary>
    public int? Cluster { get; init; }

    /// <summary>Participation ratio: 1 for one neuron.</summary>
    public double Spread { get; init; }

    /// <summary>Most aligned channel.</summary>
    public int Channel { get; init; }

    /// <summary>Cosine with it.</summary>
    public double ChannelCosine { get; init; }

    /// <summary>Images for which it is the strongest concept.</summary>
    public int StrongestFor { get; init; }

    /// <summary>Proximity map.</summary>
    public double X { get; init; }

    /// <summary>Proximity map.</summary>
    public double Y { get; init; }

    /// <summary>Most aligned outputs.</summary>
    public IReadOnlyList<AlignmentView> Alignment { get; init; } = [];

    /// <summary>Exemplars, by band, strongest first.</summary>
    public IReadOnlyList<ExemplarView> Exemplars { get; init; } = [];

    /// <summary>Histogram of activations.</summary>
    public IReadOnlyList<int> Histogram { get; init; } = [];

    /// <summary>Lower end.</summary>
    public double HistogramFrom { get; init; }

    /// <summary>Upper end.</summary>
    public double HistogramTo { get; init; }

    /// <summary>Doubts, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];
}

/// <summary>Cosine of a concept with an output's weights.</summary>
/// <param name="Output">Output index.</param>
/// <param name="Name">Output name.</param>
/// <param name="Cosine">In [−1, 1].</param>
/// <param name="Class">Class of this analysis with that output; null where none.</param>
public sealed record AlignmentView(int Output, string Name, double Cosine, int? Class);

/// <summary>One exemplar.</summary>
/// <param name="Index">0-based among the concept's exemplars; addresses its crop.</param>
/// <param name="Sample">Sample.</param>
/// <param name="Score">Coefficient of the concept on the sample: how much of it the image holds once the other concepts have taken their part.</param>
/// <param name="Band">top, median, edge or counter.</param>
/// <param name="Correct">Predicted as labelled; null without a label.</param>
public sealed record ExemplarView(int Index, int Sample, double Score, string Band, bool? Correct);

/// <summary>One strategy on a class page or in a list.</summary>
/// <param name="Index">0-based, largest first.</param>
/// <param name="Size">Images.</param>
/// <param name="Accuracy">Accuracy inside it.</param>
/// <param name="Prototype">Sample nearest its middle.</param>
/// <param name="Profile">Mean share of each concept, in the order of the concepts.</param>
/// <param name="Summary">In words, with the names of its concepts.</param>
/// <param name="Name">Name by a person, else null.</param>
public sealed record StrategyCard(int Index, int Size, double? Accuracy, int Prototype, IReadOnlyList<double> Profile, string Summary, string? Name = null);

/// <summary>What one concept does in a strategy.</summary>
/// <param name="Concept">The concept; its share is that of the whole class.</param>
/// <param name="Share">Mean share of the strategy's score, signed; absolute values add up to 1 over the concepts.</param>
/// <param name="Spread">Standard deviation of that share over the strategy's images.</param>
/// <param name="Hidden">A person has put it away: it is left out of lists, and counts in every number as before.</param>
/// <param name="Into">The concept of its class that a person holds to be the same; null where none.</param>
/// <param name="Merged">What it does together with the concepts listed under it; null where there are none.</param>
public sealed record StrategyConcept(ConceptTile Concept, double Share, double Spread, bool Hidden = false, int? Into = null, MergedStrategyShare? Merged = null);

/// <summary>What concepts that a person holds to be one do together in a strategy.</summary>
/// <param name="Share">Mean share of the strategy's score of all of them, signed.</param>
/// <param name="Spread">Standard deviation of their common share over the strategy's images.</param>
/// <param name="Usual">Their share of the score of the whole class.</param>
public sealed record MergedStrategyShare(double Share, double Spread, double Usual);

/// <summary>An image that another strategy would almost have taken.</summary>
/// <param name="Sample">The image.</param>
/// <param name="Next">Index of the strategy that comes next; null where unknown.</param>
public sealed record BorderlineSample(SampleTile Sample, int? Next);

/// <summary>The page of a strategy.</summary>
public sealed record StrategyView : IAnalysisView
{
    /// <inheritdoc/>
    public required AnalysisSummary Analysis { get; init; }

    /// <summary>The class it belongs to.</summary>
    public required int Class { get; init; }

    /// <summary>Display name of the class.</summary>
    public required string ClassName { get; init; }

    /// <summary>Images of the class.</summary>
    public int ClassImages { get; init; }

    /// <summary>Accuracy of the class; null without a label.</summary>
    public double? ClassAccuracy { get; init; }

    /// <summary>The strategy.</summary>
    public required StrategyCard Strategy { get; init; }

    /// <summary>All strategies of the class, this one included, largest first.</summary>
    public required IReadOnlyList<StrategyCard> Strategies { get; init; }

    /// <summary>What each concept of the class does in it, in the order of the concepts.</summary>
    public required IReadOnlyList<StrategyConcept> Concepts { get; init; }

    /// <summary>Images that show it best, the prototype first.</summary>
    public IReadOnlyList<SampleTile> Typical { get; init; } = [];

    /// <summary>Images that another strategy would almost have taken, closest first; empty where there is no other.</summary>
    public IReadOnlyList<BorderlineSample> Borderline { get; init; } = [];

    /// <summary>What its images are mistaken for, most frequent first.</summary>
    public IReadOnlyList<ConfusionView> Confusions { get; init; } = [];

    /// <summary>Its images that are flagged as outliers.</summary>
    public int Outliers { get; init; }

    /// <summary>Note by a person.</summary>
    public string? Note { get; init; }
}

/// <summary>What a class is mistaken for.</summary>
/// <param name="Name">Output name.</param>
/// <param name="Count">Images.</param>
/// <param name="Class">Class of this analysis with that output; null where none.</param>
public sealed record ConfusionView(string Name, int Count, int? Class)
{
    /// <summary>
    /// On a class page, how much more each concept, in the order of the concepts, adds to that output's logit than to the class's own, on
    /// average over these images; the last is what no concept explains. Empty where unknown.
    /// </summary>
    public IReadOnlyList<double> Pulls { get; init; } = [];
}

/// <summary>The class page.</summary>
public sealed record ClassView : IAnalysisView
{
    /// <inheritdoc/>
    public required AnalysisSummary Analysis { get; init; }

    /// <summary>0-based index.</summary>
    public required int Index { get; init; }

    /// <summary>Folder name.</summary>
    public required string Name { get; init; }

    /// <summary>Display name.</summary>
    public required string DisplayName { get; init; }

    /// <summary>Images.</summary>
    public int Images { get; init; }

    /// <summary>Accuracy; null without a label.</summary>
    public double? Accuracy { get; init; }

    /// <summary>Concepts, strongest first.</summary>
    public required IReadOnlyList<ConceptCard> Concepts { get; init; }

    /// <summary>Share that no concept explains.</summary>
    public double UnexplainedShare { get; init; }

    /// <summary>Strategies, largest first.</summary>
    public required IReadOnlyList<StrategyCard> Strategies { get; init; }

    /// <summary>How the points were laid out.</summary>
    public string Embedding { get; init; } = "";

    /// <summary>Trustworthiness of the layout; null where unknown.</summary>
    public double? Trustworthiness { get; init; }

    /// <summary>Images drawn grey.</summary>
    public int LeftOut { get; init; }

    /// <summary>Images a concept must be strongest for to get a colour.</summary>
    public int ImportantFrom { get; init; }

    /// <summary>Confusions, most frequent first.</summary>
    public IReadOnlyList<ConfusionView> Confusions { get; init; } = [];

    /// <summary>Flagged outliers of the class.</summary>
    public int Outliers { get; init; }

    /// <summary>Doubts, in words.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Neighbouring classes for "previous" and "next".</summary>
    public int? Previous { get; init; }

    /// <summary>Next class.</summary>
    public int? Next { get; init; }
}

/// <summary>Cosine of a concept with a channel.</summary>
/// <param name="Channel">Channel of the layer.</param>
/// <param name="Cosine">In [−1, 1].</param>
/// <param name="Label">Its label; null where none was found.</param>
public sealed record NeuronAlignment(int Channel, double Cosine, ShortLabel? Label);

/// <summary>The concept page.</summary>
public sealed record ConceptView : IAnalysisView
{
    /// <inheritdoc/>
    public required AnalysisSummary Analysis { get; init; }

    /// <summary>The class it belongs to.</summary>
    public required int Class { get; init; }

    /// <summary>Display name of the class.</summary>
    public required string ClassName { get; init; }

    /// <summary>The concept.</summary>
    public required ConceptCard Concept { get; init; }

    /// <summary>Similar concepts of other classes and of its own, best first, with cosine.</summary>
    public IReadOnlyList<(SharedMember Member, double Cosine)> Nearest { get; init; } = [];

    /// <summary>The channels most like it, by the size of the cosine.</summary>
    public IReadOnlyList<NeuronAlignment> Neurons { get; init; } = [];

    /// <summary>The other concepts of its class: identifier, name with label, and the one under which each is listed.</summary>
    public IReadOnlyList<(int Id, string Name, int? Into)> Siblings { get; init; } = [];

    /// <summary>Note by a person.</summary>
    public string? Note { get; init; }
}

/// <summary>One sample in a list.</summary>
public sealed record SampleTile
{
    /// <summary>Row of the sample.</summary>
    public required int Index { get; init; }

    /// <summary>Path below the data set's root.</summary>
    public required string Path { get; init; }

    /// <summary>Class index; −1 where none.</summary>
    public int Class { get; init; }

    /// <summary>Display name of the class.</summary>
    public string ClassName { get; init; } = "";

    /// <summary>Name of the predicted output.</summary>
    public string Predicted { get; init; } = "";

    /// <summary>Predicted as labelled; null without a label.</summary>
    public bool? Correct { get; init; }

    /// <summary>Probability of the predicted output.</summary>
    public double Confidence { get; init; }

    /// <summary>Outlier score in [0, 1]; null while unknown.</summary>
    public double? OutlierScore { get; init; }

    /// <summary>1 for the most odd.</summary>
    public int? OutlierRank { get; init; }

    /// <summary>mislabelled, confounded, corrupted, foreign, duplicate, rare, or empty.</summary>
    public string OutlierKind { get; init; } = "";

    /// <summary>In words.</summary>
    public string OutlierReason { get; init; } = "";

    /// <summary>Strategy in its class; null where unknown.</summary>
    public int? Strategy { get; init; }

    /// <summary>Verdict of a person: fine, wronglabel, remove, confounder; null where none.</summary>
    public string? Verdict { get; init; }
}

/// <summary>Contribution of one concept to a logit.</summary>
/// <param name="Concept">The concept; null for what no concept explains and for the bias.</param>
/// <param name="Name">Name for display.</param>
/// <param name="Value">Contribution to the logit.</param>
/// <param name="Against">Contribution to the runner-up's logit; null where unknown.</param>
public sealed record ContributionView(ConceptTile? Concept, string Name, double Value, double? Against = null);

/// <summary>The sample page.</summary>
public sealed record SampleView : IAnalysisView
{
    /// <inheritdoc/>
    public required AnalysisSummary Analysis { get; init; }

    /// <summary>The sample.</summary>
    public required SampleTile Sample { get; init; }

    /// <summary>Best five outputs with probability.</summary>
    public IReadOnlyList<(string Name, double Probability)> Top { get; init; } = [];

    /// <summary>Contributions of its class's concepts, in the order of the concepts; unexplained and bias last.</summary>
    public IReadOnlyList<ContributionView> Contributions { get; init; } = [];

    /// <summary>Name of the output that the contributions add up to.</summary>
    public string ContributionsTo { get; init; } = "";

    /// <summary>The logit they add up to.</summary>
    public double Logit { get; init; }

    /// <summary>Concepts of the class, for maps; strongest on this sample first.</summary>
    public IReadOnlyList<ConceptCard> Concepts { get; init; } = [];

    /// <summary>True where concept maps exist for this sample.</summary>
    public bool HasMaps { get; init; }

    /// <summary>Its strategy.</summary>
    public StrategyCard? Strategy { get; init; }

    /// <summary>Prototype of its strategy.</summary>
    public SampleTile? Prototype { get; init; }

    /// <summary>Nearest samples in concept space, with distance.</summary>
    public IReadOnlyList<(SampleTile Sample, double Distance)> Nearest { get; init; } = [];

    /// <summary>Detector scores by name, in [0, 1].</summary>
    public IReadOnlyList<(string Name, double Score)> Detectors { get; init; } = [];

    /// <summary>Previous sample of the class.</summary>
    public int? Previous { get; init; }

    /// <summary>Next sample of the class.</summary>
    public int? Next { get; init; }
}

/// <summary>What to list on the outliers page.</summary>
/// <param name="Kind">Kind; null for all flagged.</param>
/// <param name="Class">Class; null for all.</param>
/// <param name="Unjudged">Only those without a verdict.</param>
/// <param name="All">Every sample by score, not only the flagged.</param>
public sealed record OutlierFilter(string? Kind = null, int? Class = null, bool Unjudged = false, bool All = false);

/// <summary>The outliers page.</summary>
public sealed record OutlierView : IAnalysisView
{
    /// <inheritdoc/>
    public required AnalysisSummary Analysis { get; init; }

    /// <summary>Flagged samples by kind, over all classes.</summary>
    public required IReadOnlyDictionary<string, int> Kinds { get; init; }

    /// <summary>The samples, most odd first.</summary>
    public required Paged<SampleTile> Samples { get; init; }

    /// <summary>True while the outlier stage has not finished.</summary>
    public bool Pending { get; init; }
}

/// <summary>Reads the atlas of an analysis. Null where the analysis, class, concept or sample does not exist (yet).</summary>
public interface IAtlasService
{
    /// <summary>The atlas page.</summary>
    Task<AtlasView?> AtlasAsync(string analysisId, CancellationToken cancellation = default);

    /// <summary>The class page.</summary>
    Task<ClassView?> ClassAsync(string analysisId, int classIndex, CancellationToken cancellation = default);

    /// <summary>The concept page.</summary>
    Task<ConceptView?> ConceptAsync(string analysisId, int conceptId, CancellationToken cancellation = default);

    /// <summary>Concepts by their identifiers, in the given order; those that do not exist are left out.</summary>
    Task<IReadOnlyList<SharedMember>> ConceptTilesAsync(string analysisId, IReadOnlyList<int> concepts, CancellationToken cancellation = default);

    /// <summary>Names that people gave to concepts of any class, by identifier.</summary>
    Task<IReadOnlyDictionary<int, string>> ConceptNamesAsync(string analysisId, CancellationToken cancellation = default);

    /// <summary>Significant labels of channels of the analysed layer; channels without one are left out.</summary>
    Task<IReadOnlyDictionary<int, ShortLabel>> NeuronLabelsAsync(string analysisId, IReadOnlyCollection<int> channels, CancellationToken cancellation = default);

    /// <summary>The page of a strategy.</summary>
    Task<StrategyView?> StrategyAsync(string analysisId, int classIndex, int strategy, CancellationToken cancellation = default);

    /// <summary>The sample page.</summary>
    Task<SampleView?> SampleAsync(string analysisId, int sample, CancellationToken cancellation = default);

    /// <summary>Samples by their rows, in the given order.</summary>
    Task<IReadOnlyList<SampleTile>> SamplesAsync(string analysisId, IReadOnlyList<int> samples, CancellationToken cancellation = default);

    /// <summary>The outliers page.</summary>
    Task<OutlierView?> OutliersAsync(string analysisId, OutlierFilter filter, int skip, int take, CancellationToken cancellation = default);

    /// <summary>Samples of a class, in row order.</summary>
    Task<Paged<SampleTile>> ClassSamplesAsync(string analysisId, int classIndex, int? strategy, int skip, int take, CancellationToken cancellation = default);
}

/// <summary>What people write.</summary>
public interface IAnnotationService
{
    /// <summary>Names a concept everywhere; null removes the name. At most 200 characters.</summary>
    Task NameConceptAsync(string analysisId, int conceptId, string? name, CancellationToken cancellation = default);

    /// <summary>Notes on a concept; null removes them. At most 10,000 characters.</summary>
    Task NoteConceptAsync(string analysisId, int conceptId, string? note, CancellationToken cancellation = default);

    /// <summary>Puts a concept away, or takes it back: lists leave it out, numbers do not change.</summary>
    Task HideConceptAsync(string analysisId, int conceptId, bool hidden, CancellationToken cancellation = default);

    /// <summary>Says that a concept is the same as another one of its class, under which it is then listed; null takes it back.</summary>
    /// <param name="analysisId">The analysis.</param>
    /// <param name="conceptId">The concept.</param>
    /// <param name="into">The other concept, which must not itself be listed under one.</param>
    /// <param name="cancellation">Gives it up.</param>
    Task MergeConceptAsync(string analysisId, int conceptId, int? into, CancellationToken cancellation = default);

    /// <summary>Names a strategy everywhere; null removes the name. At most 200 characters.</summary>
    Task NameStrategyAsync(string analysisId, int classIndex, int strategy, string? name, CancellationToken cancellation = default);

    /// <summary>Notes on a strategy; null removes them. At most 10,000 characters.</summary>
    Task NoteStrategyAsync(string analysisId, int classIndex, int strategy, string? note, CancellationToken cancellation = default);

    /// <summary>Judges a sample: fine, wronglabel, remove, confounder; null takes the verdict back.</summary>
    Task JudgeSampleAsync(string analysisId, int sample, string? verdict, CancellationToken cancellation = default);
}

/// <summary>A read-only link.</summary>
/// <param name="Token">Unguessable part of the address.</param>
/// <param name="Url">Address relative to the site: <c>/shared/TOKEN</c>.</param>
/// <param name="Title">What it shows.</param>
/// <param name="Created">When it was made.</param>
/// <param name="Views">Times it was opened.</param>
public sealed record ShareLink(string Token, string Url, string Title, DateTimeOffset Created, int Views);

/// <summary>Makes self-contained HTML files and read-only links of a class page or an outlier list.</summary>
public interface IShareService
{
    /// <summary>Shares a class page.</summary>
    Task<ShareLink> ShareClassAsync(string analysisId, int classIndex, CancellationToken cancellation = default);

    /// <summary>Shares an outlier list.</summary>
    Task<ShareLink> ShareOutliersAsync(string analysisId, OutlierFilter filter, CancellationToken cancellation = default);

    /// <summary>Links of an analysis that still work.</summary>
    Task<IReadOnlyList<ShareLink>> ListAsync(string analysisId, CancellationToken cancellation = default);

    /// <summary>Ends a link.</summary>
    Task RevokeAsync(string token, CancellationToken cancellation = default);
}
