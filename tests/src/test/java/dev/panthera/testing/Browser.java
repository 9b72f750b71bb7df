package dev.panthera.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/** A real browser that can reach nothing. */
public final class Browser {
    private static final List<String> NAMES =
            List.of("chromium", "chromium-browser", "google-chrome");

    private Browser() {}

    /** What the browser made of a page. */
    public record Visit(String document, String log, List<String> requests) {
        /** What the page said to the console. */
        public List<String> consoleLines() {
            return log.lines().filter(line -> line.contains("CONSOLE")).toList();
        }

        /** The element of a chart; empty if there is none. */
        public String figure(String chart) {
            int start = document.indexOf("id=\"chart-" + chart + "\"");
            return start < 0 ? "" : document.substring(start, document.indexOf("</figure>", start));
        }
    }

    private static Optional<String> browser() {
        return NAMES.stream()
                .flatMap(name ->
                        Stream.of(System.getenv("PATH").split(File.pathSeparator))
                                .map(place -> Path.of(place, name)))
                .filter(Files::isExecutable)
                .map(Path::toString)
                .findFirst();
    }

    /** Opens a page from a file in the folder, which nothing else may use; skips the test where there is no browser. */
    public static Visit visit(Path folder, String page) throws IOException, InterruptedException {
        Optional<String> browser = browser();
        assumeTrue(
                browser.isPresent(),
                "no Chromium on the PATH (looked for " + NAMES + "); install the package chromium");
        Path file = Files.writeString(folder.resolve("report.html"), page);
        Path document = folder.resolve("document");
        Path log = folder.resolve("log");
        Path network = folder.resolve("network.json");
        List<String> command = new ArrayList<>();
        command.add(browser.get());
        command.addAll(
                List.of(
                        "--headless",
                        "--disable-gpu",
                        "--disable-background-networking",
                        "--disable-component-update",
                        "--no-first-run",
                        "--enable-logging=stderr",
                        "--no-proxy-server",
                        "--host-resolver-rules=MAP * ~NOTFOUND",
                        "--log-net-log=" + network,
                        "--user-data-dir=" + folder.resolve("profile"),
                        "--virtual-time-budget=60000",
                        "--dump-dom"));
        if (System.getProperty("user.name").equals("root")) {
            command.add("--no-sandbox");
        }
        command.add(file.toUri().toString());
        Process process =
                new ProcessBuilder(command)
                        .redirectOutput(document.toFile())
                        .redirectError(log.toFile())
                        .start();
        try {
            assertThat(process.waitFor(3, TimeUnit.MINUTES)).as("the browser ends").isTrue();
        } finally {
            process.descendants().forEach(ProcessHandle::destroyForcibly);
            process.destroyForcibly();
        }
        return new Visit(Files.readString(document), Files.readString(log), requests(network));
    }

    /** The addresses that a page asked for. The browser's own requests have no page as their origin. */
    private static List<String> requests(Path network) throws IOException {
        List<String> addresses = new ArrayList<>();
        for (JsonNode event :
                JsonMapper.shared().readTree(Files.readString(network)).get("events")) {
            String origin = event.at("/params/initiator").asString("not an origin");
            JsonNode address = event.at("/params/url");
            if (address.isString() && !origin.equals("not an origin")) {
                addresses.add(address.asString());
            }
        }
        return addresses;
    }
}
