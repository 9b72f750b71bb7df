/** Somebody else's module. */
module com.example.embedding {
    requires dev.panthera.kernels;
}
