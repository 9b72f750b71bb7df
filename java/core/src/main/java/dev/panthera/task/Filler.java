package dev.panthera.task;

import dev.panthera.random.CounterRandom;
import java.util.Arrays;

/** What stands at positions that carry no information. */
public enum Filler {
    /** Tokens uniform over the whole vocabulary; they may equal a key or value of the same row. */
    RANDOM {
        @Override
        void write(CounterRandom random, int[] inputs, int begin, int vocabSize) {
            for (int position = begin; position < inputs.length; position++) {
                inputs[position] = random.nextInt(vocabSize);
            }
        }
    },
    /** Token 0, which is never a key or value. */
    ZERO {
        @Override
        void write(CounterRandom random, int[] inputs, int begin, int vocabSize) {
            Arrays.fill(inputs, begin, inputs.length, 0);
        }
    };

    /** Writes fillers from a position to the end of a row. */
    abstract void write(CounterRandom random, int[] inputs, int begin, int vocabSize);
}
