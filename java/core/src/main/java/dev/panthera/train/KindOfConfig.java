package dev.panthera.train;

import com.fasterxml.jackson.annotation.JsonTypeInfo;
import dev.panthera.NamedConfigs;
import dev.panthera.mixer.FeatureMaps;
import dev.panthera.mixer.Mixers;
import dev.panthera.mixer.Selections;
import dev.panthera.task.GapLaws;
import dev.panthera.task.Tasks;
import java.util.List;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.DatabindContext;
import tools.jackson.databind.JavaType;
import tools.jackson.databind.jsontype.impl.TypeIdResolverBase;

/** Translates between the classes of mixers, feature maps, selections, tasks and laws and their names in files. */
final class KindOfConfig extends TypeIdResolverBase {
    private static final List<NamedConfigs<?>> ALL =
            List.of(
                    Mixers.SEQUENCE,
                    Mixers.STATE,
                    FeatureMaps.ALL,
                    Selections.ALL,
                    Tasks.ALL,
                    GapLaws.ALL);

    private NamedConfigs<?> kinds = Tasks.ALL;

    @Override
    public void init(JavaType base) {
        kinds = named(base.getRawClass());
    }

    @Override
    public String idFromValue(DatabindContext context, Object value) {
        return id(named(value.getClass()), value);
    }

    private static <T> String id(NamedConfigs<T> kinds, Object value) {
        return kinds.id(kinds.type().cast(value));
    }

    @Override
    public String idFromValueAndType(
            DatabindContext context, @Nullable Object value, Class<?> type) {
        if (value == null) {
            throw new IllegalArgumentException("a configuration is null");
        }
        return idFromValue(context, value);
    }

    @Override
    public JavaType typeFromId(DatabindContext context, String id) {
        return context.constructType(kinds.kind(id));
    }

    private static NamedConfigs<?> named(Class<?> type) {
        return ALL.stream()
                .filter(kinds -> kinds.type().isAssignableFrom(type))
                .findFirst()
                .orElseThrow(() -> new IllegalArgumentException(type.getName()));
    }

    @Override
    public JsonTypeInfo.Id getMechanism() {
        return JsonTypeInfo.Id.CUSTOM;
    }
}
