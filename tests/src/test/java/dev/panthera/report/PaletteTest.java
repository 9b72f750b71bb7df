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

    /** By colour, more so where the shape is the same; the two that the published figures draw alike by shape and dash. */
    @Test
    void anyTwoListedMixersCanBeToldApart() {
        List<String> names = Mixers.SEQUENCE.names();
        for (int i = 0; i < names.size(); i++) {
            for (String other : names.subList(0, i)) {
                MixerStyle a = MixerStyle.known(names.get(i));
                MixerStyle b = MixerStyle.known(other);
                boolean sameShape = a.shape().equals(b.shape());
                double distance = distance(a.colour(), b.colour());
                assertThat(
                                distance > (sameShape ? 20 : 12)
                                        || !sameShape && !a.dash().equals(b.dash()))
                        .as("%s and %s: colours %.1f apart", names.get(i), other, distance)
                        .isTrue();
            }
        }
    }

    /** Between two colours in CIELAB (1976); 2 can just be told apart side by side. */
    private static double distance(String a, String b) {
        double[] p = lab(a);
        double[] q = lab(b);
        return Math.hypot(Math.hypot(p[0] - q[0], p[1] - q[1]), p[2] - q[2]);
    }

    private static double[] lab(String colour) {
        double[] linear = new double[3];
        for (int i = 0; i < 3; i++) {
            double c = Integer.parseInt(colour.substring(1 + 2 * i, 3 + 2 * i), 16) / 255.0;
            linear[i] = c <= 0.04045 ? c / 12.92 : Math.pow((c + 0.055) / 1.055, 2.4);
        }
        double x =
                cubeRoot((0.4124 * linear[0] + 0.3576 * linear[1] + 0.1805 * linear[2]) / 0.9505);
        double y = cubeRoot(0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]);
        double z = cubeRoot((0.0193 * linear[0] + 0.1192 * linear[1] + 0.9505 * linear[2]) / 1.089);
        return new double[] {116 * y - 16, 500 * (x - y), 200 * (y - z)};
    }

    private static double cubeRoot(double t) {
        return t > 0.008856 ? Math.cbrt(t) : 7.787 * t + 16.0 / 116;
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
