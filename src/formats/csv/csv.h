/* SPDX-License-Identifier: Apache-2.0 */
/* CSV without I/O: bytes in, column batches out; column batches in, bytes out.
 *
 * A record ends with LF, CRLF or CR outside quotes; a field is quoted if its first byte is the
 * quote; quotes anywhere else in an unquoted field are data (RFC 4180 with the habits of real
 * files). Null and empty are kept apart: an unquoted empty field is NULL, `""` is the empty text;
 * our own writer writes exactly that, so a round trip changes nothing. In columns that are not text
 * an empty field is NULL either way. A record that does not fit is handed to `reject` with its
 * bytes and place, never padded, cut or skipped silently. Empty lines are no records, except in
 * files of one column, where they are a NULL.
 *
 * A quote that never closes makes one record of all that is left. Which rows were meant behind it
 * nobody can tell: any line end may be inside the quotes. So that record is refused as a whole
 * (E6022), its bytes handed out, and the reading ends well; nothing is read that may be half of a
 * text. A record above max_row is refused with its beginning (E6010), and reading goes on behind
 * the line end that ends it by the rules above; if its quote never closes there is none, its bytes
 * were not kept, and the reading ends with WH_E_DATA (E4003).
 *
 * Text is UTF-8 here; other charsets are converted before (files/ does it with iconv).
 */
#ifndef WHERRY_FORMATS_CSV_H
#define WHERRY_FORMATS_CSV_H

#include "core/alloc.h"
#include "core/buf.h"
#include "data/builder.h"
#include "data/rowhash.h"
#include "data/view.h"
#include "formats/reject.h"

enum {
    WH_CSV_DELIMITER_MAX = 8,
    WH_CSV_NULLS_MAX = 16,
    WH_CSV_NULL_TEXT_MAX = 64,
    WH_CSV_FIELDS_MAX = 65536,
};
#define WH_CSV_MAX_ROW ((size_t)4 << 20) /* default of max_row_bytes */

/* One null text; kept inside so that a dialect can be copied. */
struct wh_csv_null {
    char text[WH_CSV_NULL_TEXT_MAX];
    uint8_t n;
};

struct wh_csv_dialect {
    char delimiter[WH_CSV_DELIMITER_MAX];
    uint8_t delimiter_n;
    int quote, escape, comment; /* a byte, or -1; escape -1: a doubled quote only */
    char decimal;               /* '.' or ',' */
    bool empty_null;            /* an unquoted empty text is NULL */
    uint8_t n_nulls;
    struct wh_csv_null nulls[WH_CSV_NULLS_MAX];
    size_t max_row;
};

/* Comma, double quote, no escape, no comment, empty unquoted text is NULL. */
WH_EXPORT struct wh_csv_dialect wh_csv_dialect_default(void);
/* False when the text is too long or there are too many. Empty text sets empty_null. */
WH_EXPORT bool wh_csv_add_null(struct wh_csv_dialect *, struct wh_str text);

/* ---- looking at a sample ----------------------------------------------------------------------
 */

enum wh_csv_header {
    WH_CSV_HEADER_NO,
    WH_CSV_HEADER_YES,
    WH_CSV_HEADER_AUTO
};

/* What is known before looking; `auto` parts are found out. */
struct wh_csv_ask {
    struct wh_csv_dialect dialect;
    bool delimiter_auto;
    enum wh_csv_header header;
    int64_t skip_lines; /* dropped before the header */
    bool any_text;      /* do not refuse invalid UTF-8 */
};

/* The shape of one file. `names` holds n_fields texts; a field that is empty in every line
 * (trailing delimiter) is in n_fields, but not in n_columns. */
struct wh_csv_shape {
    struct wh_csv_dialect dialect;
    bool has_header;
    int64_t n_fields, n_columns;
    size_t data_at;     /* offset of the first data record in the sample */
    int64_t first_line; /* its line number, from 1 */
    char **names;       /* n_columns; owned */
    char note[200];     /* "sep= line dropped; NA = NULL" */
};

WH_EXPORT void wh_csv_shape_free(struct wh_csv_shape *);
/* Byte order mark, sep= line, skipped lines, delimiter, header. `whole`: the sample is the entire
 * file. Text with invalid UTF-8 gives WH_E_DATA (E4006). */
WH_EXPORT wh_status wh_csv_look(const struct wh_csv_ask *, const void *sample, size_t n, bool whole,
                                struct wh_csv_shape *ret, struct wh_error *reterr);

/* Guesses one type per column from samples; several samples of one shape may be added. */
struct wh_csv_guess;
WH_EXPORT wh_status wh_csv_guess_new(int64_t n_columns, struct wh_csv_guess **ret);
WH_EXPORT void wh_csv_guess_free(struct wh_csv_guess *);
/* The column's type is declared and not text: null words in it count whatever else it holds. */
WH_EXPORT void wh_csv_guess_declare(struct wh_csv_guess *, int64_t column);
/* Reads complete records of [data, data + n) (plus the last one if `whole`), at most max_rows. */
WH_EXPORT wh_status wh_csv_guess_add(struct wh_csv_guess *, const struct wh_csv_shape *,
                                     const void *data, size_t n, bool whole, int64_t max_rows);
WH_EXPORT int64_t wh_csv_guess_rows(const struct wh_csv_guess *);
/* Types, with WH_META_GUESSED; null texts found beside numbers and dates go into *dialect and are
 * named in note. */
WH_EXPORT wh_status wh_csv_guess_schema(struct wh_csv_guess *, char *const *names, bool nulls_given,
                                        struct wh_csv_dialect *dialect, struct ArrowSchema *ret,
                                        char *note, size_t note_n);

/* ---- reading ----------------------------------------------------------------------------------
 */

struct wh_csv_config {
    struct wh_csv_dialect dialect;
    const struct ArrowSchema *schema; /* borrowed until new returns */
    const int32_t *fields;            /* schema column -> field of the record; NULL = same order */
    int64_t n_fields;                 /* fields that every record must have */
    int64_t offset;                   /* of the first byte that will be fed, in the stream */
    int64_t line;                     /* of it; 0 = not known */
    int64_t stop_at;                  /* records that start at or after it are not read; -1 */
    int64_t max_rows;                 /* -1 = all */
    size_t buffer;                    /* window, bytes; 0 = 256 KiB */
    int simd;                         /* -1 best, 0 none, 1 SSE2, 2 AVX2: for tests */
    wh_text_reject_fn reject;
    void *arg;
};

struct wh_csv_reader;
WH_EXPORT bool wh_csv_can_read(const struct wh_type *);
/* WH_E_TYPE for column types that no text of a CSV file can give. */
WH_EXPORT wh_status wh_csv_reader_new(const struct wh_csv_config *, struct wh_csv_reader **ret,
                                      struct wh_error *reterr);
WH_EXPORT void wh_csv_reader_free(struct wh_csv_reader *);
/* Goes on for somebody else, as if it had just been opened where it is. */
WH_EXPORT void wh_csv_adopt(struct wh_csv_reader *, void *arg, int64_t max_rows);
/* Room to read into (at least 64 kB or what max_row allows), then say how much came. */
WH_EXPORT wh_status wh_csv_space(struct wh_csv_reader *, void **ret_p, size_t *ret_n,
                                 struct wh_error *reterr);
WH_EXPORT void wh_csv_filled(struct wh_csv_reader *, size_t n, bool last);
/* WH_OK with a batch; WH_OK with *ret_hungry (and no batch): fill more first; WH_END; or what
 * `reject` answered; WH_E_DATA (E4003) for a record above max_row whose quote never closes. */
WH_EXPORT wh_status wh_csv_next(struct wh_csv_reader *, struct wh_batch *ret, bool *ret_hungry,
                                struct wh_error *reterr);
/* Runs over records without reading them, up to stop_at: WH_END when the offset is the first record
 * start at or behind it (or the end of the stream), WH_OK when hungry. */
WH_EXPORT wh_status wh_csv_pass(struct wh_csv_reader *, struct wh_error *reterr);
/* Stream offset of the first record after the last batch, and its line (0 = not known). */
WH_EXPORT int64_t wh_csv_offset(const struct wh_csv_reader *);
WH_EXPORT int64_t wh_csv_line(const struct wh_csv_reader *);
WH_EXPORT int64_t wh_csv_rows(const struct wh_csv_reader *); /* delivered in batches */

/* What a place in the middle of a file is. */
enum wh_csv_place {
    WH_CSV_OUTSIDE, /* somewhere in a field without quotes */
    WH_CSV_INSIDE,  /* within quotes */
    WH_CSV_FIELD,   /* where a field starts */
};
/* Where records start when reading begins somewhere inside a file: the offset of the first record
 * start after the first line end, or -1 if there is none in the text. A CR at its end does not
 * count: it needs the next byte. */
WH_EXPORT int64_t wh_csv_sync(const struct wh_csv_dialect *, const void *p, size_t n,
                              enum wh_csv_place);
/* Guesses what p is from how well the records that follow have n_fields. */
WH_EXPORT enum wh_csv_place wh_csv_guess_place(const struct wh_csv_dialect *, const void *p,
                                               size_t n, int64_t n_fields);

/* ---- writing ----------------------------------------------------------------------------------
 */

struct wh_csv_format {
    struct wh_csv_dialect dialect; /* nulls[0] is written for NULL, else nothing */
    bool crlf;
};

struct wh_csv_writer;
WH_EXPORT wh_status wh_csv_writer_new(const struct wh_csv_format *, const struct ArrowSchema *,
                                      struct wh_csv_writer **ret, struct wh_error *reterr);
WH_EXPORT void wh_csv_writer_free(struct wh_csv_writer *);
WH_EXPORT wh_status wh_csv_write_header(struct wh_csv_writer *, struct wh_buf *out);
/* Rows [first, first + n) or, where rows != NULL, the n rows listed. `views` from wh_views_init. */
WH_EXPORT wh_status wh_csv_write(struct wh_csv_writer *, const struct wh_view *views,
                                 const int32_t *rows, int64_t first, int64_t n, struct wh_buf *out,
                                 struct wh_error *reterr);

#endif
