using System.Net;

namespace Dashboard.Server.Reports;

/// <summary>The frame and the parts of a self-contained page: no scripts, no fonts, no requests; light, dark and print.</summary>
internal static class ReportHtml
{
    private const string Style = """
        :root{color-scheme:light dark;--bg:#fbfbfc;--card:#fff;--line:#dfe2e6;--text:#1b1e22;--dim:#5c636c;--accent:#2457c5;--bar:#4c7bd9;--neg:#c2543c}
        @media (prefers-color-scheme:dark){:root{--bg:#121417;--card:#1a1d21;--line:#30353b;--text:#e8eaed;--dim:#9aa2ab;--accent:#8ab0ff;--bar:#6d97ea;--neg:#e08a73}}
        *{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--text);font:14px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;font-variant-numeric:tabular-nums}
        main{max-width:1080px;margin:0 auto;padding:32px 24px 48px}h1{font-size:26px;line-height:1.2;margin:0 0 4px}h2{font-size:17px;margin:32px 0 8px}
        p{margin:4px 0;max-width:75ch}.dim{color:var(--dim)}.label{font-weight:400}.lead{font-size:16px;margin:12px 0 4px}
        .card{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:16px;margin:8px 0;break-inside:avoid}
        .concept{display:grid;grid-template-columns:190px 1fr;gap:16px;align-items:start}.strip{display:flex;flex-wrap:wrap;gap:4px}
        img{border-radius:2px;display:block}.strip img{width:72px;height:72px}.bad{outline:2px solid var(--neg);outline-offset:-2px}
        .bar{height:8px;background:var(--line);border-radius:4px;overflow:hidden;margin:4px 0}.bar i{display:block;height:100%;background:var(--bar)}.bar i.neg{background:var(--neg)}
        .wall{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:12px}.wall figure{margin:0;break-inside:avoid}
        .wall img{width:100%;aspect-ratio:1;object-fit:cover}figcaption{font-size:12px;line-height:1.35;margin-top:4px;overflow-wrap:anywhere}
        table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:6px 10px 6px 0;border-bottom:1px solid var(--line);vertical-align:middle}
        td.n,th.n{text-align:right}code{font-family:ui-monospace,Consolas,monospace;font-size:12px;overflow-wrap:anywhere}svg{max-width:100%;height:auto}
        footer{margin-top:40px;padding-top:12px;border-top:1px solid var(--line);font-size:12px;color:var(--dim)}.dot{display:inline-block;width:10px;height:10px;border-radius:50%;margin-right:6px}
        .pair{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,1fr);gap:16px}
        @media (max-width:700px){main{padding:20px 14px}.concept,.pair{grid-template-columns:1fr}}
        @media print{:root{--bg:#fff;--card:#fff;--line:#bbb;--text:#000;--dim:#444;--bar:#4c7bd9;--neg:#c2543c}main{max-width:none;padding:0}.bar i,.dot{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
        """;

    /// <summary>A whole page; <paramref name="body"/> is HTML.</summary>
    public static string Page(string title, string body) =>
        $"""
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="robots" content="noindex"><title>{E(title)} · Concept Atlas</title><style>{Style}</style></head>
        <body><main>{body}</main></body></html>
        """;

    /// <summary>Text made safe for HTML and attributes.</summary>
    public static string E(string? text) => WebUtility.HtmlEncode(text ?? "");

    /// <summary>A picture inside the page; an empty square where there is none.</summary>
    public static string Picture(byte[]? picture, string alternative, int size, string? marks = null) => picture is null
        ? $"""<svg width="{size}" height="{size}" role="img" aria-label="{E(alternative)} (cannot be shown)"><rect width="100%" height="100%" fill="none" stroke="currentColor" stroke-opacity=".3"/></svg>"""
        : $"""<img src="data:{Images.Placeholder.TypeOf(picture)};base64,{Convert.ToBase64String(picture)}" width="{size}" height="{size}" alt="{E(alternative)}"{(marks is null ? "" : $" class=\"{marks}\"")}>""";
}
