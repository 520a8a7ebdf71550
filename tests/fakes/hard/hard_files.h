/* SPDX-License-Identifier: Apache-2.0 */
/* Staged files of the fakes whose destination is a folder (hard-manifest, hard-settle).
 *
 * <server>/files/<object>/part-<run>-f<flow>-g<generation>-u<unit>-a<attempt>[-k<group>].part holds
 * lines "key<TAB>[json array of the row]"; the file without -k (its index, or the only one) ends in
 * a line "#marker ..." and its rename from .tmp is the commit. */
#ifndef WHERRY_TESTS_HARD_FILES_H
#define WHERRY_TESTS_HARD_FILES_H

#include "hard.h"

struct hard_files {
    struct hard_target base;
    char folder[HARD_PATH + HARD_NAME + 16];
    int key_column;
    bool upsert;
    int64_t version; /* hard-settle: the commit that the run began on */
    char memo[24];
};

enum {
    HARD_FILE = 160
};

/* Opens the shared target, then says class P, atomic table, grain ATTEMPT; fills folder, key. */
wh_status hard_files_open(struct hard_files *, void *ep, void *se, struct wh_target *io,
                          struct wh_error *reterr);
/* "part-<run>-f1-g0-", what all files of this flow's generation begin with. */
void hard_files_prefix(const struct hard_files *, const struct wh_fence *, char out[HARD_FILE]);
/* Sorted names in the folder that begin with `prefix`; lines in *out, *ret_n of them. */
wh_status hard_files_list(const char *folder, const char *prefix, struct wh_buf *out, size_t *ret_n,
                          struct wh_error *reterr);
/* Writes folder/name.tmp durably and renames it to folder/name (exclusive: link, WH_REFUSED when
 * there is one). */
wh_status hard_files_put(const char *folder, const char *name, const struct wh_buf *,
                         bool exclusive, struct wh_error *reterr);
wh_status hard_files_read(const char *folder, const char *name, struct wh_buf *out,
                          struct wh_error *reterr);
wh_status hard_files_line(const struct hard_files *, const struct hard_value *row, struct wh_buf *);
wh_status hard_files_marker(const struct hard_writer *, const struct wh_marker *, struct wh_buf *);
/* Looks for a committed index file of the unit, any attempt, the latest wins. */
wh_status hard_files_lookup(void *fl, void *se, const struct wh_unit *, struct wh_fate *ret,
                            struct wh_error *reterr);
wh_status hard_files_verify(void *fl, void *se, struct wh_receipts *, const struct wh_fence *,
                            struct wh_error *reterr);
/* The step of PREPARE (folder) and DROP (files of this generation that `keep` does not list). */
wh_status hard_files_step(enum wh_phase, const char *say, const char *token, uint32_t id,
                          uint32_t flags, struct wh_step_sink *out);
wh_status hard_files_make_folder(const struct hard_files *, struct wh_error *reterr);
wh_status hard_files_sweep(const struct hard_files *, const struct wh_fence *, const char *keep,
                           struct wh_error *reterr);

#endif
