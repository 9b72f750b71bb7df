package dev.panthera.sweep;

import java.util.Map;

/**
 * Makes engines of one kind. Providers are found by {@link java.util.ServiceLoader}, so that engines which need further
 * libraries are modules of their own; see {@link EngineProviders}.
 */
public interface EngineProvider {

    /** The kind's name, as {@code --engine} takes it: lower-case letters. */
    String name();

    /** The options that it understands and what each means, for help texts; a name that ends in {@code *} stands for many. */
    Map<String, String> options();

    /**
     * An engine for a sweep. Nothing is started before the engine runs.
     *
     * @throws dev.panthera.UserException if an option is unknown or impossible, or something that the engine needs is missing
     */
    Engine open(EngineSetting setting);
}
