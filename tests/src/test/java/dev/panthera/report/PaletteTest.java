package dev.panthera.report;

import static org.assertj.core.api.Assertions.assertThat;

import dev.panthera.mixer.Based;
import dev.panthera.mixer.Mixers;
import dev.panthera.mixer.TaylorExp;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

class PaletteTest {
    private static final List<String> PUBLISHED_ORDER =
            List.of(
                    "attention",
                    "sliding-attention",
                    "h3",
                    "hyena",
                    "based",
                    "mamba",
                    "gla",
                    "mamba2",
                    "deltanet",
                    "rwkv7",
                    "gated-deltanet",
                    "ttt-linear",
                    "ttt-mlp");

    private static final Based.Config AHEAD =
            new Based.Config(4, 1, new TaylorExp.Config(), 1e-12, false, false, 10000);

    private static Setting setting(String mixer) {
        return new Setting(mixer, 64, 64, 4, Map.of());
    }

    private static Palette palette(List<String> mixers) {
        return Palette.of(mixers.stream().map(PaletteTest::setting).toList());
    }

    @Test
    void mixersStandInThePublishedOrderWithOthersBehindThem() {
        List<String> mixers = new ArrayList<>(PUBLISHED_ORDER);
        mixers.addAll(List.of("base-conv", "long-conv", "implicit-conv", "short-conv", "my-mixer"));
        List<String> shuffled = new ArrayList<>(mixers);
        Collections.shuffle(shuffled, new Random(3));

        assertThat(palette(shuffled).lines()).extracting(Series::label).isEqualTo(mixers);
    }

    @Test
    void coloursAreThePublishedOnes() {
        assertThat(palette(PUBLISHED_ORDER).lines())
                .extracting(Series::colour)
                .containsExactly(
                        "#000000", "#000000", "#B07AA1", "#BAB0AC", "#59A14F", "#76B7B2", "#F28E2B",
                        "#4E79A7", "#E15759", "#EDC948", "#9C755F", "#D3722C", "#EDC948");
    }

    @Test
    void noTwoMixersLookTheSame() {
        List<String> mixers = new ArrayList<>(PUBLISHED_ORDER);
        mixers.addAll(
                List.of(
                        "base-conv",
                        "long-conv",
                        "implicit-conv",
                        "short-conv",
                        "rwkv",
                        "performer",
                        "cum-sum",
                        "hybrid",
                        "own-a",
                        "own-b",
                        "own-c"));

        assertThat(palette(mixers).lines())
                .extracting(line -> line.colour() + line.shape())
                .doesNotHaveDuplicates();
    }

    @Test
    void everyListedMixerHasALookOfItsOwn() {
        assertThat(Mixers.SEQUENCE.names())
                .allSatisfy(name -> assertThat(MixerStyle.known(name)).isNotNull());
    }

    /** In its shape, and told apart from the causal form beside it. */
    @Test
    void aMixerThatLooksAheadLooksLikeItselfButPaler() {
        var lines = palette(List.of("mamba", Mixers.marked("based", AHEAD), "based")).lines();

        assertThat(lines)
                .extracting(Series::label)
                .containsExactly("based", "based (non-causal)", "mamba");
        assertThat(lines.get(1).shape()).isEqualTo(lines.get(0).shape());
        assertThat(lines.get(1).colour()).isNotEqualTo(lines.get(0).colour());
        assertThat(lines.get(1).dash()).isNotEqualTo(lines.get(0).dash());
    }

    @Test
    void aMixersVariantsShareItsShapeInDifferentStrengths() {
        Palette palette =
                Palette.of(
                        List.of(
                                new Setting("based", 64, 64, 4, Map.of("features", "8")),
                                new Setting("based", 64, 64, 4, Map.of("features", "16")),
                                setting("attention")));

        assertThat(palette.lines())
                .extracting(Series::label)
                .containsExactly("attention", "based (features 8)", "based (features 16)");
        assertThat(palette.lines().subList(1, 3)).extracting(Series::shape).containsOnly("square");
        assertThat(palette.lines()).extracting(Series::colour).doesNotHaveDuplicates();
    }

    @Test
    void aFactorThatDoesNotVaryIsNotInTheLegend() {
        Palette palette =
                Palette.of(List.of(new Setting("based", 64, 64, 4, Map.of("layers", "2"))));

        assertThat(palette.lines()).extracting(Series::label).containsExactly("based");
    }
}
