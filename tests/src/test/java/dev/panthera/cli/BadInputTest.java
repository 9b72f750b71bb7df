package dev.panthera.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a user can get wrong gives one line that names it, exit code 2, and writes nothing. */
class BadInputTest {

    @TempDir Path folder;

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                    --length 63                         | --length 63          | even
                    --length 2                          | --length 2           | try 4
                    --pairs 17                          | need 68 positions    | --length 64
                    --pairs 9 --passes 3                | need 72 positions    | --length 64
                    --pairs 0                           | --pairs 0            | at least one
                    --vocab 64                          | --vocab 64           | larger than the length 64
                    --power-a 0                         | --power-a 0          | positive
                    --task recall                       | --task recall        | mqar, zipf-mqar
                    --task parity --pairs 4             | --pairs 4: parity has no option pairs | only length; leave it out or choose another task
                    --task parity --length 1            | --length 1           | at least one bit
                    --updates 2                         | --updates 2: mqar has no option updates | vocab_size, length, pairs
                    --gap 4                             | --gap 4: mqar has no option gap | leave it out
                    --task zipf-mqar --gap-law far      | --gap-law far        | power-law, uniform, geometric, fixed
                    --task zipf-mqar --gap 16           | --gap 16: zipf-mqar has no option gap | power_a
                    --task zipf-mqar --gap-law fixed --gap 4 | --gap 4       | between 8 and 56
                    --task compositional-mqar --pairs 5 | --pairs 5            | square number
                    --task forgetting-mqar --updates 9  | --updates 9          | try 2
                    --task selective-copying --data-tokens 0 | --data-tokens 0 | one to copy
                    --train-examples 0                  | 0 examples           | at least one
                    --heads 3                           | --heads 3            | divide the width
                    --heads 0                           | --heads 0            | at least one head
                    --d-model 0                         | --d-model 0          | at least one channel
                    --d-model 2000000000                | 2^31                 | --d-model
                    --layers 0                          | --layers 0           | at least one layer
                    --dropout 1                         | dropout 1.0          | probability
                    --mixer hyaena                      | --mixer hyaena       | attention
                    --state-mixer relu                  | --state-mixer relu   | identity, mlp, glu
                    --mixer hybrid --hybrid ,           | --hybrid             | try attention,base-conv
                    --hybrid attention,x                | x                    | attention
                    --hybrid attention --mixer attention| --hybrid             | attention
                    --mixer base-conv --taps 3,0        | --taps 0             | at least one tap
                    --mixer base-conv --taps 3,x        | --taps x             | a whole number
                    --mixer base-conv --taps ,          | --taps               | try 3,-1
                    --mixer short-conv --taps -1        | --taps -1            | try 3
                    --mixer short-conv --taps 3,-1      | --taps 3,-1          | short-conv takes one value
                    --mixer hyena --heads 3             | --heads 3: hyena has no option heads | max_length, short_taps
                    --hybrid hyena,long-conv --heads 3  | --heads 3: hybrid has no option heads | short_taps
                    --taps 3,-1                         | --taps 3,-1: attention has no option taps | heads, dropout, bias
                    --window 7                          | --window 7: attention has no option window | leave it out
                    --mixer short-conv --conv-method fft| --conv-method FFT: short-conv has no option method | only taps
                    --mixer sliding-attention --window 0| --window 0           | at least itself
                    --mixer long-conv --conv-method dft | --conv-method dft    | auto, direct or fft
                    --mixer base-conv --set model.mixer.taps=[3,x] | model.mixer.taps.1 | a whole number
                    --set model.taps=[3,-1]             | model.taps           | mixer, positions
                    --set model.mixer.taps=3            | model.mixer.taps: there is no such key | bias, dropout, heads
                    --set model.mixer.**.taps=3         | model.mixer.**.taps: attention has no option taps | heads
                    --set model.**=3                    | model.**             | model.mixer.**.heads
                    --set model.mixer=java.lang.String  | java.lang.String     | no record that implements MixerConfig
                    --set model.mixer=com.example.None  | --mixer com.example.None | attention
                    --set model.state_mixer=relu        | --state-mixer relu   | identity, mlp, glu
                    --set data.test.0.task=recall       | --task recall        | mqar
                    --set model.mixer=3                 | model.mixer: 3       | a name or a group
                    --validation-examples 3 --set data.validation=[] | --validation-examples 3: the list data.validation is empty | leave
                    --epochs 0                          | --epochs 0           | at least one
                    --epochs abc                        | --epochs abc         | a whole number
                    --epochs 99999999999                | --epochs 99999999999 | a whole number
                    --epochs                            | --epochs             | missing
                    --batch 0                           | --batch 0            | at least one
                    --lr NaN                            | --lr NaN             | positive
                    --lr fast                           | --lr fast            | a number
                    --weight-decay -1                   | --weight-decay -1    | 0 or a positive
                    --fillers none                      | --fillers none       | random or zero
                    --protocol x                        | --protocol x         | validation or published
                    --threads -1                        | --threads -1         | 1 to 1024
                    --device gpu                        | --device gpu         | cuda:0
                    --preset best                       | --preset best        | zoology-basic
                    --epoch 3                           | --epoch              | did you mean --epochs
                    surplus                             | surplus              | no such
                    --set data.batsh=3                  | data.batsh           | test_batch
                    --set batch=3                       | batch                | learning_rate
                    --set data.batch                    | --set data.batch     | a key and a value
                    --set model.mixer.x=3               | model.mixer.x        | bias, dropout, heads
                    --set model.layers.x=3              | model.layers.x       | below a value
                    --set modle.mixer=x                 | no key modle         | model
                    --set data.train.7.examples=3       | data.train.7.examples | 1 elements
                    --set protocol=best                 | protocol             | validation or published
                    --set epochs=[1                     | epochs               | neither YAML nor JSON
                    --model.d_model=wide                | model.d_model        | a whole number
                    --data.batch 2.5                    | data.batch: 2.5      | a whole number
                    --resume nowhere                    | --out                | keeps its configuration and folder
                    """)
    void aTrainingThatCannotBe(String arguments, String what, String possible) {
        Cli.run(("train --out " + folder.resolve("run") + " " + arguments).split(" "))
                .refused(what, possible);
        assertThat(folder).isEmptyDirectory();
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                    trian               | trian            | did you mean run-trial, train
                    eval                | CHECKPOINT       | missing
                    eval nowhere        | nowhere          | no checkpoint
                    data mqra           | mqra             | did you mean mqar
                    data mqar --length 9| --length 9       | even
                    data parity --pairs 3| --pairs         | no such option
                    data parity --length 1| --length 1     | at least one bit
                    data mqar --format x| --format x       | text, jsonl or safetensors
                    data mqar --format safetensors | safetensors | --out
                    data mqar --examples 0 | 0 examples    | at least one
                    data mqar --out /no/such/rows | /no/such/rows | does not exist
                    train --resume nowhere | nowhere       | no checkpoint
                    parity /no/such     | /no/such         | no
                    """)
    void anyOtherCommandThatCannotBe(String arguments, String what, String possible) {
        Cli.run(arguments.split(" ")).refused(what, possible);
    }

    @ParameterizedTest
    @CsvSource(
            delimiter = '|',
            textBlock =
                    """
                    'lr: 3'                     | lr: there is no such key           | learning_rate
                    'model: {width: 3}'         | model.width: there is no such key  | d_model
                    'model: 3'                  | model: 3                           | a group of keys
                    'epochs: many'              | epochs: "many"                     | a whole number
                    'epochs: null'              | epochs: null                       | a whole number
                    'epochs: 2.5'               | epochs: 2.5                        | a whole number
                    'data: {fillers: x}'        | data.fillers: there is no such key | train, validation
                    'data: {test: [{task: {filler: x}, examples: 1}]}' | data.test.0.task.filler: "x" | random or zero
                    'data: {test: [{task: {length: 8, pairs: 1}}]}'    | data.test.0.examples         | missing
                    'data: {test: [{examples: 3}]}'                    | data.test.0.task             | missing
                    'data: {test: [{task: 3, examples: 3}]}'           | data.test.0.task: 3          | a name or a group
                    'model: {mixer: {name: x}}'                        | --mixer x                    | attention
                    'model: {mixer: null}'                             | model.mixer: null            | a name or a group
                    'model: {mixer: {name: [x]}}'                      | model.mixer                  | name
                    'data: ['                   | neither YAML nor JSON              | line 1
                    '{epochs: 1, epochs: 2}'    | Duplicate                          | epochs
                    ''                          | a group of keys                    | config.yaml
                    """)
    void aConfigurationFileThatCannotBe(String content, String what, String possible)
            throws IOException {
        Path file = Files.writeString(folder.resolve("config.yaml"), content);
        Path run = folder.resolve("run");
        Cli.run("train", "--out", run.toString(), "--config", file.toString())
                .refused(what, possible);
        assertThat(run).doesNotExist();
    }

    @Test
    void aValueBeyondTheLimitsOfTheParser() {
        Cli.run("train", "--set", "epochs=" + "1".repeat(2000))
                .refused("epochs", "neither YAML nor JSON", "2000");
    }

    @Test
    void aConfigurationFileThatCannotBeRead() throws IOException {
        Cli.run("train", "--config", folder.resolve("none.yaml").toString())
                .refused("none.yaml", "no such file");
        Cli.run("train", "--config", folder.toString())
                .refused(folder.toString(), "cannot be read");
        Path binary =
                Files.write(
                        folder.resolve("binary.yaml"), new byte[] {(byte) 0xff, (byte) 0xfe, 0});
        Cli.run("train", "--config", binary.toString()).refused("binary.yaml", "UTF-8");
    }

    @Test
    void aFolderThatIsInUse() throws IOException {
        Files.writeString(folder.resolve("notes"), "mine");
        Cli.run("train", "--out", folder.toString()).refused(folder.toString(), "not empty");
        Cli.run("train", "--out", folder.resolve("notes").toString())
                .refused("notes", "it is a file");
        Files.writeString(folder.resolve("checkpoint.safetensors"), "another run");
        Cli.run("train", "--out", folder.toString()).refused("another run", "--resume " + folder);
        assertThat(folder.resolve("checkpoint.safetensors")).hasContent("another run");
    }

    @Test
    void theStackTraceIsPrintedIfAskedForWhereverTheOptionStands() {
        for (String[] args :
                new String[][] {
                    {"--stacktrace", "train", "--length", "63"},
                    {"train", "--length", "63", "--stacktrace"}
                }) {
            var run = Cli.run(args);
            assertThat(run.code()).isEqualTo(2);
            assertThat(run.err())
                    .startsWith("panthera: --length 63")
                    .contains("UserException", "\tat ");
        }
    }
}
