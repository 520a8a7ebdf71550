/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the source side share: samples, bounds, what a format finds out. */
#ifndef WHERRY_FILES_SCAN_H
#define WHERRY_FILES_SCAN_H

#include "files.h"

enum {
    FILES_SAMPLE_BYTES = 4 << 20,
    FILES_SAMPLE_ROWS = 10000,
    FILES_SAMPLE_FILES = 16,
    FILES_HEADERS = 256, /* files whose header lines the plan compares */
    FILES_HEADER_BYTES = 64 << 10,
    FILES_PIECE_BYTES = 256 << 10, /* of the middle and the end of a big file */
};

/* ---- bounds.c ---------------------------------------------------------------------------------
 */

/* Into sc->bounds. WH_OK or WH_E_NOMEM, WH_E_LIMIT. */
wh_status files_freeze(struct files_scan *);
wh_status files_thaw(struct files_scan *, struct wh_bytes bounds, struct wh_error *reterr);

/* Frees what a scan holds; works on zeroes. */
void files_scan_free(struct files_scan *);

/* ---- kind.c -----------------------------------------------------------------------------------
 */

/* Format and packing of the scan, as asked and as the names tell; one format for all files. */
wh_status files_check_kinds(struct files_scan *, const struct files_from *,
                            struct wh_error *reterr);

/* ---- retire.c ---------------------------------------------------------------------------------
 */

/* "move:done" into its parts; *ret_folder points into text. */
wh_status files_after_parse(const char *text, enum files_after *ret, const char **ret_folder,
                            struct wh_error *reterr);
/* Into the scan; refused in the plan if it could not be done at the end. */
wh_status files_after_choose(struct files_scan *, const struct files_from *, struct wh_scan *,
                             struct wh_error *reterr);
wh_status files_retire(void *ep, const struct wh_fence *, struct wh_bytes bounds, int64_t rows_away,
                       struct wh_error *reterr);

/* ---- sample.c ---------------------------------------------------------------------------------
 */

/* The beginning of a file's text; p is the holder's to free. */
struct files_sample {
    uint8_t *p;
    size_t n;
    bool whole;
};

wh_status files_sniff_stdin(struct files_scan *, struct wh_error *reterr);
wh_status files_sample_read(struct files_scan *, size_t file, size_t want, struct files_sample *ret,
                            struct wh_error *reterr);
/* A piece of a plain file from a place on; *ret_last: nothing comes behind it. */
wh_status files_sample_piece(struct files_scan *, size_t file, int64_t from, uint8_t *p,
                             size_t want, size_t *ret_n, bool *ret_last, struct wh_error *reterr);
/* Of the first file that holds something; a byte order mark sets the scan's encoding. WH_END: all
 * are empty. */
wh_status files_sample_first(struct files_scan *, struct files_sample *, size_t *ret_file,
                             struct wh_error *reterr);
/* Completes E4006 with an encoding that would fit. */
wh_status files_explain_text(const struct files_scan *, size_t file, const struct files_sample *,
                             struct wh_error *reterr);
wh_status files_nothing_to_see(struct wh_error *reterr);
/* Old systems close a file with 0x1A. Of a packed file that is more than a sample nobody knows. */
bool files_closes_with_1a(struct files_scan *, size_t file, const struct files_sample *);
/* Adds "; text" to the plan's note. */
void files_note(struct wh_scan *, const char *text);
/* The header lines of the first FILES_HEADERS files name the columns of the scan; E3005. */
wh_status files_same_headers(struct files_scan *, struct wh_error *reterr);
/* A plain file that is worth a look at its middle and its end. */
bool files_sample_more(const struct files_scan *, size_t file);

/* ---- asis_read.c -------------------------------------------------------------------------------
 */

/* The columns of files as they are. */
wh_status files_discover_as_is(struct files_scan *, struct wh_scan *, struct ArrowSchema *ret_all,
                               struct wh_error *reterr);

/* ---- json.c -----------------------------------------------------------------------------------
 */

/* Layout, names and types of JSON files, into the scan and *ret_all. */
wh_status files_discover_json(struct files_scan *, struct wh_scan *, struct ArrowSchema *ret_all,
                              struct wh_error *reterr);
/* Which columns are places and no keys. */
wh_status files_find_places(struct files_scan *, struct wh_error *reterr);

#endif
