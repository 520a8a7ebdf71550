/* SPDX-License-Identifier: Apache-2.0 */
/* Column types: a parsed form of Arrow format strings plus our field metadata. */
#ifndef WHERRY_DATA_TYPE_H
#define WHERRY_DATA_TYPE_H

#include <wherry/batch.h>
#include "core/alloc.h"
#include "core/buf.h"

enum wh_kind {
    WH_K_NULL,
    WH_K_BOOL,
    WH_K_I8,
    WH_K_I16,
    WH_K_I32,
    WH_K_I64,
    WH_K_U8,
    WH_K_U16,
    WH_K_U32,
    WH_K_U64,
    WH_K_F32,
    WH_K_F64,
    WH_K_DEC128,
    WH_K_DEC256,    /* precision, scale */
    WH_K_DECTEXT,   /* decimal text: utf8 + wherry.logical=decimal_text; exact, NaN too */
    WH_K_UTF8,      /* 32-bit offsets; length = declared characters or 0 */
    WH_K_BINARY,    /* 32-bit offsets; length = declared bytes or 0 */
    WH_K_FIXED,     /* fixed-size binary, width bytes */
    WH_K_DATE32,    /* days since 1970-01-01 */
    WH_K_TIME64,    /* unit us or ns since midnight; 24:00:00 allowed */
    WH_K_TIMESTAMP, /* unit; zoned = instants in UTC, else wall time without a zone */
    WH_K_DURATION,  /* unit */
    WH_K_INTERVAL,  /* month, day, nanosecond */
    WH_K_LIST,
    WH_K_STRUCT,
    WH_K_MAP,
    WH_K_DICT, /* dictionary<int32, utf8>: wh_flatten makes it UTF8 */
    WH_K_COUNT
};

enum wh_unit_of_time {
    WH_SECOND,
    WH_MILLI,
    WH_MICRO,
    WH_NANO
};
enum wh_logical {
    WH_L_NONE,
    WH_L_UUID,
    WH_L_JSON,
    WH_L_BIT,
    WH_L_YEAR,
    WH_L_ENUM,
    WH_L_GEOMETRY
};

struct wh_type {
    enum wh_kind kind;
    enum wh_unit_of_time unit;
    bool zoned;
    bool nullable;
    int precision, scale; /* decimals */
    int64_t length;       /* UTF8 characters, BINARY bytes, FIXED width; 0 = unbounded */
    enum wh_logical logical;
};

/* Reads one field. WH_E_TYPE for what Wherry does not carry (large offsets, views, unions...). */
WH_EXPORT wh_status wh_type_of(const struct ArrowSchema *field, struct wh_type *ret,
                               struct wh_error *reterr);
/* "int64", "decimal(18,2)", "timestamp(us)", "timestamp(us, utc)", "utf8(20)", "list<int32>":
 * the words of plans, --types and DDL messages. wh_type_parse reads the same (plus SQL synonyms:
 * integer bigint varchar(n) text double real boolean date timestamp timestamptz numeric bytea...).
 */
WH_EXPORT wh_status wh_type_print(const struct wh_type *, struct wh_buf *);
WH_EXPORT bool wh_type_parse(const char *text, struct wh_type *ret);
WH_EXPORT bool wh_type_equal(const struct wh_type *, const struct wh_type *); /* not nullability */

/* Schemas: a struct field ("+s") with the columns as children. All built schemas own their memory
 * and are released by schema->release. */
WH_EXPORT wh_status wh_schema_init(struct ArrowSchema *ret, int64_t n_columns);
/* Fills child i (any child once). meta: NULL-terminated key, value pairs, may be NULL. */
WH_EXPORT wh_status wh_schema_set(struct ArrowSchema *, int64_t i, const char *name,
                                  const struct wh_type *, const char *const *meta);
WH_EXPORT wh_status wh_schema_copy(const struct ArrowSchema *, struct ArrowSchema *ret);
WH_EXPORT const char *wh_meta_get(const struct ArrowSchema *field, const char *key,
                                  struct wh_str *ret); /* pointer into the metadata, or NULL */
WH_EXPORT wh_status wh_meta_set(struct ArrowSchema *field, const char *key, const char *value);
WH_EXPORT int64_t wh_schema_find(const struct ArrowSchema *, struct wh_str name, bool ignore_case);
/* Text form for the state store and fingerprints (JSON: name, type, nullable, meta). */
WH_EXPORT wh_status wh_schema_to_json(const struct ArrowSchema *, struct wh_buf *);
WH_EXPORT wh_status wh_schema_from_json(const char *text, size_t n, struct ArrowSchema *ret,
                                        struct wh_error *reterr);

#endif
