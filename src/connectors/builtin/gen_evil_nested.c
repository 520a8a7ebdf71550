/* SPDX-License-Identifier: Apache-2.0 */
/* evil, nested (option nested=true): lists, structs, maps, and a column without a type.
 *
 * h = gen_at(stream, row). The whole cell is null where h mod 8 is 0; it is empty (a struct: all
 * fields null) where h mod 8 is 1; else k = (h >> 8) mod 7 items (structs: one), item j from
 * x = gen_at(h, j + 1): null where x mod 8 is 0, else as said at the function.
 */
#include "gen_evil.h"

enum shape {
    CELL_NULL,
    CELL_EMPTY,
    CELL_FULL
};

static enum shape shape_of(uint64_t h)
{
    return h % 8 == 0 ? CELL_NULL : h % 8 == 1 ? CELL_EMPTY : CELL_FULL;
}

static uint64_t items_of(uint64_t h)
{
    return shape_of(h) == CELL_FULL ? (h >> 8) % 7 : 0;
}

/* The lower 32 bits of x >> 8, signed. */
static wh_status put_int32(struct wh_column *out, uint64_t x)
{
    return x % 8 == 0 ? wh_col_null(out) : wh_col_i64(out, (int32_t)(x >> 8));
}

/* Evil text number (x >> 8) mod n. */
static wh_status put_text(struct wh_column *out, uint64_t x)
{
    const char *s = wh_gen_evil_texts[(x >> 8) % GEN_EVIL_TEXTS];

    return x % 8 == 0 ? wh_col_null(out) : wh_col_bytes(out, s, strlen(s));
}

static wh_status put_list(struct wh_column *out, uint64_t h,
                          wh_status (*put)(struct wh_column *, uint64_t))
{
    if (shape_of(h) == CELL_NULL)
        return wh_col_null(out);
    for (uint64_t j = 0; j < items_of(h); j++)
        WH_TRY(put(&out->children[0], gen_at(h, j + 1)));
    return wh_col_close(out);
}

static GEN_FILL(fill_int_list)
{
    for (int i = 0; i < b->n; i++)
        WH_TRY(put_list(out, gen_evil_hash(col, b, i), put_int32));
    return WH_OK;
}

static GEN_FILL(fill_text_list)
{
    for (int i = 0; i < b->n; i++)
        WH_TRY(put_list(out, gen_evil_hash(col, b, i), put_text));
    return WH_OK;
}

/* struct<a: int32, b: utf8>: a from x = gen_at(h, 1), b from gen_at(h, 2). */
static wh_status put_struct(struct wh_column *out, uint64_t h)
{
    if (shape_of(h) == CELL_NULL)
        return wh_col_null(out);
    bool full = shape_of(h) == CELL_FULL;

    WH_TRY(put_int32(&out->children[0], full ? gen_at(h, 1) : 0));
    WH_TRY(put_text(&out->children[1], full ? gen_at(h, 2) : 0));
    return wh_col_close(out);
}

static GEN_FILL(fill_struct)
{
    for (int i = 0; i < b->n; i++)
        WH_TRY(put_struct(out, gen_evil_hash(col, b, i)));
    return WH_OK;
}

/* list<struct<a: int32, b: utf8>>: item j is the struct of hash x. */
static GEN_FILL(fill_struct_list)
{
    for (int i = 0; i < b->n; i++)
        WH_TRY(put_list(out, gen_evil_hash(col, b, i), put_struct));
    return WH_OK;
}

/* map<utf8, int64>: key j = words[(h + j) mod 64], value = x signed, null where x mod 8 is 0. */
static GEN_FILL(fill_map)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t h = gen_evil_hash(col, b, i);
        struct wh_column *entries = &out->children[0];

        if (shape_of(h) == CELL_NULL) {
            WH_TRY(wh_col_null(out));
            continue;
        }
        for (uint64_t j = 0; j < items_of(h); j++) {
            const char *key = wh_gen_words[(h + j) % GEN_WORDS];
            uint64_t x = gen_at(h, j + 1);

            WH_TRY(wh_col_bytes(&entries->children[0], key, strlen(key)));
            WH_TRY(x % 8 == 0 ? wh_col_null(&entries->children[1])
                              : wh_col_i64(&entries->children[1], (int64_t)x));
        }
        WH_TRY(wh_col_close(out));
    }
    return WH_OK;
}

static GEN_FILL(fill_nothing)
{
    for (int i = 0; i < b->n; i++)
        WH_TRY(wh_col_null(out));
    return WH_OK;
}

const struct gen_column wh_gen_evil_nested_columns[GEN_EVIL_NESTED_COLUMNS] = {
    {"ints", "list<int32>", fill_int_list, .nullable = true},
    {"texts", "list<utf8>", fill_text_list, .nullable = true},
    {"pair", "struct<a: int32, b: utf8>", fill_struct, .nullable = true},
    {"pairs", "list<struct<a: int32, b: utf8>>", fill_struct_list, .nullable = true},
    {"dir", "map<utf8, int64>", fill_map, .nullable = true},
    {"nothing", "null", fill_nothing, .nullable = true},
};
