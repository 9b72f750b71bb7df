package dev.panthera.mixer;

import dev.panthera.nn.Init;

/** The options of a kind of selection: a record that checks its values when it is made. */
public interface SelectionConfig {

    /** Makes the selection of one layer, with its parameters. */
    Selection build(Layer layer, Init init);

    /** Whether the selection looks at the tokens themselves; see {@link MixerConfig#needsTokens}. */
    default boolean needsTokens() {
        return false;
    }
}
