Console.WriteLine("Usage: Benchmarks NAME [--json]");
