package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.task.DataSegment;
import dev.panthera.task.RowStream;
import dev.panthera.task.Split;
import dev.panthera.task.TaskConfig;
import dev.panthera.task.Tasks;
import dev.panthera.train.ConfigDraft;
import dev.panthera.train.Presets;
import dev.panthera.train.UsualOptions;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code panthera data TASK}: the rows that a run with the same options sees. */
@Command(
        sortOptions = false,
        abbreviateSynopsis = true,
        optionListHeading = "%nThe rows:%n",
        footer = {
            "",
            "They are those that a training run with these options has. As text, 17>4201 is the token 17 with the",
            "label 4201."
        })
final class TaskDataCommand implements Callable<Integer> {
    private static final String DEFAULT = " Default: ${DEFAULT-VALUE}";

    private final Streams streams;
    private final String name;
    private final List<ConfigOption> taskOptions;

    @Option(
            names = "--examples",
            paramLabel = "N",
            defaultValue = "10",
            description = "Number of rows." + DEFAULT)
    private int examples;

    @Option(
            names = "--split",
            paramLabel = "train|validation|test",
            defaultValue = "train",
            description = "Split that the rows belong to." + DEFAULT)
    private Split split;

    @Option(
            names = "--seed",
            paramLabel = "N",
            defaultValue = "123",
            description = "Of the rows." + DEFAULT)
    private long seed;

    @Option(
            names = "--format",
            paramLabel = "text|jsonl|safetensors",
            defaultValue = "text",
            description = "How rows are written." + DEFAULT)
    private Format format;

    @Option(
            names = "--out",
            paramLabel = "FILE",
            description = "File to write. Default: standard output")
    private @Nullable Path out;

    private enum Format {
        TEXT,
        JSONL,
        SAFETENSORS
    }

    @Spec private CommandSpec spec;

    private TaskDataCommand(Streams streams, String name, List<ConfigOption> taskOptions) {
        this.streams = streams;
        this.name = name;
        this.taskOptions = taskOptions;
    }

    static CommandLine commandLine(Streams streams, String name) {
        Set<String> keys = UsualOptions.keys(Tasks.ALL, name);
        List<ConfigOption> options =
                ConfigOption.task("train").stream()
                        .filter(option -> keys.contains(option.lastKey()))
                        .toList();
        var commandLine = new CommandLine(new TaskDataCommand(streams, name, options));
        var spec = commandLine.getCommandSpec();
        spec.usageMessage()
                .description("Rows of %s: %s.".formatted(name, Tasks.ALL.description(name)));
        ConfigOption.addTo(spec, "The task:", options, draft(name));
        return commandLine;
    }

    private static ConfigDraft draft(String name) {
        return ConfigDraft.of(Presets.named(Presets.DEFAULT))
                .set("data.train.*.task", Tasks.ALL.named(name));
    }

    @Override
    public Integer call() {
        ConfigDraft draft = draft(name);
        ConfigOption.apply(taskOptions, spec.commandLine().getParseResult(), draft);
        draft.setYaml("data.test", draft.text("data.train")).setYaml("data.validation", "[]");
        TaskConfig task = draft.toData().train().getFirst().task();
        var rows = new TaskRows(new DataSegment(task, examples), new RowStream(seed, split, 0));
        RowText form = format == Format.JSONL ? RowText.JSONL : RowText.TEXT;
        if (format == Format.SAFETENSORS) {
            UserException.require(
                    out != null,
                    "--format safetensors: it is binary and needs a file; add --out rows.safetensors");
            rows.writeSafetensors(out);
        } else if (out != null) {
            rows.write(form, out);
        } else {
            rows.print(form, streams.out());
        }
        return Panthera.OK;
    }
}
