package dev.panthera.mixer;

import dev.panthera.UserException;
import dev.panthera.kernels.BlockLists;
import dev.panthera.kernels.DataType;
import dev.panthera.mixer.NystromLandmarks.Points;
import dev.panthera.nn.Dropout;
import dev.panthera.nn.Init;
import dev.panthera.nn.Linear;
import dev.panthera.nn.StateName;
import dev.panthera.tensor.AttentionMergeOperation;
import dev.panthera.tensor.AttentionOperation;
import dev.panthera.tensor.AttentionRowsOperation;
import dev.panthera.tensor.Columns;
import dev.panthera.tensor.GatherRowsOperation;
import dev.panthera.tensor.PartialAttention;
import dev.panthera.tensor.PooledAttentionOperation;
import dev.panthera.tensor.ReshapeOperation;
import dev.panthera.tensor.SliceOperation;
import dev.panthera.tensor.SparseAttentionOperation;
import dev.panthera.tensor.SparseAttentionOperation.Visible;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Nyström attention (Xiong et al. 2021, arXiv 2102.03902) that looks at no later position. Positions are cut into segments. One that
 * has ended has a landmark: the means q~, k~, v~ of its queries, keys and values, and u, which it stands for. A query sees, in one
 * softmax, the landmarks of earlier segments and the positions of its own:
 *
 * <pre>
 * y(q, t) = softmax over j of (tau q . k~[j] + log(segment)) and s of (tau q . k[s]), of u[j] and v[s]
 *           j: segments that end before t's own; s &lt;= t in t's own segment; tau = 1 / sqrt(head_dim)
 * A[i,j] = softmax over j &lt;= i of (tau q~[i] . k~[j])
 * (A + ridge) u = B + ridge v~          B[i] = y(q~[i], the last position of segment i)
 * </pre>
 *
 * The system is lower triangular, B on the right having u of earlier segments alone, and is solved by substitution. With segments of
 * one position all of it is softmax attention: then u = v, whatever the ridge.
 *
 * <p>Two things differ from the paper. There B is the attention of q~ to all positions, which a state of a bounded size does not have:
 * each new landmark's query would meet the keys of all tokens again. Here it sees what every query sees. And there is no ridge; but
 * a diagonal entry of A is small wherever an earlier landmark fits better, and substitution multiplies errors by what lies beside it
 * over what is on it, so that u grows exponentially with the number of landmarks (the paper's six iterations stop short of the
 * inverse of small singular values, which bounds them). With a ridge u is drawn towards the means v~. From 1 on, an error of earlier
 * u reaches the next one smaller than it was: what lies beside the diagonal, less the weights of the same u in B, sums to less than 1,
 * and what is on it is more.
 *
 * <p>Not {@link #causal}: as the original computes it; see {@link PublishedNystrom}.
 */
public record Nystrom(
        @StateName("Wqkv") Linear projection,
        @StateName("out_proj") Linear output,
        @StateName("skip_connection") PublishedNystrom.@Nullable Skip skip,
        int heads,
        int landmarks,
        int segment,
        float ridge,
        Dropout dropout,
        boolean causal,
        PublishedNystrom.Options published)
        implements Mixer {
    private static final int DROPOUT_SITE = 8;

    /**
     * @param heads divides the width
     * @param landmarks of the longest sequence; its segments are as long as that makes them, in shorter sequences too
     * @param ridge weight of a segment's mean in what its landmark stands for, 0 or more
     * @param dropout probability of dropping an element of the output, before it is projected
     * @param causal whether no output depends on a later position; if not, as the original computes it
     * @param published what only the original's form has, the usual ones if {@code causal}
     */
    public record Config(
            int heads,
            int landmarks,
            double ridge,
            double dropout,
            boolean causal,
            PublishedNystrom.Options published)
            implements MixerConfig {
        public Config {
            Heads.requirePositive("nystrom", heads);
            UserException.require(
                    landmarks >= 1,
                    "nystrom with %d landmarks: at least one is needed; try 64",
                    landmarks);
            UserException.require(
                    ridge >= 0 && Double.isFinite(ridge),
                    "nystrom with a ridge of %s: expected 0 or more; try 1",
                    ridge);
            UserException.require(
                    dropout >= 0 && dropout < 1,
                    "nystrom dropout %s: a probability in [0, 1) is needed; try 0",
                    dropout);
            UserException.require(
                    !causal || PublishedNystrom.Options.USUAL.equals(published),
                    "nystrom: the options of published change the form as published alone; leave them as they are, or set causal=false");
        }

        public Config(int heads, int landmarks) {
            this(heads, landmarks, 1, 0, true, PublishedNystrom.Options.USUAL);
        }

        @Override
        public void check(int width) {
            Heads.requireDivisor(heads, width);
        }

        @Override
        public boolean needsPositions() {
            return true;
        }

        @Override
        public Nystrom build(Layer layer, Init init) {
            int width = layer.width();
            check(width);
            return new Nystrom(
                    Linear.of(width, layer.hidden(3), false, init),
                    Linear.residual(width, width, false, init),
                    causal ? null : PublishedNystrom.Skip.of(heads, published.skipTaps(), init),
                    heads,
                    landmarks,
                    Math.ceilDiv(layer.length(), landmarks),
                    (float) ridge,
                    new Dropout((float) dropout, 0, layer.dropoutKey(DROPOUT_SITE)),
                    causal,
                    published);
        }
    }

    /**
     * Lists that name, for groups of neighbouring queries, the segment that they are in.
     *
     * @param first position of the first query
     * @param length how many queries
     * @param queries of a group
     */
    private record OwnSegments(int first, int length, int queries, int segment) {
        int count() {
            return Math.ceilDiv(length, queries);
        }

        int[] blocks() {
            return IntStream.range(0, count()).map(i -> (first + i * queries) / segment).toArray();
        }

        BlockLists lists() {
            return new BlockLists(1, segment, queries, 1, 1);
        }
    }

    @Override
    public Tensor forward(Tape tape, Tensor x) {
        return output.apply(tape, dropped(tape, x));
    }

    @Override
    public Tensor forwardRows(Tape tape, Tensor x, Tensor rows) {
        return output.apply(tape, GatherRowsOperation.apply(tape, dropped(tape, x), rows));
    }

    /** All but the output projection. */
    private Tensor dropped(Tape tape, Tensor x) {
        Tensor attended = causal ? attend(tape, x) : attendAsPublished(tape, x);
        return dropout.isActive(tape) ? dropout.apply(tape, attended) : attended;
    }

    private Tensor attendAsPublished(Tape tape, Tensor x) {
        return PublishedNystrom.attend(tape, projection.apply(tape, x), landmarks, published, skip);
    }

    private QueriesKeysValues queriesKeysValues() {
        return new QueriesKeysValues(projection, heads, false);
    }

    private NystromLandmarks points() {
        return new NystromLandmarks(heads, segment, ridge);
    }

    /** What queries see of landmarks: all that have ended, each as much as its positions. */
    private PooledAttentionOperation.Blocks blocks() {
        return PooledAttentionOperation.Blocks.all(0, segment, points().logarithm());
    }

    /** How many landmarks some position of so many sees: those of the segments that end before the last one. */
    private int seen(int length) {
        return segment == 1 ? 0 : (length - 1) / segment;
    }

    private Tensor attend(Tape tape, Tensor x) {
        int length = x.size(1);
        int count = seen(length);
        if (count == 0) {
            return AttentionOperation.apply(tape, projection.apply(tape, x), heads, 0, 0, 0);
        }
        Tensor q = queriesKeysValues().queries(tape, x, 0);
        Tensor keysAndValues = queriesKeysValues().keysAndValues(tape, x, 0);
        int rows = count * segment;
        Points points =
                points().solve(
                                tape,
                                SliceOperation.apply(tape, q, 1, 0, rows),
                                SliceOperation.apply(tape, keysAndValues, 1, 0, rows),
                                null);
        var own = new OwnSegments(0, length, segment, segment);
        Tensor blocks = tape.integers(own, own::blocks, own.count());
        PartialAttention near =
                SparseAttentionOperation.apply(
                        tape,
                        Visible.listed(own.lists(), blocks),
                        heads,
                        heads,
                        Columns.of(q),
                        Columns.part(keysAndValues, 0, 2),
                        Columns.part(keysAndValues, 1, 2));
        PartialAttention far =
                PooledAttentionOperation.apply(
                        tape, blocks(), heads, heads, q, points.keys(), points.stand());
        return AttentionMergeOperation.apply(tape, far, near).o();
    }

    /** Of the tokens of segments that have ended, landmarks alone are kept. */
    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        requireCausal();
        int position = state.position();
        int count = x.size(1);
        Tensor q = queriesKeysValues().queries(tape, x, position);
        Tensor keysAndValues = queriesKeysValues().keysAndValues(tape, x, position);
        int most = seen(state.capacity());
        if (most == 0) {
            Tensor all = state.history("keys_and_values", keysAndValues);
            Tensor rows = state.rows(tape, state.capacity(), position, count);
            Tensor attended = AttentionRowsOperation.apply(tape, q, all, rows, heads, 0, 0, 0);
            return output.apply(tape, ReshapeOperation.apply(tape, attended, x.shape()));
        }
        int known = position / segment;
        int finished = Math.min((position + count) / segment, most);
        int[] shape = {x.size(0), most, x.size(2)};
        var points =
                new Points(state.tensor("landmark_keys", shape), state.tensor("landmarks", shape));
        Tensor queries = ofSegments(tape, state, "queries", q);
        Tensor own = ofSegments(tape, state, "keys_and_values", keysAndValues);
        points().prepare(tape);
        if (finished > known) {
            int rows = (finished - known) * segment;
            add(tape, Rows.of(tape, queries, 0, rows), Rows.of(tape, own, 0, rows), points, known);
        }
        PartialAttention near = nearby(tape, q, own, position % segment);
        if (finished == 0) {
            return output.apply(tape, near.o());
        }
        PartialAttention far =
                PooledAttentionOperation.extend(
                        tape, blocks(), position, heads, heads, q, points.keys(), points.stand());
        return output.apply(tape, AttentionMergeOperation.apply(tape, far, near).o());
    }

    /**
     * The rows of the segment that has not ended, followed by new ones. Those of the last segment are kept.
     *
     * @param x {@code (batch, count, channels)}, of the next positions
     * @return {@code (batch, rows, channels)}, from the beginning of the segment on; behind {@code x} there may be more
     */
    private Tensor ofSegments(Tape tape, DecodeState state, String name, Tensor x) {
        int within = state.position() % segment;
        int count = x.size(1);
        Tensor kept = state.tensor(name, x.size(0), segment, x.size(2));
        if (within + count <= segment) {
            Rows.copy(tape.stream(), x, 0, kept, within, count);
            return kept;
        }
        Tensor joined = Rows.allocate(tape, x, within + count);
        Rows.copy(tape.stream(), kept, 0, joined, 0, within);
        Rows.copy(tape.stream(), x, 0, joined, within, count);
        int rest = (within + count) % segment;
        Rows.copy(tape.stream(), joined, within + count - rest, kept, 0, rest);
        return joined;
    }

    /**
     * The queries' attention to their own segments.
     *
     * @param own keys and values from the beginning of the first query's segment on
     * @param within position of the first query in its segment
     */
    private PartialAttention nearby(Tape tape, Tensor q, Tensor own, int within) {
        int count = q.size(1);
        Visible visible = Visible.window(segment);
        if (within + count > segment) {
            var segments = new OwnSegments(within, count, 1, segment);
            Tensor blocks = tape.allocateConstant(DataType.I32, count);
            tape.stream().copyToDevice(blocks.values(), segments.blocks());
            visible = Visible.listed(segments.lists(), blocks);
        }
        return SparseAttentionOperation.extend(
                tape,
                visible,
                within,
                heads,
                heads,
                Columns.of(q),
                Columns.part(own, 0, 2),
                Columns.part(own, 1, 2));
    }

    /** Puts the landmarks of ended segments behind the first {@code known} ones. */
    private void add(Tape tape, Tensor queries, Tensor keysAndValues, Points kept, int known) {
        Points earlier =
                known == 0
                        ? null
                        : new Points(
                                Rows.of(tape, kept.keys(), 0, known),
                                Rows.of(tape, kept.stand(), 0, known));
        Points made = points().solve(tape, queries, keysAndValues, earlier);
        int count = made.keys().size(1);
        Rows.copy(tape.stream(), made.keys(), 0, kept.keys(), known, count);
        Rows.copy(tape.stream(), made.stand(), 0, kept.stand(), known, count);
    }

    /** Keys and values of landmarks; queries, keys and values of a segment. Of a single segment, keys and values. */
    @Override
    public long stateSize(int length) {
        int most = seen(length);
        long rows = most == 0 ? 2L * length : 2L * most + 3L * segment;
        return rows * output.weight().size(0);
    }

    /** Keys and values of landmarks alone. */
    @Override
    public long publishedStateSize(int length) {
        return 2L * landmarks * output.weight().size(0);
    }
}
