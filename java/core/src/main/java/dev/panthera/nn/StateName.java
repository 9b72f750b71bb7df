package dev.panthera.nn;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * The name of a record component in a model's state, where it differs from the component's own name in snake case. The
 * names are those of the original implementation's state dictionary, so that weights can be exchanged with it.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
public @interface StateName {
    String value();
}
