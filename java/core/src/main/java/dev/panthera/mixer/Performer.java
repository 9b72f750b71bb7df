package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.nn.Init;

/**
 * Performer (Choromanski et al. 2021, arXiv 2009.14794): linear attention with {@linkplain RandomFeatures positive orthogonal random
 * features}, whose queries and keys are as wide as the values.
 */
public final class Performer {
    private Performer() {}

    /**
     * @param heads divides the width
     * @param features of each head
     */
    public record Config(int heads, int features) implements MixerConfig {
        public Config {
            Heads.requirePositive("performer", heads);
            UserException.require(
                    features >= 1,
                    "performer: features %d: at least one is needed; try 256",
                    features);
        }

        @Override
        public void check(int width) {
            Heads.requireDivisor(heads, width);
        }

        @Override
        public boolean needsPositions() {
            return true;
        }

        @Override
        public Based build(Layer layer, Init init) {
            check(layer.width());
            int channels = layer.width() / heads;
            return new Based.Config(channels, heads, new RandomFeatures.Config(features))
                    .build(layer, init);
        }
    }
}
