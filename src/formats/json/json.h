/* SPDX-License-Identifier: Apache-2.0 */
/* JSON without I/O: bytes in, column batches out; column batches in, bytes out.
 *
 * A row is one object. Three layouts: one object per line; the items of one array; objects behind
 * one another, over as many lines as they like. A column is a key of the object, or a place in it
 * (`data.items.0`, or `/data/items/0` with ~1 for / and ~0 for ~); a key that is written so wins.
 *
 * Numbers are read from their digits, never through a double unless the column is one. Objects and
 * arrays stay the text they are. A missing key and null are NULL; a key that stands twice, a value
 * of another type, text that is not UTF-8 (half of a surrogate pair too) make the row a reject,
 * handed out with its bytes and place. Lines are cut at LF alone, so one bad line is one reject,
 * whatever it leaves open. In the other layouts brackets are counted, and what cannot be cut
 * (anything but commas between items, an array without its bracket) is WH_E_DATA (E4012) with its
 * place. A row whose bracket or quote never closes has all that is left in it, the array's bracket
 * too: it is refused as one (E6022), its bytes handed out, and the reading ends well; above max_row
 * it is refused with its beginning (E6010), its bytes are not kept, and the reading ends with
 * E4012.
 */
#ifndef WHERRY_FORMATS_JSON_H
#define WHERRY_FORMATS_JSON_H

#include "formats/csv/csv.h" /* texts are values by the words of CSV */

enum {
    WH_JSON_COLUMNS_MAX = 16384,
    WH_JSON_STEPS_MAX = 32,  /* of a place */
    WH_JSON_DEPTH_MAX = 512, /* brackets within brackets of one row */
};

enum wh_json_layout {
    WH_JSON_LINES,
    WH_JSON_ARRAY,
    WH_JSON_VALUES,
};

/* ---- looking at a sample ----------------------------------------------------------------------
 */

struct wh_json_shape {
    enum wh_json_layout layout;
    size_t data_at;     /* behind a byte order mark and the array's bracket */
    int64_t first_line; /* its line number, from 1 */
    bool cut;           /* the first row does not end in the sample, so its layout is not sure */
    char note[120];
};

/* What is known before looking. */
struct wh_json_ask {
    bool lines;    /* one object per line, whatever it looks like */
    bool any_text; /* do not refuse invalid UTF-8 */
};

/* A sample without a row has no layout that matters. WH_E_DATA: invalid UTF-8 (E4006), or neither
 * an object nor an array (E4012). */
WH_EXPORT wh_status wh_json_look(const struct wh_json_ask *, const void *sample, size_t n,
                                 bool whole, struct wh_json_shape *ret, struct wh_error *reterr);

/* Names in the order of their first sight, one type for each; several samples may be added. */
struct wh_json_guess;
WH_EXPORT wh_status wh_json_guess_new(struct wh_json_guess **ret);
WH_EXPORT void wh_json_guess_free(struct wh_json_guess *);
/* Guesses the type of a place too; WH_E_USAGE (E1002) if it cannot be read as one. */
WH_EXPORT wh_status wh_json_guess_place(struct wh_json_guess *, const char *place,
                                        struct wh_error *reterr);
/* Complete rows of [data, data + n) (plus the last one if `whole`), at most max_rows. */
WH_EXPORT wh_status wh_json_guess_add(struct wh_json_guess *, enum wh_json_layout, const void *data,
                                      size_t n, bool whole, int64_t max_rows);
WH_EXPORT int64_t wh_json_guess_rows(const struct wh_json_guess *);
/* Keys first, then the places that are no keys and that some row has. int64, float64 (where a
 * double is the same number), decimal text, bool, date, timestamp, text; json for objects, arrays,
 * mixtures and columns of nothing but null. All with WH_META_GUESSED. WH_E_TYPE (E3014) for too
 * many. */
WH_EXPORT wh_status wh_json_guess_schema(const struct wh_json_guess *, struct ArrowSchema *ret,
                                         int64_t *ret_keys, struct wh_error *reterr);

/* ---- reading ----------------------------------------------------------------------------------
 */

struct wh_json_config {
    const struct ArrowSchema *schema; /* borrowed until new returns */
    const bool *places;               /* per column: its name is a place, no key; NULL = keys */
    const char *const *known;         /* keys that may stand there beside the columns', n_known */
    int64_t n_known;
    bool refuse_unknown; /* a row with another key is a reject, else the key is passed over */
    enum wh_json_layout layout;
    bool inside;      /* ARRAY: an item was before */
    int64_t offset;   /* of the first byte that will be fed, in the stream */
    int64_t line;     /* of it; 0 = not known */
    int64_t stop_at;  /* LINES: lines that start at or after it are not read; -1 */
    int64_t max_rows; /* -1 = all */
    size_t buffer;    /* window, bytes; 0 = 256 KiB */
    size_t max_row;
    bool plain; /* not with the best that this machine has: for tests */
    wh_text_reject_fn reject;
    void *arg;
};

struct wh_json_reader;
/* WH_E_TYPE for column types that no JSON can give; WH_E_USAGE for a place that is none. */
WH_EXPORT wh_status wh_json_reader_new(const struct wh_json_config *, struct wh_json_reader **ret,
                                       struct wh_error *reterr);
WH_EXPORT void wh_json_reader_free(struct wh_json_reader *);
/* These six are what their namesakes of csv.h are. */
WH_EXPORT void wh_json_adopt(struct wh_json_reader *, void *arg, int64_t max_rows);
WH_EXPORT wh_status wh_json_space(struct wh_json_reader *, void **ret_p, size_t *ret_n,
                                  struct wh_error *reterr);
WH_EXPORT void wh_json_filled(struct wh_json_reader *, size_t n, bool last);
WH_EXPORT wh_status wh_json_next(struct wh_json_reader *, struct wh_batch *ret, bool *ret_hungry,
                                 struct wh_error *reterr);
WH_EXPORT int64_t wh_json_offset(const struct wh_json_reader *);
WH_EXPORT int64_t wh_json_line(const struct wh_json_reader *);
WH_EXPORT int64_t wh_json_rows(const struct wh_json_reader *);

/* ---- writing ----------------------------------------------------------------------------------
 *
 * {"name":value,...} in the order of the columns, NULL as null. Numbers and truth values as such;
 * NaN, infinities, dates, bytes and the like as texts in the form of view.h; json columns as they
 * are, their line ends as blanks. LINES end with LF; between the items of an ARRAY stands ",\n". */

struct wh_json_writer;
WH_EXPORT wh_status wh_json_writer_new(const struct ArrowSchema *, bool array,
                                       struct wh_json_writer **ret, struct wh_error *reterr);
WH_EXPORT void wh_json_writer_free(struct wh_json_writer *);
/* The next row begins a file. */
WH_EXPORT void wh_json_writer_start(struct wh_json_writer *);
WH_EXPORT wh_status wh_json_write(struct wh_json_writer *, const struct wh_view *views,
                                  const int32_t *rows, int64_t first, int64_t n, struct wh_buf *out,
                                  struct wh_error *reterr);

#endif
