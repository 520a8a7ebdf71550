/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of `convert:`: one table. A row says name, arguments (an option table, so that reading,
 * checks, schema and words come from it), which types go in and come out, and the kernel that runs
 * over a whole column. NULL stays NULL except where a row says otherwise. Characters are code
 * points of UTF-8, never bytes. */
#ifndef WHERRY_ENGINE_FUNCTIONS_H
#define WHERRY_ENGINE_FUNCTIONS_H

#include "core/options.h"
#include "data/lattice.h"

/* Cells that a function refused; grows. */
struct wh_fn_rejects {
    struct wh_cell_reject *v;
    size_t n, cap;
};
void wh_fn_rejects_free(struct wh_fn_rejects *);

/* One function over one column. */
struct wh_fn_job {
    const void *args; /* filled by the row's option table */
    const struct wh_view *in;
    struct wh_column *out;
    int32_t column; /* for rejects */
    struct wh_fn_rejects *rejects;
    struct wh_buf *scratch;
};
typedef wh_status (*wh_fn_kernel)(struct wh_fn_job *); /* WH_OK, WH_E_NOMEM */

enum wh_fn_in {
    WH_FN_TEXT,
    WH_FN_DATA, /* text or bytes */
    WH_FN_TIME, /* a date, or a time stamp without a zone */
};

enum wh_fn_flag {
    WH_FN_NO_LONGER = 1,  /* never more characters than there were */
    WH_FN_MAKES_NULL = 2, /* of a value */
    WH_FN_FILLS_NULL = 4, /* no NULL comes out */
    WH_FN_OUT_TIME = 8,   /* else text comes out */
};

struct wh_fn {
    const char *name, *help;
    const struct wh_options *args; /* NULL: none */
    const char *alone;             /* the argument that may be written without its name; NULL */
    enum wh_fn_in in;
    unsigned flags;
    /* What the table of arguments cannot say; NULL: nothing. False with *ret_why (static text). */
    bool (*check)(const void *args, const char **ret_why);
    wh_fn_kernel run;
};
extern const struct wh_fn wh_functions[]; /* ends with a NULL name */
const struct wh_fn *wh_function_find(const char *name);

/* One function of a list, with its arguments. */
struct wh_fn_call {
    const struct wh_fn *fn;
    const void *args; /* NULL where it has none */
};
struct wh_fn_chain {
    struct wh_fn_call *v;
    size_t n; /* 0 = nothing to convert */
};

/* The type behind a call; false with *ret_why (static text) if it cannot take `in`. */
bool wh_fn_result(const struct wh_fn_call *, const struct wh_type *in, struct wh_type *ret,
                  const char **ret_why);
/* "trim, mask(keep_first=3, keep_last=4, with=*)" */
wh_status wh_fn_chain_print(const struct wh_fn_chain *, struct wh_buf *);
/* The form of `convert:` in a JSON Schema. */
wh_status wh_fn_schema(struct wh_buf *);

/* functions_text.c: what rows of the table are made of. */
wh_status wh_fn_run_trim(struct wh_fn_job *);
wh_status wh_fn_run_ltrim(struct wh_fn_job *);
wh_status wh_fn_run_rtrim(struct wh_fn_job *);
wh_status wh_fn_run_lower(struct wh_fn_job *);
wh_status wh_fn_run_upper(struct wh_fn_job *);
wh_status wh_fn_run_reverse(struct wh_fn_job *);
wh_status wh_fn_run_strip_newlines(struct wh_fn_job *);
wh_status wh_fn_run_empty_to_null(struct wh_fn_job *);
bool wh_fn_case_check(const void *, const char **ret_why);

struct wh_fn_null_to {
    const char *value;
};
wh_status wh_fn_run_null_to(struct wh_fn_job *);

struct wh_fn_replace {
    const char *find, *with;
};
wh_status wh_fn_run_replace(struct wh_fn_job *);
bool wh_fn_replace_check(const void *, const char **ret_why);

struct wh_fn_substr {
    int64_t from, length; /* from 1; below 0: from the end; length -1: to the end */
};
wh_status wh_fn_run_substr(struct wh_fn_job *);
bool wh_fn_substr_check(const void *, const char **ret_why);

struct wh_fn_mask {
    int64_t keep_first, keep_last;
    const char *with;
};
wh_status wh_fn_run_mask(struct wh_fn_job *);
bool wh_fn_mask_check(const void *, const char **ret_why);

enum wh_fn_digest {
    WH_FN_SHA256,
    WH_FN_XXH128,
    WH_FN_MD5,
};
struct wh_fn_hash {
    int algorithm;
};
wh_status wh_fn_run_hash(struct wh_fn_job *);

/* functions_time.c */
struct wh_fn_pattern {
    const char *pattern;
};
wh_status wh_fn_run_to_date(struct wh_fn_job *);
bool wh_fn_to_date_check(const void *, const char **ret_why);
bool wh_fn_pattern_has_time(const char *pattern);
wh_status wh_fn_run_format(struct wh_fn_job *);
bool wh_fn_format_check(const void *, const char **ret_why);

/* For kernels. */
wh_status wh_fn_reject(struct wh_fn_job *, int64_t row, const char *code, const char *text);
/* A cell that has become too large for a row is a reject. */
wh_status wh_fn_put(struct wh_fn_job *, int64_t row, const void *p, size_t n);

#endif
