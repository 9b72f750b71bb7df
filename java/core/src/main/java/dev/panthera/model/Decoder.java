package dev.panthera.model;

import dev.panthera.UserException;
import dev.panthera.kernels.DataType;
import dev.panthera.kernels.DeviceStream;
import dev.panthera.kernels.RandomState;
import dev.panthera.mixer.DecodeState;
import dev.panthera.nn.Embedding;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.StepArena;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import dev.panthera.tensor.VocabularyLossOperation;

/**
 * Goes through sequences with a model, step by step, and keeps of them what its mixers need to go on: a prompt of any length,
 * then one token or several at a time; however they are divided, the logits are those of {@link LanguageModel#logits}. Holds
 * memory of the device until it is closed. Not for use by several threads.
 *
 * <p>A call that throws on the way through the model leaves nothing to go on from: the decoder can only be closed then.
 */
public final class Decoder implements AutoCloseable {
    private final LanguageModel model;
    private final DeviceStream stream;
    private final StepArena arena;
    private final RandomState random;
    private final Tape tape;
    private final DecodeState state;
    private boolean broken;

    /**
     * @param model whose parameters are on the stream's device
     * @param stream where it computes; stays open
     * @param batch sequences, which go on together
     * @param capacity the most tokens of a sequence, prompt included
     * @throws UserException if the model has fewer positions than that, or a mixer that is not causal
     */
    public Decoder(LanguageModel model, DeviceStream stream, int batch, int capacity) {
        UserException.require(
                batch >= 1 && capacity >= 1,
                "%d sequences of up to %d tokens: decoding needs at least one of each",
                batch,
                capacity);
        model.backbone().layers().forEach(block -> block.sequenceMixer().requireCausal());
        Embedding positions = model.backbone().embeddings().positionEmbeddings();
        UserException.require(
                positions == null || capacity <= positions.weight().size(0),
                "%d tokens: the model has learned %d positions; decode as many at most, or train it with longer sequences",
                capacity,
                positions == null ? 0 : positions.weight().size(0));
        this.model = model;
        this.stream = stream;
        var device = stream.device();
        DataType type = device.parameterType();
        random = RandomState.allocate(device, stream);
        arena = new StepArena(device);
        tape = new Tape(stream, arena, random, type);
        state = DecodeState.empty(device, stream, type, batch, capacity);
    }

    /** Tokens of each sequence so far. */
    public int position() {
        return state.position();
    }

    /** Bytes that are kept of all sequences, in all layers. */
    public long stateBytes() {
        return state.bytes();
    }

    /**
     * Appends tokens to the sequences.
     *
     * @param ids of the tokens that come next, sequence after sequence, as many of each
     * @return the logits behind each of them, {@code (batch, count, vocab_size)}; valid until the next call
     * @throws UserException if there are more tokens than the decoder was made for, or than a mixer can see
     */
    public Tensor append(int... ids) {
        return model.head().apply(tape, hidden(ids));
    }

    /**
     * As {@link #append}, for the token that follows alone.
     *
     * @return its logits in each sequence, {@code (batch, 1, vocab_size)}; valid until the next call
     */
    public Tensor next(int... ids) {
        Tensor logits = model.head().apply(tape, last(hidden(ids)));
        return ReshapeOperation.apply(tape, logits, state.batch(), 1, logits.size(-1));
    }

    /**
     * Appends a prompt, and then again and again the token of the largest logit, the first of equal ones.
     *
     * @param prompt as in {@link #append}; at least one token of each sequence
     * @param count of tokens that are wanted of each sequence. The last one is returned, but not appended.
     * @return the tokens, sequence after sequence
     */
    public int[] generate(int[] prompt, int count) {
        int batch = state.batch();
        requireRoom((long) prompt.length / batch + count - 1);
        int[] generated = new int[Math.multiplyExact(batch, count)];
        int[] ids = prompt;
        for (int i = 0; i < count; i++) {
            ids = largest(last(hidden(ids)));
            for (int b = 0; b < batch; b++) {
                generated[b * count + i] = ids[b];
            }
        }
        return generated;
    }

    private Tensor hidden(int[] ids) {
        int batch = state.batch();
        int count = ids.length / batch;
        if (broken) {
            throw new IllegalStateException(
                    "an earlier call has failed midway; make a new decoder");
        }
        if (count == 0 || ids.length % batch != 0) {
            throw new IllegalArgumentException(
                    "%d tokens; expected as many of each of %d sequences, at least one"
                            .formatted(ids.length, batch));
        }
        requireRoom(count);
        tape.begin(Tape.Mode.EVALUATION);
        broken = true;
        Tensor onDevice = tape.allocateConstant(DataType.I32, batch, count);
        stream.copyToDevice(onDevice.values(), ids);
        Tensor hidden = model.backbone().extend(tape, onDevice, state);
        broken = false;
        return hidden;
    }

    private void requireRoom(long count) {
        UserException.require(
                count <= state.capacity() - state.position(),
                "%d tokens after %d: the decoder was made for %d; make it with a larger capacity",
                count,
                state.position(),
                state.capacity());
    }

    /** The last position of each sequence, {@code (1, batch, channels)}. */
    private Tensor last(Tensor hidden) {
        int count = hidden.size(1);
        return count == 1
                ? ReshapeOperation.apply(tape, hidden, 1, state.batch(), hidden.size(2))
                : GatherRowsOperation.apply(tape, hidden, state.rows(tape, count, count - 1, 1));
    }

    /** The predictions of the loss, which does not care what the labels are and forms no logits. */
    private int[] largest(Tensor hidden) {
        Tensor labels = tape.allocateConstant(DataType.I32, 1, state.batch());
        stream.zero(labels.values());
        var result = VocabularyLossOperation.apply(tape, hidden, model.head().weight(), labels);
        return stream.toIntArray(result.argMax().values());
    }

    /** Gives the memory back. The model, its parameters and the stream stay. */
    @Override
    public void close() {
        tape.end();
        state.close();
        arena.close();
        random.close();
    }
}
