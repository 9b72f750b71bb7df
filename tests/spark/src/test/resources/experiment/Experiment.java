import dev.panthera.mixer.Layer;
import dev.panthera.mixer.Mixer;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/** A mixer that only this experiment has, and that stops, fails or kills its JVM where a test wants it to. */
record Staged(Linear projection) implements Mixer {
    /** Calls of this thread's model since it was built. */
    private static final ThreadLocal<int[]> CALLS = ThreadLocal.withInitial(() -> new int[1]);

    /** Where a test waits for trials that have come to their gate; not set, there is no gate. */
    private static final String GATE = System.getenv("PANTHERA_TEST_GATE");

    private static final int GATED_CALL = 25;

    /** @param accident {@code none}, {@code exception} or {@code halt} */
    record Config(String accident) implements MixerConfig {
        @Override
        public Staged build(Layer layer, Init init) {
            CALLS.get()[0] = 0;
            switch (accident) {
                case "exception" -> throw new IllegalStateException("this trial is meant to fail");
                case "halt" -> Runtime.getRuntime().halt(3);
                default -> {}
            }
            return new Staged(Linear.of(layer.width(), layer.width(), init));
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        if (++CALLS.get()[0] == GATED_CALL && GATE != null) {
            passGate();
        }
        return projection.apply(tape, x);
    }

    /** Tells the test who has come, and waits until it lets through. */
    private static void passGate() {
        try (var socket = new Socket(InetAddress.getLoopbackAddress(), Integer.parseInt(GATE))) {
            String pid = ProcessHandle.current().pid() + "\n";
            socket.getOutputStream().write(pid.getBytes(StandardCharsets.US_ASCII));
            socket.getInputStream().read();
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }

    @Override
    public long stateSize(int length) {
        return 0;
    }
}

void main() {}
