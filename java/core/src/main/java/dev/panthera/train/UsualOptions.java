package dev.panthera.train;

import dev.panthera.NamedConfigs;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/** What a listed mixer or task has for options. */
public final class UsualOptions {
    private UsualOptions() {}

    /** Key and value of each usual option, as in files; the group has no name. */
    public static <T> ObjectNode of(NamedConfigs<T> kinds, String name) {
        ObjectNode options = ConfigFile.tree(kinds.named(name), kinds.type());
        options.remove(ConfigFile.KIND);
        return options;
    }

    /** The keys of all options, with those that its parts have under any of the names that they can take. */
    public static Set<String> keys(NamedConfigs<?> kinds, String name) {
        Set<String> keys = new LinkedHashSet<>();
        collect(of(kinds, name), keys, new HashSet<>(Set.of(kinds)));
        return keys;
    }

    private static void collect(
            ObjectNode options, Set<String> keys, Set<NamedConfigs<?>> collected) {
        for (Map.Entry<String, JsonNode> option : options.properties()) {
            keys.add(option.getKey());
            NamedConfigs<?> parts = NamedGroups.KINDS.get(option.getKey());
            if (parts != null && collected.add(parts)) {
                parts.names().forEach(part -> collect(of(parts, part), keys, collected));
            }
        }
    }
}
