using Analysis.Factorization;
using Analysis.Importance;
using Analysis.Runs;
using Dashboard.Client.Contracts;

namespace Dashboard.Server.Services;

/// <summary>Tells what can be chosen, from the engine's catalogues. Their entries are plain data: no tensor library is loaded for them.</summary>
internal sealed class MethodService : IMethodService
{
    private static readonly MethodView Unique = new()
    {
        Name = AnalysisRequest.UniqueMethod,
        Title = "Unique concepts",
        Summary = "Directions in which images of the class differ, split into groups of images that share something: each concept stands for one thing. Right for most questions.",
        CodesConstraint = "at least 0, on the concepts of the class",
        VectorsConstraint = "unit length: mean of a group of images against the rest",
        Cost = "time n p² for the directions, then n² p for the few images at the ends of each",
        Source = "Graziani, O'Mahony, Nguyen, Müller and Andrearczyk 2023",
        AllowsOvercomplete = true,
        IsUnique = true,
    };

    public MethodCatalogueView Catalogue { get; } = new()
    {
        Methods = [Unique, .. FactorizationCatalogue.All.Select(method => View(method.Info))],
        Estimators = [.. ImportanceCatalogue.All.Select(estimator => View(estimator.Info))],
        Importances = ConceptOptions.Importances,
        MostOfClass = ConceptOptions.MostOfClass,
        MostOfDataset = ConceptOptions.MostOfDataset,
    };

    private static EstimatorView View(EstimatorInfo info) => new(info.Name, info.Title, info.Summary, info.Formula, info.Cost, info.Source);

    private static MethodView View(MethodInfo info) => new()
    {
        Name = info.Name,
        Title = info.Title,
        Summary = info.Summary,
        CodesConstraint = info.CodesConstraint,
        VectorsConstraint = info.VectorsConstraint,
        Cost = info.Cost,
        Source = info.Source,
        NeedsNonNegative = info.NeedsNonNegative,
        AllowsOvercomplete = info.AllowsOvercomplete,
        Parameters = [.. info.Parameters.Select(parameter => new MethodParameterView(parameter.Name, parameter.Default, parameter.Minimum, parameter.Maximum, parameter.Explanation))],
    };
}
