package dev.panthera.track;

import dev.panthera.UserException;
import dev.panthera.train.MetricSink;
import dev.panthera.train.TrainResult;
import java.io.IOException;
import java.net.InetAddress;
import java.net.UnknownHostException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SequencedMap;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * Writes an event file for TensorBoard: the configuration as a text, and each line of metrics as an event with a scalar
 * for each name. A run that goes on writes a further file; it starts with a session log, which tells TensorBoard to
 * forget what the files before say about its steps.
 *
 * <p>Fields and numbers: {@code event.proto}, {@code summary.proto}, {@code tensor.proto} and {@code types.proto} of
 * TensorBoard's {@code compat/proto} (Apache-2.0).
 */
final class TensorBoardSink implements MetricSink {
    private static final String VERSION = "brain.Event:2";
    private static final String CONFIG_TAG = "config";

    private static final int EVENT_WALL_TIME = 1;
    private static final int EVENT_STEP = 2;
    private static final int EVENT_FILE_VERSION = 3;
    private static final int EVENT_SUMMARY = 5;
    private static final int EVENT_SESSION_LOG = 7;
    private static final int SESSION_LOG_STATUS = 1;
    private static final long SESSION_LOG_START = 1;
    private static final int SUMMARY_VALUE = 1;
    private static final int VALUE_TAG = 1;
    private static final int VALUE_SIMPLE_VALUE = 2;
    private static final int VALUE_TENSOR = 8;
    private static final int VALUE_METADATA = 9;
    private static final int METADATA_PLUGIN_DATA = 1;
    private static final int PLUGIN_DATA_NAME = 1;
    private static final int TENSOR_DTYPE = 1;
    private static final int TENSOR_SHAPE = 2;
    private static final int TENSOR_STRING_VALUE = 8;
    private static final long DTYPE_STRING = 7;

    private final Path folder;
    private @Nullable RecordFile file;

    /** @param folder of the run; it is made if need be */
    TensorBoardSink(Path folder) {
        this.folder = folder;
    }

    @Override
    public void started(String config, long steps) {
        try {
            Files.createDirectories(folder);
            var opened = newFile();
            file = opened;
            opened.write(event().with(EVENT_FILE_VERSION, VERSION).toBytes());
            // A step's number counts the steps done, so the first that this file supersedes is the
            // one after.
            var start = new ProtoMessage().with(SESSION_LOG_STATUS, SESSION_LOG_START);
            write(steps + 1, EVENT_SESSION_LOG, start);
            write(steps, EVENT_SUMMARY, new ProtoMessage().with(SUMMARY_VALUE, text(config)));
            opened.flush();
        } catch (IOException failure) {
            throw failed(failure);
        }
    }

    /** Files are read in the order of their names, so one of the same second gets the next. */
    private RecordFile newFile() throws IOException {
        String host = host();
        for (long second = System.currentTimeMillis() / 1000; ; second++) {
            try {
                return new RecordFile(
                        folder.resolve("events.out.tfevents.%010d.%s".formatted(second, host)));
            } catch (FileAlreadyExistsException ofAnotherProcess) {
                continue;
            }
        }
    }

    private static String host() {
        try {
            return InetAddress.getLocalHost().getHostName();
        } catch (UnknownHostException nameless) {
            return "localhost";
        }
    }

    /** Indented by four spaces: the text is shown as Markdown, where that is a block of code. */
    private static ProtoMessage text(String config) {
        String markdown =
                config.lines().map(line -> "    " + line).collect(Collectors.joining("\n"));
        var plugin = new ProtoMessage().with(PLUGIN_DATA_NAME, "text");
        return new ProtoMessage()
                .with(VALUE_TAG, CONFIG_TAG)
                .with(
                        VALUE_TENSOR,
                        new ProtoMessage()
                                .with(TENSOR_DTYPE, DTYPE_STRING)
                                .with(TENSOR_SHAPE, new ProtoMessage())
                                .with(TENSOR_STRING_VALUE, markdown))
                .with(VALUE_METADATA, new ProtoMessage().with(METADATA_PLUGIN_DATA, plugin));
    }

    @Override
    public void metrics(long step, SequencedMap<String, Number> values) {
        var summary = new ProtoMessage();
        values.forEach((name, value) ->
                summary.with(
                        SUMMARY_VALUE,
                        new ProtoMessage()
                                .with(VALUE_TAG, name)
                                .with(VALUE_SIMPLE_VALUE, value.floatValue())));
        try {
            write(step, EVENT_SUMMARY, summary);
        } catch (IOException failure) {
            throw failed(failure);
        }
    }

    private void write(long step, int what, ProtoMessage message) throws IOException {
        file().write(event().with(EVENT_STEP, step).with(what, message).toBytes());
    }

    private static ProtoMessage event() {
        return new ProtoMessage().with(EVENT_WALL_TIME, System.currentTimeMillis() / 1e3);
    }

    @Override
    public void flush() {
        try {
            file().flush();
        } catch (IOException failure) {
            throw failed(failure);
        }
    }

    @Override
    public void ended(TrainResult.@Nullable Ending ending) {
        try {
            file().close();
        } catch (IOException failure) {
            throw failed(failure);
        }
    }

    private RecordFile file() {
        if (file == null) {
            throw new IllegalStateException("the run has not started");
        }
        return file;
    }

    private UserException failed(IOException cause) {
        return new UserException(
                "--tensorboard: %s cannot be written (%s); check the folder and free space"
                        .formatted(folder, cause.getMessage()),
                cause);
    }
}
