package dev.panthera.mixer;

import dev.panthera.kernels.Activation;
import dev.panthera.nn.Init;
import dev.panthera.tensor.EarlierOccurrencesOperation;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Positions whose token occurred before in its sequence, since only there can something be recalled by a repeated token (Arora et al.
 * 2023, arXiv 2312.04927, section 5). After n occurrences the score is {@code -log(n)}, and negative infinity at a token's first.
 *
 * <p>The paper lets all of them attend. So do we if they do not compete, and else at most so many of a prefix as the mixer says,
 * tokens that are rare so far first: a token that fills a text, such as MQAR's filler 0, then takes the places that others leave
 * and not all of them.
 *
 * @param ids of the positions of a call, int32 {@code (batch, length)}; null outside of one
 */
public record ProgrammaticSelection(boolean competes, @Nullable Tensor ids) implements Selection {

    /** @param limited whether at most k of a prefix are chosen; false: all whose token occurred before, the paper's rule */
    public record Config(boolean limited) implements SelectionConfig {
        @Override
        public boolean needsTokens() {
            return true;
        }

        @Override
        public ProgrammaticSelection build(Layer layer, Init init) {
            return new ProgrammaticSelection(limited, null);
        }
    }

    @Override
    public Selection withTokens(Tensor newIds) {
        return new ProgrammaticSelection(competes, newIds);
    }

    @Override
    public Tensor scores(Tape tape, Tensor x) {
        return scores(tape, tokens(), x.size(1), x.size(1));
    }

    @Override
    public Tensor extendScores(Tape tape, Tensor x, DecodeState state) {
        int count = x.size(1);
        return scores(tape, state.tokens("ids", tokens()), state.position() + count, count);
    }

    /** {@code log(min(n, 1) / max(n, 1))}: the quotient is finite, so that only the logarithm is not. */
    private static Tensor scores(Tape tape, Tensor ids, int length, int count) {
        Tensor earlier = EarlierOccurrencesOperation.apply(tape, ids, length, count);
        Tensor one = tape.constant(1, 1);
        Tensor atLeastOne = earlier.maximum(one);
        Tensor atMostOne = earlier.minus(atLeastOne).plus(one);
        return FeatureOps.activate(tape, Activation.LOG, atMostOne.dividedBy(atLeastOne));
    }

    private Tensor tokens() {
        if (ids == null) {
            throw new IllegalStateException(
                    "programmatic selection without tokens: ask the mixer for withTokens(ids) before");
        }
        return ids;
    }

    @Override
    public long stateSize(int length) {
        return length;
    }
}
