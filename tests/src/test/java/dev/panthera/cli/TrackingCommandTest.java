package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.testing.EventFiles;
import dev.panthera.testing.EventFiles.Event;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.json.JsonMapper;

/** The options of {@code panthera train} that send metrics elsewhere. */
class TrackingCommandTest {
    private static final String SMALL =
            "train --length 16 --pairs 2 --vocab 20 --train-examples 40"
                    + " --validation-examples 8 --test-examples 8 --d-model 8 --batch 8 --epochs 2 --threads 1";

    @TempDir private Path folder;

    private Cli train(String... more) {
        return Cli.run(
                Stream.concat(
                                Stream.of(
                                        (SMALL + " --out " + folder.resolve("my-run")).split(" ")),
                                Stream.of(more))
                        .toArray(String[]::new));
    }

    private List<Event> lines(Path board) throws IOException {
        List<Event> events = new ArrayList<>();
        for (Path file : EventFiles.in(board.resolve("my-run"))) {
            events.addAll(EventFiles.read(file));
        }
        return events.stream().filter(event -> !event.scalars().isEmpty()).toList();
    }

    @Test
    void theEventsAreTheLinesOfTheLog() throws IOException {
        Path board = folder.resolve("board");
        train("--tensorboard", board.toString()).succeeded();
        var logged = Files.readAllLines(folder.resolve("my-run/metrics.jsonl"));
        var events = lines(board);
        assertThat(events).hasSameSizeAs(logged).hasSize(13);
        for (int i = 0; i < logged.size(); i++) {
            var line = JsonMapper.shared().readTree(logged.get(i));
            assertThat(events.get(i).step()).isEqualTo(line.get("step").asLong());
            assertThat(events.get(i).scalars()).hasSize(line.size() - 1);
            for (Map.Entry<String, Float> scalar : events.get(i).scalars().entrySet()) {
                assertThat(scalar.getValue())
                        .as(scalar.getKey())
                        .isEqualTo((float) line.get(scalar.getKey()).asDouble());
            }
        }
        Cli.run(
                        "train",
                        "--resume",
                        folder.resolve("my-run").toString(),
                        "--tensorboard",
                        board.toString())
                .succeeded();
        assertThat(lines(board)).hasSize(14).last().extracting(Event::step).isEqualTo(10L);
    }

    /** A port that was free a moment ago: nobody answers there. */
    @Test
    void aServerThatDoesNotAnswerCostsALineAndNothingElse() throws IOException {
        int port;
        try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            port = socket.getLocalPort();
        }
        String server = "http://127.0.0.1:" + port;
        var result = train("--mlflow", server);
        assertThat(result.code()).isZero();
        assertThat(result.err()).startsWith("panthera: --mlflow " + server).hasLineCount(1);
        assertThat(result.out()).contains("test accuracy");
    }

    @Test
    void whatCannotBeIsRefusedBeforeAnythingIsWritten() throws IOException {
        Path file = Files.writeString(folder.resolve("file"), "");
        train("--tensorboard", file.toString())
                .refused("--tensorboard " + file, "it is a file", "name a folder");
        train("--mlflow", "localhost:5000")
                .refused("--mlflow localhost:5000", "for example http://localhost:5000");
        train("--mlflow", "http://a b")
                .refused("--mlflow http://a b", "for example http://localhost:5000");
        train("--mlflow-experiment", "mine")
                .refused("--mlflow-experiment mine", "--mlflow http://localhost:5000");
        train("--mlflow", "http://localhost:5000", "--mlflow-experiment", " ")
                .refused("--mlflow-experiment", "try panthera");
        assertThat(folder.resolve("my-run")).doesNotExist();
    }
}
