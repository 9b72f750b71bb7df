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
import dev.panthera.tensor.SparseAttentionOperation;
import dev.panthera.tensor.SparseAttentionOperation.Visible;
import dev.panthera.tensor.Tape;
import dev.panthera.tensor.Tensor;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Nyström attention (Xiong et al. 2021, arXiv 2102.03902) that looks at no later position. Positions are cut into segments, the last
 * of which is the query's own; a segment that has ended has a landmark: the means q~, k~, v~ of its queries, keys and values. What a
 * landmark stands for, u, solves a lower triangular system by substitution, so that it depends on no later segment:
 *
 * <pre>
 * A[i,j] = softmax over j &lt;= i of (tau q~[i] . k~[j])                       tau = 1 / sqrt(head_dim)
 * B[i] = sum_{s in segments up to i} softmax(tau q~[i] . k[s]) v[s]
 * (A + ridge) u = B + ridge v~
 * y[t] = one softmax over the landmarks of finished segments, of scores tau q[t] . k~[j] + log(segment) and values u[j], and over
 *        the positions s &lt;= t of its own segment, of scores tau q[t] . k[s] and values v[s]
 * </pre>
 *
 * With segments of one position this is softmax attention: then u = v, whatever the ridge. Without ridge u is the paper's
 * {@code pinv(A) B}, which cannot be used: a diagonal entry of A is small wherever an earlier landmark fits better, and substitution
 * multiplies errors by what lies beside it over what is on it, so that u grows exponentially with the number of landmarks: with 32 of
 * them, of smooth random inputs whose scores have a deviation of 4, to 1e19. (The paper's six iterations stop short of the inverse of
 * small singular values, which bounds them.) With a ridge r, u is the mean of a segment's values and a correction w, for which
 * {@code (A + r) w = B - A v~}: what the landmark's query sees of all positions, less what it sees of means. Since rows of A sum to
 * 1, a correction is at most {@code |B - A v~| / r + max |w| / r} of those before it; from r = 1 on corrections grow no faster than
 * their number.
 *
 * <p>In decoding, a token costs as many scores as there are landmarks and positions in its segment. Keys and values of all tokens are
 * kept nevertheless, because the query of a later landmark meets them all; the published size of the state leaves them out.
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
     * @param published what only the original's form has
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

    /** Rows of the last positions of segments, counted over the batch. */
    private record Ends(int batch, int length, int segment, int first, int count) {
        int[] rows() {
            int[] rows = new int[Math.multiplyExact(batch, count)];
            for (int i = 0; i < rows.length; i++) {
                int end = Math.multiplyExact(first + i % count + 1, segment) - 1;
                rows[i] = Math.addExact(Math.multiplyExact(i / count, length), end);
            }
            return rows;
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
        return PooledAttentionOperation.Blocks.all(0, segment, (float) Math.log(segment));
    }

    /** How many landmarks some position of so many sees: those of the segments that end before the last one. */
    private int seen(int length) {
        return segment == 1 ? 0 : (length - 1) / segment;
    }

    private Tensor attend(Tape tape, Tensor x) {
        int batch = x.size(0);
        int length = x.size(1);
        int count = seen(length);
        if (count == 0) {
            return AttentionOperation.apply(tape, projection.apply(tape, x), heads, 0, 0, 0);
        }
        Tensor q = queriesKeysValues().queries(tape, x, 0);
        Tensor keysAndValues = queriesKeysValues().keysAndValues(tape, x, 0);
        var ends = new Ends(batch, length, segment, 0, count);
        Points points =
                points().solve(
                                tape,
                                points().means(tape, q, 0, count),
                                points().means(tape, keysAndValues, 0, count),
                                keysAndValues,
                                tape.integers(ends, ends::rows, 1, batch * count),
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

    /**
     * A step costs a query's scores with the landmarks and with its own segment; where it ends one, also those of its landmark with all
     * positions.
     */
    @Override
    public Tensor extend(Tape tape, Tensor x, DecodeState state) {
        requireCausal();
        // Made in the first step, so that none behind it allocates.
        tape.constant(ridge, 1);
        int position = state.position();
        int count = x.size(1);
        Tensor q = queriesKeysValues().queries(tape, x, position);
        Tensor all =
                state.history(
                        "keys_and_values", queriesKeysValues().keysAndValues(tape, x, position));
        int most = seen(state.capacity());
        if (most == 0) {
            Tensor rows = state.rows(tape, state.capacity(), position, count);
            Tensor attended = AttentionRowsOperation.apply(tape, q, all, rows, heads, 0, 0, 0);
            return output.apply(tape, ReshapeOperation.apply(tape, attended, x.shape()));
        }
        int known = position / segment;
        int finished = Math.min((position + count) / segment, most);
        int[] shape = {x.size(0), most, x.size(2)};
        var points =
                new Points(state.tensor("landmark_keys", shape), state.tensor("landmarks", shape));
        Tensor ended = endedQueries(tape, q, state, finished - known);
        if (ended != null) {
            add(tape, ended, all, points, known);
        }
        PartialAttention near = nearby(tape, q, all, position);
        if (finished == 0) {
            return output.apply(tape, near.o());
        }
        PartialAttention far =
                PooledAttentionOperation.extend(
                        tape, blocks(), position, heads, heads, q, points.keys(), points.stand());
        return output.apply(tape, AttentionMergeOperation.apply(tape, far, near).o());
    }

    /** The queries' attention to their own segments. */
    private PartialAttention nearby(Tape tape, Tensor q, Tensor all, int position) {
        int count = q.size(1);
        Visible visible = Visible.window(position % segment + 1);
        if (count > 1) {
            var own = new OwnSegments(position, count, 1, segment);
            Tensor blocks = tape.allocateConstant(DataType.I32, count);
            tape.stream().copyToDevice(blocks.values(), own.blocks());
            visible = Visible.listed(own.lists(), blocks);
        }
        return SparseAttentionOperation.extend(
                tape,
                visible,
                position,
                heads,
                heads,
                Columns.of(q),
                Columns.part(all, 0, 2),
                Columns.part(all, 1, 2));
    }

    /**
     * Means of the queries of segments that end now. The queries of the segment that does not are kept.
     *
     * @param ends how many segments end
     * @return {@code (batch, ends, channels)}; null if none ends
     */
    private @Nullable Tensor endedQueries(Tape tape, Tensor q, DecodeState state, int ends) {
        int within = state.position() % segment;
        int count = q.size(1);
        Tensor kept = state.tensor("queries", q.size(0), segment, q.size(2));
        if (ends == 0) {
            Rows.copy(tape.stream(), q, 0, kept, within, Math.min(count, segment - within));
            return null;
        }
        Tensor joined = Rows.allocate(tape, q, within + count);
        Rows.copy(tape.stream(), kept, 0, joined, 0, within);
        Rows.copy(tape.stream(), q, 0, joined, within, count);
        int rest = Math.min(within + count - ends * segment, segment);
        Rows.copy(tape.stream(), joined, ends * segment, kept, 0, rest);
        return points().means(tape, joined, 0, ends);
    }

    /** Puts the landmarks of ended segments behind the first {@code known} ones. */
    private void add(Tape tape, Tensor queries, Tensor all, Points kept, int known) {
        int batch = queries.size(0);
        int count = queries.size(1);
        var ends = new Ends(batch, all.size(1), segment, known, count);
        Tensor rows = tape.allocateConstant(DataType.I32, 1, batch * count);
        tape.stream().copyToDevice(rows.values(), ends.rows());
        Points earlier =
                known == 0
                        ? null
                        : new Points(
                                Rows.of(tape, kept.keys(), 0, known),
                                Rows.of(tape, kept.stand(), 0, known));
        Tensor means = points().means(tape, all, known * segment, count);
        Points made = points().solve(tape, queries, means, all, rows, earlier);
        Rows.copy(tape.stream(), made.keys(), 0, kept.keys(), known, count);
        Rows.copy(tape.stream(), made.stand(), 0, kept.stand(), known, count);
    }

    /** Keys and values of every token; keys and values of landmarks; the queries of a segment. */
    @Override
    public long stateSize(int length) {
        int most = seen(length);
        long rows = 2L * length + (most == 0 ? 0 : 2L * most + segment);
        return rows * output.weight().size(0);
    }

    /** Keys and values of landmarks alone. */
    @Override
    public long publishedStateSize(int length) {
        return 2L * landmarks * output.weight().size(0);
    }
}
