package dev.panthera.testing;

import dev.panthera.kernels.Backend;
import dev.panthera.kernels.NativeInfo;
import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.ArgumentsProvider;
import org.junit.jupiter.params.provider.ArgumentsSource;
import org.junit.jupiter.params.support.ParameterDeclarations;

/**
 * Runs a parameterized test on each backend that this JVM can use; in the JVM that the build starts for CUDA, on that alone.
 */
@Target(ElementType.METHOD)
@Retention(RetentionPolicy.RUNTIME)
@Tag("every-backend")
@ExtendWith(CudaTest.Built.class)
@ArgumentsSource(EveryBackend.Usable.class)
public @interface EveryBackend {

    /** The backends without a problem; CUDA, whatever is wrong with it, where it is to be tested. */
    final class Usable implements ArgumentsProvider {

        @Override
        public Stream<Arguments> provideArguments(
                ParameterDeclarations parameters, ExtensionContext context) {
            if (CudaTest.Built.isDemanded()) {
                return Stream.of(Arguments.of(Backend.CUDA));
            }
            return Arrays.stream(Backend.values())
                    .filter(backend -> NativeInfo.backendProblem(backend).isEmpty())
                    .map(Arguments::of);
        }
    }
}
