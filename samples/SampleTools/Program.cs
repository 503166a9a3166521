Console.WriteLine("Usage: SampleTools train|generate");
