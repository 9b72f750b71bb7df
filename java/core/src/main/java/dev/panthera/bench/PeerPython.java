package dev.panthera.bench;

import dev.panthera.UserException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import tools.jackson.core.JacksonException;
import tools.jackson.databind.json.JsonMapper;

/**
 * A Python with PyTorch, which does the same work by the scripts in {@code benchmarks/peers}.
 *
 * @param executable the interpreter
 * @param scripts folder of the scripts
 */
public record PeerPython(Path executable, Path scripts) {
    /** System property that names the folder of the scripts. */
    public static final String SCRIPTS_PROPERTY = "panthera.peers";

    /** Makes PyTorch take huge pages for large tensors, which spares it most page faults. */
    private static final String TUNED_ALLOCATOR = "THP_MEM_ALLOC_ENABLE";

    /**
     * The peer that an interpreter is.
     *
     * @throws UserException if it cannot be run, has no PyTorch, or the scripts are not there
     */
    public static PeerPython of(Path executable) {
        String folder = System.getProperty(SCRIPTS_PROPERTY);
        UserException.require(
                folder != null && Files.isDirectory(Path.of(folder)),
                "--peer-python: the peers' scripts are not here; run ./panthera in a copy of the source repository");
        var peer = new PeerPython(executable, Path.of(folder));
        peer.output(List.of("-c", "import torch"), false);
        return peer;
    }

    /**
     * What a script prints: one JSON object a line.
     *
     * @param tunedAllocator whether PyTorch's allocator is told to use huge pages
     * @throws UserException if it fails
     */
    public List<Map<String, Object>> run(
            String script, List<String> arguments, boolean tunedAllocator) {
        List<String> all = new ArrayList<>();
        all.add(scripts.resolve(script).toString());
        all.addAll(arguments);
        List<Map<String, Object>> lines = new ArrayList<>();
        for (String line : output(all, tunedAllocator).lines().toList()) {
            lines.add(parse(script, line));
        }
        return lines;
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> parse(String script, String line) {
        try {
            return JsonMapper.shared().readValue(line, Map.class);
        } catch (JacksonException failure) {
            throw new UserException(
                    "%s printed a line that is no JSON: %s".formatted(script, line), failure);
        }
    }

    private String output(List<String> arguments, boolean tunedAllocator) {
        List<String> command = new ArrayList<>();
        command.add(executable.toString());
        command.addAll(arguments);
        var builder = new ProcessBuilder(command);
        builder.environment().remove(TUNED_ALLOCATOR);
        builder.environment().put("PYTHONDONTWRITEBYTECODE", "1");
        if (tunedAllocator) {
            builder.environment().put(TUNED_ALLOCATOR, "1");
        }
        try {
            var errors = Files.createTempFile("panthera-peer", ".txt");
            try {
                var process = builder.redirectError(errors.toFile()).start();
                process.getOutputStream().close();
                String output = new String(process.getInputStream().readAllBytes());
                UserException.require(
                        process.waitFor() == 0,
                        "--peer-python %s: %s failed: %s",
                        executable,
                        String.join(" ", arguments),
                        Files.readString(errors).lines().reduce("", (a, b) -> b));
                return output;
            } finally {
                Files.deleteIfExists(errors);
            }
        } catch (IOException failure) {
            throw new UserException(
                    "--peer-python %s: it cannot be run (%s); name a Python that has PyTorch"
                            .formatted(executable, failure.getMessage()),
                    failure);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            throw new UserException("interrupted while a peer ran", interrupted);
        }
    }
}
