package dev.panthera.cli;

import dev.panthera.UserException;
import dev.panthera.task.DataSegment;
import dev.panthera.task.Filler;
import dev.panthera.task.Mqar;
import dev.panthera.task.RowStream;
import dev.panthera.task.Split;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code panthera data mqar}: the rows that a run with the same options sees. */
@Command(
        name = "mqar",
        sortOptions = false,
        abbreviateSynopsis = true,
        description = {
            "Prints or writes rows of multi-query associative recall, the same that a training run with these",
            "options has. As text, 17>4201 is the token 17 with the label 4201."
        })
final class MqarDataCommand implements Callable<Integer> {
    private static final String DEFAULT = " Default: ${DEFAULT-VALUE}";

    private final Streams streams;

    @Option(
            names = "--length",
            paramLabel = "N",
            defaultValue = "64",
            description = "Tokens of a row." + DEFAULT)
    private int length;

    @Option(
            names = "--pairs",
            paramLabel = "N",
            defaultValue = "4",
            description = "Key-value pairs." + DEFAULT)
    private int pairs;

    @Option(
            names = "--passes",
            paramLabel = "N",
            defaultValue = "1",
            description = "How often the pairs are shown." + DEFAULT)
    private int passes;

    @Option(
            names = "--vocab",
            paramLabel = "N",
            defaultValue = "8192",
            description = "Number of tokens." + DEFAULT)
    private int vocab;

    @Option(
            names = "--power-a",
            paramLabel = "X",
            defaultValue = "0.01",
            description = "Exponent of the query distances; 1 is uniform." + DEFAULT)
    private double powerA;

    @Option(
            names = "--fillers",
            paramLabel = "random|zero",
            defaultValue = "random",
            description = "Tokens where nothing is asked." + DEFAULT)
    private Filler fillers;

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

    MqarDataCommand(Streams streams) {
        this.streams = streams;
    }

    @Override
    public Integer call() {
        var task = new Mqar(vocab, length, pairs, powerA, fillers, passes);
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
