package dev.panthera.kernels;

import dev.panthera.kernels.abi.PantheraAbi;

/**
 * A call that failed. The message says what was wrong, what was expected, the shapes and the device, for example
 * {@code linear_forward: x has 10 elements; expected at least 12; LinearKernel[...]; device cpu:avx512}. The subclass
 * tells the cause; nothing was computed, unless it is a {@link DeviceFailure} or the outputs are called unspecified.
 */
public abstract sealed class KernelException extends RuntimeException {

    private static final long serialVersionUID = 1L;

    private final int status;
    private final String op;
    private final String shapes;
    private final String device;

    private KernelException(int status, String op, String text, String shapes, String device) {
        super(message(text, shapes, device));
        this.status = status;
        this.op = op;
        this.shapes = shapes;
        this.device = device;
    }

    /** The {@code pan_status} of the failure. */
    public int status() {
        return status;
    }

    /** Name of the op or function that failed, for example {@code linear_forward}. */
    public String op() {
        return op;
    }

    /** The shapes of the call as text; empty if it has none. */
    public String shapes() {
        return shapes;
    }

    /** Name of the device, for example {@code cpu:avx512}; empty if none was involved. */
    public String device() {
        return device;
    }

    private static String message(String text, String shapes, String device) {
        var message = new StringBuilder(text);
        if (!shapes.isEmpty()) {
            message.append("; ").append(shapes);
        }
        if (!device.isEmpty()) {
            message.append("; device ").append(device);
        }
        return message.toString();
    }

    /** The exception of a native call that returned a status other than PAN_OK, with the library's own text. */
    static KernelException ofStatus(int status, String op, String shapes, String device) {
        String text = NativeText.of(PantheraAbi.pan_last_error());
        if (status == PantheraAbi.PAN_INVALID_ARGUMENT()) {
            return new InvalidArgument(op, text, shapes, device);
        } else if (status == PantheraAbi.PAN_UNSUPPORTED()) {
            return new Unsupported(op, text, shapes, device);
        } else if (status == PantheraAbi.PAN_OUT_OF_MEMORY()) {
            return new OutOfMemory(op, text, shapes, device);
        } else if (status == PantheraAbi.PAN_NO_DEVICE()) {
            return new NoDevice(op, text, shapes, device);
        } else if (status == PantheraAbi.PAN_DEVICE_ERROR()) {
            return new DeviceFailure(op, text, shapes, device);
        }
        return new InternalFailure(status, op, text, shapes, device);
    }

    /** A null, size, type, stride, alignment, overlap, id or lifetime is wrong. */
    public static final class InvalidArgument extends KernelException {

        private static final long serialVersionUID = 1L;

        InvalidArgument(String op, String text, String shapes, String device) {
            super(PantheraAbi.PAN_INVALID_ARGUMENT(), op, text, shapes, device);
        }
    }

    /** Valid, but this backend has no such kernel, type or option. */
    public static final class Unsupported extends KernelException {

        private static final long serialVersionUID = 1L;

        Unsupported(String op, String text, String shapes, String device) {
            super(PantheraAbi.PAN_UNSUPPORTED(), op, text, shapes, device);
        }
    }

    /** The device has too little memory left. */
    public static final class OutOfMemory extends KernelException {

        private static final long serialVersionUID = 1L;

        OutOfMemory(String op, String text, String shapes, String device) {
            super(PantheraAbi.PAN_OUT_OF_MEMORY(), op, text, shapes, device);
        }
    }

    /** The backend's library, driver or device is not there. */
    public static final class NoDevice extends KernelException {

        private static final long serialVersionUID = 1L;

        NoDevice(String op, String text, String shapes, String device) {
            super(PantheraAbi.PAN_NO_DEVICE(), op, text, shapes, device);
        }
    }

    /** The device reported a failure; on a CUDA stream possibly of an earlier call. */
    public static final class DeviceFailure extends KernelException {

        private static final long serialVersionUID = 1L;

        DeviceFailure(String op, String text, String shapes, String device) {
            super(PantheraAbi.PAN_DEVICE_ERROR(), op, text, shapes, device);
        }
    }

    /** A defect of the native library. */
    public static final class InternalFailure extends KernelException {

        private static final long serialVersionUID = 1L;

        InternalFailure(int status, String op, String text, String shapes, String device) {
            super(status, op, text, shapes, device);
        }
    }

    /** The native library cannot be loaded: there is none for this platform, or it is damaged or of another version. */
    public static final class NativeLibraryUnavailable extends KernelException {

        private static final long serialVersionUID = 1L;

        NativeLibraryUnavailable(String text) {
            super(PantheraAbi.PAN_NO_DEVICE(), "load", text, "", "");
        }

        NativeLibraryUnavailable(String text, Throwable cause) {
            this(text);
            initCause(cause);
        }
    }
}
