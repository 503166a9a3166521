using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace Dashboard.Server.Data;

/// <summary>The catalogue: what people query and annotate. Tensors and pictures lie beside it in files.</summary>
internal sealed class DashboardDbContext(DbContextOptions<DashboardDbContext> options) : DbContext(options)
{
    public DbSet<AnalysisEntity> Analyses => Set<AnalysisEntity>();

    public DbSet<ClassEntity> Classes => Set<ClassEntity>();

    public DbSet<ConceptEntity> Concepts => Set<ConceptEntity>();

    public DbSet<ExemplarEntity> Exemplars => Set<ExemplarEntity>();

    public DbSet<SampleEntity> Samples => Set<SampleEntity>();

    public DbSet<SkippedEntity> Skipped => Set<SkippedEntity>();

    public DbSet<AnnotationEntity> Annotations => Set<AnnotationEntity>();

    public DbSet<ShareEntity> Shares => Set<ShareEntity>();

    public DbSet<TaskEntity> Tasks => Set<TaskEntity>();

    public DbSet<UserConceptEntity> UserConcepts => Set<UserConceptEntity>();

    /// <summary>Milliseconds since 1970: SQLite neither compares nor sorts dates with an offset.</summary>
    private sealed class Milliseconds() : ValueConverter<DateTimeOffset, long>(
        value => value.ToUnixTimeMilliseconds(), value => DateTimeOffset.FromUnixTimeMilliseconds(value));

    protected override void ConfigureConventions(ModelConfigurationBuilder builder) =>
        builder.Properties<DateTimeOffset>().HaveConversion<Milliseconds>();

    protected override void OnModelCreating(ModelBuilder model)
    {
        model.Entity<AnalysisEntity>(entity =>
        {
            entity.HasKey(row => row.Key);
            entity.HasIndex(row => row.Id).IsUnique();
            entity.HasIndex(row => new { row.State, row.QueueOrder });
            entity.Property(row => row.State).HasConversion<string>();
        });
        Owned<ClassEntity>(model, "Classes").HasKey(row => new { row.AnalysisKey, row.Index });
        var concepts = Owned<ConceptEntity>(model, "Concepts");
        concepts.HasKey(row => new { row.AnalysisKey, row.Id });
        concepts.HasIndex(row => new { row.AnalysisKey, row.Class, row.Rank });
        Owned<ExemplarEntity>(model, "Exemplars").HasKey(row => new { row.AnalysisKey, row.Concept, row.Index });
        var samples = Owned<SampleEntity>(model, "Samples");
        samples.HasKey(row => new { row.AnalysisKey, row.Index });
        samples.HasIndex(row => new { row.AnalysisKey, row.Class, row.Index });
        samples.HasIndex(row => new { row.AnalysisKey, row.OutlierRank });
        // Few samples are odd: a partial index keeps the outliers page quick and the table small.
        samples.HasIndex(row => new { row.AnalysisKey, row.OutlierKind, row.OutlierRank }).HasFilter("OutlierKind <> ''");
        Owned<SkippedEntity>(model, "Skipped").HasKey(row => new { row.AnalysisKey, row.Index });
        Owned<AnnotationEntity>(model, "Annotations").HasKey(row => new { row.AnalysisKey, row.Kind, row.Target });
        var tasks = Owned<TaskEntity>(model, "Tasks");
        tasks.HasKey(row => row.Key);
        tasks.HasIndex(row => row.Id).IsUnique();
        tasks.HasIndex(row => new { row.AnalysisKey, row.TaskKey }).IsUnique();
        tasks.HasIndex(row => new { row.State, row.QueueOrder });
        tasks.Property(row => row.State).HasConversion<string>();
        var userConcepts = Owned<UserConceptEntity>(model, "UserConcepts");
        userConcepts.HasKey(row => row.Key);
        userConcepts.HasIndex(row => row.Id).IsUnique();
        userConcepts.Property(row => row.Name).UseCollation("NOCASE");
        userConcepts.HasIndex(row => new { row.AnalysisKey, row.Name }).IsUnique();
        var shares = Owned<ShareEntity>(model, "Shares");
        shares.HasKey(row => row.Key);
        shares.HasIndex(row => row.TokenHash).IsUnique();
    }

    private static Microsoft.EntityFrameworkCore.Metadata.Builders.EntityTypeBuilder<T> Owned<T>(ModelBuilder model, string table)
        where T : class
    {
        var entity = model.Entity<T>();
        entity.ToTable(table);
        entity.HasOne<AnalysisEntity>().WithMany().HasForeignKey("AnalysisKey").OnDelete(DeleteBehavior.Cascade);
        return entity;
    }
}

/// <summary>Makes a context for the migration tool.</summary>
internal sealed class DesignTimeFactory : IDesignTimeDbContextFactory<DashboardDbContext>
{
    public DashboardDbContext CreateDbContext(string[] args) =>
        new(new DbContextOptionsBuilder<DashboardDbContext>().UseSqlite("Data Source=:memory:").Options);
}
