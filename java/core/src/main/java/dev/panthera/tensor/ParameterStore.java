package dev.panthera.tensor;

import dev.panthera.kernels.DataType;
import dev.panthera.kernels.Device;
import dev.panthera.kernels.DeviceBuffer;
import dev.panthera.kernels.DeviceStream;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The parameters of a model in device memory: trainable ones side by side in one flat array, with their gradients in
 * another, so that the optimizer's step is one pass. Each parameter starts on a cache line. The store owns the memory.
 */
public final class ParameterStore implements AutoCloseable {
    private static final long ALIGNED_ELEMENTS = 16;

    private final DataType type;
    private final Map<String, Tensor> named;
    private final IdentityHashMap<Tensor, Long> offsets = new IdentityHashMap<>();
    private final DeviceBuffer values;
    private final @Nullable DeviceBuffer gradients;
    private final long trainableElements;
    private final long trainableParameters;

    /**
     * Gives memory to the parameters and uploads their initial values.
     *
     * @param parameters name to parameter; one tensor may have several names (tied weights)
     */
    public ParameterStore(
            Device device, DeviceStream stream, DataType type, Map<String, Tensor> parameters) {
        this.type = type;
        this.named = new LinkedHashMap<>(parameters);
        List<Tensor> ordered = new ArrayList<>(distinct(parameters));
        ordered.sort((a, b) -> Boolean.compare(b.requiresGradient(), a.requiresGradient()));
        long total = 0;
        long trainable = 0;
        long counted = 0;
        for (Tensor tensor : ordered) {
            total += padded(tensor.size());
            trainable += tensor.requiresGradient() ? padded(tensor.size()) : 0;
            counted += tensor.requiresGradient() ? tensor.size() : 0;
        }
        trainableElements = trainable;
        trainableParameters = counted;
        values = device.allocate(type, Math.max(1, total));
        try {
            gradients = trainable == 0 ? null : device.allocate(type, trainable);
        } catch (RuntimeException | Error failure) {
            values.close();
            throw failure;
        }
        stream.zero(values);
        bind(stream, ordered);
        zeroGradients(stream);
    }

    private static List<Tensor> distinct(Map<String, Tensor> parameters) {
        var seen = new IdentityHashMap<Tensor, Boolean>();
        List<Tensor> result = new ArrayList<>();
        for (Tensor tensor : parameters.values()) {
            if (seen.put(tensor, true) == null) {
                result.add(tensor);
            }
        }
        return result;
    }

    private static long padded(long elements) {
        return (elements + ALIGNED_ELEMENTS - 1) / ALIGNED_ELEMENTS * ALIGNED_ELEMENTS;
    }

    private void bind(DeviceStream stream, List<Tensor> ordered) {
        long offset = 0;
        for (Tensor tensor : ordered) {
            DeviceBuffer own = values.slice(offset, tensor.size());
            boolean trainable = tensor.requiresGradient() && gradients != null;
            float[] initial = tensor.takeInitialValues();
            tensor.bind(own, trainable ? gradients.slice(offset, tensor.size()) : null);
            upload(stream, own, initial);
            offsets.put(tensor, offset);
            offset += padded(tensor.size());
        }
    }

    private void upload(DeviceStream stream, DeviceBuffer target, float[] source) {
        if (type == DataType.F64) {
            double[] wide = new double[source.length];
            for (int i = 0; i < source.length; i++) {
                wide[i] = source[i];
            }
            stream.copyToDevice(target, wide);
        } else {
            stream.copyToDevice(target, source);
        }
    }

    /** Name to parameter, in model order; tied parameters appear under each of their names. */
    public Map<String, Tensor> named() {
        return Collections.unmodifiableMap(named);
    }

    /** The trainable parameters, flat, including the padding between them, which stays zero. */
    public DeviceBuffer trainable() {
        return values.slice(0, Math.max(1, trainableElements));
    }

    /** The gradients of {@link #trainable()}, in the same places; null if nothing is trainable. */
    public @Nullable DeviceBuffer gradients() {
        return gradients;
    }

    /** The part of an array laid out as {@link #trainable()} that belongs to a trainable parameter. */
    public DeviceBuffer part(DeviceBuffer flat, Tensor parameter) {
        Long offset = offsets.get(parameter);
        if (offset == null || !parameter.requiresGradient()) {
            throw new IllegalArgumentException(
                    parameter + " is no trainable parameter of this store");
        }
        return flat.slice(offset, parameter.size());
    }

    /** Elements of {@link #trainable()}, padding included. */
    public long trainableElements() {
        return trainableElements;
    }

    /** Number of trainable parameters, tied ones counted once: what the field calls parameter count. */
    public long trainableParameters() {
        return trainableParameters;
    }

    /** Sets all gradients to zero. */
    public void zeroGradients(DeviceStream stream) {
        if (gradients != null) {
            stream.zero(gradients);
        }
    }

    /** Replaces a parameter's values. */
    public void load(DeviceStream stream, String name, float[] newValues) {
        Tensor tensor = named.get(name);
        if (tensor == null || tensor.size() != newValues.length) {
            throw new IllegalArgumentException(
                    name
                            + ": "
                            + newValues.length
                            + " values for "
                            + (tensor == null ? "no such parameter" : tensor.toString()));
        }
        upload(stream, tensor.values(), newValues);
    }

    @Override
    public void close() {
        values.close();
        if (gradients != null) {
            gradients.close();
        }
    }
}
