using System.Runtime.ExceptionServices;

namespace Analysis.Runs;

/// <summary>Work on another thread that ends before its owner does; a failure of it is told to who asks for the result.</summary>
internal static class Background
{
    /// <summary>Starts work.</summary>
    /// <param name="work">What to do.</param>
    public static Running Start(Action work) => new(Task.Run(work));

    /// <summary>Does several things at the same time and waits for all; throws what the first of them threw, in the order given.</summary>
    /// <param name="threads">Threads to use.</param>
    /// <param name="work">Independent pieces of work.</param>
    public static void All(int threads, params Action[] work)
    {
        var failures = new Exception?[work.Length];
        Parallel.For(0, work.Length, new ParallelOptions { MaxDegreeOfParallelism = Math.Max(1, threads) }, i =>
        {
            try
            {
                work[i]();
            }
            catch (Exception failure)
            {
                failures[i] = failure;
            }
        });
        if (Array.Find(failures, f => f is not null) is { } first)
        {
            ExceptionDispatchInfo.Capture(first).Throw();
        }
    }

    /// <summary>Work that was started.</summary>
    /// <param name="task">The work.</param>
    public readonly struct Running(Task task) : IDisposable
    {
        /// <summary>Waits, and throws what the work threw.</summary>
        public void Complete() => task.GetAwaiter().GetResult();

        /// <summary>Waits: nothing may go on in folders that the owner gives up.</summary>
        public void Dispose() => Task.WaitAny(task);
    }
}
