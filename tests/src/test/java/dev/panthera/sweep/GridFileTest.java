package dev.panthera.sweep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.panthera.UserException;
import dev.panthera.mixer.Mixers;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Sweeps as YAML files. */
class GridFileTest {

    @TempDir private Path folder;

    @Test
    void aFileSaysTheSameAsJava() throws IOException {
        var sweep =
                read(
                        """
                        name: widths
                        description: wider and wider
                        preset: default
                        set: {epochs: 2, batch: 16, data.train.*.examples: 64}
                        over:
                          mixer: [attention, {name: hyena}, {label: short, set: {model.mixer: short-conv, layers: 1}}]
                          d_model: [8, 16]
                          lr: [1e-3, 1e-2]
                          seed: [1, 2]
                        scales:
                          small: {set: {epochs: 1}, over: {d_model: [8], lr: [1e-2]}}
                        """);
        assertThat(sweep.name()).isEqualTo("widths");
        assertThat(sweep.description()).isEqualTo("wider and wider");
        var trials = sweep.grid().trials();
        assertThat(trials).hasSize(24);
        var last = trials.getLast();
        assertThat(last.factors())
                .containsOnly(
                        Map.entry("mixer", "short"),
                        Map.entry("d_model", "16"),
                        Map.entry("lr", "0.01"),
                        Map.entry("seed", "2"));
        assertThat(last.config().model().layers()).isEqualTo(1);
        assertThat(last.config().data().testBatch()).isEqualTo(16);
        assertThat(last.config().data().seed()).isEqualTo(2);
        assertThat(last.config().data().train().getFirst().examples()).isEqualTo(64);
        assertThat(trials.get(8).config().model().mixer())
                .isEqualTo(Mixers.SEQUENCE.named("hyena"));
        GridOptions.apply(sweep, "small", List.of());
        assertThat(sweep.grid().trials())
                .hasSize(6)
                .allSatisfy(trial -> assertThat(trial.config().epochs()).isEqualTo(1));
    }

    @Test
    void withoutANameTheFilesIsTaken() throws IOException {
        assertThat(read("over: {lr: [1e-3]}").name()).isEqualTo("grid");
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            value = {
                "overs: {lr: [1]}                  | overs: there is no such key      | description, name, over, preset",
                "over: {lr: 1e-3}                  | over.lr                          | it must be a list",
                "over: [lr]                        | over                             | a group of keys",
                "over: {lr: []}                    | lr                               | has no values",
                "over: {lr: [1, 1]}                | lr: 1                            | is there twice",
                "over: {lr: [1], learning_rate: [2]} | over.lr and over.learning_rate | the same thing",
                "over: {lr: [1], lr: [2]}          | grid.yaml                        | Duplicate",
                "over: {lr: [{set: {lr: 1}}]}      | over.lr                          | needs a label",
                "over: {lr: [{label: a, set: 3}]}  | over.lr                          | a group of keys",
                "over: {lr: [{label: a, set: {lr: 1}, x: 2}]} | x                     | label, set",
                "set: 3                            | set                              | a group of keys",
                "scales: {small: 3}                | scales.small                     | a group of keys",
                "scales: {small: {epochs: 3}}      | epochs                           | over, set",
                "preset: best                      | --preset best                    | figure-2",
                "name: a/b                         | sweep a/b                        | use letters",
                "- 3                               | grid.yaml                        | a group of keys",
                "over: {lr: [1                     | grid.yaml                        | neither YAML nor JSON",
                "over: {modle.layers: [1]}         | modle.layers=1                   | no key modle",
                "set: {data.batch: wide}           | data.batch                       | a whole number",
                "over: {mixer: [hyaena]}           | mixer=hyaena                     | attention"
            })
    void whatIsWrongInAFileIsNamed(String text, String what, String possible) {
        assertThatThrownBy(() -> read(text).grid())
                .isInstanceOf(UserException.class)
                .message()
                .contains(what, possible)
                .doesNotContain("\n");
    }

    @Test
    void aFileThatIsNotThereIsNamed() {
        assertThatThrownBy(() -> GridFile.read(folder.resolve("none.yaml")))
                .isInstanceOf(UserException.class)
                .hasMessageContaining("none.yaml: there is no such file");
    }

    private Sweep read(String text) throws IOException {
        return GridFile.read(Files.writeString(folder.resolve("grid.yaml"), text));
    }
}
