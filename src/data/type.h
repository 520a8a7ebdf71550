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
    /* LIST, STRUCT, MAP, DICT: the field whose children tell the rest; borrowed, so the type lives
     * no longer than the schema it was read from. NULL for all other kinds. */
    const struct ArrowSchema *field;
};

/* A type without parameters, nullable: WH_TYPE(WH_K_I64). Others: (struct wh_type){.kind = ...}. */
#define WH_TYPE(k) ((struct wh_type){.kind = (k), .nullable = true})
#define WH_TYPE_DEC(p, s)                                                                          \
    ((struct wh_type){.kind = (p) > 38 ? WH_K_DEC256 : WH_K_DEC128,                                \
                      .nullable = true,                                                            \
                      .precision = (p),                                                            \
                      .scale = (s)})
#define WH_TYPE_TS(u, z)                                                                           \
    ((struct wh_type){.kind = WH_K_TIMESTAMP, .nullable = true, .unit = (u), .zoned = (z)})

/* Reads one field. WH_E_TYPE (E3015) for what Wherry does not carry: large offsets, views, unions,
 * half floats, date64, time32, decimals below 128 bits or with more than 38 (76) digits before or
 * behind the point. A zone name ("Asia/Shanghai") is read as "zoned": instants in UTC. */
WH_EXPORT wh_status wh_type_of(const struct ArrowSchema *field, struct wh_type *ret,
                               struct wh_error *reterr);
/* "int64", "decimal(18,2)", "timestamp(us)", "timestamp(us, utc)", "utf8(20)", "list<int32>",
 * "struct<a: int32, \"b c\": utf8>", "map<utf8, int64>", "dictionary<utf8>", "json", "uuid",
 * "int16 year": the words of plans, --types and DDL messages. "decimal" alone is decimal text.
 * wh_type_parse reads the same (plus SQL synonyms: integer bigint varchar(n) text double real
 * boolean date timestamp timestamptz numeric bytea...), in any case; it refuses LIST, STRUCT, MAP
 * and DICT, whose children need memory: wh_field_parse reads everything. */
WH_EXPORT wh_status wh_type_print(const struct wh_type *, struct wh_buf *);
WH_EXPORT bool wh_type_parse(const char *text, struct wh_type *ret);
WH_EXPORT wh_status wh_field_parse(const char *text, const char *name, struct ArrowSchema *ret,
                                   struct wh_error *reterr); /* ret: owned, nullable */
WH_EXPORT const char *wh_kind_name(enum wh_kind);            /* "int64", "decimal128", "list" */
WH_EXPORT bool wh_type_equal(const struct wh_type *, const struct wh_type *); /* not nullability */

/* Schemas: a struct field ("+s") with the columns as children. All built schemas own their memory
 * and are released by schema->release. */
WH_EXPORT wh_status wh_schema_init(struct ArrowSchema *ret, int64_t n_columns);
/* Fills child i (any child once). meta: NULL-terminated key, value pairs, may be NULL; length and
 * logical are written from the type. Nested types copy the children of type->field (DICT without
 * one gets utf8 values). WH_E_TYPE: a nested type without its field. */
WH_EXPORT wh_status wh_schema_set(struct ArrowSchema *, int64_t i, const char *name,
                                  const struct wh_type *, const char *const *meta);
/* One field by itself, same rules. */
WH_EXPORT wh_status wh_field_init(struct ArrowSchema *ret, const char *name, const struct wh_type *,
                                  const char *const *meta);
WH_EXPORT wh_status wh_schema_copy(const struct ArrowSchema *, struct ArrowSchema *ret);
WH_EXPORT wh_status wh_field_rename(struct ArrowSchema *field, const char *name); /* ours only */
/* For schemas that are kept, perhaps thousands of them: the same in one block of memory, about half
 * as large. It cannot be changed any more (WH_E_BUG from functions that would). On failure *s stays
 * as it is. */
WH_EXPORT wh_status wh_schema_pack(struct ArrowSchema *s);
/* *ret is read like *from while that lives; its release frees nothing. */
WH_EXPORT void wh_schema_lend(const struct ArrowSchema *from, struct ArrowSchema *ret);
WH_EXPORT const char *wh_meta_get(const struct ArrowSchema *field, const char *key,
                                  struct wh_str *ret); /* pointer into the metadata, or NULL */
/* value NULL: the key goes. */
WH_EXPORT wh_status wh_meta_set(struct ArrowSchema *field, const char *key, const char *value);
WH_EXPORT int64_t wh_schema_find(const struct ArrowSchema *, struct wh_str name, bool ignore_case);
/* Same types, names, nullability and metadata, in the same order. */
WH_EXPORT bool wh_schema_equal(const struct ArrowSchema *, const struct ArrowSchema *);
/* Text form for the state store and fingerprints (JSON: name, type, nullable, meta). */
WH_EXPORT wh_status wh_schema_to_json(const struct ArrowSchema *, struct wh_buf *);
WH_EXPORT wh_status wh_schema_from_json(const char *text, size_t n, struct ArrowSchema *ret,
                                        struct wh_error *reterr);

#endif
