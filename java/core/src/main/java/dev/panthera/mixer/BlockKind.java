package dev.panthera.mixer;

/** What a layer of a model does around its sequence mixer. */
public enum BlockKind {
    /** The one in which the mixer is usual; see {@link MixerConfig#usualBlock}. */
    AUTO,
    /** Layer norm, sequence mixer, layer norm, state mixer, with residual connections and dropout. */
    TRANSFORMER,
    /** RMS norm and sequence mixer with a residual connection: no state mixer, no dropout. */
    MAMBA;

    /** This kind, or what it means for a mixer. */
    public BlockKind with(MixerConfig mixer) {
        return this == AUTO ? mixer.usualBlock() : this;
    }
}
