using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Analysis.Datasets;

/// <summary>SHA-256 over (path, length, modification time) of files in the order in which they are added.</summary>
internal sealed class FingerprintBuilder : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private byte[] _buffer = new byte[512];

    public void Add(string path, long length, DateTime modified)
    {
        // The length of the name goes first, so that no two lists give the same bytes.
        var needed = Encoding.UTF8.GetMaxByteCount(path.Length) + 20;
        if (_buffer.Length < needed)
        {
            _buffer = new byte[needed];
        }

        var count = Encoding.UTF8.GetBytes(path, _buffer.AsSpan(20));
        BinaryPrimitives.WriteInt32LittleEndian(_buffer, count);
        BinaryPrimitives.WriteInt64LittleEndian(_buffer.AsSpan(4), length);
        BinaryPrimitives.WriteInt64LittleEndian(_buffer.AsSpan(12), modified.Ticks);
        _hash.AppendData(_buffer, 0, 20 + count);
    }

    public string Finish() => Convert.ToHexStringLower(_hash.GetHashAndReset());

    public void Dispose() => _hash.Dispose();
}
