using Microsoft.EntityFrameworkCore.Migrations;

#nullable disable

namespace Dashboard.Server.Data.Migrations
{
    /// <inheritdoc />
    public partial class Initial : Migration
    {
        /// <inheritdoc />
        protected override void Up(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.CreateTable(
                name: "Analyses",
                columns: table => new
                {
                    Key = table.Column<int>(type: "INTEGER", nullable: false)
                        .Annotation("Sqlite:Autoincrement", true),
                    Id = table.Column<string>(type: "TEXT", nullable: true),
                    Name = table.Column<string>(type: "TEXT", nullable: false),
                    Request = table.Column<string>(type: "TEXT", nullable: false),
                    State = table.Column<string>(type: "TEXT", nullable: false),
                    Created = table.Column<long>(type: "INTEGER", nullable: false),
                    Started = table.Column<long>(type: "INTEGER", nullable: true),
                    Ended = table.Column<long>(type: "INTEGER", nullable: true),
                    Message = table.Column<string>(type: "TEXT", nullable: true),
                    IsSample = table.Column<bool>(type: "INTEGER", nullable: false),
                    QueueOrder = table.Column<long>(type: "INTEGER", nullable: false),
                    Failures = table.Column<int>(type: "INTEGER", nullable: false),
                    FailureMark = table.Column<int>(type: "INTEGER", nullable: false),
                    Progress = table.Column<string>(type: "TEXT", nullable: true),
                    NetworkName = table.Column<string>(type: "TEXT", nullable: false),
                    Layer = table.Column<string>(type: "TEXT", nullable: false),
                    DatasetName = table.Column<string>(type: "TEXT", nullable: false),
                    Method = table.Column<string>(type: "TEXT", nullable: false),
                    Images = table.Column<int>(type: "INTEGER", nullable: false),
                    Classes = table.Column<int>(type: "INTEGER", nullable: false),
                    Concepts = table.Column<int>(type: "INTEGER", nullable: false),
                    Accuracy = table.Column<double>(type: "REAL", nullable: true),
                    Share = table.Column<double>(type: "REAL", nullable: false),
                    OutputNames = table.Column<string>(type: "TEXT", nullable: true),
                    Version = table.Column<int>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_Analyses", x => x.Key);
                });

            migrationBuilder.CreateTable(
                name: "Annotations",
                columns: table => new
                {
                    AnalysisKey = table.Column<int>(type: "INTEGER", nullable: false),
                    Kind = table.Column<string>(type: "TEXT", nullable: false),
                    Target = table.Column<int>(type: "INTEGER", nullable: false),
                    Name = table.Column<string>(type: "TEXT", nullable: true),
                    Note = table.Column<string>(type: "TEXT", nullable: true),
                    Verdict = table.Column<string>(type: "TEXT", nullable: true),
                    Changed = table.Column<long>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_Annotations", x => new { x.AnalysisKey, x.Kind, x.Target });
                    table.ForeignKey(
                        name: "FK_Annotations_Analyses_AnalysisKey",
                        column: x => x.AnalysisKey,
                        principalTable: "Analyses",
                        principalColumn: "Key",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "Classes",
                columns: table => new
                {
                    AnalysisKey = table.Column<int>(type: "INTEGER", nullable: false),
                    Index = table.Column<int>(type: "INTEGER", nullable: false),
                    Name = table.Column<string>(type: "TEXT", nullable: false),
                    DisplayName = table.Column<string>(type: "TEXT", nullable: false),
                    Label = table.Column<int>(type: "INTEGER", nullable: true),
                    Images = table.Column<int>(type: "INTEGER", nullable: false),
                    Accuracy = table.Column<double>(type: "REAL", nullable: true),
                    Concepts = table.Column<int>(type: "INTEGER", nullable: false),
                    Strategies = table.Column<int>(type: "INTEGER", nullable: false),
                    Outliers = table.Column<int>(type: "INTEGER", nullable: false),
                    Confounded = table.Column<int>(type: "INTEGER", nullable: false),
                    Ready = table.Column<bool>(type: "INTEGER", nullable: false),
                    Atlas = table.Column<string>(type: "TEXT", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_Classes", x => new { x.AnalysisKey, x.Index });
                    table.ForeignKey(
                        name: "FK_Classes_Analyses_AnalysisKey",
                        column: x => x.AnalysisKey,
                        principalTable: "Analyses",
                        principalColumn: "Key",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "Concepts",
                columns: table => new
                {
                    AnalysisKey = table.Column<int>(type: "INTEGER", nullable: false),
                    Id = table.Column<int>(type: "INTEGER", nullable: false),
                    Class = table.Column<int>(type: "INTEGER", nullable: false),
                    Rank = table.Column<int>(type: "INTEGER", nullable: false),
                    Shared = table.Column<int>(type: "INTEGER", nullable: true),
                    Importance = table.Column<double>(type: "REAL", nullable: false),
                    Prevalence = table.Column<double>(type: "REAL", nullable: false),
                    Reliability = table.Column<double>(type: "REAL", nullable: false),
                    Relevance = table.Column<double>(type: "REAL", nullable: true),
                    Stability = table.Column<double>(type: "REAL", nullable: true)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_Concepts", x => new { x.AnalysisKey, x.Id });
                    table.ForeignKey(
                        name: "FK_Concepts_Analyses_AnalysisKey",
                        column: x => x.AnalysisKey,
                        principalTable: "Analyses",
                        principalColumn: "Key",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "Exemplars",
                columns: table => new
                {
                    AnalysisKey = table.Column<int>(type: "INTEGER", nullable: false),
                    Concept = table.Column<int>(type: "INTEGER", nullable: false),
                    Index = table.Column<int>(type: "INTEGER", nullable: false),
                    Sample = table.Column<int>(type: "INTEGER", nullable: false),
                    Score = table.Column<double>(type: "REAL", nullable: false),
                    Left = table.Column<double>(type: "REAL", nullable: false),
                    Top = table.Column<double>(type: "REAL", nullable: false),
                    Width = table.Column<double>(type: "REAL", nullable: false),
                    Height = table.Column<double>(type: "REAL", nullable: false),
                    Band = table.Column<string>(type: "TEXT", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_Exemplars", x => new { x.AnalysisKey, x.Concept, x.Index });
                    table.ForeignKey(
                        name: "FK_Exemplars_Analyses_AnalysisKey",
                        column: x => x.AnalysisKey,
                        principalTable: "Analyses",
                        principalColumn: "Key",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "Samples",
                columns: table => new
                {
                    AnalysisKey = table.Column<int>(type: "INTEGER", nullable: false),
                    Index = table.Column<int>(type: "INTEGER", nullable: false),
                    Path = table.Column<string>(type: "TEXT", nullable: false),
                    Class = table.Column<int>(type: "INTEGER", nullable: false),
                    Label = table.Column<int>(type: "INTEGER", nullable: true),
                    Predicted = table.Column<int>(type: "INTEGER", nullable: true),
                    Confidence = table.Column<double>(type: "REAL", nullable: false),
                    Logit = table.Column<double>(type: "REAL", nullable: false),
                    Strategy = table.Column<int>(type: "INTEGER", nullable: true),
                    OutlierScore = table.Column<double>(type: "REAL", nullable: true),
                    OutlierRank = table.Column<int>(type: "INTEGER", nullable: true),
                    OutlierKind = table.Column<string>(type: "TEXT", nullable: false),
                    OutlierReason = table.Column<string>(type: "TEXT", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_Samples", x => new { x.AnalysisKey, x.Index });
                    table.ForeignKey(
                        name: "FK_Samples_Analyses_AnalysisKey",
                        column: x => x.AnalysisKey,
                        principalTable: "Analyses",
                        principalColumn: "Key",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "Shares",
                columns: table => new
                {
                    Key = table.Column<int>(type: "INTEGER", nullable: false)
                        .Annotation("Sqlite:Autoincrement", true),
                    AnalysisKey = table.Column<int>(type: "INTEGER", nullable: false),
                    TokenHash = table.Column<string>(type: "TEXT", nullable: false),
                    ProtectedToken = table.Column<string>(type: "TEXT", nullable: false),
                    Title = table.Column<string>(type: "TEXT", nullable: false),
                    Class = table.Column<int>(type: "INTEGER", nullable: true),
                    Filter = table.Column<string>(type: "TEXT", nullable: true),
                    Created = table.Column<long>(type: "INTEGER", nullable: false),
                    Views = table.Column<int>(type: "INTEGER", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_Shares", x => x.Key);
                    table.ForeignKey(
                        name: "FK_Shares_Analyses_AnalysisKey",
                        column: x => x.AnalysisKey,
                        principalTable: "Analyses",
                        principalColumn: "Key",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateTable(
                name: "Skipped",
                columns: table => new
                {
                    AnalysisKey = table.Column<int>(type: "INTEGER", nullable: false),
                    Index = table.Column<int>(type: "INTEGER", nullable: false),
                    Path = table.Column<string>(type: "TEXT", nullable: false),
                    Reason = table.Column<string>(type: "TEXT", nullable: false)
                },
                constraints: table =>
                {
                    table.PrimaryKey("PK_Skipped", x => new { x.AnalysisKey, x.Index });
                    table.ForeignKey(
                        name: "FK_Skipped_Analyses_AnalysisKey",
                        column: x => x.AnalysisKey,
                        principalTable: "Analyses",
                        principalColumn: "Key",
                        onDelete: ReferentialAction.Cascade);
                });

            migrationBuilder.CreateIndex(
                name: "IX_Analyses_Id",
                table: "Analyses",
                column: "Id",
                unique: true);

            migrationBuilder.CreateIndex(
                name: "IX_Analyses_State_QueueOrder",
                table: "Analyses",
                columns: new[] { "State", "QueueOrder" });

            migrationBuilder.CreateIndex(
                name: "IX_Concepts_AnalysisKey_Class_Rank",
                table: "Concepts",
                columns: new[] { "AnalysisKey", "Class", "Rank" });

            migrationBuilder.CreateIndex(
                name: "IX_Samples_AnalysisKey_Class_Index",
                table: "Samples",
                columns: new[] { "AnalysisKey", "Class", "Index" });

            migrationBuilder.CreateIndex(
                name: "IX_Samples_AnalysisKey_OutlierKind_OutlierRank",
                table: "Samples",
                columns: new[] { "AnalysisKey", "OutlierKind", "OutlierRank" },
                filter: "OutlierKind <> ''");

            migrationBuilder.CreateIndex(
                name: "IX_Samples_AnalysisKey_OutlierRank",
                table: "Samples",
                columns: new[] { "AnalysisKey", "OutlierRank" });

            migrationBuilder.CreateIndex(
                name: "IX_Shares_AnalysisKey",
                table: "Shares",
                column: "AnalysisKey");

            migrationBuilder.CreateIndex(
                name: "IX_Shares_TokenHash",
                table: "Shares",
                column: "TokenHash",
                unique: true);
        }

        /// <inheritdoc />
        protected override void Down(MigrationBuilder migrationBuilder)
        {
            migrationBuilder.DropTable(
                name: "Annotations");

            migrationBuilder.DropTable(
                name: "Classes");

            migrationBuilder.DropTable(
                name: "Concepts");

            migrationBuilder.DropTable(
                name: "Exemplars");

            migrationBuilder.DropTable(
                name: "Samples");

            migrationBuilder.DropTable(
                name: "Shares");

            migrationBuilder.DropTable(
                name: "Skipped");

            migrationBuilder.DropTable(
                name: "Analyses");
        }
    }
}
