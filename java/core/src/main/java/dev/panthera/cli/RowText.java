package dev.panthera.cli;

import dev.panthera.task.TaskConfig;

/** Rows as lines of text. */
enum RowText {
    /**
     * Positions with blanks between them; a labelled one is followed by {@code >} and its label. Several ids of a position have a
     * comma between them.
     */
    TEXT {
        @Override
        void append(StringBuilder line, int[] inputs, int[] labels) {
            int ids = inputs.length / labels.length;
            for (int i = 0; i < labels.length; i++) {
                for (int id = i * ids; id < (i + 1) * ids; id++) {
                    line.append(id == 0 ? "" : id % ids == 0 ? " " : ",").append(inputs[id]);
                }
                if (labels[i] != TaskConfig.IGNORE) {
                    line.append('>').append(labels[i]);
                }
            }
            line.append('\n');
        }
    },

    /** {@code {"inputs": [...], "labels": [...]}}, where label -100 means that nothing is asked. */
    JSONL {
        @Override
        void append(StringBuilder line, int[] inputs, int[] labels) {
            line.append("{\"inputs\": ");
            appendArray(line, inputs);
            line.append(", \"labels\": ");
            appendArray(line, labels);
            line.append("}\n");
        }
    };

    /** Appends a row and the end of its line. */
    abstract void append(StringBuilder line, int[] inputs, int[] labels);

    private static void appendArray(StringBuilder line, int[] values) {
        line.append('[');
        for (int i = 0; i < values.length; i++) {
            line.append(i == 0 ? "" : ", ").append(values[i]);
        }
        line.append(']');
    }
}
