/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of any connection that holds files, where refused rows are kept (`dirty.archive`). One
 * thread at a time; each user opens its own. Names are plain: no folder in them. What a run leaves
 * there begins with "_dirty.RUN.", so that no reader of the folder takes it for data. */
#ifndef WHERRY_ENGINE_ARCHIVE_H
#define WHERRY_ENGINE_ARCHIVE_H

#include "engine/job.h"

struct wh_archive;

/* Nothing is made there. Errors are E6015 and name the place; `close` takes NULL. */
wh_status wh_archive_open(const struct wh_objref *, struct wh_archive **ret,
                          struct wh_error *reterr);
void wh_archive_close(struct wh_archive *);

/* One file at a time, for its owner only; readers see it when put_finish returned OK, and then it
 * is on stable storage. close without it throws the file away. */
wh_status wh_archive_put_open(struct wh_archive *, const char *name, struct wh_error *reterr);
wh_status wh_archive_put(struct wh_archive *, const void *p, size_t n, struct wh_error *reterr);
wh_status wh_archive_put_finish(struct wh_archive *, struct wh_error *reterr);
void wh_archive_put_close(struct wh_archive *);

/* The files of a run; also those half written (temporary). None where there is no such folder. */
typedef wh_status (*wh_archive_fn)(void *arg, const char *name, bool temporary, int64_t size);
wh_status wh_archive_list(struct wh_archive *, const char *run, wh_archive_fn each, void *arg,
                          struct wh_error *reterr);
wh_status wh_archive_read_open(struct wh_archive *, const char *name, struct wh_error *reterr);
wh_status wh_archive_read(struct wh_archive *, void *p, size_t n, int64_t from, size_t *ret_n,
                          struct wh_error *reterr);
void wh_archive_read_close(struct wh_archive *);

/* With what a killed process left of it; absent is OK. */
wh_status wh_archive_remove(struct wh_archive *, const char *name, struct wh_error *reterr);
/* The folder goes if it is empty and named after the run. */
void wh_archive_leave(struct wh_archive *, const char *run);

/* What stands before "f0.g1.u1.a1.jsonl" in names of a run. */
enum {
    WH_ARCHIVE_NAME_MAX = 200
};
void wh_archive_name(const char *run, const char *file, char out[WH_ARCHIVE_NAME_MAX]);

#endif
