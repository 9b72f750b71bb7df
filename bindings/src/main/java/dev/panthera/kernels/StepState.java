package dev.panthera.kernels;

/**
 * A small block of device memory with what changes from step to step. Kernels read it when they run, so that a sequence
 * of calls can be recorded once and replayed with other values.
 */
public sealed interface StepState extends AutoCloseable permits RandomState, AdamWState {

    /** The block, of BYTE. */
    DeviceBuffer block();

    /** Frees the block; a second call does nothing. */
    @Override
    default void close() {
        block().close();
    }
}
