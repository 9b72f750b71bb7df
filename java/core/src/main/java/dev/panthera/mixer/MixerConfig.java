package dev.panthera.mixer;

import dev.panthera.nn.Init;

/** The options of a kind of sequence mixer: a record that checks its values when it is made. */
public interface MixerConfig {

    /** Makes the mixer of one layer, with its parameters. */
    Mixer build(Layer layer, Init init);

    /**
     * Fails with a {@link dev.panthera.UserException} if no mixer with these options exists for this width.
     *
     * @param width channels of the model
     */
    default void check(int width) {}

    /**
     * Whether output t depends on inputs up to t only. One that looks ahead computes what was published, for comparison with it;
     * its recall is no measure of what it could generate, so every table and figure says that it is not causal.
     */
    default boolean causal() {
        return true;
    }

    /** Whether the mixer looks at the tokens themselves, which models of vectors do not have. */
    default boolean needsTokens() {
        return false;
    }

    /** Whether a model of this mixer alone cannot tell positions apart unless it learns an embedding of them. */
    default boolean needsPositions() {
        return false;
    }

    /** The block in which this mixer is usual, never {@link BlockKind#AUTO}: where no other is asked for, it is used. */
    default BlockKind usualBlock() {
        return BlockKind.TRANSFORMER;
    }
}
