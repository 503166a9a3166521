using System.Text.Json;
using Analysis.Runs.Tasks;
using Xunit;

namespace Analysis.Tests.Runs;

/// <summary>Concepts that arrive as JSON from anywhere.</summary>
public sealed class TaskDefinitionTests
{
    [Theory]
    [InlineData("probe", "\"concept\":CONCEPT")]
    [InlineData("backpropagate", "\"concept\":CONCEPT,\"samples\":[1]")]
    [InlineData("backpropagate", "\"concept\":{\"name\":\"a\",\"source\":\"neuron\",\"unit\":1},\"others\":[CONCEPT],\"samples\":[1]")]
    [InlineData("attribute", "\"concept\":CONCEPT")]
    [InlineData("retrain", "\"concept\":CONCEPT")]
    [InlineData("label", "\"sources\":[\"concepts\"],\"concepts\":[CONCEPT]")]
    public void What_is_null_where_a_list_belongs_is_refused_in_words(string kind, string wish)
    {
        foreach (var concept in (string[])["null", """{"name":"stripes","source":"classes","classes":null}""", """{"name":"stripes","source":"classes","classes":[null]}""", """{"name":null,"source":null}"""])
        {
            using var parameters = JsonDocument.Parse($"{{{wish.Replace("CONCEPT", concept, StringComparison.Ordinal)}}}");
            var refusal = Assert.Throws<AnalysisException>(() => TaskCatalogue.Get(kind).Normalise(parameters.RootElement));
            Assert.NotEmpty(refusal.Message);
        }
    }
}
