using System.Globalization;
using Dashboard.Client.Contracts;

namespace Dashboard.Server.Data;

/// <summary>One analysis: its request, where it stands, and what its rows in lists show.</summary>
internal sealed class AnalysisEntity
{
    public int Key { get; set; }

    /// <summary>12 lower-case hex digits.</summary>
    public required string Id { get; set; }

    public required string Name { get; set; }

    /// <summary>The <see cref="Analysis.Runs.AnalysisRequest"/> as JSON.</summary>
    public required string Request { get; set; }

    public AnalysisState State { get; set; }

    public DateTimeOffset Created { get; set; }

    public DateTimeOffset? Started { get; set; }

    public DateTimeOffset? Ended { get; set; }

    public string? Message { get; set; }

    public bool IsSample { get; set; }

    /// <summary>Position in the queue: lower runs first.</summary>
    public long QueueOrder { get; set; }

    /// <summary>How often the engine died in a row without finishing another stage.</summary>
    public int Failures { get; set; }

    /// <summary>Stages that were finished when the engine last died.</summary>
    public int FailureMark { get; set; }

    /// <summary>Last <see cref="AnalysisProgress"/> as JSON.</summary>
    public string? Progress { get; set; }

    public string NetworkName { get; set; } = "";

    public string Layer { get; set; } = "";

    public string DatasetName { get; set; } = "";

    public string Method { get; set; } = "";

    public int Images { get; set; }

    public int Classes { get; set; }

    public int Concepts { get; set; }

    public double? Accuracy { get; set; }

    public double Share { get; set; }

    /// <summary>Names of the network's outputs as a JSON array; null while unknown.</summary>
    public string? OutputNames { get; set; }

    /// <summary>Counts up whenever rows of the atlas change, so that caches notice.</summary>
    public int Version { get; set; }
}

/// <summary>One class of an analysis.</summary>
internal sealed class ClassEntity
{
    public int AnalysisKey { get; set; }

    public int Index { get; set; }

    public required string Name { get; set; }

    public required string DisplayName { get; set; }

    public int? Label { get; set; }

    public int Images { get; set; }

    public double? Accuracy { get; set; }

    public int Concepts { get; set; }

    public int Strategies { get; set; }

    public int Outliers { get; set; }

    public int Confounded { get; set; }

    public bool Ready { get; set; }

    /// <summary>The <see cref="Analysis.Atlas.ClassAtlas"/> as JSON; null until the class is ready.</summary>
    public string? Atlas { get; set; }
}

/// <summary>One concept of one class.</summary>
internal sealed class ConceptEntity
{
    public int AnalysisKey { get; set; }

    public int Id { get; set; }

    public int Class { get; set; }

    public int Rank { get; set; }

    public int? Shared { get; set; }

    public double Importance { get; set; }

    public double Prevalence { get; set; }

    public double Reliability { get; set; }

    public double? Relevance { get; set; }

    public double? Stability { get; set; }
}

/// <summary>One exemplar of a concept; the crop is in shares of the image's size.</summary>
internal sealed class ExemplarEntity
{
    public int AnalysisKey { get; set; }

    public int Concept { get; set; }

    public int Index { get; set; }

    public int Sample { get; set; }

    public double Score { get; set; }

    public double Left { get; set; }

    public double Top { get; set; }

    public double Width { get; set; }

    public double Height { get; set; }

    public required string Band { get; set; }
}

/// <summary>One image of an analysis.</summary>
internal sealed class SampleEntity
{
    public int AnalysisKey { get; set; }

    /// <summary>Row in samples.parquet.</summary>
    public int Index { get; set; }

    /// <summary>Path below the data set's root, with forward slashes.</summary>
    public required string Path { get; set; }

    /// <summary>Class index; −1 where the sample has none.</summary>
    public int Class { get; set; }

    public int? Label { get; set; }

    public int? Predicted { get; set; }

    public double Confidence { get; set; }

    public double Logit { get; set; }

    public int? Strategy { get; set; }

    public double? OutlierScore { get; set; }

    public int? OutlierRank { get; set; }

    /// <summary>Kind in lower case; empty where nothing is odd.</summary>
    public string OutlierKind { get; set; } = "";

    public string OutlierReason { get; set; } = "";
}

/// <summary>A file that was left out.</summary>
internal sealed class SkippedEntity
{
    public int AnalysisKey { get; set; }

    public int Index { get; set; }

    public required string Path { get; set; }

    public required string Reason { get; set; }
}

/// <summary>Something asked for beside a finished analysis.</summary>
internal sealed class TaskEntity
{
    public int Key { get; set; }

    public int AnalysisKey { get; set; }

    /// <summary>12 lower-case hex digits.</summary>
    public required string Id { get; set; }

    public required string Kind { get; set; }

    /// <summary>Version of the kind when it was asked for.</summary>
    public int Version { get; set; }

    /// <summary>Complete parameters as canonical JSON.</summary>
    public required string Parameters { get; set; }

    /// <summary>Content address of the result: kind, version, parameters and the keys of the analysis. Names its folder.</summary>
    public required string TaskKey { get; set; }

    public AnalysisState State { get; set; }

    public string? Message { get; set; }

    public long Done { get; set; }

    public long Total { get; set; }

    public DateTimeOffset Created { get; set; }

    public DateTimeOffset? Started { get; set; }

    public DateTimeOffset? Ended { get; set; }

    /// <summary>Position in the queue: lower runs first.</summary>
    public long QueueOrder { get; set; }

    /// <summary>How often the engine died in a row without getting further.</summary>
    public int Failures { get; set; }

    /// <summary>Tenths done when the engine last died.</summary>
    public int FailureMark { get; set; }
}

/// <summary>What a person wrote about a concept or a sample.</summary>
internal sealed class AnnotationEntity
{
    public const string Concept = "concept";
    public const string Sample = "sample";
    public const string Strategy = "strategy";
    public const string Hidden = "hidden";
    public const string Into = "into:";

    // Far above the number of strategies that clustering looks for.
    private const int StrategiesPerClass = 4096;

    public int AnalysisKey { get; set; }

    public required string Kind { get; set; }

    public int Target { get; set; }

    public string? Name { get; set; }

    public string? Note { get; set; }

    /// <summary>Of a sample: what it was judged. Of a concept: <see cref="Hidden"/>, or <see cref="Into"/> and the concept that it is the same as.</summary>
    public string? Verdict { get; set; }

    public DateTimeOffset Changed { get; set; }

    /// <summary>The concept under which this one is listed; null where there is none.</summary>
    public int? ListedUnder() => Verdict is not null && Verdict.StartsWith(Into, StringComparison.Ordinal)
        && int.TryParse(Verdict.AsSpan(Into.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var into) ? into : null;

    /// <summary>The <see cref="Target"/> of a strategy.</summary>
    public static int StrategyTarget(int classIndex, int strategy) => checked((classIndex * StrategiesPerClass) + strategy);

    /// <summary>The class and strategy that a target means.</summary>
    public static (int Class, int Strategy) StrategyOf(int target) => (target / StrategiesPerClass, target % StrategiesPerClass);

    /// <summary>Targets of the strategies of a class: from the first to before the last.</summary>
    public static (int From, int To) StrategyTargets(int classIndex) => (StrategyTarget(classIndex, 0), StrategyTarget(classIndex + 1, 0));
}

/// <summary>A concept that a person defined. Apart from what the engine writes, so that it survives a run that is repeated.</summary>
internal sealed class UserConceptEntity
{
    public int Key { get; set; }

    public int AnalysisKey { get; set; }

    /// <summary>12 lower-case hex digits.</summary>
    public required string Id { get; set; }

    public required string Name { get; set; }

    /// <summary>The <see cref="Analysis.Probes.ConceptDefinition"/> as JSON, with the name it was first given.</summary>
    public required string Definition { get; set; }

    public DateTimeOffset Created { get; set; }
}

/// <summary>A read-only link. Only a hash of the token is looked up; the protected copy serves the owner's list.</summary>
internal sealed class ShareEntity
{
    public int Key { get; set; }

    public int AnalysisKey { get; set; }

    /// <summary>SHA-256 of the token, 64 hex digits.</summary>
    public required string TokenHash { get; set; }

    /// <summary>The token, encrypted with the keys of this installation.</summary>
    public required string ProtectedToken { get; set; }

    public required string Title { get; set; }

    /// <summary>Class index of a class page; null for an outlier list.</summary>
    public int? Class { get; set; }

    /// <summary>The <see cref="OutlierFilter"/> of an outlier list as JSON.</summary>
    public string? Filter { get; set; }

    public DateTimeOffset Created { get; set; }

    public int Views { get; set; }
}
