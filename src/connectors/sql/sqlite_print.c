/* SPDX-License-Identifier: Apache-2.0 */
/* Fingerprint of a database file's content, taken inside a read transaction.
 *
 * In rollback mode every committed change raises the change counter in the file's header (bytes
 * 24..27) and the file's time. In WAL mode changes go to the log: the head of the wal-index names
 * the last committed frame with a running checksum over all frames, and the salts that change when
 * the log starts anew (sqlite.org/walformat.html 2.1). Whatever else moves (a checkpoint, a VACUUM,
 * a copied file) makes the prints differ too: "unchanged" is only said when it is sure.
 *
 * The header is read through SQLite's own file object; see sqlite_lock.c for why. */
#include "sqlite.h"

#include <string.h>
#include <sys/stat.h>

enum {
    PRINT_VERSION = 1
};

static int read_header(sqlite3 *db, uint8_t out[100])
{
    sqlite3_file *f = NULL;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &f);

    if (rc == SQLITE_OK && (!f || !f->pMethods))
        return SQLITE_IOERR;
    if (rc == SQLITE_OK)
        rc = f->pMethods->xRead(f, out, 100, 0);
    return rc == SQLITE_IOERR_SHORT_READ ? SQLITE_OK : rc; /* an empty file: zeroes */
}

bool lite_is_wal(sqlite3 *db)
{
    sqlite3_stmt *s = NULL;
    bool wal = false;

    if (sqlite3_prepare_v2(db, "pragma journal_mode", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW) {
        struct wh_str mode = lite_text_at(s, 0);

        wal = wh_str_ieqs(mode, "wal");
    }
    sqlite3_finalize(s);
    return wal;
}

bool lite_is_utf16(sqlite3 *db)
{
    sqlite3_stmt *s = NULL;
    bool wide = false;

    if (sqlite3_prepare_v2(db, "pragma encoding", -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        wide = wh_str_starts(lite_text_at(s, 0), "UTF-16");
    sqlite3_finalize(s);
    return wide;
}

/* The wal-index is mapped already: region 0 begins with the header, twice. */
static int read_index(sqlite3 *db, uint8_t out[48])
{
    sqlite3_file *f = NULL;
    void volatile *map = NULL;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &f);

    if (rc == SQLITE_OK && (!f || !f->pMethods || f->pMethods->iVersion < 2))
        return SQLITE_IOERR;
    if (rc == SQLITE_OK)
        rc = f->pMethods->xShmMap(f, 0, 32768, 0, &map);
    if (rc != SQLITE_OK &&
        !((rc & 0xff) == SQLITE_READONLY && map)) /* may be looked at, not changed */
        return rc;
    for (int i = 0; map && i < 48; i++)
        out[i] = ((const uint8_t volatile *)map)[i];
    memset(out + 8, 0, 4);  /* iChange counts connections' changes, not content */
    memset(out + 40, 0, 8); /* checksum of this header, iChange included */
    return SQLITE_OK;
}

wh_status lite_print_take(sqlite3 *db, const char *path, struct lite_print *ret)
{
    struct lite_print p;
    struct stat st;

    memset(&p, 0, sizeof p);
    if (stat(path, &st) != 0)
        return WH_E_IO;
    p.version = PRINT_VERSION;
    p.device = st.st_dev;
    p.inode = st.st_ino;
    p.size = st.st_size;
    p.mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
    p.wal = lite_is_wal(db);
    if (read_header(db, p.header) != SQLITE_OK)
        return WH_E_IO;
    if (p.wal && read_index(db, p.index) != SQLITE_OK)
        return WH_E_IO;
    *ret = p;
    return WH_OK;
}

bool lite_print_equal(const struct lite_print *a, const struct lite_print *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}
