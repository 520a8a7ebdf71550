/* SPDX-License-Identifier: Apache-2.0 */
/* Writing many cells at once into a builder's column. */
#ifndef WHERRY_BUILTIN_GEN_FILL_H
#define WHERRY_BUILTIN_GEN_FILL_H

#include <string.h>

#include "gen.h"

/* Room for n values of `width` bytes without nulls; *ret is where they go. */
static inline wh_status gen_values(struct wh_column *c, int64_t n, size_t width, void **ret)
{
    WH_TRY(wh_col_reserve(c, n, 0));
    *ret = c->data + (size_t)c->n * width;
    c->n += n;
    return WH_OK;
}

#define GEN_VALUES(c, n, type)                                                                     \
    ({                                                                                             \
        void *gen_p_ = NULL;                                                                       \
        WH_TRY(gen_values((c), (n), sizeof(type), &gen_p_));                                       \
        (type *)gen_p_;                                                                            \
    })

/* Texts without nulls: begin, then per row copy to `p` and put the end, then end. */
struct gen_text {
    char *p;
    int32_t *end;
    char *base;
};

/* Room for n texts of at most `most` bytes in all, and 64 bytes to overrun by. */
static inline wh_status gen_text_begin(struct wh_column *c, int64_t n, size_t most,
                                       struct gen_text *ret)
{
    WH_TRY(wh_col_reserve(c, n, most + 64));
    *ret = (struct gen_text){(char *)c->data + c->data_n, c->offsets + c->n + 1, (char *)c->data};
    c->n += n;
    return WH_OK;
}

static inline void gen_text_put(struct gen_text *t, const char *s, size_t n)
{
    memcpy(t->p, s, n);
    t->p += n;
    *t->end++ = (int32_t)(t->p - t->base);
}

/* n <= 48; reads and writes 48 bytes, which is faster than a call. */
static inline void gen_text_put48(struct gen_text *t, const char *s, size_t n)
{
    memcpy(t->p, s, 48);
    t->p += n;
    *t->end++ = (int32_t)(t->p - t->base);
}

static inline void gen_text_end(struct wh_column *c, const struct gen_text *t)
{
    c->data_n = (size_t)(t->p - t->base);
}

#endif
