package dev.panthera.train;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/** Writes a checkpoint over and over until it is killed; number n says that all its parameters are n. */
final class CheckpointLoop {

    private CheckpointLoop() {}

    public static void main(String[] arguments) {
        Path file = Path.of(arguments[0]).resolve(Checkpoint.FILE);
        var config = TinyRuns.config("model.d_model=64", "data.train.*.task.vocab_size=1024");
        try (var session = TinyRuns.session(config, 1);
                var optimizer =
                        new AdamW(
                                session.device(),
                                session.stream(),
                                session.parameters(),
                                AdamW.Options.withWeightDecay(0))) {
            for (int n = 1; ; n++) {
                fill(session, n);
                Checkpoint.write(
                        file,
                        config,
                        session,
                        optimizer,
                        new Checkpoint.Position(0, 0, n, 0, false, List.of()));
                System.out.println("written");
            }
        }
    }

    private static void fill(Session session, int value) {
        session.parameters()
                .named()
                .forEach((name, tensor) -> {
                    var values = new float[(int) tensor.size()];
                    Arrays.fill(values, value);
                    session.parameters().load(session.stream(), name, values);
                });
    }
}
