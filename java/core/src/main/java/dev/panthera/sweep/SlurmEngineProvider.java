package dev.panthera.sweep;

import dev.panthera.UserException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;

/** Makes engines that submit trials to Slurm. */
public final class SlurmEngineProvider implements EngineProvider {
    static final String SLOTS = "slots";
    static final String THREADS = "threads";
    static final String COMMAND = "command";
    static final String COMMANDS = "slurm-bin";
    static final String POLL = "poll-ms";
    static final String GRACE = "grace-ms";

    /** The options that are not sbatch's. */
    static final Set<String> OWN = Set.of(SLOTS, THREADS, COMMAND, COMMANDS, POLL, GRACE);

    /** What the engine itself says to sbatch. */
    private static final Set<String> RESERVED =
            Set.of("array", "parsable", "output", "wrap", "wait");

    /** For {@link java.util.ServiceLoader}. */
    public SlurmEngineProvider() {}

    @Override
    public String name() {
        return "slurm";
    }

    @Override
    public Map<String, String> options() {
        var options = new LinkedHashMap<String, String>();
        options.put(SLOTS, "most trials at once; default: no limit of ours");
        options.put(THREADS, "CPUs and threads of a trial; default: 1");
        options.put(
                COMMAND, "the words that run panthera on a node; default: as this process runs");
        options.put(COMMANDS, "folder of sbatch, squeue and scancel; default: as the PATH says");
        options.put(POLL, "milliseconds between two looks at the jobs; default: 2000");
        options.put(GRACE, "milliseconds in which an outcome may still appear; default: 30000");
        options.put("*", "an option of sbatch, for example partition, gres, time, account, mem");
        return options;
    }

    @Override
    public Engine open(EngineSetting setting) {
        for (String name : setting.options().keySet()) {
            UserException.require(
                    OWN.contains(name) || name.matches("[a-z][a-z-]*[a-z]"),
                    "engine option %s: it must be %s or an option of sbatch without its dashes, for example partition",
                    name,
                    String.join(", ", OWN.stream().sorted().toList()));
            UserException.require(
                    !RESERVED.contains(name),
                    "engine option %s: the engine sets it itself; leave it out%s",
                    name,
                    name.equals("array") ? " and use slots" : "");
        }
        setting.count(SLOTS, 1, 1);
        setting.count(THREADS, 1, 1);
        setting.count(POLL, 10, 2000);
        setting.count(GRACE, 0, 30_000);
        new SlurmCommands(setting.text(COMMANDS)).requireInstalled();
        return new SlurmEngine(setting);
    }
}
