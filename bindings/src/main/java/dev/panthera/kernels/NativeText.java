package dev.panthera.kernels;

import java.lang.foreign.MemorySegment;

/** Text that the native library hands out. */
final class NativeText {

    private NativeText() {}

    /** A NUL-terminated string in static storage; empty for NULL. */
    static String of(MemorySegment address) {
        return address.equals(MemorySegment.NULL) ? "" : address.getString(0);
    }
}
