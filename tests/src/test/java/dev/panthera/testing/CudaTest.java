package dev.panthera.testing;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/**
 * Tests of CUDA devices. The build runs them in a JVM of their own whose driver is the emulator (tests/pom.xml). They are
 * skipped only where that was not built; that it does not work is a failure.
 */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@Tag("cuda")
@ExtendWith(CudaTest.Built.class)
public @interface CudaTest {

    /** In the JVM that is there for CUDA, looks for the library that its tests need. */
    final class Built implements ExecutionCondition {

        private static final String LIBRARY = "libpanthera_cuda.so";

        /** Whether this JVM is the one for CUDA. */
        static boolean isDemanded() {
            return "cuda".equals(System.getProperty("panthera.tests.backend"));
        }

        @Override
        public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
            Path folder = Path.of(System.getProperty("panthera.library.path"));
            return !isDemanded() || Files.isRegularFile(folder.resolve(LIBRARY))
                    ? ConditionEvaluationResult.enabled(LIBRARY + " is there, or not needed")
                    : ConditionEvaluationResult.disabled(
                            "%s has no %s: CMake builds it with the emulated driver if it finds a C++ compiler; install g++"
                                    .formatted(folder, LIBRARY));
        }
    }
}
