using Microsoft.AspNetCore.Components;

namespace Dashboard.Client.Realtime;

/// <summary>
/// The address of a page whose state it holds. It changes only when the browser has answered; changes that follow each other
/// faster have to build on the one asked for last, not on the one that is shown.
/// </summary>
/// <param name="navigation">Addresses.</param>
public sealed class AddressTrail(NavigationManager navigation)
{
    // The address, and those that the browser was asked for and has not answered yet.
    private readonly List<string> _addresses = [];

    /// <summary>The address asked for last; the present one where nothing is pending.</summary>
    public string Latest
    {
        get
        {
            var at = _addresses.IndexOf(navigation.Uri);
            return at < 0 ? navigation.Uri : _addresses[^1];
        }
    }

    /// <summary>The address has changed: what was asked for before it is answered. A page calls it whenever it learns of an address.</summary>
    public void Arrive()
    {
        var at = _addresses.IndexOf(navigation.Uri);
        _addresses.RemoveRange(0, at < 0 || at == _addresses.Count - 1 ? _addresses.Count : at);
    }

    /// <summary>Goes to an address of the same page; nothing happens where it was asked for last.</summary>
    /// <param name="address">Absolute.</param>
    /// <param name="replace">Without leaving a step to go back to.</param>
    public void Go(string address, bool replace = true)
    {
        var latest = Latest;
        if (address == latest)
        {
            return;
        }

        if (latest == navigation.Uri)
        {
            _addresses.Clear();
            _addresses.Add(latest);
        }

        _addresses.Add(address);
        navigation.NavigateTo(address, replace: replace);
    }
}
