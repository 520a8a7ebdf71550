/* SPDX-License-Identifier: Apache-2.0 */
/* The table of the functions of `convert:`, and what is made of it. */
#include "engine/functions.h"

#include "core/alloc.h"

#include <stdio.h>
#include <string.h>

/* ---- arguments --------------------------------------------------------------------------------
 */

#define MOST INT64_C(1000000000)

static const struct wh_option null_to_rows[] = {WH_OPT_STR(struct wh_fn_null_to, value,
                                                           .flags = WH_OPT_REQUIRED,
                                                           .help = "the text that stands for NULL"),
                                                WH_OPT_END};
static const struct wh_options null_to_args = {null_to_rows, sizeof(struct wh_fn_null_to),
                                               "null_to"};

static const struct wh_option replace_rows[] = {
    WH_OPT_STR(struct wh_fn_replace, find, .flags = WH_OPT_REQUIRED,
               .help = "the text to look for, as it is"),
    WH_OPT_STR(struct wh_fn_replace, with, .def = "", .help = "what takes its place"), WH_OPT_END};
static const struct wh_options replace_args = {replace_rows, sizeof(struct wh_fn_replace),
                                               "replace"};

static const struct wh_option substr_rows[] = {
    WH_OPT_I64(struct wh_fn_substr, from, -MOST, MOST, .def = "1",
               .help = "first character, from 1; below 0: counted from the end"),
    WH_OPT_I64(struct wh_fn_substr, length, -1, MOST, .def = "-1",
               .help = "characters; -1: all that follow"),
    WH_OPT_END};
static const struct wh_options substr_args = {substr_rows, sizeof(struct wh_fn_substr), "substr"};

static const struct wh_option mask_rows[] = {
    WH_OPT_I64(struct wh_fn_mask, keep_first, 0, MOST, .def = "0",
               .help = "characters that stay at the beginning"),
    WH_OPT_I64(struct wh_fn_mask, keep_last, 0, MOST, .def = "0",
               .help = "characters that stay at the end"),
    WH_OPT_STR(struct wh_fn_mask, with, .def = "*", .help = "what stands for each hidden one"),
    WH_OPT_END};
static const struct wh_options mask_args = {mask_rows, sizeof(struct wh_fn_mask), "mask"};

static const struct wh_enum algorithms[] = {{WH_FN_SHA256, "sha256", "64 digits", NULL},
                                            {WH_FN_XXH128, "xxh128", "32 digits, fast", NULL},
                                            {WH_FN_MD5, "md5", "32 digits", NULL},
                                            {0, NULL, NULL, NULL}};
static const struct wh_option hash_rows[] = {
    WH_OPT_ENUM(struct wh_fn_hash, algorithm, algorithms, .def = "sha256",
                .help = "of the text's UTF-8 bytes, or of the bytes"),
    WH_OPT_END};
static const struct wh_options hash_args = {hash_rows, sizeof(struct wh_fn_hash), "hash"};

static const struct wh_option pattern_rows[] = {
    WH_OPT_STR(struct wh_fn_pattern, pattern, .flags = WH_OPT_REQUIRED,
               .help = "a Java date pattern: yyyy-MM-dd HH:mm:ss"),
    WH_OPT_END};
static const struct wh_options to_date_args = {pattern_rows, sizeof(struct wh_fn_pattern),
                                               "to_date"};
static const struct wh_options format_args = {pattern_rows, sizeof(struct wh_fn_pattern), "format"};

/* ---- the table --------------------------------------------------------------------------------
 */

const struct wh_fn wh_functions[] = {
    {"trim", "without blanks at both ends (space, tab, line ends)", NULL, NULL, WH_FN_TEXT,
     WH_FN_NO_LONGER, NULL, wh_fn_run_trim},
    {"ltrim", "without blanks at the beginning", NULL, NULL, WH_FN_TEXT, WH_FN_NO_LONGER, NULL,
     wh_fn_run_ltrim},
    {"rtrim", "without blanks at the end", NULL, NULL, WH_FN_TEXT, WH_FN_NO_LONGER, NULL,
     wh_fn_run_rtrim},
    {"lower", "small letters, of every script", NULL, NULL, WH_FN_TEXT, WH_FN_NO_LONGER,
     wh_fn_case_check, wh_fn_run_lower},
    {"upper", "capital letters, of every script", NULL, NULL, WH_FN_TEXT, WH_FN_NO_LONGER,
     wh_fn_case_check, wh_fn_run_upper},
    {"reverse", "the last character first", NULL, NULL, WH_FN_TEXT, WH_FN_NO_LONGER, NULL,
     wh_fn_run_reverse},
    {"strip_newlines", "without line ends (CR, LF), wherever they stand", NULL, NULL, WH_FN_TEXT,
     WH_FN_NO_LONGER, NULL, wh_fn_run_strip_newlines},
    {"empty_to_null", "an empty text becomes NULL", NULL, NULL, WH_FN_TEXT,
     WH_FN_NO_LONGER | WH_FN_MAKES_NULL, NULL, wh_fn_run_empty_to_null},
    {"null_to", "NULL becomes a text", &null_to_args, "value", WH_FN_TEXT, WH_FN_FILLS_NULL, NULL,
     wh_fn_run_null_to},
    {"default", "the same as null_to", &null_to_args, "value", WH_FN_TEXT, WH_FN_FILLS_NULL, NULL,
     wh_fn_run_null_to},
    {"replace", "one text for another, everywhere", &replace_args, NULL, WH_FN_TEXT, 0,
     wh_fn_replace_check, wh_fn_run_replace},
    {"substr", "a part of the text", &substr_args, NULL, WH_FN_TEXT, WH_FN_NO_LONGER,
     wh_fn_substr_check, wh_fn_run_substr},
    {"mask", "hides characters; all of a text that is not longer than what would be kept",
     &mask_args, NULL, WH_FN_TEXT, WH_FN_NO_LONGER, wh_fn_mask_check, wh_fn_run_mask},
    {"hash", "a digest, in hex digits", &hash_args, "algorithm", WH_FN_DATA, 0, NULL,
     wh_fn_run_hash},
    {"to_date", "a text is read as a date, or as a time stamp if the pattern has hours",
     &to_date_args, "pattern", WH_FN_TEXT, WH_FN_OUT_TIME, wh_fn_to_date_check, wh_fn_run_to_date},
    {"format", "a date or a time stamp without a zone is written as a text", &format_args,
     "pattern", WH_FN_TIME, 0, wh_fn_format_check, wh_fn_run_format},
    {NULL}};

const struct wh_fn *wh_function_find(const char *name)
{
    for (const struct wh_fn *f = wh_functions; f->name; f++)
        if (wh_key_eq(wh_str(name), f->name))
            return f;
    return NULL;
}

/* ---- types ------------------------------------------------------------------------------------
 */

static bool takes(enum wh_fn_in in, const struct wh_type *t, const char **ret_why)
{
    bool text = t->kind == WH_K_UTF8, bytes = t->kind == WH_K_BINARY || t->kind == WH_K_FIXED;

    switch (in) {
    case WH_FN_TEXT:
        *ret_why = "it takes a text";
        return text;
    case WH_FN_DATA:
        *ret_why = "it takes a text or bytes";
        return text || bytes;
    case WH_FN_TIME:
        *ret_why = "it takes a date, or a time stamp without a zone (to_date makes one of a text)";
        return t->kind == WH_K_DATE32 || (t->kind == WH_K_TIMESTAMP && !t->zoned);
    }
    return false;
}

bool wh_fn_result(const struct wh_fn_call *call, const struct wh_type *in, struct wh_type *ret,
                  const char **ret_why)
{
    const struct wh_fn *f = call->fn;
    bool nullable = (in->nullable || f->flags & WH_FN_MAKES_NULL) && !(f->flags & WH_FN_FILLS_NULL);

    if (!takes(f->in, in, ret_why))
        return false;
    *ret = WH_TYPE(WH_K_UTF8);
    if (f->flags & WH_FN_NO_LONGER)
        ret->length = in->length;
    if (f->flags & WH_FN_OUT_TIME) {
        const struct wh_fn_pattern *a = call->args;

        *ret =
            wh_fn_pattern_has_time(a->pattern) ? WH_TYPE_TS(WH_MICRO, false) : WH_TYPE(WH_K_DATE32);
    }
    ret->nullable = nullable;
    return true;
}

/* ---- words ------------------------------------------------------------------------------------
 */

static wh_status print_args(const struct wh_fn_call *call, struct wh_buf *out)
{
    const char *before = "(";

    for (const struct wh_option *o = call->fn->args->rows; o->name; o++) {
        const void *field = (const char *)call->args + o->offset;

        WH_TRY(wh_buf_printf(out, "%s%s=", before, o->name));
        if (o->type == WH_T_STRING) { /* in quotes: what stands in it must not look like ours */
            const char *text = *(const char *const *)field;

            WH_TRY(wh_buf_json(out, text ? text : "", text ? strlen(text) : 0));
        } else {
            WH_TRY(wh_options_show(o, call->args, out));
        }
        before = ", ";
    }
    return wh_buf_addc(out, ')');
}

wh_status wh_fn_chain_print(const struct wh_fn_chain *chain, struct wh_buf *out)
{
    for (size_t i = 0; i < chain->n; i++) {
        WH_TRY(wh_buf_printf(out, "%s%s", i ? ", " : "", chain->v[i].fn->name));
        if (chain->v[i].fn->args)
            WH_TRY(print_args(&chain->v[i], out));
    }
    return WH_OK;
}

static wh_status schema_call(const struct wh_fn *f, struct wh_buf *out)
{
    bool first = true;

    WH_TRY(wh_buf_printf(out,
                         ",{\"type\":\"object\",\"required\":[\"%s\"],\"additionalProperties\":"
                         "false,\"properties\":{\"%s\":{\"description\":",
                         f->name, f->name));
    WH_TRY(wh_buf_json(out, f->help, strlen(f->help)));
    WH_TRY(wh_buf_adds(out, ",\"anyOf\":["));
    if (f->alone)
        WH_TRY(wh_buf_adds(out, "{\"type\":[\"string\",\"number\",\"boolean\"]},"));
    WH_TRY(wh_buf_adds(out, "{\"type\":\"object\",\"additionalProperties\":false,"
                            "\"properties\":{"));
    WH_TRY(wh_options_schema_rows(f->args, &first, out));
    return wh_buf_adds(out, "}}]}}}");
}

wh_status wh_fn_schema(struct wh_buf *out)
{
    WH_TRY(wh_buf_adds(out, "\"function\":{\"anyOf\":[{\"type\":\"string\",\"enum\":["));
    for (const struct wh_fn *f = wh_functions; f->name; f++)
        if (!f->args || f->args == &hash_args || f->args == &mask_args)
            WH_TRY(wh_buf_printf(out, "%s\"%s\"", f == wh_functions ? "" : ",", f->name));
    WH_TRY(wh_buf_adds(out, "]}"));
    for (const struct wh_fn *f = wh_functions; f->name; f++)
        if (f->args)
            WH_TRY(schema_call(f, out));
    return wh_buf_adds(out, "]}");
}

/* ---- for kernels ------------------------------------------------------------------------------
 */

void wh_fn_rejects_free(struct wh_fn_rejects *r)
{
    wh_free(r->v);
    *r = (struct wh_fn_rejects){0};
}

wh_status wh_fn_reject(struct wh_fn_job *job, int64_t row, const char *code, const char *text)
{
    struct wh_fn_rejects *r = job->rejects;

    if (r->n == r->cap) {
        size_t cap = r->cap ? 2 * r->cap : 16;
        struct wh_cell_reject *more = wh_realloc(r->v, cap * sizeof *more);

        if (!more)
            return WH_E_NOMEM;
        r->v = more;
        r->cap = cap;
    }
    r->v[r->n] = (struct wh_cell_reject){.row = row, .column = job->column};
    snprintf(r->v[r->n].code, sizeof r->v[r->n].code, "%s", code);
    snprintf(r->v[r->n].text, sizeof r->v[r->n].text, "%s", text);
    r->n++;
    return wh_put_null(job->out);
}

wh_status wh_fn_put(struct wh_fn_job *job, int64_t row, const void *p, size_t n)
{
    int st = wh_put_bytes(job->out, p, n);

    return st == WH_E_LIMIT ? wh_fn_reject(job, row, "E6010", "the converted text is too large")
                            : st;
}
