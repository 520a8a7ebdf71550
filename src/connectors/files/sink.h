/* SPDX-License-Identifier: Apache-2.0 */
/* The destination side of the files family (class P).
 *
 * Attempts write parts under `.wherry-<12 of the run>/` beside the target:
 *     f<flow>.u<unit>.g<generation>.a<attempt>[.p<n>].part     a part, header first
 *     f<flow>.u<unit>.g<generation>.a<attempt>.receipt         what a commit knows about its parts
 *     f<flow>.g<generation>.e<epoch>.publish                   the whole, before it gets its name
 * Nothing has the target's name before PUBLISH. Parts begin with the header (its own gzip member or
 * zstd frame when packed), so that one part is a whole file, and parts joined without the headers
 * of all but the first are one too. An array of JSON ends with a footer besides, which is left out
 * between joined parts, where a comma stands. */
#ifndef WHERRY_FILES_SINK_H
#define WHERRY_FILES_SINK_H

#include "core/hash.h"
#include "files.h"

enum {
    SINK_BLOCK = 1 << 20, /* bodies are written, and hashed, in pieces of this size */
    SINK_NAME = 512,
};

/* Columns of files as they are. */
enum {
    SINK_PATH,
    SINK_OFFSET,
    SINK_DATA,
    SINK_SIZE,
    SINK_MODE,
    SINK_MTIME,
    SINK_AS_IS_COLUMNS
};

struct sink_writer;

struct sink_target {
    const struct files_endpoint *ep;
    const struct wh_ctx *ctx;
    struct files_storage storage;
    struct wh_seal_key key_room;
    const struct wh_seal_key *key; /* files are encrypted; NULL: they are not */
    enum files_format shape;       /* CSV, JSON (an array), JSONL, BINARY */
    struct wh_csv_format format;
    enum wh_codec codec;
    int level;
    bool header, is_stdout, parts, append, success_file;
    int64_t part_size, part_rows;
    int md5;          /* enum files_md5 */
    const char *list; /* of the files written, a name in the folder; the options', or NULL */
    char *root;       /* absolute folder that exists */
    char *folder;     /* of the target below it; "" or "a/b/" */
    char *stem;       /* the table's name in a folder */
    char *file;       /* the named file, without folder */
    char *template;   /* of parts: "{name}-{n}" */
    char suffix[24];  /* ".csv.gz" */
    struct ArrowSchema schema;
    struct wh_buf memo, text;
    struct sink_join *join;            /* one file; NULL: standard output or several files */
    atomic_flag header_written;        /* standard output */
    atomic_bool row_written;           /* likewise: the next part of an array needs a comma */
    const char *encoding;              /* iconv's name; owned; NULL = UTF-8 */
    const char *mark;                  /* first bytes of a file: a byte order mark, or "" */
    struct wh_buf comma, footer;       /* of an array, packed as the parts are; else empty */
    int64_t as_is[SINK_AS_IS_COLUMNS]; /* BINARY: places in the schema, -1 = not there */
};

/* One file of a unit. */
struct sink_part {
    char name[96]; /* below the stage folder */
    int64_t header_n, size, rows;
    uint64_t hash; /* of the body */
    /* BINARY: which bytes of which file, and what that file is like. The path is its holder's. */
    char *path;
    int64_t offset, total, mtime_us;
    uint32_t mode;
};

/* Receipt bytes: the parts of one unit in order. */
struct sink_receipt {
    struct sink_part *v;
    size_t n, cap;
};

void sink_receipt_free(struct sink_receipt *);
wh_status sink_receipt_add(struct sink_receipt *, const struct sink_part *);
wh_status sink_receipt_write(const struct sink_receipt *, struct wh_buf *out);
wh_status sink_receipt_read(struct wh_bytes, struct sink_receipt *ret, struct wh_error *reterr);

/* The side file that makes a commit findable: marker and receipt, closed by a checksum. */
wh_status sink_side_write(const struct wh_marker *, struct wh_bytes receipt, struct wh_buf *out);
/* False if the bytes are cut or damaged. The marker's and receipt's bytes point into them. */
bool sink_side_read(struct wh_bytes, struct wh_marker *ret, struct wh_bytes *ret_receipt);

/* Names. `out` has SINK_NAME bytes. */
void sink_stage_folder(const struct sink_target *, const struct wh_fence *, char *out);
void sink_final_name(const struct sink_target *, const struct wh_fence *, int64_t number,
                     char *out);
/* First 12 letters and digits from the end of a run's id, for names. */
void sink_run_tag(const struct wh_fence *, char out[13]);

/* Hash of n bytes as bodies are hashed: pieces of SINK_BLOCK, chained. */
uint64_t sink_hash(uint64_t so_far, const void *p, size_t n);
wh_status sink_hash_file(const struct sink_target *, const char *name, int64_t from, int64_t n,
                         uint64_t *ret, struct wh_error *reterr);
/* A small file; durable, unless it carries its own checksum. */
wh_status sink_put_small(const struct sink_target *, const char *name, const void *p, size_t n,
                         bool durable, struct wh_error *reterr);
/* A file of at most `max` bytes, or WH_E_NOT_FOUND. */
wh_status sink_get_small(const struct sink_target *, const char *name, size_t max,
                         struct wh_buf *out, struct wh_error *reterr);
/* Rows of the file of this name: 0, or -1 if there are some, or it cannot be told. */
int64_t sink_standing_rows(const struct sink_target *, const char *name);
/* Rows of the files of a folder that a new publish would remove; -1 if it cannot be told. */
int64_t sink_manifest_rows(const struct sink_target *);
/* The charset of a target's text (encode.c). WH_E_USAGE (E1002) for an unknown one. */
wh_status sink_charset_choose(struct sink_target *, const char *said, struct wh_error *reterr);
wh_status sink_charset_open(const struct sink_target *, void **ret, struct wh_error *reterr);
void sink_charset_close(void *);
/* Appends text in the charset. WH_E_DATA (E6005) for a character that it does not have. */
wh_status sink_charset_put(const struct sink_target *, void *charset, const char *p, size_t n,
                           struct wh_buf *out, struct wh_error *reterr);
/* What stands before the rows, packed as it stands in a part; empty for JSON lines. */
wh_status sink_header(const struct sink_target *, struct wh_buf *out, struct wh_error *reterr);
/* The file of a table without rows: the header and the footer, or nothing. */
wh_status sink_no_rows(const struct sink_target *, struct wh_buf *out, struct wh_error *reterr);
/* Fills fl->comma and fl->footer. */
wh_status sink_array_marks(struct sink_target *, struct wh_error *reterr);
/* Bytes of a part between header and footer. */
static inline int64_t sink_body(const struct sink_target *fl, const struct sink_part *p)
{
    return p->size - p->header_n - (int64_t)fl->footer.n;
}

wh_status sink_steps(void *fl, void *se, enum wh_phase, struct wh_receipts *,
                     struct wh_step_sink *out, struct wh_error *reterr);
wh_status sink_apply(void *fl, void *se, const struct wh_step *, const struct wh_fence *,
                     struct wh_receipts *, bool maybe_done, struct wh_bytes *ret_receipt,
                     struct wh_error *reterr);
wh_status sink_verify(void *fl, void *se, struct wh_receipts *committed, const struct wh_fence *,
                      struct wh_error *reterr);

/* publish.c: fn for each part of each receipt, in order; *ret_n of them (may be NULL). */
typedef wh_status (*sink_part_fn)(void *arg, const struct sink_part *, int64_t number,
                                  struct wh_error *reterr);
wh_status sink_each_part(struct wh_receipts *, sink_part_fn, void *arg, int64_t *ret_n,
                         struct wh_error *reterr);
wh_status sink_part_lost(const char *name, struct wh_error *reterr);
/* fn for each file under its final name, below the root. */
typedef wh_status (*sink_file_fn)(void *arg, const char *name, struct wh_error *reterr);
wh_status sink_each_file(const struct sink_target *, const struct wh_fence *, struct wh_receipts *,
                         sink_file_fn, void *arg, struct wh_error *reterr);

/* ---- files as they are (asis_write.c) ---------------------------------------------------------
 */

/* One file and all its parts, in order. */
struct sink_whole {
    const char *path;
    const struct sink_part *v;
    size_t n;
    int64_t total;
    uint32_t mode;
    int64_t mtime_us;
};
typedef wh_status (*sink_whole_fn)(void *arg, const struct sink_whole *, struct wh_error *reterr);

/* True if the source's rows are pieces of files. */
bool sink_is_as_is(const struct ArrowSchema *source);
/* Sets shape BINARY where that is what the rows are; refuses what does not fit. */
wh_status sink_as_is_choose(struct sink_target *, const struct files_to *, const char *path,
                            bool folder, struct wh_error *reterr);
wh_status sink_as_is_write(struct sink_writer *, const int32_t *rows, int64_t first, int64_t n,
                           struct wh_error *reterr);
wh_status sink_each_whole(struct wh_receipts *, sink_whole_fn, void *arg, struct wh_error *reterr);
/* Nothing that is there bars a name: E5012. Changes nothing. */
wh_status sink_as_is_look(const struct sink_target *, const struct wh_fence *, struct wh_receipts *,
                          const char *stage, struct wh_error *reterr);
wh_status sink_as_is_publish(const struct sink_target *, const struct wh_fence *,
                             struct wh_receipts *, const char *stage, struct wh_error *reterr);
/* The part's file has its name already, as far as its size tells. */
bool sink_as_is_published(const struct sink_target *, const struct sink_part *);
wh_status sink_as_is_each(const struct sink_target *, struct wh_receipts *, sink_file_fn, void *arg,
                          struct wh_error *reterr);
/* Lines of the manifest. */
wh_status sink_as_is_manifest(const struct sink_target *, struct wh_receipts *, struct wh_buf *text,
                              int64_t *ret_rows, int64_t *ret_bytes, struct wh_error *reterr);

/* beside.c: what is written beside the files. ".md5", ".sha256" or "". */
const char *sink_sum_suffix(const struct sink_target *);
wh_status sink_write_sums(const struct sink_target *, const struct wh_fence *, struct wh_receipts *,
                          const char *stage, struct wh_error *reterr);
wh_status sink_write_list(const struct sink_target *, const struct wh_fence *, struct wh_receipts *,
                          const char *stage, struct wh_error *reterr);

/* ---- joining ----------------------------------------------------------------------------------
 * join.c. A target that is one file has a sink_join; sink_join_free may be called without. */

int sink_join_new(struct sink_target *);
void sink_join_free(struct sink_target *);
/* The parts of a unit that was committed: they are appended once those of all units before it are.
 * On the lane that wrote them, until the attempt is asked to stop; a failure is nobody's. */
void sink_join_offer(struct sink_target *, const struct wh_fence *, int64_t unit,
                     struct sink_receipt *take, const struct wh_ctx *attempt);
/* The finished file with all parts, durable, and its name below the root. No lane is at work. */
wh_status sink_join_all(const struct sink_target *, const struct wh_fence *, struct wh_receipts *,
                        char ret_name[SINK_NAME], struct wh_error *reterr);

/* ---- writer -----------------------------------------------------------------------------------
 */

struct sink_writer {
    struct sink_target *fl;
    const struct files_session *se;
    const struct wh_ctx *ctx;
    struct wh_unit unit;
    uint32_t epoch;
    char stage[SINK_NAME];
    struct wh_csv_writer *csv; /* or */
    struct wh_json_writer *json;
    struct wh_encoder *encoder;
    void *charset;       /* encode.c's; NULL = UTF-8 */
    struct wh_buf plain; /* text before it is converted */
    void *out;           /* storage's; NULL = no part open */
    struct sink_part part;
    struct sink_receipt receipt;
    struct wh_view *views;
    struct wh_buf text, packed; /* text not packed yet; bytes not written yet */
    int64_t part_text, rows, bytes, sent;
    struct wh_rowsum sum;
    struct wh_buf receipt_bytes;
    bool committed;
};

/* One part of an attempt; end does nothing where none is open. */
wh_status sink_part_begin(struct sink_writer *, struct wh_error *reterr);
wh_status sink_part_drain(struct sink_writer *, struct wh_error *reterr);
wh_status sink_part_end(struct sink_writer *, struct wh_error *reterr);

wh_status sink_writer_open(void *wr, void *fl, void *se, const struct wh_ctx *attempt,
                           const struct wh_unit *, const struct wh_fence *,
                           struct wh_error *reterr);
wh_status sink_writer_write(void *wr, const struct wh_batch *, int64_t send, const int32_t *rows,
                            int64_t first, int64_t n, struct wh_acks *ret, struct wh_error *reterr);
wh_status sink_writer_flush(void *wr, int64_t deadline_ns, struct wh_acks *ret,
                            struct wh_error *reterr);
wh_status sink_writer_seal(void *wr, struct wh_tally *ret, struct wh_error *reterr);
wh_status sink_writer_commit(void *wr, const struct wh_marker *, struct wh_bytes *ret_receipt,
                             struct wh_error *reterr);
void sink_writer_close(void *wr);
wh_status sink_lookup(void *fl, void *se, const struct wh_unit *, struct wh_fate *ret,
                      struct wh_error *reterr);
/* Base name of a unit's attempt below the stage folder. */
void sink_attempt_name(const struct wh_unit *, int32_t attempt, char *out, size_t cap);
/* Standard output; a closed pipe is an error, not a signal. */
wh_status sink_put_stdout(const void *p, size_t n, struct wh_error *reterr);

#endif
