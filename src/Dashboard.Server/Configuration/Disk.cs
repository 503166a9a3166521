using Microsoft.Data.Sqlite;

namespace Dashboard.Server.Configuration;

/// <summary>Questions about the disk.</summary>
internal static class Disk
{
    private const int SqliteFull = 13;
    private const int NoSpace = 28;
    private const int QuotaExceeded = 122;

    /// <summary>True where the fault, or a cause of it, is a full disk or an exhausted quota.</summary>
    public static bool IsFull(Exception? fault)
    {
        for (; fault is not null; fault = fault.InnerException)
        {
            if (fault is SqliteException { SqliteErrorCode: SqliteFull })
            {
                return true;
            }

            if (fault is IOException io)
            {
                var code = io.HResult & 0xFFFF;
                // ERROR_DISK_FULL and ERROR_HANDLE_DISK_FULL on Windows; errno on other systems.
                if (OperatingSystem.IsWindows() ? code is 112 or 39 : io.HResult is NoSpace or QuotaExceeded || code == 112)
                {
                    return true;
                }
            }
        }

        return false;
    }

    /// <summary>True where so little space is left that not even the catalogue can work; false where that cannot be learnt.</summary>
    public static bool IsNearlyFull(string folder)
    {
        const long least = 4 << 20;
        try
        {
            return new DriveInfo(folder) is { TotalSize: > 0, AvailableFreeSpace: < least };
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return false;
        }
    }

    /// <summary>Free bytes where the folder lies; 0 where that cannot be learnt.</summary>
    public static long FreeBytes(string folder)
    {
        try
        {
            var existing = Path.GetFullPath(folder);
            while (!Directory.Exists(existing) && Path.GetDirectoryName(existing) is { } parent)
            {
                existing = parent;
            }

            return new DriveInfo(existing).AvailableFreeSpace;
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return 0;
        }
    }

    /// <summary>Removes a folder with everything in it, without following links; does nothing where it is absent.</summary>
    public static void DeleteFolder(string folder)
    {
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
