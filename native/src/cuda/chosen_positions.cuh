// The chosen positions of selected attention. Only the device knows how many there are.
#ifndef PAN_CUDA_CHOSEN_POSITIONS_CUH
#define PAN_CUDA_CHOSEN_POSITIONS_CUH

#include "attention.cuh"

// Bytes of workspace for the lists.
int64_t chosen_bytes(const pan_attention_desc *desc);

// Lists in `workspace` the positions that are chosen.
pan_status list_chosen(const pan_stream *stream, const char *op, const pan_attention_desc *desc, const float *chosen,
                       void *workspace, chosen_positions *lists);

// Gives positions that are not chosen zeros, and -Inf as their lse, which may be NULL.
pan_status clear_unchosen(const pan_stream *stream, const char *op, const pan_attention_desc *desc, const float *chosen,
                          float *x, const pan_head_layout &layout, float *lse);

#endif
