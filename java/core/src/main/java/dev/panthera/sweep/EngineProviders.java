package dev.panthera.sweep;

import dev.panthera.UserException;
import java.util.Optional;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeSet;

/**
 * Finds the provider of an engine by name: first among the services that the thread's class loader sees, as under {@code
 * spark-submit}, then those that come with this library; the Spark engine, if it is not there, is loaded from its jar and
 * an installation of Spark (see {@link SparkLibraries}).
 */
public final class EngineProviders {
    private static final String SPARK = "spark";

    private EngineProviders() {}

    /**
     * The provider of that name.
     *
     * @throws UserException if there is none, or what it needs is not installed; says what to set
     */
    public static EngineProvider named(String name) {
        return find(Thread.currentThread().getContextClassLoader(), name)
                .or(() -> find(EngineProviders.class.getClassLoader(), name))
                .or(() -> name.equals(SPARK) ? Optional.of(spark()) : Optional.empty())
                .orElseThrow(() -> unknown(name));
    }

    private static Optional<EngineProvider> find(ClassLoader loader, String name) {
        return ServiceLoader.load(EngineProvider.class, loader).stream()
                .map(ServiceLoader.Provider::get)
                .filter(provider -> provider.name().equals(name))
                .findFirst();
    }

    private static EngineProvider spark() {
        return find(SparkLibraries.loader(), SPARK)
                .orElseThrow(() ->
                        new UserException(
                                "--engine spark: panthera-spark.jar has no engine for this version of Panthera; take both from one build"));
    }

    private static UserException unknown(String name) {
        var names = new TreeSet<>(Set.of(SPARK));
        ServiceLoader.load(EngineProvider.class, EngineProviders.class.getClassLoader())
                .forEach(provider -> names.add(provider.name()));
        return new UserException(
                "--engine %s: there is no such engine; choose from %s"
                        .formatted(name, String.join(", ", names)));
    }
}
