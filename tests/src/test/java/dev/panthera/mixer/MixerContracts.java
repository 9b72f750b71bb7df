package dev.panthera.mixer;

import java.util.List;

/** Every sequence mixer with the options under which it must keep the contract. A new mixer adds a line. */
final class MixerContracts {

    /** Channels for which the options are valid. */
    static final int WIDTH = 8;

    private MixerContracts() {}

    /**
     * @param name in {@link Mixers}
     * @param config the options
     * @param golden a case recorded from the original
     */
    record Contract(String name, MixerConfig config, String golden) {
        @Override
        public String toString() {
            return config.toString();
        }
    }

    static List<Contract> all() {
        var oneHead = new Attention.Config(1, 0, true);
        return List.of(
                new Contract("attention", oneHead, "mha_h1"),
                new Contract("attention", new Attention.Config(2, 0, true), "mha_h2"),
                new Contract("attention", new Attention.Config(4, 0, false), "mha_nobias"),
                new Contract(
                        "hybrid",
                        new Hybrid.Config(List.of(new Attention.Config(2, 0, false), oneHead)),
                        "hybrid_idx1"));
    }
}
