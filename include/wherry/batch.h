/* SPDX-License-Identifier: Apache-2.0 */
/* Batches: rows in the Arrow C data layout, or a frame of raw bytes.
 *
 * The two Arrow structs below follow the Arrow C data interface; its specification (Apache Arrow,
 * Apache-2.0) asks implementations to copy their definition, and nothing else is taken from it.
 */
#ifndef WHERRY_BATCH_H
#define WHERRY_BATCH_H

#include <wherry/status.h>

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE           2
#define ARROW_FLAG_MAP_KEYS_SORTED    4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif

/* Field metadata carries what Arrow types lack. Keys: */
#define WH_META_TYPE      "wherry.type"    /* the source's own type text: "varchar(20)" */
#define WH_META_LOGICAL   "wherry.logical" /* decimal_text uuid json bit year enum geometry */
#define WH_META_LENGTH    "wherry.length"  /* declared length in characters (utf8) or bytes */
#define WH_META_KEY       "wherry.key"     /* 1-based position in the primary key */
#define WH_META_COMMENT   "wherry.comment"
#define WH_META_DEFAULT   "wherry.default"   /* source's default expression text */
#define WH_META_GENERATED "wherry.generated" /* "always", "identity" */
#define WH_META_COLLATION "wherry.collation"
#define WH_META_LOSSY     "wherry.lossy" /* "1": --accept-lossy names this column */
/* The number that the column has in its table for good, whatever it is named: at resume, columns
 * that changed their names with each other are told by it. */
#define WH_META_NUMBER  "wherry.number"
#define WH_META_GUESSED "wherry.guessed" /* "1": type was inferred from a sample */
/* Where the source is a database, so that a destination of the same system can have the very type
 * again: whose words wherry.type are ("postgresql"); what a type of the user's making consists of
 * (equal words mean an equal type); the statement that makes it. */
#define WH_META_SYSTEM "wherry.system"
#define WH_META_SHAPE  "wherry.shape"
#define WH_META_MAKE   "wherry.make"
/* The column has no type of ours: its cells are the source's own text of them. "exact", or
 * "rounded" where that text may say less than the value. The plan warns. */
#define WH_META_WORDS "wherry.words"
/* "1": the column holds the bytes of files, piece by piece; rows of its scan are for targets of
 * whole files alone (WH_CAP_AS_IS), and columns path, offset, size say where the bytes belong. */
#define WH_META_AS_IS "wherry.as_is"

/* No column of the object, but where its rows stand there (scan.places): "line" or "offset". */
#define WH_META_PLACE "wherry.place"

/* No column of the object, but computed by the source (scan.computed): "same" where equal rows have
 * equal values whenever they are read, else "varies". */
#define WH_META_COMPUTED "wherry.computed"

/* Target and hard sizes of a batch (DESIGN 11, CONTRACT 5): whichever comes first. */
#define WH_BATCH_BYTES (1 << 20)
#define WH_BATCH_ROWS  16384

/* Rows on their way. Either columns (frame.p == NULL): `rows` is a struct array whose children are
 * the columns of the scan's schema, offset 0, no nulls at the top; or a frame: `rows.release` still
 * frees it, `frame` holds n_rows whole rows in the named encoding, cut at a row border.
 *
 * The engine calls rows.release on any lane's thread, also after reader_close, and only after the
 * writer has acknowledged every send of this batch.
 */
struct wh_batch {
    struct ArrowArray rows;
    int64_t n_rows;
    int64_t bytes;        /* memory held, for queues and budgets */
    int64_t source_bytes; /* bytes read at the source for these rows (wire or file), for reports */
    int64_t first;        /* position of row 0 in its split (row ordinal), for dirty records */
    const char *encoding; /* static name of a frame's encoding ("pgcopy-binary"), else NULL */
    struct wh_bytes frame;
    struct wh_str origin; /* scan.origin: the file (say) that all these rows came from; lives as
                             long as the scan */
};

/* Releases whatever the batch holds and zeroes it; NULL and empty are fine. */
static inline void wh_batch_release(struct wh_batch *b)
{
    if (b && b->rows.release)
        b->rows.release(&b->rows);
    if (b)
        *b = (struct wh_batch){0};
}

static inline void wh_schema_release(struct ArrowSchema *s)
{
    if (s && s->release)
        s->release(s);
}

#endif
