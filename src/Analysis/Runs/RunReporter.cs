using System.Diagnostics;

namespace Analysis.Runs;

/// <summary>
/// Keeps the progress of a run and turns it into complete snapshots for an <see cref="IRunObserver"/>. For one thread.
/// Rates are measured over the last seconds, so that a change of speed shows soon.
/// </summary>
public sealed class RunReporter
{
    private const double RateWindowSeconds = 5;
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    private readonly IRunObserver _observer;
    private readonly List<Stage> _stages = [];
    private readonly List<int> _readyClasses = [];
    private readonly Stopwatch _clock = Stopwatch.StartNew();
    private TimeSpan _published = TimeSpan.MinValue;
    private long _sequence;
    private int _skipped;

    /// <summary>Starts reporting.</summary>
    /// <param name="observer">Receives the snapshots.</param>
    /// <param name="stages">Name, title, unit and assumed share of the whole time, in order.</param>
    public RunReporter(IRunObserver observer, IEnumerable<(string Name, string Title, string Unit, double Weight)> stages)
    {
        _observer = observer;
        _stages.AddRange(stages.Select(s => new Stage(s.Name, s.Title, s.Unit, s.Weight)));
    }

    /// <summary>Device for display.</summary>
    public string Device { get; set; } = "";

    /// <summary>Stages with the time each took, for the manifest.</summary>
    public IReadOnlyList<StageProgress> Stages => [.. _stages.Select(s => s.View(_clock.Elapsed))];

    /// <summary>Begins a stage.</summary>
    /// <param name="name">Stage name.</param>
    /// <param name="total">Items in all.</param>
    /// <param name="done">Items already done by an earlier run.</param>
    public void Begin(string name, long total, long done = 0)
    {
        var stage = Find(name);
        stage.State = StageState.Running;
        stage.Total = total;
        stage.Done = done;
        stage.Started = _clock.Elapsed;
        stage.Marks.Clear();
        stage.Marks.Enqueue((_clock.Elapsed, done));
        Publish(force: true);
    }

    /// <summary>Items of the running stage were finished.</summary>
    public void Advance(string name, long done)
    {
        var stage = Find(name);
        stage.Done = done;
        stage.Marks.Enqueue((_clock.Elapsed, done));
        while (stage.Marks.Count > 2 && (_clock.Elapsed - stage.Marks.Peek().At).TotalSeconds > RateWindowSeconds)
        {
            stage.Marks.Dequeue();
        }

        Publish(force: false);
    }

    /// <summary>Ends a stage.</summary>
    /// <param name="name">Stage name.</param>
    /// <param name="reused">Everything came from an earlier run with the same key.</param>
    public void End(string name, bool reused = false)
    {
        var stage = Find(name);
        stage.Done = stage.Total;
        stage.State = reused ? StageState.Reused : StageState.Done;
        stage.Ended = _clock.Elapsed;
        Publish(force: true);
    }

    /// <summary>Sets the number of samples left out.</summary>
    public void Skipped(int count) => _skipped = count;

    /// <summary>The samples are listed.</summary>
    public void SamplesListed(int count) => _observer.OnSamplesListed(count);

    /// <summary>A class is complete on disk.</summary>
    public void ClassReady(int classIndex)
    {
        _readyClasses.Add(classIndex);
        _observer.OnClassReady(classIndex);
        Publish(force: false);
    }

    /// <summary>A line for the log.</summary>
    public void Log(string line) => _observer.OnLog(line);

    private Stage Find(string name) => _stages.First(s => s.Name == name);

    private void Publish(bool force)
    {
        if (!force && _clock.Elapsed - _published < Interval)
        {
            return;
        }

        _published = _clock.Elapsed;
        _observer.OnProgress(new RunProgress
        {
            Sequence = ++_sequence,
            Stages = Stages,
            SecondsLeft = SecondsLeft(),
            Device = Device,
            MemoryBytes = Environment.WorkingSet,
            Skipped = _skipped,
            ReadyClasses = [.. _readyClasses],
        });
    }

    /// <summary>
    /// Time left of the running stage at its present rate, plus the later stages by their assumed weight relative to what the
    /// finished and running ones have taken.
    /// </summary>
    private double? SecondsLeft()
    {
        var running = _stages.FindIndex(s => s.State == StageState.Running);
        if (running < 0 || _stages[running].Total == 0)
        {
            return null;
        }

        var stage = _stages[running];
        var rate = stage.Rate;
        if (rate <= 0)
        {
            return null;
        }

        var here = (stage.Total - stage.Done) / rate;
        var whole = stage.Total / rate;
        var perWeight = stage.Weight > 0 ? whole / stage.Weight : 0;
        return here + _stages.Skip(running + 1).Sum(s => s.Weight * perWeight);
    }

    private sealed class Stage(string name, string title, string unit, double weight)
    {
        public string Name { get; } = name;

        public double Weight { get; } = weight;

        public StageState State { get; set; }

        public long Done { get; set; }

        public long Total { get; set; }

        public TimeSpan Started { get; set; }

        public TimeSpan? Ended { get; set; }

        public Queue<(TimeSpan At, long Done)> Marks { get; } = new();

        public double Rate
        {
            get
            {
                if (State != StageState.Running || Marks.Count < 2)
                {
                    return 0;
                }

                var (first, last) = (Marks.Peek(), Marks.Last());
                var seconds = (last.At - first.At).TotalSeconds;
                return seconds > 0 ? (last.Done - first.Done) / seconds : 0;
            }
        }

        public StageProgress View(TimeSpan now)
        {
            var seconds = State == StageState.Waiting ? 0 : ((Ended ?? now) - Started).TotalSeconds;
            return new StageProgress(Name, title, State, Done, Total, unit, Rate, seconds);
        }
    }
}
