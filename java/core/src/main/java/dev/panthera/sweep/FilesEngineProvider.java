package dev.panthera.sweep;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;

/**
 * Makes engines that write orders into the sweep's folder and collect the outcomes, whoever runs {@code panthera run-trial}
 * for them: for schedulers that Panthera does not submit to itself, such as Kubernetes.
 */
public final class FilesEngineProvider implements EngineProvider {
    private static final String THREADS = "threads";
    private static final String DEVICE = "device";
    private static final String POLL = "poll-ms";

    /** For {@link java.util.ServiceLoader}. */
    public FilesEngineProvider() {}

    @Override
    public String name() {
        return "files";
    }

    @Override
    public Map<String, String> options() {
        var options = new LinkedHashMap<String, String>();
        options.put(THREADS, "threads of a trial; default: 1");
        options.put(DEVICE, "where a trial computes on its machine; default: as the sweep says");
        options.put(POLL, "milliseconds between two looks at the files; default: 2000");
        return options;
    }

    @Override
    public Engine open(EngineSetting setting) {
        setting.requireKnown(this);
        int threads = setting.count(THREADS, 1, 1);
        String device = setting.text(DEVICE);
        var files = new TrialFolder(setting.folder());
        var engine =
                new ArrayEngine(
                        files,
                        new OthersJobs(files),
                        order -> order.on(device == null ? order.device() : device, threads),
                        Duration.ofMillis(setting.count(POLL, 10, 2000)),
                        Duration.ZERO);
        return new Engine() {
            @Override
            public void run(TrialQueue queue, BooleanSupplier stopRequested) {
                files.prepare(setting.experimentJar());
                engine.run(queue, stopRequested);
            }

            @Override
            public String description() {
                return "orders in %s/orders, for \"panthera run-trial %s --index N\" to run"
                        .formatted(files.root(), files.root());
            }
        };
    }

    /** Somebody else's jobs: each is taken for alive until its outcome is there. */
    private static final class OthersJobs implements ArrayJobs {
        private final TrialFolder files;
        private final Set<Integer> open = new TreeSet<>();

        OthersJobs(TrialFolder files) {
            this.files = files;
        }

        @Override
        public void submit(List<Integer> indices) {
            open.addAll(indices);
        }

        @Override
        public Optional<Set<Integer>> alive() {
            return Optional.of(Set.copyOf(open));
        }

        /** They cannot be cancelled from here: what they write is found by the next run. */
        @Override
        public void cancel() {
            open.clear();
        }

        @Override
        public void forget() {
            open.clear();
        }

        @Override
        public String log(int index) {
            return files.logs().toString();
        }
    }
}
