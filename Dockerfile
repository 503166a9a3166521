# Concept Atlas. CPU by default; --build-arg TORCH=cuda takes the CUDA packages.
ARG TORCH=cpu

FROM mcr.microsoft.com/dotnet/sdk:10.0 AS build
ARG TORCH
WORKDIR /source

# Packages first: they are large and change seldom.
COPY global.json Directory.Build.props Directory.Build.targets Directory.Packages.props BannedSymbols.txt .editorconfig ./
COPY eng eng
COPY src/Analysis/Analysis.csproj src/Analysis/
COPY src/Dashboard.Client/Dashboard.Client.csproj src/Dashboard.Client/
COPY src/Dashboard.Server/Dashboard.Server.csproj src/Dashboard.Server/
RUN dotnet restore src/Dashboard.Server -p:TorchBackend=${TORCH} -p:Configuration=Release

COPY src src
COPY wwwroot wwwroot
COPY samples samples
RUN dotnet publish src/Dashboard.Server -c Release --no-restore -p:TorchBackend=${TORCH} -o /app \
    && mkdir -p /empty

FROM mcr.microsoft.com/dotnet/aspnet:10.0
WORKDIR /app
COPY --from=build /app .
# A named volume takes its owner from the folder of the image.
COPY --from=build --chown=$APP_UID:$APP_UID /empty /data
COPY --from=build --chown=$APP_UID:$APP_UID /empty /images

# Any address but loopback asks for the token that the log shows (or that Dashboard__Token fixes).
ENV Dashboard__Urls=http://0.0.0.0:8080 \
    Dashboard__DataDirectory=/data \
    Dashboard__DataRoots__0=/images \
    ASPNETCORE_HTTP_PORTS= \
    DOTNET_EnableDiagnostics=0 \
    HOME=/data
VOLUME /data
EXPOSE 8080
USER $APP_UID

# The runtime image has neither curl nor wget; bash speaks enough HTTP by itself.
HEALTHCHECK --interval=30s --timeout=5s --start-period=40s --retries=3 \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /healthz HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]

ENTRYPOINT ["./Dashboard.Server"]
