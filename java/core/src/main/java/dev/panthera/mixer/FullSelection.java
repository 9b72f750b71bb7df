package dev.panthera.mixer;

import dev.panthera.nn.Init;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/** All positions: what other selections come close to at best. */
public record FullSelection() implements Selection {

    public record Config() implements SelectionConfig {
        @Override
        public FullSelection build(Layer layer, Init init) {
            return new FullSelection();
        }
    }

    @Override
    public @Nullable Tensor scores(Tape tape, Tensor x) {
        return null;
    }

    @Override
    public boolean competes() {
        return false;
    }
}
