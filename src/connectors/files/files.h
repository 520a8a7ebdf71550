/* SPDX-License-Identifier: Apache-2.0 */
/* The files family: storages x formats x codecs behind one source and one sink. A storage (local
 * disk today) is a table of wherry/storage.h; all names here are relative to a root that is opened
 * once per scan or target. */
#ifndef WHERRY_FILES_H
#define WHERRY_FILES_H

#include <stdatomic.h>

#include <wherry/connector.h>
#include "core/alloc.h"
#include "core/buf.h"
#include "formats/codec/codec.h"
#include "local.h"
#include "formats/rows.h"

/* ---- options ----------------------------------------------------------------------------------
 */

enum files_format {
    FILES_FORMAT_AUTO,
    FILES_FORMAT_CSV,
    FILES_FORMAT_TSV,   /* CSV with a tab */
    FILES_FORMAT_JSON,  /* an array of objects, or objects behind one another */
    FILES_FORMAT_JSONL, /* one object per line */
};

static inline bool files_is_json(enum files_format f)
{
    return f == FILES_FORMAT_JSON || f == FILES_FORMAT_JSONL;
}

enum files_unknown {
    FILES_UNKNOWN_REJECT,
    FILES_UNKNOWN_DROP,
};

enum files_missing {
    FILES_MISSING_FAIL,
    FILES_MISSING_SKIP, /* source: a path that finds nothing is passed over */
    FILES_MISSING_MAKE, /* target: a folder that is not there is made */
};

/* A file that is named twice. */
enum files_twice {
    FILES_TWICE_ONCE,
    FILES_TWICE_KEEP,
    FILES_TWICE_FAIL,
    FILES_TWICE_CONTENT, /* a file with the bytes of another one is as good as named twice */
};

enum files_md5 {
    FILES_MD5_OFF,
    FILES_MD5_CHECK,   /* where a sum lies beside a file */
    FILES_MD5_REQUIRE, /* each file must have one */
    FILES_MD5_MD5,     /* target: x.md5 is written beside x */
    FILES_MD5_SHA256,
};

enum files_after {
    FILES_AFTER_KEEP,
    FILES_AFTER_DELETE,
    FILES_AFTER_RENAME,
    FILES_AFTER_MOVE,
};

enum files_compression {
    FILES_COMPRESSION_AUTO = -1, /* by the name */
    /* else enum wh_codec */
};

struct files_from {
    struct wh_list path; /* further files beside the object */
    int format, compression, header;
    const char *encoding, *delimiter, *decimal;
    int quote, escape, comment;
    struct wh_list null_text, include, exclude;
    int64_t skip_lines;
    int unknown_fields;
    const char *list, *modified_since, *modified_until, *ready_file, *after_read;
    int64_t min_size, ready_wait, levels;
    int on_missing, duplicates, md5;
    bool hidden;
    const char *encrypt; /* refused when set */
};

struct files_to {
    const char *path;
    int format, compression, line_end;
    bool header, success_file;
    const char *delimiter, *decimal, *null_text, *file_name;
    int quote, escape;
    int64_t level, part_size, part_rows;
    const char *encoding, *list;
    int md5, on_missing;
    const char *encrypt; /* refused when set */
};

extern const struct wh_options files_connection_table, files_from_table, files_to_table;
wh_status files_validate(const void *connection, const void *from, const void *to,
                         struct wh_error *reterr);
/* "auto", "tab", ";", "||" into a dialect. */
wh_status files_delimiter(const char *text, struct wh_csv_dialect *d, bool *ret_auto,
                          struct wh_error *reterr);
wh_status files_decimal(const char *text, struct wh_csv_dialect *d, struct wh_error *reterr);
/* WH_E_USAGE (E1007) for an option that means nothing for standard input. */
wh_status files_check_stdin(const struct files_from *, struct wh_error *reterr);
/* WH_E_USAGE (E1007) for an option that means nothing for JSON. */
wh_status files_check_json_from(const struct files_from *, struct wh_error *reterr);
wh_status files_check_json_to(const struct files_to *, struct wh_error *reterr);

/* ---- endpoint and session ---------------------------------------------------------------------
 */

/* Behind the name of a target in parts. */
#define FILES_PARTS_TAIL " and a manifest"

struct files_endpoint {
    const struct wh_ctx *ctx;
    struct wh_local_options where;
    const struct wh_storage_ops *storage;
};

struct files_session {
    atomic_bool interrupted;
};

extern const struct wh_endpoint_ops files_endpoint_ops;
extern const struct wh_source_ops files_source_ops;
extern const struct wh_sink_ops files_sink_ops;

/* Gives a status of lower layers its words, where they had none. */
wh_status files_worded(int st, struct wh_error *reterr);

/* ---- names and formats (paths.c) --------------------------------------------------------------
 */

/* What a file's name and the options say about its content. */
struct files_kind {
    enum files_format format;
    enum wh_codec codec;
};

/* Name without folder, codec and format suffix. */
struct wh_str files_stem(struct wh_str name);
/* WH_E_UNSUPPORTED (E1014, E1024) for formats and codecs that this build cannot do. */
wh_status files_kind_of(struct wh_str name, int format, int compression, struct files_kind *ret,
                        struct wh_error *reterr);
/* True if the name's suffix names a format of this build; used to pick files of a folder. */
bool files_known_name(struct wh_str name);
/* `**` = any folders; other segments by glob. hidden: names that hide themselves match as others
 * do. */
bool files_match(const char *pattern, const char *name, bool hidden);
/* A name that begins with . or _; any part of a path. */
bool files_hides(const char *name);
bool files_any_hides(const char *path);
struct wh_str files_base_name(struct wh_str path);

/* One file of a scan. */
struct files_entry {
    char *name;  /* relative to the root */
    char *shown; /* as the user would write it */
    char etag[72];
    int64_t size;
};

struct files_list {
    char *root; /* absolute folder */
    struct files_entry *v;
    size_t n, cap;
    int64_t others;                   /* files of a folder that were left out */
    int64_t filtered, missing, twice; /* too small or of another time; paths that found nothing;
                                         named again */
    bool is_stdin;
};

void files_list_free(struct files_list *);
/* All files that an object and the options path and list name. END: none, and on_missing says that
 * this is well. */
wh_status files_find(const struct files_endpoint *, const struct wh_name *object,
                     const struct files_from *opts, struct files_list *ret,
                     struct wh_error *reterr);
/* Splits a path into an absolute folder (which must exist) and the rest. */
wh_status files_split_path(const struct files_endpoint *, const char *path, char **ret_root,
                           char **ret_rest, struct wh_error *reterr);
/* A storage opened at a root; closed by files_storage_close. */
struct files_storage {
    const struct wh_storage_ops *ops;
    void *st;
};
wh_status files_storage_open(struct files_storage *, const struct wh_storage_ops *,
                             const char *root, struct wh_error *reterr);
void files_storage_close(struct files_storage *);

/* ---- the bytes of one file (input.c) -----------------------------------------------------------
 */

/* Text of one file from some place on: storage, decompression (on a helper where one is free),
 * charset conversion. */
struct files_input;
struct files_input_config {
    const struct files_storage *storage;
    const char *name; /* NULL: standard input */
    enum wh_codec codec;
    const char *encoding; /* NULL or UTF-8: as it is */
    int64_t offset;       /* of the first byte; 0 with codec or encoding */
    const struct wh_ctx *ctx;
    bool peek; /* standard input: look without taking */
};
wh_status files_input_open(const struct files_input_config *, struct files_input **ret,
                           struct wh_error *reterr);
void files_input_close(struct files_input *);
/* Fills up to n bytes; *ret_last when nothing comes behind them. */
wh_status files_input_read(struct files_input *, void *buf, size_t n, size_t *ret_n, bool *ret_last,
                           struct wh_error *reterr);
/* Another attempt goes on with it. */
void files_input_adopt(struct files_input *, const struct wh_ctx *);
/* No helper works for it any more. */
void files_input_rest(struct files_input *);
/* True if the text is a whole GB18030 text: for the hint of an encoding error. */
bool files_fits_encoding(const char *encoding, const void *p, size_t n);
/* UTF-16 by its byte order mark, or NULL. */
const char *files_encoding_of_mark(const void *p, size_t n);

/* ---- scan -------------------------------------------------------------------------------------
 */

/* A range whose guessed start was wrong: the next attempt begins where it should. */
struct files_correction {
    uint32_t file;
    int64_t start, right;
};

/* A reader of text that cannot be jumped in, kept where it was cut: the rest of its file is read on
 * from there, and only another process has to begin at the file's start again. */
struct files_parked {
    uint32_t file;
    int64_t at; /* text offset; 0 = empty place */
    struct files_input *input;
    struct wh_text_rows rows;
    struct files_storage *storage;
    uint8_t *head;
    size_t head_n, head_at;
    bool head_last;
    int64_t data_at;
};

enum {
    FILES_PARKED = 4
};

struct files_scan {
    const struct files_endpoint *ep;
    const struct wh_ctx *ctx;
    struct files_list list;
    struct files_storage storage;
    struct files_kind kind; /* codec: of standard input; files have their own */
    int compression;        /* as asked */
    const char *encoding;   /* static or encoding_text */
    char encoding_text[40];
    int md5; /* enum files_md5 */
    enum files_after after;
    char *after_folder; /* absolute; of MOVE */
    struct wh_csv_dialect dialect;
    bool has_header;
    int64_t skip_lines, n_fields;
    char **names; /* of the fields, n_names */
    int64_t n_names;
    struct ArrowSchema schema;  /* projected and frozen */
    int32_t *fields;            /* schema column -> field, by the first file's names; CSV */
    bool *places;               /* JSON: per schema column, it is no key; names are the keys */
    enum wh_json_layout layout; /* of the first JSON file */
    bool refuse_unknown;        /* JSON: a key of no column is a dirty row */
    int64_t unit_bytes, limit, row_bytes; /* row_bytes: mean size in the sample */
    bool ranges;
    struct wh_buf bounds, token, cursor;
    atomic_flag lock; /* of what follows */
    struct files_correction *corrections;
    size_t n_corrections;
    struct files_parked parked[FILES_PARKED];
    int next_parked;
};

/* What a split's token says. */
struct files_token {
    uint32_t file;
    bool exact;         /* start is a record start (or the start of the file) */
    int64_t start, end; /* bytes of text; end INT64_MAX = to the end of the file */
    uint64_t seq;       /* number of the range in its file */
    int64_t max_rows;   /* -1 = all */
};

wh_status files_token_write(const struct files_token *, struct wh_buf *out);
bool files_token_read(struct wh_bytes, struct files_token *ret);
void files_label(const struct files_scan *, const struct files_token *, struct wh_split *ret);
bool files_corrected(struct files_scan *, uint32_t file, int64_t start, int64_t *ret);
wh_status files_correct(struct files_scan *, uint32_t file, int64_t start, int64_t right);
/* WH_E_DATA (E4007) if the file is not the one of the plan. */
wh_status files_unchanged(const struct files_scan *, const struct files_storage *, size_t file,
                          struct wh_error *reterr);
wh_status files_codec_of(const struct files_scan *, size_t file, enum wh_codec *ret,
                         struct wh_error *reterr);
/* Schema columns to fields of this file: by name where it has a header. */
wh_status files_map_fields(const struct files_scan *, size_t file, const struct wh_csv_shape *,
                           int32_t *fields, struct wh_error *reterr);
/* Looks at a file's beginning with the scan's frozen dialect. */
wh_status files_look(const struct files_scan *, const void *head, size_t n, bool whole,
                     struct wh_csv_shape *ret, struct wh_error *reterr);

/* One split on its way. A range that does not begin at a known record start guesses; until the
 * chain, or a walk from the file's beginning, has proved the guess, nothing of it is final. */
struct files_reader {
    struct files_scan *sc;
    const struct wh_ctx *ctx;
    const struct files_session *se;
    struct files_storage *storage; /* its own: a storage serves one thread */
    bool sequential, cut;          /* cut: just now, and nothing was read since */
    struct files_token token;
    struct files_input *input;
    struct wh_text_rows rows;
    enum wh_json_layout layout; /* of this file */
    uint8_t *head;              /* bytes read to see the header, not given to csv yet */
    size_t head_n, head_at;
    bool head_last;
    int32_t *fields;
    int64_t begin;   /* first record start of this split */
    int64_t data_at; /* of the file; 0 = not looked */
    bool proven, wrong, done;
    int64_t right; /* where it should have begun, if wrong */
    struct wh_buf out, end;
};

void files_park(struct files_scan *, struct files_parked *take);
bool files_unpark(struct files_scan *, uint32_t file, int64_t at, struct files_parked *ret);
void files_parked_free(struct files_parked *);

wh_status files_reader_open(void *rd, void *sc, void *se, const struct wh_ctx *attempt,
                            const struct wh_split *, struct ArrowSchema *ret_actual,
                            struct wh_error *reterr);
wh_status files_reader_next(void *rd, struct wh_batch *ret, struct wh_error *reterr);
wh_status files_reader_cut(void *rd, struct wh_split *ret_rest, struct wh_split *ret_done,
                           struct wh_error *reterr);
wh_status files_reader_end(void *rd, struct wh_bytes *ret_end, struct wh_error *reterr);
wh_status files_reader_chain(void *rd, const struct wh_bytes *prev_end, struct wh_split *ret_right,
                             struct wh_error *reterr);
void files_reader_close(void *rd);

#endif
