/* SPDX-License-Identifier: Apache-2.0 */
/* posts: long texts as a forum keeps them, 0.5 to 20 kB, with everything that text formats trip
 * over: quotes, commas, line ends of both kinds, tabs, backslashes, code, links, four-byte
 * characters.
 *
 * Bodies are cut out of a pool of text blocks. Block k = 0, 1, ... draws numbers from
 * D(j) = gen_at(gen_sub(key, 200), j), j counting on over all blocks: template number
 * gen_below(D, 16) of those below (8 and more: a paragraph), each %W one word
 * wh_gen_words[gen_below(D, 64)], each %N gen_below(D, 1000). A paragraph has
 * 2 + gen_below(D, 4) sentences of 6 + gen_below(D, 14) words, the first letter a capital, joined
 * by spaces, each sentence ended by a full stop; a space between sentences, two newlines behind.
 */
#include "gen_cells.h"
#include "data/number.h"

enum {
    POOL = 163840,     /* blocks are added until the pool has that many bytes */
    BLOCK_MOST = 2048, /* longest block */
    BODY_LEAST = 512,
    BODY_SPREAD = 19968,
    STARTS_BEFORE = POOL - 20480, /* so that no body runs over the end */
    PARAGRAPH = 8,
    TEMPLATES = 16,
};

static const char *const templates[PARAGRAPH] = {
    "## %W %W: %W\n\n",
    "- %W %W\n- \"%W\", %W\n- %W (%N)\n\n",
    "> %W %W, she said: \"%W it's %W\"\n> -- %W\n\n",
    "```c\nfor (int %W = 0; %W < %N; %W++)\n\tputs(\"%W\\n\"); /* %W */\n```\n\n",
    "| %W | %W |\n|:---|---:|\n| %N | \"%W\" |\n\n",
    "[%W %W](https://www.%W.example/%W?%W=%N&%W=%N#%W); %W\n\n",
    "%W %W\r\n%W, %W\r\n\r\n",
    "%W \xE2\x80\x94 %W \xE2\x80\xA6 \xE2\x80\x9C%W\xE2\x80\x9D "
    "\xE6\x95\xB0\xE6\x8D\xAE\xE8\xBF\x81\xE7\xA7\xBB %W na\xC3\xAFve caf\xC3\xA9 "
    "\xF0\x9F\x9A\x9A\xF0\x9F\x93\xA6 %W\n\n",
};

struct draw {
    uint64_t stream, j;
};

static uint64_t next_below(struct draw *d, uint64_t n)
{
    return gen_below(gen_at(d->stream, d->j++), n);
}

static char *put_word(char *p, struct draw *d)
{
    const char *word = wh_gen_words[next_below(d, GEN_WORDS)];
    size_t n = strlen(word);

    memcpy(p, word, n);
    return p + n;
}

static char *put_template(char *p, const char *t, struct draw *d)
{
    while (*t) {
        if (t[0] == '%' && t[1] == 'W') {
            p = put_word(p, d);
            t += 2;
        } else if (t[0] == '%' && t[1] == 'N') {
            p += wh_print_u64(next_below(d, 1000), p);
            t += 2;
        } else {
            *p++ = *t++;
        }
    }
    return p;
}

static char *put_paragraph(char *p, struct draw *d)
{
    uint64_t sentences = 2 + next_below(d, 4);

    for (uint64_t s = 0; s < sentences; s++) {
        uint64_t words = 6 + next_below(d, 14);

        for (uint64_t w = 0; w < words; w++) {
            char *start = p;

            p = put_word(p, d);
            if (w == 0)
                *start = (char)(*start - 'a' + 'A');
            *p++ = w + 1 < words ? ' ' : '.';
        }
        *p++ = s + 1 < sentences ? ' ' : '\n';
    }
    *p++ = '\n';
    return p;
}

static wh_status setup(struct gen_scan *sc)
{
    struct draw d = {.stream = gen_sub(sc->key, 200)};
    char *pool = wh_arena_alloc(sc->arena, POOL + BLOCK_MOST), *p = pool;
    int32_t *lines = wh_arena_alloc(sc->arena, sizeof *lines * (POOL / 8));

    if (!pool || !lines)
        return WH_E_NOMEM;
    while (p - pool < POOL) {
        if (p - pool < STARTS_BEFORE)
            lines[sc->n_lines++] = (int32_t)(p - pool);
        uint64_t kind = next_below(&d, TEMPLATES);

        p = kind < PARAGRAPH ? put_template(p, templates[kind], &d) : put_paragraph(p, &d);
    }
    sc->pool = pool;
    sc->pool_n = (size_t)(p - pool);
    sc->lines = lines;
    return WH_OK;
}

static uint64_t cell(const struct gen_column *col, const struct gen_block *b, int i)
{
    return gen_at(col->stream, (uint64_t)b->first + (uint64_t)i);
}

/* From block gen_below(h, blocks), 512 + index bytes, index skewed below 19968 (gen_cells.h) from
 * u = gen_again(h) >> 32, less up to 3 so that no character is cut. */
static GEN_FILL(fill_body)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t h = cell(col, b, i), u = gen_again(h) >> 32;
        const char *p = sc->pool + sc->lines[gen_below(h, (uint64_t)sc->n_lines)];
        size_t n = BODY_LEAST + (size_t)((u * u >> 32) * BODY_SPREAD >> 32);

        while (((unsigned char)p[n] & 0xC0) == 0x80)
            n--;
        WH_TRY(wh_put_bytes(out, p, n));
    }
    return WH_OK;
}

/* 3 + gen_below(h, 8) words joined by spaces, word j = words[gen_at(h, j + 1) mod 64], the first
 * letter a capital; a question mark behind where bit 0 of h is set. */
static GEN_FILL(fill_title)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t h = cell(col, b, i), words = 3 + gen_below(h, 8);
        char text[128], *p = text;

        for (uint64_t j = 0; j < words; j++) {
            const char *word = wh_gen_words[gen_at(h, j + 1) % GEN_WORDS];
            size_t n = strlen(word);

            memcpy(p, word, n);
            p += n;
            *p++ = ' ';
        }
        text[0] = (char)(text[0] - 'a' + 'A');
        p--;
        if (h & 1)
            *p++ = '?';
        WH_TRY(wh_put_bytes(out, text, (size_t)(p - text)));
    }
    return WH_OK;
}

/* gen_below(h, 6) tags "<word>" one after the other, word j as in a title; often empty text. */
static GEN_FILL(fill_tags)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t h = cell(col, b, i), words = gen_below(h, 6);
        char text[96], *p = text;

        for (uint64_t j = 0; j < words; j++) {
            const char *word = wh_gen_words[gen_at(h, j + 1) % GEN_WORDS];
            size_t n = strlen(word);

            *p++ = '<';
            memcpy(p, word, n);
            p += n;
            *p++ = '>';
        }
        WH_TRY(wh_put_bytes(out, text, (size_t)(p - text)));
    }
    return WH_OK;
}

/* Null in the first row and where h mod 4 is 0, else an earlier row's id: 1 + gen_below(h, row). */
static GEN_FILL(fill_parent)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t h = cell(col, b, i), row = (uint64_t)b->first + (uint64_t)i;

        if (row == 0 || h % 4 == 0)
            WH_TRY(wh_col_null(out));
        else
            WH_TRY(wh_put_i64(out, 1 + (int64_t)gen_below(h, row)));
    }
    return WH_OK;
}

enum {
    CREATED = 1262304000 /* 2010-01-01 00:00:00, seconds */
};

static int64_t created(uint64_t stream, uint64_t row)
{
    return CREATED * INT64_C(1000000) +
           (int64_t)(row % 1000000000 * 370000 + gen_below(gen_at(stream, row), 1000000));
}

/* Microseconds: 2010-01-01 + 0.37 s * (row mod 10^9) + gen_below(h, 10^6). */
static GEN_FILL(fill_created)
{
    for (int i = 0; i < b->n; i++)
        WH_TRY(wh_put_i64(out, created(col->stream, (uint64_t)b->first + (uint64_t)i)));
    return WH_OK;
}

/* Null where h mod 3 is not 0, else the instant of `created` + gen_below(h, 30 days). */
static GEN_FILL(fill_edited)
{
    uint64_t stream = gen_sub(sc->key, (uint64_t)col->low);

    for (int i = 0; i < b->n; i++) {
        uint64_t h = cell(col, b, i), row = (uint64_t)b->first + (uint64_t)i;

        if (h % 3)
            WH_TRY(wh_col_null(out));
        else
            WH_TRY(wh_put_i64(out, created(stream, row) +
                                       (int64_t)gen_below(h, UINT64_C(2592000000000))));
    }
    return WH_OK;
}

static const struct gen_column columns[] = {
    {"id", "int64", wh_gen_fill_row, .key = 1, .low = 1},
    {"parent_id", "int64", fill_parent, .nullable = true},
    {"author_id", "int64", wh_gen_fill_int, .low = 1, .count = 3000000, .skew = true},
    {"kind", "dictionary<utf8>", wh_gen_fill_dict, .count = 8, .skew = true},
    {"title", "utf8(120)", fill_title},
    {"body", "utf8", fill_body},
    {"tags", "utf8", fill_tags},
    {"score", "int32", wh_gen_fill_int, .low = -50, .count = 5000, .skew = true},
    {"views", "int64", wh_gen_fill_int, .count = 2000000, .skew = true},
    {"created", "timestamp(us, utc)", fill_created},
    {"edited", "timestamp(us, utc)", fill_edited, .nullable = true, .low = 9},
    {"answered", "bool", wh_gen_fill_int, .count = 2},
    {"rating", "float64", wh_gen_fill_float, .low = -8, .count = 29},
    {"locale", "utf8(12)", wh_gen_fill_text, .count = 64, .skew = true},
};

static int64_t row_bytes(const struct gen_scan *sc)
{
    return 7300;
}

const struct gen_shape wh_gen_posts = {
    .name = "posts",
    .comment = "long texts of 0.5 to 20 kB with quotes, newlines, code and emoji; key id",
    .columns = columns,
    .n_columns = sizeof columns / sizeof *columns,
    .setup = setup,
    .block_rows = 64,
    .row_bytes = row_bytes,
};
