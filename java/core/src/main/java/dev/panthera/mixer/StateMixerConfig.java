package dev.panthera.mixer;

import dev.panthera.nn.Init;

/** The options of a kind of state mixer. */
public interface StateMixerConfig {
    StateMixer build(Layer layer, Init init);
}
