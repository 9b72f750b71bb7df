package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.io.SafetensorsFile;
import dev.panthera.task.Filler;
import dev.panthera.task.Mqar;
import dev.panthera.task.RowStream;
import dev.panthera.task.Split;
import dev.panthera.task.TaskConfig;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;

class DataCommandTest {

    private static final int ROWS = 3;
    private static final int LENGTH = 12;
    private static final String[] OPTIONS =
            "data mqar --length 12 --pairs 2 --vocab 40 --power-a 0.5 --fillers zero --examples 3 --split test --seed 5"
                    .split(" ");

    private static final int[][] INPUTS = new int[ROWS][LENGTH];
    private static final int[][] LABELS = new int[ROWS][LENGTH];

    @TempDir Path folder;

    @BeforeAll
    static void makeTheSameRows() {
        var generator =
                new Mqar(40, LENGTH, 2, 0.5, Filler.ZERO, 1)
                        .generator(new RowStream(5, Split.TEST, 0));
        for (int row = 0; row < ROWS; row++) {
            generator.row(row, INPUTS[row], LABELS[row]);
        }
    }

    private static Cli data(String... more) {
        String[] args = Arrays.copyOf(OPTIONS, OPTIONS.length + more.length);
        System.arraycopy(more, 0, args, OPTIONS.length, more.length);
        return Cli.run(args).succeeded();
    }

    @Test
    void textHasALabelBehindItsToken() {
        var lines = data().outLines();
        assertThat(lines).hasSize(ROWS);
        for (int row = 0; row < ROWS; row++) {
            String[] words = lines.get(row).split(" ");
            assertThat(words).hasSize(LENGTH);
            for (int i = 0; i < LENGTH; i++) {
                boolean asked = LABELS[row][i] != TaskConfig.IGNORE;
                assertThat(words[i])
                        .isEqualTo(
                                asked
                                        ? INPUTS[row][i] + ">" + LABELS[row][i]
                                        : "" + INPUTS[row][i]);
            }
        }
    }

    @Test
    void jsonLinesHaveInputsAndLabels() {
        var lines = data("--format", "jsonl").outLines();
        assertThat(lines).hasSize(ROWS);
        for (int row = 0; row < ROWS; row++) {
            var json = JsonMapper.shared().readTree(lines.get(row));
            assertThat(JsonMapper.shared().treeToValue(json.get("inputs"), int[].class))
                    .isEqualTo(INPUTS[row]);
            assertThat(JsonMapper.shared().treeToValue(json.get("labels"), int[].class))
                    .isEqualTo(LABELS[row]);
        }
    }

    @Test
    void safetensorsHaveInputsAndLabels() {
        Path file = folder.resolve("rows.safetensors");
        assertThat(data("--format", "safetensors", "--out", file.toString()).out()).isEmpty();
        var stored = SafetensorsFile.read(file);
        assertThat(stored.tensor("inputs").shape()).containsExactly(ROWS, LENGTH);
        for (int row = 0; row < ROWS; row++) {
            int[] inputs =
                    Arrays.copyOfRange(
                            stored.tensor("inputs").toInts(), row * LENGTH, (row + 1) * LENGTH);
            int[] labels =
                    Arrays.copyOfRange(
                            stored.tensor("labels").toInts(), row * LENGTH, (row + 1) * LENGTH);
            assertThat(inputs).isEqualTo(INPUTS[row]);
            assertThat(labels).isEqualTo(LABELS[row]);
        }
    }

    @Test
    void aFileHasWhatWouldBePrinted() throws IOException {
        Path file = folder.resolve("rows.txt");
        assertThat(data("--out", file.toString()).out()).isEmpty();
        assertThat(Files.readString(file)).isEqualTo(data().out());
    }

    /** As with {@code | head}: two thousand million rows end as soon as nobody reads them. */
    @Test
    void aReaderThatGoesAwayEndsIt() {
        var closing =
                new OutputStream() {
                    private long taken;

                    @Override
                    public void write(int b) throws IOException {
                        if (++taken > 1000) {
                            throw new IOException("Broken pipe");
                        }
                    }
                };
        var err = new ByteArrayOutputStream();
        String[] args = "data mqar --examples 2000000000".split(" ");
        assertThat(Panthera.run(args, new PrintStream(closing), new PrintStream(err))).isZero();
        assertThat(err.toString()).isEmpty();
    }
}
