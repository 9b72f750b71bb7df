// The queries that a block of threads takes, and what they see: TILE positions, or where queries are listed or chosen,
// up to TILE of them that lie in one sequence.
//
// Only the device knows a list's numbers, so grids are sized by its length. No list makes a kernel read or write
// outside the arrays, or go on for long; one that is not ascending or has numbers out of range is reported.
#ifndef PAN_CUDA_ATTENTION_QUERIES_CUH
#define PAN_CUDA_ATTENTION_QUERIES_CUH

#include "attention.cuh"

// ---- a block's queries ----

// Which queries there are, and where their rows lie.
enum query_source {
    ALL_POSITIONS, // every position
    LISTED,        // the entries of query_rows: q, o and lse have a row for each
    CHOSEN         // some positions: q, o and lse have rows for all
};

// Up to TILE queries of a head, by ascending position. Unless CHOSEN they are neighbouring rows of q, o and lse.
template <query_source SOURCE> struct query_tile {
    int64_t head;      // over the batch
    int64_t row;       // of query 0, in the head's part of q and o; if LISTED, in all of them; of positions, if CHOSEN
    int64_t statistic; // of query 0, or if CHOSEN of position 0, in lse
    int64_t first, last; // positions of query 0 and of the last query, or of a query with the same keys' tiles
    int count;
    const int32_t *positions; // unless ALL_POSITIONS: of each, in shared memory; behind the last query -1

    __device__ int64_t position(int query) const {
        if constexpr (SOURCE == ALL_POSITIONS) {
            return first + query;
        } else {
            return positions[query];
        }
    }

    // Its number in lse.
    __device__ int64_t statistic_of(int query) const {
        return statistic + (SOURCE == CHOSEN ? position(query) : query);
    }
};

// Offset of element (b, 0, h, 0) of q or o; if LISTED, (0, h, 0).
template <query_source SOURCE>
__device__ int64_t head_offset(const attention_shape &shape, const pan_head_layout &layout,
                               const query_tile<SOURCE> &queries) {
    return SOURCE == LISTED ? queries.head % shape.desc.heads * layout.head_stride
                            : head_offset(shape, layout, queries.head);
}

// Rows from there on: of the head's part, or if LISTED up to the tile's last, or if CHOSEN the tile's.
template <query_source SOURCE>
__device__ int64_t row_count(const attention_shape &shape, const query_tile<SOURCE> &queries) {
    return SOURCE == ALL_POSITIONS ? shape.desc.length : queries.row + queries.count;
}

template <query_source SOURCE>
__device__ auto query_matrix(const attention_shape &shape, const float *x, const pan_head_layout &layout,
                             const query_tile<SOURCE> &queries) {
    const matrix rows = make_matrix(x + head_offset(shape, layout, queries), layout.length_stride,
                                    row_count(shape, queries), shape.desc.head_dim);
    if constexpr (SOURCE == CHOSEN) {
        return listed_rows{rows, queries.positions, rows.rows, rows.columns, rows.vectors};
    } else {
        return rows;
    }
}

template <query_source SOURCE>
__device__ void write_queries(const attention_shape &shape, float *x, const pan_head_layout &layout,
                              const query_tile<SOURCE> &queries, int64_t first_column, const tile_sums &tile) {
    float *const first = x + head_offset(shape, layout, queries) + queries.row * layout.length_stride;
    if constexpr (SOURCE == CHOSEN) {
        const auto row = [&](int query) {
            return query < queries.count ? first + queries.positions[query] * layout.length_stride : nullptr;
        };
        write_rows(row, shape.desc.head_dim, first_column, tile);
    } else {
        write_tile(first, layout.length_stride, row_count(shape, queries) - queries.row, shape.desc.head_dim,
                   first_column, tile);
    }
}

// Offset of the row of q or o that has number `statistic` in lse.
__device__ inline int64_t row_offset(const attention_shape &shape, const pan_head_layout &layout, int64_t statistic) {
    const int64_t rows = shape.listed == nullptr ? shape.desc.length : shape.desc.queries;
    const int64_t head = statistic / rows, row = statistic % rows * layout.length_stride;
    return row + (shape.listed == nullptr ? head_offset(shape, layout, head) : head * layout.head_stride);
}

// The TILE positions from `first` on.
__device__ inline query_tile<ALL_POSITIONS> queries_at(const attention_shape &shape, int64_t head, int64_t first) {
    const int64_t left = shape.desc.length - first;
    return {head,   first, head * shape.desc.length + first, first, first, static_cast<int>(left < TILE ? left : TILE),
            nullptr};
}

// ---- lists ----

// The first number in [begin, end) for which below(i) is false, or `end`; it is true before some number and false from
// there on. By all lanes of a warp, which look at as many numbers at once.
template <typename Below> __device__ int64_t first_above(int64_t begin, int64_t end, const Below &below) {
    const int lane = static_cast<int>(threadIdx.x) % WARP_THREADS;
    while (begin < end) {
        const int64_t step = (end - begin + WARP_THREADS - 1) / WARP_THREADS;
        const int64_t i = begin + (lane + 1) * step - 1;
        const int64_t next = begin + __popc(__ballot_sync(WHOLE_WARP, i < end && below(i))) * step;
        begin = next < end ? next : end;
        end = begin + step - 1 < end ? begin + step - 1 : end;
    }
    return begin;
}

// Entries [begin, end) of a list.
struct list_range {
    int64_t begin;
    int64_t end;
};

// A list that has the queries of a sequence: entries `origin` + position, ascending. There may be others around them.
struct query_list {
    const int32_t *entries;
    int64_t count;
    int64_t origin;
};

template <query_source SOURCE> __device__ query_list list_of(const attention_shape &shape, int64_t sequence) {
    const int64_t first = sequence * shape.desc.length;
    if constexpr (SOURCE == LISTED) {
        return {shape.listed, shape.desc.queries, first};
    } else {
        static_assert(SOURCE == CHOSEN, "all positions are no list");
        return {shape.chosen.list + first, shape.chosen.count[sequence], 0};
    }
}

// Those of a range that name positions [begin, end) of the sequence.
__device__ inline list_range entries_of(const query_list &list, list_range range, int64_t begin, int64_t end) {
    const int64_t first =
        first_above(range.begin, range.end, [&](int64_t i) { return list.entries[i] < list.origin + begin; });
    return {first, first_above(first, range.end, [&](int64_t i) { return list.entries[i] < list.origin + end; })};
}

// Up to TILE of the entries, which lie in the head's sequence. By all threads of the block.
template <query_source SOURCE>
__device__ query_tile<SOURCE> queries_listed(const attention_shape &shape, int64_t head, list_range entries,
                                             int32_t *positions) {
    const pan_attention_desc &desc = shape.desc;
    const query_list list = list_of<SOURCE>(shape, head / desc.heads);
    const auto position = [&](int64_t entry) {
        const int64_t found = list.entries[entry] - list.origin;
        return found < 0 ? 0 : found < desc.length ? found : desc.length - 1;
    };
    const int64_t left = entries.end - entries.begin;
    const int count = static_cast<int>(left < TILE ? left : TILE);
    __syncthreads(); // the positions may still be read
    if (threadIdx.x < TILE) {
        positions[threadIdx.x] =
            static_cast<int>(threadIdx.x) < count ? static_cast<int32_t>(position(entries.begin + threadIdx.x)) : -1;
    }
    __syncthreads();
    return {head,
            SOURCE == CHOSEN ? 0 : entries.begin,
            SOURCE == CHOSEN ? head * desc.length : head % desc.heads * desc.queries + entries.begin,
            position(entries.begin),
            position(entries.begin + count - 1),
            count,
            positions};
}

// The list is cut at multiples of TILE and between sequences. From one part to the next either the number of the block
// of entries grows or that of the sequence, so their sum is a part's number, and shapes alone bound it; but not every
// number is a part's.
__host__ __device__ inline int64_t list_parts(const attention_shape &shape) {
    return shape.list_blocks + shape.desc.batch - 1;
}

struct list_part {
    int64_t sequence;
    list_range entries; // may be none
};

__device__ inline list_part part_of(const attention_shape &shape, int64_t number) {
    const pan_attention_desc &desc = shape.desc;
    // The last block that begins in the sequence with which it has that number, or in an earlier one.
    const auto begins_before = [&](int64_t block) {
        return shape.listed[block * TILE] < (number - block + 1) * desc.length;
    };
    const int64_t block = first_above(0, shape.list_blocks, begins_before) - 1;
    const int64_t sequence = number - block;
    if (block < 0 || sequence < 0 || sequence >= desc.batch) {
        return {0, {0, 0}};
    }
    const int64_t begin = block * TILE, end = begin + TILE < desc.queries ? begin + TILE : desc.queries;
    return {sequence, entries_of(list_of<LISTED>(shape, sequence), {begin, end}, 0, desc.length)};
}

// Reports entries that are out of range or, among those that are not, out of order. Each item looks at others.
__device__ inline void check_list(const attention_shape &shape, int64_t item) {
    const int64_t i = item * TILE_THREADS + threadIdx.x;
    if (i >= shape.desc.queries) {
        return;
    }
    const int64_t positions = shape.desc.batch * shape.desc.length;
    const int64_t row = shape.listed[i], before = i > 0 ? shape.listed[i - 1] : 0;
    if (row < 0 || row >= positions || (row < before && before < positions)) {
        *shape.report = make_report(REPORT_QUERY_ROW, i);
    }
}

// ---- items of the kernels that go along the queries ----

template <query_source SOURCE> __host__ __device__ int64_t query_items(const attention_shape &shape) {
    return SOURCE == LISTED ? list_parts(shape) * shape.desc.heads * shape.column_groups : item_count(shape);
}

// By all threads of the block. Unless ALL_POSITIONS, an item may have none.
template <query_source SOURCE>
__device__ query_tile<SOURCE> take_queries(const attention_shape &shape, int64_t item, int32_t *positions) {
    const int64_t place = item / shape.column_groups;
    if constexpr (SOURCE == LISTED) {
        check_list(shape, item);
        const list_part part = part_of(shape, place / shape.desc.heads);
        return part.entries.begin == part.entries.end
                   ? query_tile<LISTED>{}
                   : queries_listed<LISTED>(shape, part.sequence * shape.desc.heads + place % shape.desc.heads,
                                            part.entries, positions);
    } else {
        // The longest first, so that none is left for the end.
        const int64_t head = place / shape.blocks, first = (shape.blocks - 1 - place % shape.blocks) * TILE;
        if constexpr (SOURCE == CHOSEN) {
            const int64_t count = shape.chosen.count[head / shape.desc.heads];
            return first < count ? queries_listed<CHOSEN>(shape, head, {first, count}, positions)
                                 : query_tile<CHOSEN>{};
        } else {
            return queries_at(shape, head, first);
        }
    }
}

// ---- what they see ----

// Which pairs of a tile of queries and a tile of keys count: the key lies neither behind the query nor in front of its
// window, and the query within the sequence. `whole`: all of them.
struct tile_mask {
    int last;    // largest distance of a key from its query, both counted from their tile's first
    int before;  // below the smallest one
    int queries; // of the tile
    bool whole;

    __device__ bool visible(int query, int key) const {
        return key - query <= last && key - query > before && query < queries;
    }
};

__device__ inline tile_mask make_mask(const attention_shape &shape, const query_tile<ALL_POSITIONS> &queries,
                                      int64_t first_key) {
    // Within a tile distances are below TILE; larger ones need not be told apart.
    const auto limited = [](int64_t x) { return static_cast<int>(x > TILE ? TILE : x < -TILE ? -TILE : x); };
    const int64_t diagonal = queries.first - first_key;
    const int last = limited(diagonal), before = limited(diagonal - shape.window);
    return {last, before, queries.count, last >= TILE - 1 && before <= -TILE && queries.count == TILE};
}

// Likewise of queries each of which has a place of its own.
struct listed_mask {
    const int32_t *positions;
    int64_t first_key;
    int64_t window;
    bool whole;

    __device__ bool visible(int query, int key) const {
        const int64_t distance = positions[query] - first_key - key;
        return distance >= 0 && distance < window;
    }
};

template <query_source SOURCE>
__device__ listed_mask make_mask(const attention_shape &shape, const query_tile<SOURCE> &queries, int64_t first_key) {
    const bool whole =
        queries.count == TILE && queries.first >= first_key + TILE - 1 && queries.last - first_key < shape.window;
    return {queries.positions, first_key, shape.window, whole};
}

#endif
