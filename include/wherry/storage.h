/* SPDX-License-Identifier: Apache-2.0 */
/* Storage: where bytes of files live. Local disk, later FTP, SFTP, OBS/S3, HDFS, HTTP.
 *
 * Names are paths relative to the storage's root, '/' between parts, never climbing above it ("..",
 * absolute names and NUL are refused by every storage). Blocking; each object is used by one thread
 * at a time. Formats and layouts (CSV, Hive, Hudi, the dirty archive) see files through this only.
 */
#ifndef WHERRY_STORAGE_H
#define WHERRY_STORAGE_H

#include <wherry/status.h>

struct wh_file_info {
    struct wh_str name; /* borrowed until the next call on the same storage */
    int64_t size;       /* bytes; -1 unknown */
    int64_t mtime_us;   /* 0 unknown */
    char etag[72];      /* changes when the content does: "inode-mtime_ns-size", an ETag... */
    bool is_folder;
    bool is_special; /* a device, pipe or socket: nothing that can be replaced by a file; of `list`
                        a link to nothing as well */
    uint32_t mode;   /* S_IFREG and rights, as st_mode; 0 unknown */
};

typedef wh_status (*wh_list_fn)(void *arg, const struct wh_file_info *);

/* What a storage can promise; the planner words the delivery from it. */
enum {
    WH_STORE_RENAME_ATOMIC = 1, /* publish() of one file is atomic */
    WH_STORE_EXCLUSIVE = 2,     /* publish() can refuse an existing name atomically */
    WH_STORE_DURABLE = 4,       /* finish() returns after the bytes are on stable storage */
    WH_STORE_PREAD = 8,         /* ranges can be read */
};

struct wh_storage_ops {
    uint32_t size;
    uint32_t flags;
    size_t st_size, in_size, out_size; /* engine or family gives zeroed memory */

    /* `where` is the connection's own root ("/" or a folder, bucket...). */
    wh_status (*open)(void *st, const void *opts, struct wh_error *reterr);
    void (*close)(void *st);
    /* What is below `prefix` (a folder or a name), sorted by name; recursive or one level. */
    wh_status (*list)(void *st, const char *prefix, bool recursive, wh_list_fn each, void *arg,
                      struct wh_error *reterr);
    wh_status (*stat)(void *st, const char *name, struct wh_file_info *ret,
                      struct wh_error *reterr); /* WH_E_NOT_FOUND */

    wh_status (*read_open)(void *in, void *st, const char *name, struct wh_error *reterr);
    /* Up to n bytes at `offset`; *ret_n = 0 only at the end of the file. */
    wh_status (*pread)(void *in, void *buf, size_t n, int64_t offset, size_t *ret_n,
                       struct wh_error *reterr);
    void (*read_close)(void *in);

    /* put: a new file under a temporary name, invisible to readers of the target name. An existing
     * file of that temporary name is replaced (it can only be our own earlier attempt's). */
    wh_status (*put_open)(void *out, void *st, const char *temporary, struct wh_error *reterr);
    wh_status (*put)(void *out, const void *p, size_t n, struct wh_error *reterr);
    wh_status (*put_finish)(void *out, struct wh_error *reterr); /* durable when it returns OK */
    void (*put_close)(void *out);                                /* without finish: thrown away */

    /* Temporary to final name, atomically where flags say so. exclusive: WH_REFUSED if it exists.
     */
    wh_status (*publish)(void *st, const char *temporary, const char *name, bool exclusive,
                         struct wh_error *reterr);
    wh_status (*remove)(void *st, const char *name, struct wh_error *reterr); /* absent is OK */
    wh_status (*make_folder)(void *st, const char *name, struct wh_error *reterr);
    wh_status (*remove_folder)(void *st, const char *name, struct wh_error *reterr); /* if empty */
    /* Instead of put_finish, where a file may be torn or gone after a power cut (it carries its own
     * checksum): complete for every reader from now on, but not waited for. Optional. */
    wh_status (*put_keep)(void *out, struct wh_error *reterr);
    /* What was read is not expected to be read again: a cache need not keep it. Optional. */
    void (*forget)(void *in);
    /* Another name for a file, at once and durable: WH_REFUSED if it exists already. Optional. */
    wh_status (*move)(void *st, const char *from, const char *to, struct wh_error *reterr);
    /* Rights (07777; 0: left as they are) and the time of the last change (0: left). Optional. */
    wh_status (*attributes)(void *st, const char *name, uint32_t mode, int64_t mtime_us,
                            struct wh_error *reterr);
};

#endif
