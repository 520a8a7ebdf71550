/* SPDX-License-Identifier: Apache-2.0 */
/* Columns whose cells stand alone; formulas in gen_cells.h. */
#include "gen_cells.h"
#include "data/number.h"

const char *const wh_gen_words[GEN_WORDS] = {
    "amber",   "basil",   "cedar",   "delta",   "ember",  "fjord",   "grove",   "harbor",
    "iris",    "jade",    "kelp",    "lagoon",  "maple",  "nectar",  "oasis",   "pearl",
    "quartz",  "raven",   "saffron", "tundra",  "umber",  "violet",  "willow",  "xenon",
    "yarrow",  "zephyr",  "anchor",  "beacon",  "canyon", "dune",    "estuary", "fern",
    "glacier", "heron",   "inlet",   "juniper", "kite",   "lotus",   "meadow",  "nimbus",
    "otter",   "prairie", "quill",   "ridge",   "summit", "thistle", "upland",  "valley",
    "walnut",  "yew",     "zinnia",  "bayou",   "cobalt", "drift",   "elm",     "flint",
    "gorge",   "hazel",   "island",  "jasper",  "knoll",  "larch",   "marsh",   "north",
};

static uint64_t cell(const struct gen_column *col, const struct gen_block *b, int i)
{
    return gen_at(col->stream, (uint64_t)b->first + (uint64_t)i);
}

GEN_FILL(wh_gen_fill_row)
{
    int64_t *p = GEN_VALUES(out, b->n, int64_t);

    for (int i = 0; i < b->n; i++)
        p[i] = col->low + b->first + i;
    return WH_OK;
}

/* One loop per width; nulls, where there can be some, go through the builder. */
#define EACH(ctype, value)                                                                         \
    do {                                                                                           \
        ctype *p = GEN_VALUES(out, b->n, ctype);                                                   \
        for (int i = 0; i < b->n; i++) {                                                           \
            uint64_t h = cell(col, b, i);                                                          \
            p[i] = (ctype)(value);                                                                 \
        }                                                                                          \
        return WH_OK;                                                                              \
    } while (0)

#define INTEGER (col->low + (int64_t)gen_index(col, h))

static wh_status slow_int(const struct gen_scan *sc, const struct gen_column *col,
                          struct wh_column *out, const struct gen_block *b)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t h = cell(col, b, i);
        int64_t v = INTEGER;

        if (gen_is_null(sc, col, h))
            WH_TRY(wh_col_null(out));
        else if (out->type.kind >= WH_K_U8 && out->type.kind <= WH_K_U64)
            WH_TRY(wh_col_u64(out, (uint64_t)v));
        else
            WH_TRY(wh_col_i64(out, v));
    }
    return WH_OK;
}

static bool has_nulls(const struct gen_scan *sc, const struct gen_column *col)
{
    return col->nullable && sc->null_below > 0;
}

GEN_FILL(wh_gen_fill_int)
{
    if (has_nulls(sc, col) || out->type.kind == WH_K_BOOL)
        return slow_int(sc, col, out, b);
    switch (out->width) {
    case 1:
        EACH(int8_t, INTEGER);
    case 2:
        EACH(int16_t, INTEGER);
    case 4:
        EACH(int32_t, INTEGER);
    default:
        EACH(int64_t, INTEGER);
    }
}

GEN_FILL(wh_gen_fill_float)
{
    if (!has_nulls(sc, col) && out->type.kind == WH_K_F64)
        EACH(double, (double)INTEGER / 4);
    if (!has_nulls(sc, col))
        EACH(float, (float)INTEGER / 4);
    for (int i = 0; i < b->n; i++) {
        uint64_t h = cell(col, b, i);

        if (gen_is_null(sc, col, h))
            WH_TRY(wh_col_null(out));
        else
            WH_TRY(wh_col_f64(out, (double)INTEGER / 4));
    }
    return WH_OK;
}

GEN_FILL(wh_gen_fill_decimal)
{
    if (!has_nulls(sc, col))
        EACH(__int128, INTEGER);
    for (int i = 0; i < b->n; i++) {
        uint64_t h = cell(col, b, i);

        if (gen_is_null(sc, col, h))
            WH_TRY(wh_col_null(out));
        else
            WH_TRY(wh_col_dec128(out, INTEGER));
    }
    return WH_OK;
}

enum {
    TEXT_MOST = 80 /* bytes of the longest text below */
};

static size_t put_word(char *p, uint64_t i)
{
    const char *word = wh_gen_words[i % GEN_WORDS];
    size_t n = strlen(word);

    memcpy(p, word, n);
    return n;
}

static size_t text_of(uint64_t i, char *p)
{
    size_t n = put_word(p, i);

    if (i >= GEN_WORDS) {
        p[n++] = '-';
        n += wh_print_u64(i / GEN_WORDS, p + n);
    }
    return n;
}

static size_t url_of(uint64_t i, char *p)
{
    size_t n = 12;

    memcpy(p, "https://www.", n);
    n += put_word(p + n, i);
    memcpy(p + n, ".example/", 9);
    n += 9;
    n += put_word(p + n, i / GEN_WORDS);
    p[n++] = '/';
    return n + wh_print_u64(i, p + n);
}

static wh_status fill_texts(const struct gen_scan *sc, const struct gen_column *col,
                            struct wh_column *out, const struct gen_block *b,
                            size_t (*make)(uint64_t, char *))
{
    char text[TEXT_MOST];

    for (int i = 0; i < b->n; i++) {
        uint64_t h = cell(col, b, i);

        if (gen_is_null(sc, col, h)) {
            WH_TRY(wh_put_null(out));
            continue;
        }
        WH_TRY(wh_put_bytes(out, text, make(gen_index(col, h), text)));
    }
    return WH_OK;
}

GEN_FILL(wh_gen_fill_text)
{
    return fill_texts(sc, col, out, b, text_of);
}

GEN_FILL(wh_gen_fill_url)
{
    return fill_texts(sc, col, out, b, url_of);
}

GEN_FILL(wh_gen_fill_dict)
{
    struct wh_column *values = &out->children[0];
    char text[TEXT_MOST];

    while (values->n < col->count)
        WH_TRY(wh_put_bytes(values, text, text_of((uint64_t)values->n, text)));
    for (int i = 0; i < b->n; i++) {
        uint64_t h = cell(col, b, i);

        if (gen_is_null(sc, col, h))
            WH_TRY(wh_col_null(out));
        else
            WH_TRY(wh_col_dict(out, (int32_t)gen_index(col, h)));
    }
    return WH_OK;
}
