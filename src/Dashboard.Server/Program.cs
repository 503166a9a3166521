using Dashboard.Server.Cli;

return await DashboardCommandLine.RunAsync(args);
