/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of src/data share among themselves; not for other layers. */
#ifndef WHERRY_DATA_INTERNAL_H
#define WHERRY_DATA_INTERNAL_H

#include "data/type.h"

/* type.c */
bool wh_type_format(const struct wh_type *, char out[32]); /* Arrow format; false: no such type */
bool wh_decimal_fits(int precision, int scale, int max); /* max digits on each side of the point */
const char *wh_logical_name(enum wh_logical);
bool wh_logical_parse(struct wh_str, enum wh_logical *ret);

/* schema.c */
wh_status wh_schema_own(struct ArrowSchema *ret, const char *format, const char *name,
                        int64_t flags, int64_t n_children); /* children zeroed, not released */
wh_status wh_schema_own_dictionary(struct ArrowSchema *);   /* adds one of type utf8 */
/* i-th metadata pair; false past the end. wh_meta_put: value.s == NULL removes the key. */
bool wh_meta_each(const struct ArrowSchema *, int64_t i, struct wh_str *key, struct wh_str *value);
wh_status wh_meta_put(struct ArrowSchema *, struct wh_str key, struct wh_str value);

/* view.c: nulls among n bits from bit `from`; 0 for NULL. */
int64_t wh_count_nulls(const uint8_t *validity, int64_t from, int64_t n);

/* jsontext.c: RFC 8259, at most 512 levels deep. Invalid UTF-8 is not looked for. */
bool wh_json_valid(const char *s, size_t n);
bool wh_json_number(const char *s, size_t n);

/* viewtext.c: 8-4-4-4-12 hexadecimal digits; always 36. */
size_t wh_print_uuid(const uint8_t p[16], char out[36]);

#endif
