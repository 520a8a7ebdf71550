/* SPDX-License-Identifier: Apache-2.0 */
/* fixed: text files whose columns have fixed widths. One record is its columns behind one another
 * and a line feed, so that record n begins at n * record: every range of records can be read alone.
 *
 * The layout is a list: name:width (text, left, padded with spaces) or name:width:int (right). A
 * column of nothing but spaces is NULL. Widths count bytes.
 */
#ifndef FIXED_H
#define FIXED_H

#include <limits.h>
#include <stdatomic.h>
#include <wherry/connector.h>

enum {
    FIXED_COLUMNS = 256,
    FIXED_NAME = 64,
    FIXED_WIDTH = 1 << 16,
};

struct fixed_column {
    char name[FIXED_NAME];
    bool is_int;
    int64_t at, width; /* in the record, bytes */
};

struct fixed_layout {
    struct fixed_column v[FIXED_COLUMNS];
    int n;
    int64_t record; /* bytes, with the line feed */
};

/* Both option tables: what --from and --to take. */
struct fixed_options {
    struct wh_list columns; /* of texts */
};

struct fixed_endpoint {
    const struct wh_ctx *ctx;
};

struct fixed_session {
    atomic_bool interrupted;
};

/* fixed.c. E1002 names the piece of the list that is not understood. */
wh_status fixed_layout_read(const struct wh_list *, struct fixed_layout *ret,
                            struct wh_error *reterr);
/* A schema of the layout's columns in the order of `order` (NULL: as they are); `limits`: with the
 * longest text that fits, for the engine to check before it sends. The caller releases it. */
wh_status fixed_schema(const struct fixed_layout *, const int *order, bool limits,
                       struct ArrowSchema *ret);
/* A path as the object says it, made absolute. */
wh_status fixed_path(const struct wh_name *, char ret[PATH_MAX], struct wh_error *reterr);

/* reader.c, writer.c */
extern const struct wh_source_ops fixed_source_ops;
extern const struct wh_sink_ops fixed_sink_ops;

#endif
