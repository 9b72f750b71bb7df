package dev.panthera.mixer;

import dev.panthera.nn.Init;

/** The options of a kind of state mixer. */
public interface StateMixerConfig {

    /** Makes the mixer of one layer, with its parameters. */
    StateMixer build(Layer layer, Init init);
}
