/* SPDX-License-Identifier: Apache-2.0 */
/* Does what stands at the target already hold rows? A guard wants to know before they are replaced
 * by none. The beginning of a file tells: what follows its header. A folder's rows are in its
 * manifest. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink.h"

enum {
    LOOKED_AT = 64 << 10, /* bytes of a file, as it stands there */
    TAIL = 256,           /* bytes of a manifest: its sums are in the last line */
};

/* The first bytes of a file (from < 0: its last ones). The number of them, -1: cannot be read. */
static int64_t some_bytes(const struct files_storage *s, const char *name, int64_t from, void *p,
                          size_t n)
{
    const struct wh_storage_ops *ops = s->ops;
    struct wh_file_info info;
    size_t got = 0, more = 1;

    if (ops->stat(s->st, name, &info, NULL) != WH_OK)
        return -1;
    void *in = wh_calloc(1, ops->in_size ? ops->in_size : 1);
    if (!in || ops->read_open(in, s->st, name, NULL) != WH_OK) {
        if (in)
            ops->read_close(in);
        wh_free(in);
        return -1;
    }
    int64_t at = from >= 0 ? from : info.size > (int64_t)n ? info.size - (int64_t)n : 0;
    int st = WH_OK;
    for (; st == WH_OK && more > 0 && got < n; got += more)
        st = ops->pread(in, (char *)p + got, n - got, at + (int64_t)got, &more, NULL);
    ops->read_close(in);
    wh_free(in);
    return st == WH_OK ? (int64_t)got : -1;
}

/* Unpacks the beginning; *io_n bytes of *io_p. False: it is not what its name says. */
static bool unpack(const struct sink_target *fl, char **io_p, int64_t *io_n)
{
    struct wh_decoder *d = NULL;
    size_t all = (size_t)*io_n, at = 0, n = 0;

    if (fl->codec == WH_CODEC_NONE)
        return true;
    char *out = wh_alloc(LOOKED_AT);
    bool ok = out && wh_decoder_new(fl->codec, &d, NULL) == WH_OK;
    for (int st = WH_OK; ok && st != WH_END && at < all && n < LOOKED_AT;) {
        size_t taken = all - at, given = 0;
        st =
            wh_decode(d, *io_p + at, &taken, all < LOOKED_AT, out + n, LOOKED_AT - n, &given, NULL);
        ok = (st == WH_OK || st == WH_END) && (taken > 0 || given > 0 || st == WH_END);
        at += taken;
        n += given;
    }
    wh_decoder_free(d);
    if (!ok) {
        wh_free(out);
        return false;
    }
    wh_free(*io_p);
    *io_p = out;
    *io_n = (int64_t)n;
    return true;
}

/* Anything behind the header that is no blank, bracket of an empty array, or half a wide blank? */
static bool holds_rows(const struct sink_target *fl, const char *p, size_t n)
{
    size_t i = strlen(fl->mark);

    if (i > n || memcmp(p, fl->mark, i) != 0)
        i = 0;
    for (bool header = fl->header && fl->shape == FILES_FORMAT_CSV; header && i < n; i++)
        header = p[i] != '\n' && p[i] != '\r';
    for (; i < n; i++)
        if (!memchr(" \t\r\n\0", p[i], 5) &&
            (fl->shape != FILES_FORMAT_JSON || !strchr("[]", p[i])))
            return true;
    return false;
}

int64_t sink_standing_rows(const struct sink_target *fl, const char *name)
{
    char *p = wh_alloc(LOOKED_AT);
    int64_t n = p ? some_bytes(&fl->storage, name, 0, p, LOOKED_AT) : -1;
    bool none = n >= 0 && unpack(fl, &p, &n) && !holds_rows(fl, p, (size_t)n);

    wh_free(p);
    return none ? 0 : -1;
}

int64_t sink_manifest_rows(const struct sink_target *fl)
{
    char name[SINK_NAME], tail[TAIL + 1];

    snprintf(name, sizeof name, "%s_wherry_manifest.%s.json", fl->folder, fl->stem);
    struct files_storage bare = files_storage_bare(&fl->storage);
    int64_t n = some_bytes(&bare, name, -1, tail, TAIL);
    if (n < 0)
        return 0; /* nothing of ours is there, so nothing is replaced */
    tail[n] = 0;
    const char *last = strrchr(tail, '\n');
    for (; last && last > tail && !last[1]; last = memrchr(tail, '\n', (size_t)(last - tail)))
        tail[last - tail] = 0;
    const char *sum = last ? strstr(last, "\"rows\": ") : NULL;
    return sum ? strtoll(sum + 8, NULL, 10) : -1;
}
