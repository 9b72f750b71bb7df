package dev.panthera.mixer;

import dev.panthera.nn.Init;

/**
 * What the selective lookups have in common: all positions attend in training, each by its gate, and the chosen ones in evaluation;
 * the input is added to the output.
 */
interface LookupConfig extends MixerConfig {
    int heads();

    int k();

    double dropout();

    boolean bias();

    /** What gates the positions, with its parameters. */
    Selection selection(Layer layer, Init init);

    default Attention.Config attention() {
        return new Attention.Config(heads(), dropout(), bias());
    }

    @Override
    default void check(int width) {
        attention().check(width);
    }

    @Override
    default boolean needsPositions() {
        return attention().needsPositions();
    }

    @Override
    default SelectedAttention build(Layer layer, Init init) {
        check(layer.width());
        return SelectedAttention.of(
                layer, init, attention(), selection(layer, init), k(), true, causal());
    }
}
