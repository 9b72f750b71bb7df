package dev.panthera.nn;

import dev.panthera.tensor.Tensor;
import java.lang.reflect.RecordComponent;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Finds the parameters of a model by walking its records. */
public final class Parameters {

    private Parameters() {}

    /**
     * All parameters under their state names, such as {@code backbone.layers.0.norm1.weight}, in the order of the record
     * components. A tensor that is reachable on two ways (tied weights) appears under both names.
     */
    public static Map<String, Tensor> of(Parameterized model) {
        Map<String, Tensor> found = new LinkedHashMap<>();
        walk(model, "", found);
        return found;
    }

    private static void walk(@Nullable Object value, String name, Map<String, Tensor> found) {
        switch (value) {
            case Tensor tensor -> found.put(name, tensor);
            case List<?> list -> {
                for (int i = 0; i < list.size(); i++) {
                    walk(list.get(i), join(name, Integer.toString(i)), found);
                }
            }
            case Parameterized block -> {
                if (!block.getClass().isRecord()) {
                    throw new IllegalArgumentException(
                            block.getClass() + " is Parameterized, so it must be a record");
                }
                for (RecordComponent component : block.getClass().getRecordComponents()) {
                    walk(read(component, block), join(name, stateName(component)), found);
                }
            }
            case null, default -> {}
        }
    }

    private static @Nullable Object read(RecordComponent component, Object owner) {
        try {
            var accessor = component.getAccessor();
            accessor.setAccessible(true);
            return accessor.invoke(owner);
        } catch (ReflectiveOperationException | RuntimeException e) {
            throw new IllegalStateException(
                    "the components of "
                            + owner.getClass().getName()
                            + " cannot be read; open its package to the module dev.panthera",
                    e);
        }
    }

    private static String join(String prefix, String name) {
        if (name.isEmpty()) {
            return prefix;
        }
        return prefix.isEmpty() ? name : prefix + "." + name;
    }

    private static String stateName(RecordComponent component) {
        StateName annotation = component.getAnnotation(StateName.class);
        return annotation != null
                ? annotation.value()
                : component
                        .getName()
                        .replaceAll("([a-z0-9])([A-Z])", "$1_$2")
                        .toLowerCase(Locale.ROOT);
    }
}
