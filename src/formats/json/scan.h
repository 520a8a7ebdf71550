/* SPDX-License-Identifier: Apache-2.0 */
/* The grammar: past strings, numbers and whole values; texts without escapes; the borders of rows.
 *
 * All functions may look at JSON_PADDING bytes behind `end`; none believes them. They answer NULL
 * for what is not JSON. */
#ifndef WHERRY_FORMATS_JSON_SCAN_H
#define WHERRY_FORMATS_JSON_SCAN_H

#include "formats/json/json.h"

#define JSON_PADDING 64

static inline bool json_is_blank(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const uint8_t *json_blanks(const uint8_t *p, const uint8_t *end)
{
    if (__builtin_expect(*p > ' ', 1))
        return p;
    while (p < end && json_is_blank(*p))
        p++;
    return p;
}

/* p behind the opening quote. The closing quote; *ret_escapes is set, never cleared. */
const uint8_t *json_string(const uint8_t *p, const uint8_t *end, bool *ret_escapes);
/* Behind the number (RFC 8259's grammar, nothing looser). */
const uint8_t *json_number(const uint8_t *p, const uint8_t *end, bool *ret_integer);
/* Behind any value, all of it checked. p at its first byte. */
const uint8_t *json_value(const uint8_t *p, const uint8_t *end);

/* A checked string without its escapes, into out (n bytes and 4 more); SIZE_MAX where half of a
 * surrogate pair stands alone. */
size_t json_unescape(const uint8_t *s, size_t n, uint8_t *out);

/* Counts the brackets of a row that may not be whole yet. */
struct json_frame {
    int64_t depth;
    enum {
        FRAME_START,
        FRAME_OPEN,
        FRAME_BARE, /* number or word */
    } state;
    bool string, escaped;
};

/* True when the row ended: *ret_used bytes belong to it. */
bool json_frame_run(struct json_frame *, const uint8_t *p, size_t n, size_t *ret_used);

/* A place taken apart. */
struct json_path {
    char *text; /* owned: what steps point to */
    int n;
    struct wh_str step[WH_JSON_STEPS_MAX];
};

/* WH_E_USAGE (E1002) if it is no place. */
wh_status json_path_parse(const char *place, struct json_path *ret, struct wh_error *reterr);
void json_path_free(struct json_path *);
/* Number of an array's item, -1 for other texts. */
int64_t json_path_index(struct wh_str step);

#endif
