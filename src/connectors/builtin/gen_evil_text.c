/* SPDX-License-Identifier: Apache-2.0 */
/* evil, texts: what breaks quoting, line ends, widths, directions, inference and templates. */
#include "gen_evil.h"

const char *const wh_gen_evil_texts[GEN_EVIL_TEXTS] = {
    "",
    " ",
    "  blanks before and behind  ",
    "NULL",
    "null",
    "NA",
    "\\N",
    "''",
    "\"",
    "\"\"",
    "'",
    "say \"hi\", he said",
    "it's",
    "comma, semicolon; pipe| tab\t end",
    "line 1\nline 2",
    "line 1\r\nline 2",
    "old\rmac",
    "\n",
    "\r\n",
    "newline at the end\n",
    "back\\slash",
    "\\",
    "\\n\\t\\\"",
    "=1+1",
    "-0",
    "0012",
    "1e3",
    "true",
    "2024-02-30",
    "%s%n{}${x}{row.id}",
    "<b>&amp;</b>",
    "'; drop table t; --",
    "# no comment",
    "\x01\x02\x1F\x7F",
    "\xC3\xA9",                                  /* e acute, one character */
    "e\xCC\x81",                                 /* the same, combining */
    "Z\xCD\x91\xCC\xAB\xCD\x83\xCD\xAA\xCC\x82", /* a pile of accents */
    "\xC3\x9F \xC4\xB0 \xC4\xB1",                /* letters whose case changes length */
    "\xE2\x80\x8B",                              /* zero width space */
    "\xEF\xBB\xBF"
    "a mark inside",                    /* byte order mark */
    "\xC2\x85\xE2\x80\xA8\xE2\x80\xA9", /* line ends of Unicode */
    "\xC2\xA0no break",
    "\xEF\xBF\xBD",                     /* replacement character */
    "\xEF\xBF\xBF",                     /* noncharacter U+FFFF */
    "\xF4\x8F\xBF\xBF",                 /* the last one, U+10FFFF */
    "\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D", /* right to left: Hebrew */
    "\xD8\xA7\xD9\x84\xD8\xB9\xD8\xB1\xD8\xA8\xD9\x8A\xD8\xA9 12",
    "\xE2\x80\xAE"
    "backwards\xE2\x80\xAC", /* direction override */
    "\xE4\xB8\xAD\xE6\x96\x87\xEF\xBC\x8C\xE5\x85\xA8\xE8\xA7\x92\xEF\xBC\x9A",
    "\xED\x95\x9C\xEA\xB5\xAD\xEC\x96\xB4",
    "\xF0\x9F\x98\x80",                                                         /* four bytes */
    "\xF0\x9F\x91\xA8\xE2\x80\x8D\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x91\xA7", /* a family */
    "\xF0\x9F\x87\xA8\xF0\x9F\x87\xAD", /* a flag: two characters */
};

static const char *const codes[] = {"",
                                    "0",
                                    "007",
                                    "+1",
                                    "1.0",
                                    "A B",
                                    "\xC3\xA4\xC3\xB6\xC3\xBC",
                                    "12345678901234567890",
                                    "\xF0\x9F\x98\x80\xF0\x9F\x98\x80",
                                    "x",
                                    "NaN",
                                    "N/A"};

static const char *const documents[] = {
    "{}",
    "[]",
    "null",
    "\"text\"",
    "0",
    "-12345678901234567890.5e-3",
    "{\"a\":{\"b\":[1,2,{\"c\":null}]}}",
    "{\"a\":1,\"a\":2}",
    "{\"q\":\"\\\"\\\\\\n\\u0001\\ud83d\\ude00\"}",
    "{ \"spaces\" : [ true , false ] }",
    "\"\xE4\xB8\xAD\xE6\x96\x87\"",
};

static const char *const numbers[] = {
    "0",
    "1",
    "-1",
    "0.1",
    "-0.000000000000000000000000000000000000000000000000000001",
    "123456789012345678901234567890123456789012345678901234567890",
    "-99999999999999999999999999999999999999.99999999999999999999999999999999999999",
    "3.14159265358979323846264338327950288419716939937510582097494459",
    "NaN",
};

static const char *const colours[] = {"red", "green", "blue", "Bleu d'\xC3\x89t\xC3\xA9", "a,b"};

/* Fragments wh_gen_evil_texts[gen_at(gen_sub(key, 300), k) mod n], k = 0, 1, ..., one behind the
 * other until there are opts.big + 2048 bytes: where big texts are cut from. */
wh_status wh_gen_evil_setup(struct gen_scan *sc)
{
    size_t want = (size_t)sc->opts.big + GEN_EVIL_POOL_MORE, n = 0;
    uint64_t stream = gen_sub(sc->key, 300);
    char *p = wh_arena_alloc(sc->arena, want + 128);

    if (!p)
        return WH_E_NOMEM;
    for (uint64_t k = 0; n < want; k++) {
        const char *s = wh_gen_evil_texts[gen_at(stream, k) % GEN_EVIL_TEXTS];
        size_t len = strlen(s);

        memcpy(p + n, s, len);
        n += len;
    }
    sc->pool = p;
    sc->pool_n = n;
    return WH_OK;
}

/* Random: gen_below(gen_again(h), 6) texts of the list in a row, text j = list[gen_at(h, j + 1) mod
 * n]; with the option nul, where the upper 4 bits of h are 0, "a", U+0000, "b" instead. */
GEN_FILL(wh_gen_evil_text)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t h = gen_evil_hash(col, b, i);
        int64_t at = gen_evil_pick(col, b, i, h);
        char text[512];
        size_t n = 0;

        if (at == GEN_EVIL_NULL) {
            WH_TRY(wh_col_null(out));
            continue;
        }
        if (at >= 0) {
            WH_TRY(wh_put_bytes(out, col->words[at], strlen(col->words[at])));
            continue;
        }
        for (uint64_t j = 0; j < gen_below(gen_again(h), 6); j++) {
            const char *s = col->words[gen_at(h, j + 1) % (uint64_t)col->count];
            size_t len = strlen(s);

            memcpy(text + n, s, len);
            n += len;
        }
        if (sc->opts.nul && h >> 60 == 0) {
            memcpy(text, "a\0b", 3);
            n = 3;
        }
        WH_TRY(wh_put_bytes(out, text, n));
    }
    return WH_OK;
}

/* No random texts: always one of the list, number gen_below(gen_again(h), count). */
GEN_FILL(wh_gen_evil_listed)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t h = gen_evil_hash(col, b, i);
        int64_t at = gen_evil_pick(col, b, i, h);

        if (at == GEN_EVIL_NULL) {
            WH_TRY(wh_col_null(out));
            continue;
        }
        if (at < 0)
            at = (int64_t)gen_below(gen_again(h), (uint64_t)col->count);
        WH_TRY(wh_put_bytes(out, col->words[at], strlen(col->words[at])));
    }
    return WH_OK;
}

/* {"k": r, "s": "<word>"} with r = gen_again(h). */
GEN_FILL(wh_gen_evil_json)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t h = gen_evil_hash(col, b, i);
        int64_t at = gen_evil_pick(col, b, i, h);
        char text[96];

        if (at == GEN_EVIL_NULL) {
            WH_TRY(wh_col_null(out));
        } else if (at >= 0) {
            WH_TRY(wh_put_bytes(out, documents[at], strlen(documents[at])));
        } else {
            int n = snprintf(text, sizeof text, "{\"k\": %llu, \"s\": \"%s\"}",
                             (unsigned long long)gen_again(h), wh_gen_words[h % GEN_WORDS]);

            WH_TRY(wh_put_bytes(out, text, (size_t)n));
        }
    }
    return WH_OK;
}

/* Decimal text "[-]A.B": A = gen_again(h) in decimal, B = the 64 bits after it, odd (so that there
 * is no zero at the end); minus where bit 8 of h is set. */
GEN_FILL(wh_gen_evil_number)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t h = gen_evil_hash(col, b, i), r = gen_again(h);
        int64_t at = gen_evil_pick(col, b, i, h);
        char text[64];

        if (at == GEN_EVIL_NULL) {
            WH_TRY(wh_col_null(out));
        } else if (at >= 0) {
            WH_TRY(wh_put_bytes(out, numbers[at], strlen(numbers[at])));
        } else {
            int n = snprintf(text, sizeof text, "%s%llu.%llu", h >> 8 & 1 ? "-" : "",
                             (unsigned long long)r, (unsigned long long)(gen_again(r) | 1));

            WH_TRY(wh_put_bytes(out, text, (size_t)n));
        }
    }
    return WH_OK;
}

static bool inside_character(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Row 5 is as big as the option says; where h >> 52 is 0 (one row of 4096) up to that big, null
 * where h mod 8 is 0, else below 256 bytes. From place (h >> 8) mod 1024 of the pool; begin and end
 * move back to the start of a character. */
GEN_FILL(wh_gen_evil_big)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t h = gen_evil_hash(col, b, i), r = gen_again(h);
        size_t from = h >> 8 & 1023, end;

        if (b->first + i == 5)
            end = from + (size_t)sc->opts.big;
        else if (h >> 52 == 0)
            end = from + 1 + (size_t)gen_below(r, (uint64_t)sc->opts.big);
        else if (h % 8 == 0)
            end = SIZE_MAX;
        else
            end = from + (size_t)gen_below(r, 256);
        if (end == SIZE_MAX) {
            WH_TRY(wh_col_null(out));
            continue;
        }
        while (inside_character(sc->pool[from]))
            from--;
        while (end > from && inside_character(sc->pool[end]))
            end--;
        WH_TRY(wh_put_bytes(out, sc->pool + from, end - from));
    }
    return WH_OK;
}

#define WORDS(list) .words = (list), .count = sizeof(list) / sizeof *(list), .nullable = true

const struct gen_column wh_gen_evil_text_columns[GEN_EVIL_TEXT_COLUMNS] = {
    {"text", "utf8", wh_gen_evil_text, WORDS(wh_gen_evil_texts)},
    {"big", "utf8", wh_gen_evil_big, .nullable = true},
    {"quoted \"name\", with comma", "utf8(20)", wh_gen_evil_listed, WORDS(codes)},
    {"doc", "json", wh_gen_evil_json, WORDS(documents)},
    {"number", "decimal", wh_gen_evil_number, WORDS(numbers)},
    {"colour", "utf8 enum", wh_gen_evil_listed, WORDS(colours)},
};
