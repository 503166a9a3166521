var builder = WebApplication.CreateBuilder(args);
var app = builder.Build();
app.MapGet("/", () => "ok " + TorchSharp.torch.ones(2).sum().item<float>());
app.Run();
