namespace Analysis.Networks.Files;

/// <summary>A dictionary of a pickle. Entries whose key is not a text are dropped: state dictionaries have none.</summary>
internal sealed class PickleDictionary
{
    public Dictionary<string, object?> Items { get; } = new(StringComparer.Ordinal);
}

/// <summary>A function or class that a pickle names. It is a name and nothing else: nothing is looked up or called.</summary>
internal sealed record PickleGlobal(string Module, string Name)
{
    public string FullName => $"{Module}.{Name}";
}

/// <summary>An object of a TorchScript archive: a module with its attributes.</summary>
internal sealed class ScriptObject
{
    public PickleDictionary Attributes { get; set; } = new();
}

/// <summary>Elements that stand elsewhere in the file.</summary>
internal sealed record StorageReference(string Key, ElementType Type, long Count);

/// <summary>A view of a storage. Checked: every element lies inside the storage.</summary>
internal sealed record StoredTensor(StorageReference Storage, long Offset, IReadOnlyList<long> Shape, IReadOnlyList<long> Strides)
    : TensorHeader(Storage.Type, Shape)
{
    /// <summary>Number of elements.</summary>
    public long Count => Shape.Aggregate(1L, (product, size) => product * size);

    /// <summary>Number of storage elements from the first to the last element of the tensor.</summary>
    public long Extent
    {
        get
        {
            var last = 0L;
            for (var i = 0; i < Shape.Count; i++)
            {
                if (Shape[i] == 0)
                {
                    return 0;
                }

                last += (Shape[i] - 1) * Strides[i];
            }

            return last + 1;
        }
    }
}
