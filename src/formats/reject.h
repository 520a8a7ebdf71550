/* SPDX-License-Identifier: Apache-2.0 */
/* A record of a text file that never becomes a row. */
#ifndef WHERRY_FORMATS_REJECT_H
#define WHERRY_FORMATS_REJECT_H

#include <stdint.h>
#include <wherry/status.h>

/* Borrowed during the call. */
struct wh_text_reject {
    struct wh_bytes raw; /* as it stands in the file, without its line end */
    int64_t raw_of;      /* > 0: raw is only the beginning of (at least) so many bytes */
    int64_t offset;      /* in the stream */
    int64_t line;        /* from 1; 0 = not known */
    int32_t column;      /* of the schema, -1 = the whole record */
    const char *code;    /* E60xx */
    const char *text;
};

/* What is not WH_OK ends the reading with that status. */
typedef wh_status (*wh_text_reject_fn)(void *arg, const struct wh_text_reject *);

#endif
