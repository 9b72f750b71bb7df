package dev.panthera.parity;

import dev.panthera.io.SafetensorsFile;
import dev.panthera.io.StoredTensor;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A recorded case: the tensors of one safetensors file and what its metadata says.
 *
 * @param name of the case, such as {@code causal_attention_L64}
 * @param file where its numbers are
 */
record Golden(String name, SafetensorsFile file) {

    static final String SUFFIX = ".safetensors";

    /** Tolerance of a case that names none. */
    private static final double DEFAULT_TOLERANCE = 2e-5;

    private static final Pattern TOLERANCE_IN_NOTE =
            Pattern.compile("[ar]tol\\s*[=~]?\\s*([0-9]+(?:\\.[0-9]*)?(?:e-?[0-9]+)?)");

    /** @throws dev.panthera.UserException if the file cannot be read or is malformed */
    static Golden read(Path path) {
        var file = SafetensorsFile.read(path);
        String stem = path.getFileName().toString().replace(SUFFIX, "");
        return new Golden(file.metadata().getOrDefault("case", stem), file);
    }

    /** A metadata entry; empty if it is absent, blank or {@code None}. */
    Optional<String> metadata(String key) {
        return Optional.ofNullable(file.metadata().get(key))
                .filter(text -> !text.isBlank() && !text.equals("None") && !text.equals("null"));
    }

    /** A metadata entry that holds a JSON object. */
    Options options(String key) {
        return Options.parse(key, metadata(key).orElse(""));
    }

    double number(String key) {
        String text =
                metadata(key)
                        .orElseThrow(() -> new IllegalArgumentException("metadata has no " + key));
        return Double.parseDouble(text);
    }

    boolean isEvaluation() {
        return metadata("mode").orElse("eval").startsWith("eval");
    }

    boolean has(String tensor) {
        return file.tensors().containsKey(tensor);
    }

    double[] doubles(String tensor) {
        return file.tensor(tensor).toDoubles();
    }

    float[] floats(String tensor) {
        return file.tensor(tensor).toFloats();
    }

    int[] ints(String tensor) {
        return file.tensor(tensor).toInts();
    }

    int[] shape(String tensor) {
        long[] shape = file.tensor(tensor).shape();
        int[] sizes = new int[shape.length];
        for (int i = 0; i < sizes.length; i++) {
            sizes[i] = Math.toIntExact(shape[i]);
        }
        return sizes;
    }

    /** Names of the tensors that begin with {@code prefix}, without it. */
    List<String> namesAfter(String prefix) {
        return file.tensors().keySet().stream()
                .filter(name -> name.startsWith(prefix))
                .map(name -> name.substring(prefix.length()))
                .sorted()
                .toList();
    }

    /**
     * The relative error that is allowed: the recommended one or that of the note, whichever is larger. The
     * recommendation is 30 times what the original itself loses in single precision, but at least 2e-5. Where the original
     * rounds to bfloat16, as we do not, the note has what that changes in values of about 1.
     */
    double tolerance() {
        double fromNote = 0;
        Matcher note = TOLERANCE_IN_NOTE.matcher(metadata("tolerance_note").orElse(""));
        while (note.find()) {
            fromNote = Math.max(fromNote, Double.parseDouble(note.group(1)));
        }
        double recommended = metadata("recommended_rtol").map(Double::parseDouble).orElse(0.0);
        double largest = Math.max(recommended, fromNote);
        return largest > 0 ? largest : DEFAULT_TOLERANCE;
    }

    /** The largest magnitude among all recorded gradients: G of the error's definition. */
    double gradientScale() {
        double largest = 0;
        for (Map.Entry<String, StoredTensor> entry : file.tensors().entrySet()) {
            if (isGradient(entry.getKey())) {
                for (double value : entry.getValue().toDoubles()) {
                    largest = Math.max(largest, Math.abs(value));
                }
            }
        }
        return largest;
    }

    /** Whether a tensor is a result of back-propagation, rather than the gradient that was put in, or a norm. */
    private static boolean isGradient(String tensor) {
        return tensor.startsWith("grad")
                && !tensor.equals("grad_output")
                && !tensor.startsWith("grad_out.")
                && !tensor.equals("grad_norms");
    }
}
