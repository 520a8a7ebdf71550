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
#include "formats/codec/seal.h"
#include "formats/rows.h"

/* ---- options ----------------------------------------------------------------------------------
 */

enum files_format {
    FILES_FORMAT_AUTO,
    FILES_FORMAT_CSV,
    FILES_FORMAT_TSV,    /* CSV with a tab */
    FILES_FORMAT_JSON,   /* an array of objects, or objects behind one another */
    FILES_FORMAT_JSONL,  /* one object per line */
    FILES_FORMAT_BINARY, /* files as they are */
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
    FILES_COMPRESSION_TAR = 24,  /* an archive */
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
    struct wh_secret encrypt;
    struct wh_list members; /* of archives */
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
    struct wh_secret encrypt;
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
wh_status files_check_as_is_from(const struct files_from *, struct wh_error *reterr);
wh_status files_check_as_is_to(const struct files_to *, struct wh_error *reterr);
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

/* The name without ".enc", where files are encrypted. */
struct wh_str files_unsealed(struct wh_str name, bool sealed);
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

/* How the content of an archive's member is come by. */
enum files_how {
    FILES_HOW_RANGE,    /* a piece of the archive as it stands: any place of it */
    FILES_HOW_STORED,   /* the same, with a checksum: from its beginning on */
    FILES_HOW_DEFLATED, /* of a zip */
    FILES_HOW_STREAM,   /* of a packed tar: behind all that comes before it */
};

/* A file in an archive. */
struct files_member {
    char *archive; /* relative to the root */
    enum files_how how;
    enum wh_codec codec;    /* of the archive; NONE but for STREAM */
    int64_t offset, packed; /* of the content, of a zip of its header; bytes there */
    int64_t archive_size;   /* bytes */
    bool lone;              /* the archive's name tells its format */
    bool has_crc;
    uint32_t crc;
};

/* One file of a scan. */
struct files_entry {
    char *name;  /* relative to the root; of a member behind that of its archive */
    char *shown; /* as the user would write it */
    char etag[72];
    int64_t size;
    size_t
        said_n; /* of `shown`: the folder that was asked for; what follows is the path below it */
    struct files_member *member; /* NULL: a file of its own */
};

/* The file on the storage. */
static inline const char *files_stored(const struct files_entry *e)
{
    return e->member ? e->member->archive : e->name;
}

struct files_list {
    char *root; /* absolute folder */
    struct files_entry *v;
    size_t n, cap;
    int64_t others;                   /* files of a folder that were left out */
    int64_t hidden, special;          /* the same: by their names; no files, links to nothing */
    int64_t filtered, missing, twice; /* too small or of another time; paths that found nothing;
                                         named again */
    int64_t links, unread;            /* members: that are no files; that are not taken */
    int64_t names_n;                  /* bytes of names, where members are among them */
    bool is_stdin;
    bool as_is; /* what a target of files as they are has written */
};

void files_list_free(struct files_list *);
/* All files that an object and the options path and list name. END: none, and on_missing says that
 * this is well. */
wh_status files_find(const struct files_endpoint *, const struct wh_name *object,
                     const struct files_from *opts, struct files_list *ret,
                     struct wh_error *reterr);
/* archive.c: puts the members of archives in their places. END: none is left. */
wh_status files_look_into(const struct files_endpoint *, const struct files_from *opts,
                          int compression, const struct wh_seal_key *, struct files_list *,
                          struct wh_error *reterr);
/* True for a name that is an archive's, as far as names and the option tell. */
bool files_is_archive(struct wh_str name, int compression);
/* The name without what makes it an archive. */
struct wh_str files_archive_stem(struct wh_str name);
/* Splits a path into an absolute folder (which must exist) and the rest. */
wh_status files_split_path(const struct files_endpoint *, const char *path, char **ret_root,
                           char **ret_rest, struct wh_error *reterr);
/* A storage opened at a root; closed by files_storage_close. */
struct files_storage {
    const struct wh_storage_ops *ops;
    void *st;
    const struct wh_seal_key *key; /* files are encrypted with it; borrowed; NULL: they are not */
};
wh_status files_storage_open(struct files_storage *, const struct wh_storage_ops *,
                             const char *root, struct wh_error *reterr);
/* The same with files that are encrypted; key NULL: with files as they are. */
wh_status files_storage_open_sealed(struct files_storage *, const struct wh_storage_ops *,
                                    const char *root, const struct wh_seal_key *key,
                                    struct wh_error *reterr);
/* One more of its kind. */
wh_status files_storage_again(struct files_storage *, const struct files_storage *like,
                              const char *root, struct wh_error *reterr);
/* The same storage with files as they lie there; never closed. */
struct files_storage files_storage_bare(const struct files_storage *);
/* The key that an option leads to, in *room; *ret = NULL: none was given. */
wh_status files_key_of(const struct wh_secret *, struct wh_seal_key *room,
                       const struct wh_seal_key **ret, struct wh_error *reterr);
/* A resume must have the key that the run began with: `then` is its check, or empty. */
wh_status files_same_key(const struct wh_seal_key *, struct wh_str then, struct wh_error *reterr);
void files_storage_close(struct files_storage *);

/* ---- the bytes of a member (member.c) ----------------------------------------------------------
 */

/* The text of a packed archive, standing where somebody left it. */
struct files_stream;
struct files_streams {
    atomic_flag lock;
    struct files_stream *v[4];
    unsigned next;
};
void files_streams_free(struct files_streams *);
wh_status files_stream_open(const struct files_storage *, const char *root, const char *archive,
                            enum wh_codec, struct files_stream **ret, struct wh_error *reterr);
/* *ret_n = 0 only at the end of the archive, which is then known to be whole. */
wh_status files_stream_read(struct files_stream *, void *buf, size_t n, size_t *ret_n,
                            struct wh_error *reterr);
void files_stream_close(struct files_stream *);

struct files_input_config;
struct files_content;
wh_status files_content_open(const struct files_input_config *, struct files_content **ret,
                             struct wh_error *reterr);
/* `offset` is heeded by RANGE only, the others go on. *ret_n = 0 only at the end, which is then
 * known to be where it should, with the sum that was told. */
wh_status files_content_read(struct files_content *, void *buf, size_t n, int64_t offset,
                             size_t *ret_n, struct wh_error *reterr);
void files_content_close(struct files_content *);

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
    bool peek;                       /* standard input: look without taking */
    const struct files_entry *entry; /* of a member; NULL else */
    const char *root;                /* of the storage, for a member */
    struct files_streams *streams;   /* of the scan, for a member */
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

/* A place in a file whose line is known. */
struct files_known_line {
    uint32_t file;
    int64_t at, line;
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
    struct wh_seal_key key_room;
    const struct wh_seal_key *key;     /* NULL: nothing is encrypted */
    char key_check[WH_SEAL_CHECK + 1]; /* of the plan's key, or "" */
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
    bool tells_lines;           /* the schema has a column of them */
    int64_t unit_bytes, limit, row_bytes; /* row_bytes: mean size in the sample */
    bool ranges;
    struct wh_buf bounds, token, cursor, warn;
    atomic_flag lock; /* of what follows */
    struct files_correction *corrections;
    size_t n_corrections;
    struct files_known_line *lines;
    size_t n_lines;
    struct files_parked parked[FILES_PARKED];
    struct files_streams streams;
    int next_parked;
};

/* Whose bytes: storage, name, codec, member, charset. */
wh_status files_input_of(struct files_scan *, size_t file, const struct files_storage *,
                         struct files_input_config *ret, struct wh_error *reterr);
/* The text is the bytes of a piece of a file: it can be entered anywhere. */
bool files_enters_anywhere(const struct files_scan *, size_t file);

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
    int64_t right;             /* where it should have begun, if wrong */
    struct files_as_is *as_is; /* of files as they are (asis_read.c), instead of input and rows */
    struct wh_buf out, end;
};

/* asis_read.c: pieces of files. `at` is the offset of the next one. */
enum {
    FILES_PIECE = 1 << 20, /* pieces begin at multiples of it, so that copies hash alike */
};
wh_status files_as_is_open(struct files_reader *, struct wh_error *reterr);
wh_status files_as_is_next(struct files_reader *, struct wh_batch *ret, struct wh_error *reterr);
void files_as_is_close(struct files_reader *);
/* False: everything was given. */
bool files_as_is_place(const struct files_reader *, int64_t *ret_at, int64_t *ret_rows);
/* Columns of places, behind the others (lines.c). */
wh_status files_add_places(struct files_scan *, const struct wh_scan *, struct wh_error *reterr);
/* Kept for the ranges behind it; forgotten where there are too many. */
void files_note_line(struct files_scan *, uint32_t file, int64_t at, int64_t line);
/* The nearest known line at or before a place; false: none. */
bool files_line_before(struct files_scan *, uint32_t file, int64_t at,
                       struct files_known_line *ret);
/* The line of rd->begin: from there on line ends are counted, so that a file whose ranges are read
 * in order is read twice at most. first_line: of data_at. */
wh_status files_count_lines(struct files_reader *, int64_t first_line, int64_t *ret,
                            struct wh_error *reterr);

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
