package dev.panthera.train;

import com.fasterxml.jackson.annotation.JsonTypeInfo;
import dev.panthera.NamedConfigs;
import dev.panthera.mixer.FeatureMapConfig;
import dev.panthera.mixer.FeatureMaps;
import dev.panthera.mixer.MixerConfig;
import dev.panthera.mixer.Mixers;
import dev.panthera.mixer.StateMixerConfig;
import dev.panthera.task.GapLaw;
import dev.panthera.task.GapLaws;
import dev.panthera.task.TaskConfig;
import dev.panthera.task.Tasks;
import org.jspecify.annotations.Nullable;
import tools.jackson.databind.DatabindContext;
import tools.jackson.databind.JavaType;
import tools.jackson.databind.jsontype.impl.TypeIdResolverBase;

/** Translates between the classes of mixers, feature maps, tasks and laws and their names in files. */
final class KindOfConfig extends TypeIdResolverBase {
    private NamedConfigs<?> kinds = Tasks.ALL;

    @Override
    public void init(JavaType base) {
        kinds = named(base.getRawClass());
    }

    @Override
    public String idFromValue(DatabindContext context, Object value) {
        return switch (value) {
            case MixerConfig mixer -> Mixers.SEQUENCE.id(mixer);
            case StateMixerConfig mixer -> Mixers.STATE.id(mixer);
            case FeatureMapConfig map -> FeatureMaps.ALL.id(map);
            case TaskConfig task -> Tasks.ALL.id(task);
            case GapLaw law -> GapLaws.ALL.id(law);
            default -> throw new IllegalArgumentException(value.getClass().getName());
        };
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

    private static NamedConfigs<?> named(Class<?> base) {
        if (MixerConfig.class.isAssignableFrom(base)) {
            return Mixers.SEQUENCE;
        }
        if (StateMixerConfig.class.isAssignableFrom(base)) {
            return Mixers.STATE;
        }
        if (FeatureMapConfig.class.isAssignableFrom(base)) {
            return FeatureMaps.ALL;
        }
        return GapLaw.class.isAssignableFrom(base) ? GapLaws.ALL : Tasks.ALL;
    }

    @Override
    public JsonTypeInfo.Id getMechanism() {
        return JsonTypeInfo.Id.CUSTOM;
    }
}
