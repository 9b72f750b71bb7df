package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** Looking at a sweep: {@code ls}, {@code show} and {@code export}. */
class SweepLookTest {
    @TempDir private static Path folder;

    @TempDir private Path scratch;

    /** Two trials that are done, and one that has failed; those that wait are dropped by the second run. */
    @BeforeAll
    static void runASweep() throws IOException {
        Path grid =
                Files.writeString(
                        folder.resolve("grid.yaml"),
                        RunCommandTest.GRID.replace(
                                "[1e-3, 1e-2]",
                                "[1e-3, {label: \"a, \\\"b\\\"\", set: {lr: 1e-2}}, 1e30, 2e-3], epochs: [3]"));
        Path sweep = folder.resolve("sweep");
        var result =
                Cli.run(
                        "run",
                        grid.toString(),
                        "--out",
                        sweep.toString(),
                        "--only",
                        "lr=1e-3,1e30",
                        "--threads=1");
        assertThat(result.out()).contains("1 done, 1 failed");
        Cli.run("run", grid.toString(), "--out", sweep.toString(), "--set", "lr=5e-3", "--slots=1");
    }

    private static String sweep() {
        return folder.resolve("sweep").toString();
    }

    private static Cli ls(String... options) {
        return Cli.run(
                        Stream.concat(Stream.of("ls", sweep()), Arrays.stream(options))
                                .toArray(String[]::new))
                .succeeded();
    }

    @Test
    void lsListsTrialsWithTheirStatesAndResults() {
        var lines = ls().outLines();
        assertThat(lines.getFirst())
                .startsWith("trial ")
                .contains("status", "test", "valid", "epochs");
        assertThat(lines.getLast()).isEqualTo("3 trials: 2 done, 1 failed, 0 running, 0 waiting");
        assertThat(lines)
                .anySatisfy(line ->
                        assertThat(line).contains(" failed ", "lr=1e30", "try a smaller --lr"));
        assertThat(lines)
                .anySatisfy(line -> assertThat(line).contains(" done ", "lr=0.001 epochs=3", " %"));
    }

    @Test
    void lsChoosesByStatusAndSortsByAccuracy() {
        assertThat(ls("--status", "failed").outLines()).hasSize(3);
        assertThat(ls("--best").outLines().get(3)).contains(" failed ");
    }

    @Test
    void lsWithoutAFolderListsSweepsOrSaysThatThereAreNone() {
        assertThat(Cli.run("ls").succeeded().out()).isNotEmpty();
    }

    @Test
    void showTellsAllOfATrial() {
        String failed = ls("--status", "failed").outLines().get(1).split(" ")[0];
        var result = Cli.run("show", failed.substring(0, 6), "--sweep", sweep()).succeeded();
        assertThat(result.out())
                .contains(
                        "trial       " + failed,
                        "lr          1e30",
                        "status      failed, taken 1 times",
                        "failed      ",
                        "\tat dev.panthera.train.",
                        "\"learning_rate\" : 1.0E30");
        String done = ls("--status", "done").outLines().get(1).split(" ")[0];
        assertThat(Cli.run("show", done, "--sweep", sweep()).succeeded().out())
                .contains("epoch   1 ", "parameters  ", "test        ", "num_kv_pairs 2: ");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "show zz --sweep SWEEP      | zz: SWEEP has no such trial     | panthera ls SWEEP lists them",
                "show zz --sweep none       | none: there is no sweep here    | sweeps/NAME",
                "show                       | TRIAL is missing                | --help",
                "ls none                    | none: there is no sweep here    | sweeps/NAME",
                "ls SWEEP --status finished | --status finished               | waiting, running, done or failed",
                "export none                | none: there is no sweep here    | sweeps/NAME",
                "export                     | SWEEP is missing                | --help",
                "export SWEEP --format xls  | --format xls                    | csv, parquet or jsonl",
                "export SWEEP --format parquet | --format parquet             | --out trials.parquet",
                "export SWEEP --out none/x  | none/x                          | folder"
            })
    void whatCannotBeLookedAtIsNamed(String command, String what, String possible) {
        Cli.run(command.replace("SWEEP", sweep()).split(" "))
                .refused(what.startsWith("zz") ? what.replace("SWEEP", sweep()) : what, possible);
    }

    @Test
    void showOfAnEmptyPrefixAsksForMore() {
        Cli.run("show", "", "--sweep", sweep())
                .refused("3 trials of " + sweep(), "give more letters");
    }

    @Test
    void csvQuotesWhatNeedsIt() throws IOException {
        Path grid =
                Files.writeString(
                        scratch.resolve("grid.yaml"),
                        RunCommandTest.GRID.replace(
                                "[1e-3, 1e-2]", "[{label: \"a, \\\"b\\\"\", set: {lr: 1e-2}}]"));
        String out = scratch.resolve("out").toString();
        Cli.run("run", grid.toString(), "--out", out).succeeded();
        var lines = Cli.run("export", out).succeeded().outLines();
        assertThat(lines).hasSize(2);
        assertThat(lines.getFirst())
                .startsWith(
                        "trial,status,lr,causal,test/accuracy,test/loss,valid/accuracy,epochs,seconds,");
        assertThat(lines.getLast()).contains(",done,\"a, \"\"b\"\"\",", "\"{\"\"model\"\":");
    }

    @Test
    void aFactorThatIsCalledAsAResultKeepsItsColumn() {
        var header = Cli.run("export", sweep()).succeeded().outLines().getFirst();
        assertThat(header)
                .contains(",factor/epochs,", ",epochs,", ",test/num_kv_pairs/accuracy-2,");
    }

    @Test
    void jsonLinesHaveTheSameKeysInEachLine() {
        Path file = scratch.resolve("trials.jsonl");
        Cli.run("export", sweep(), "--format", "jsonl", "--out", file.toString()).succeeded();
        assertThat(file).content().hasLineCount(3);
        var rows = rows(file);
        assertThat(rows)
                .allSatisfy(row ->
                        assertThat(row.propertyNames())
                                .containsExactlyElementsOf(rows.getFirst().propertyNames()));
        assertThat(rows)
                .anySatisfy(row -> {
                    assertThat(row.get("status").asString()).isEqualTo("failed");
                    assertThat(row.get("test/accuracy").isNull()).isTrue();
                    assertThat(row.get("message").asString()).contains("try a smaller --lr");
                });
    }

    private static List<JsonNode> rows(Path file) {
        try {
            return Files.readAllLines(file).stream()
                    .map(line -> JsonMapper.shared().readTree(line))
                    .toList();
        } catch (IOException failure) {
            throw new AssertionError(failure);
        }
    }

    @Test
    void parquetComesBackAsItWas() throws SQLException {
        assumeTrue(
                duckDb(),
                "DuckDB is not on the class path: add org.duckdb:duckdb_jdbc to see this one");
        Path file = scratch.resolve("it's.parquet");
        Cli.run("export", sweep(), "--format", "parquet", "--out", file.toString()).succeeded();
        try (var connection = DriverManager.getConnection("jdbc:duckdb:");
                var statement = connection.createStatement();
                var rows =
                        statement.executeQuery(
                                "SELECT count(*), count(\"test/accuracy\") FROM '"
                                        + file.toString().replace("'", "''")
                                        + "'")) {
            assertThat(rows.next()).isTrue();
            assertThat(rows.getInt(1)).isEqualTo(3);
            assertThat(rows.getInt(2)).isEqualTo(2);
        }
    }

    @Test
    void parquetWithoutDuckDbSaysWhereItComesFrom() {
        assumeTrue(!duckDb(), "DuckDB is on the class path");
        Path file = scratch.resolve("x.parquet");
        Cli.run("export", sweep(), "--format", "parquet", "--out", file.toString())
                .refused("--format parquet: DuckDB", "org.duckdb:duckdb_jdbc");
        assertThat(file).doesNotExist();
    }

    private static boolean duckDb() {
        return DriverManager.drivers()
                .anyMatch(driver -> driver.getClass().getName().startsWith("org.duckdb"));
    }
}
