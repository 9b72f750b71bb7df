package dev.panthera.sweep;

import dev.panthera.mixer.FeatureMapConfig;
import dev.panthera.mixer.FeatureMaps;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mixers;
import dev.panthera.mixer.SelectionConfig;
import dev.panthera.mixer.Selections;
import dev.panthera.mixer.StateMixerConfig;
import dev.panthera.task.TaskConfig;
import dev.panthera.task.Tasks;
import dev.panthera.train.ConfigFile;
import dev.panthera.train.TrainConfig;
import java.lang.reflect.RecordComponent;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collection;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

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
        digest.update(ConfigFile.toIdentity(config).getBytes(StandardCharsets.UTF_8));
        foreign(config)
                .forEach((name, code) -> {
                    digest.update(name.getBytes(StandardCharsets.UTF_8));
                    digest.update(code);
                });
        return HexFormat.of().formatHex(digest.digest()).substring(0, HEX_DIGITS);
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException everyJdkHasIt) {
            throw new IllegalStateException(everyJdkHasIt);
        }
    }

    /** The classes of an experiment's own mixers and tasks, with those of the experiment that their code names, by name. */
    private static Map<String, byte[]> foreign(TrainConfig config) {
        var roots = new LinkedHashSet<Class<?>>();
        collect(config, roots);
        var code = new TreeMap<String, byte[]>();
        roots.forEach(root -> ForeignCode.collect(root, code));
        return code;
    }

    private static void collect(Object value, Set<Class<?>> classes) {
        if (value instanceof Collection<?> values) {
            values.forEach(element -> collect(element, classes));
        } else if (value instanceof Record config) {
            if (isForeign(config)) {
                classes.add(config.getClass());
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
            case FeatureMapConfig map -> !FeatureMaps.ALL.contains(FeatureMaps.ALL.id(map));
            case SelectionConfig selection ->
                    !Selections.ALL.contains(Selections.ALL.id(selection));
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
}
