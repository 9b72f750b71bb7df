package dev.panthera.mixer;

import dev.panthera.nn.Init;

/** The options of a kind of feature map: a record that checks its values when it is made. */
public interface FeatureMapConfig {

    /**
     * Makes the map, with its parameters.
     *
     * @param width channels of a head of queries and keys
     */
    FeatureMap build(int width, Init init);
}
