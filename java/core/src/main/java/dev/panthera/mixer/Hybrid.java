package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.nn.Init;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.List;

/** Different mixers in different layers: layer l has configuration l modulo the number of configurations. */
public record Hybrid(Mixer mixer) implements Mixer {

    /** @param configs at least one */
    public record Config(List<MixerConfig> configs) implements MixerConfig {
        public Config {
            configs = List.copyOf(configs);
            UserException.require(
                    !configs.isEmpty(),
                    "--hybrid: a hybrid needs at least one mixer; try attention,base-conv");
        }

        /** These mixers in turn. */
        public static Config of(MixerConfig... configs) {
            return new Config(List.of(configs));
        }

        @Override
        public void check(int width) {
            configs.forEach(config -> config.check(width));
        }

        @Override
        public boolean causal() {
            return configs.stream().allMatch(MixerConfig::causal);
        }

        @Override
        public boolean needsTokens() {
            return configs.stream().anyMatch(MixerConfig::needsTokens);
        }

        @Override
        public Hybrid build(Layer layer, Init init) {
            return new Hybrid(configs.get(layer.index() % configs.size()).build(layer, init));
        }
    }

    @Override
    public Mixer withTokens(Tensor ids) {
        return mixer.withTokens(ids);
    }

    @Override
    public boolean causal() {
        return mixer.causal();
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return mixer.forward(tape, x);
    }

    @Override
    public Tensor forwardRows(Tape tape, Tensor x, Tensor rows) {
        return mixer.forwardRows(tape, x, rows);
    }

    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        return mixer.extend(tape, x, state);
    }

    @Override
    public long publishedStateSize(int length) {
        return mixer.publishedStateSize(length);
    }

    @Override
    public long stateSize(int length) {
        return mixer.stateSize(length);
    }
}
