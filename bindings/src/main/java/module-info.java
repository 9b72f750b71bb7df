/** The native kernels as a safe Java API: devices, streams, buffers and one typed method per op. Knows no model. */
module dev.panthera.kernels {
    requires static transitive org.jspecify;

    exports dev.panthera.kernels;
}
