package dev.panthera.tensor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.kernels.CausalTopKKernel;
import dev.panthera.testing.Gradients;
import dev.panthera.testing.Rig;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Positions chosen by scores, and attention of these, on the tape. */
class SelectionOperationsTest {
    private static final int BATCH = 2;
    private static final int LENGTH = 7;
    private static final int CHANNELS = 6;
    private static final int HEADS = 2;

    private static Tensor packed(Rig rig) {
        return rig.leaf(
                Rig.gaussian(3, BATCH * LENGTH * 3 * CHANNELS), BATCH, LENGTH, 3 * CHANNELS);
    }

    private static Tensor scores(Rig rig, int... shape) {
        return rig.leaf(Rig.gaussian(4, BATCH * LENGTH), shape);
    }

    @Test
    void choicesAreConstantsOfTheScoresShape() {
        try (var rig = Rig.exact()) {
            for (int[] shape : new int[][] {{BATCH, LENGTH}, {BATCH, LENGTH, 1}}) {
                Tensor score = scores(rig, shape);
                rig.tape().begin(Tape.Mode.TRAINING);
                Tensor chosen = CausalTopKOperation.apply(rig.tape(), score, 1);
                assertThat(chosen.shape()).isEqualTo(shape);
                assertThat(chosen.requiresGradient()).isFalse();
                double[] x = rig.values(score);
                double[] choice = rig.values(chosen);
                double largest = 0;
                for (int i = 0; i < x.length; i++) {
                    boolean leads = i % LENGTH == 0 || x[i] > largest;
                    largest = leads ? x[i] : largest;
                    assertThat(choice[i]).isEqualTo(leads ? 1 : 0);
                }
            }
        }
    }

    @Test
    void gradientsPassToWhatTheChosenSee() {
        try (var rig = Rig.exact()) {
            Tensor packed = packed(rig);
            Tensor score = scores(rig, BATCH, LENGTH);
            for (long k : new long[] {1, 3, LENGTH, CausalTopKKernel.SQUARE_ROOT}) {
                for (int window : new int[] {0, 3}) {
                    Gradients.check(
                            rig,
                            List.of(packed),
                            tape ->
                                    SelectedAttentionOperation.apply(
                                            tape,
                                            packed,
                                            CausalTopKOperation.apply(tape, score, k),
                                            HEADS,
                                            window,
                                            0,
                                            0));
                    assertThat(rig.gradient(score)).containsOnly(0);
                }
            }
        }
    }

    @Test
    void choosingAllIsAttention() {
        try (var rig = Rig.exact()) {
            Tensor packed = packed(rig);
            Tensor score = scores(rig, BATCH, LENGTH, 1);
            rig.tape().begin(Tape.Mode.TRAINING);
            Tensor all = AttentionOperation.apply(rig.tape(), packed, HEADS, 0, 0.3f, 5);
            Tensor chosen = CausalTopKOperation.apply(rig.tape(), score, LENGTH);
            Tensor selected =
                    SelectedAttentionOperation.apply(rig.tape(), packed, chosen, HEADS, 0, 0.3f, 5);
            assertThat(rig.values(selected))
                    .usingComparatorWithPrecision(1e-14)
                    .containsExactly(rig.values(all));
        }
    }

    @Test
    void otherShapesAreRefused() {
        try (var rig = Rig.exact()) {
            Tensor packed = packed(rig);
            Tensor chosen = scores(rig, BATCH, LENGTH);
            Tensor turned = scores(rig, LENGTH, BATCH);
            Tensor flat = scores(rig, BATCH * LENGTH);
            for (Tensor bad : List.of(turned, flat, packed)) {
                assertThatThrownBy(() ->
                                SelectedAttentionOperation.apply(
                                        rig.tape(), packed, bad, HEADS, 0, 0, 0))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("selected attention: ");
            }
            assertThatThrownBy(() ->
                            SelectedAttentionOperation.apply(
                                    rig.tape(), packed, chosen, 4, 0, 0, 0))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("for 4 heads");
            for (Tensor bad : List.of(flat, packed)) {
                assertThatThrownBy(() -> CausalTopKOperation.apply(rig.tape(), bad, 1))
                        .isInstanceOf(IllegalArgumentException.class)
                        .hasMessageContaining("expected (batch, length), k >= 0");
            }
            assertThatThrownBy(() -> CausalTopKOperation.apply(rig.tape(), chosen, -1))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("k = -1");
        }
    }
}
