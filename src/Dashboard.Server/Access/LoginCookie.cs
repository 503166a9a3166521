using System.Security.Cryptography;
using System.Text;
using Dashboard.Server.Jobs;
using Microsoft.AspNetCore.DataProtection;

namespace Dashboard.Server.Access;

/// <summary>The cookie of a logged-in browser: valid for thirty days and only as long as the token is the same.</summary>
internal sealed class LoginCookie(IDataProtectionProvider protection, HostAddress address)
{
    private const string Name = "concept-atlas";
    private static readonly TimeSpan Lifetime = TimeSpan.FromDays(30);
    private readonly ITimeLimitedDataProtector _protector = protection.CreateProtector("Dashboard.Login").ToTimeLimitedDataProtector();

    public void Write(HttpContext context) => context.Response.Cookies.Append(Name, _protector.Protect(Mark, Lifetime), new CookieOptions
    {
        HttpOnly = true,
        SameSite = SameSiteMode.Lax,
        Secure = context.Request.IsHttps,
        MaxAge = Lifetime,
        IsEssential = true,
        Path = "/",
    });

    public bool IsValid(HttpContext context)
    {
        if (context.Request.Cookies[Name] is not { Length: > 0 and < 2048 } value)
        {
            return false;
        }

        try
        {
            return AccessMiddleware.Matches(_protector.Unprotect(value), Mark);
        }
        catch (CryptographicException)
        {
            return false;
        }
    }

    private string Mark => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes("login " + address.Token)));
}
