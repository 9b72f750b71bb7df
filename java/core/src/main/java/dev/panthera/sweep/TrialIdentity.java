package dev.panthera.sweep;

import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mixers;
import dev.panthera.mixer.StateMixerConfig;
import dev.panthera.task.TaskConfig;
import dev.panthera.task.Tasks;
import dev.panthera.train.ConfigFile;
import dev.panthera.train.TrainConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.RecordComponent;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collection;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;

/**
 * The identity of a trial: a hash of everything that decides its result, which are its configuration, the version of what data and
 * models mean in this program, and the code of mixers and tasks that the program does not know itself.
 */
public final class TrialIdentity {
    /**
     * Grows when the same configuration no longer gives the same rows, initial values or training steps, up to rounding. A test
     * fixes what a small run gives, and fails when this has been forgotten.
     */
    public static final int SEMANTICS = 1;

    private static final int HEX_DIGITS = 16;

    private TrialIdentity() {}

    /** The identity of a run of this configuration, 16 hexadecimal digits. */
    public static String of(TrainConfig config) {
        MessageDigest digest = sha256();
        digest.update(("semantics " + SEMANTICS + "\n").getBytes(StandardCharsets.UTF_8));
        digest.update(ConfigFile.toJsonLine(config).getBytes(StandardCharsets.UTF_8));
        for (Class<?> type : foreign(config)) {
            digest.update(type.getName().getBytes(StandardCharsets.UTF_8));
            digest.update(code(type));
        }
        return HexFormat.of().formatHex(digest.digest()).substring(0, HEX_DIGITS);
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException everyJdkHasIt) {
            throw new IllegalStateException(everyJdkHasIt);
        }
    }

    /** The classes of an experiment's own mixers and tasks, with all that is nested beside them, by name. */
    private static Iterable<Class<?>> foreign(TrainConfig config) {
        var classes = new TreeSet<Class<?>>(Comparator.comparing(Class::getName));
        collect(config, classes);
        return classes;
    }

    private static void collect(Object value, Set<Class<?>> classes) {
        if (value instanceof Collection<?> values) {
            values.forEach(element -> collect(element, classes));
        } else if (value instanceof Record config) {
            if (isForeign(config)) {
                classes.add(config.getClass().getNestHost());
                classes.addAll(List.of(config.getClass().getNestHost().getNestMembers()));
            }
            for (RecordComponent component : config.getClass().getRecordComponents()) {
                collect(value(config, component), classes);
            }
        }
    }

    private static boolean isForeign(Record config) {
        return switch (config) {
            case MixerConfig mixer -> !Mixers.SEQUENCE.contains(Mixers.SEQUENCE.id(mixer));
            case StateMixerConfig mixer -> !Mixers.STATE.contains(Mixers.STATE.id(mixer));
            case TaskConfig task -> !Tasks.ALL.contains(Tasks.ALL.id(task));
            default -> false;
        };
    }

    private static Object value(Record config, RecordComponent component) {
        try {
            var accessor = component.getAccessor();
            accessor.setAccessible(true);
            return accessor.invoke(config);
        } catch (ReflectiveOperationException failure) {
            throw new IllegalStateException(failure);
        }
    }

    private static byte[] code(Class<?> type) {
        String file = type.getName().replace('.', '/') + ".class";
        var loader = type.getClassLoader();
        try (var stream =
                loader == null
                        ? ClassLoader.getSystemResourceAsStream(file)
                        : loader.getResourceAsStream(file)) {
            return stream == null ? new byte[0] : stream.readAllBytes();
        } catch (IOException failure) {
            throw new UncheckedIOException(failure);
        }
    }
}
