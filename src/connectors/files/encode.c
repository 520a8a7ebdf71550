/* SPDX-License-Identifier: Apache-2.0 */
/* Text of files that are written in another charset than UTF-8. */
#include <errno.h>
#include <iconv.h>
#include <string.h>
#include <strings.h>

#include "sink.h"

/* What people say, what iconv is asked for, and what stands first in a file. */
static const struct {
    const char *said, *name, *mark;
} CHARSETS[] = {
    {"utf-8", NULL, ""},
    {"utf8", NULL, ""},
    {"ascii", "US-ASCII", ""},
    {"utf-8-bom", NULL, "\xef\xbb\xbf"},
    {"utf-8-sig", NULL, "\xef\xbb\xbf"},
    {"utf-16", "UTF-16LE", "\xff\xfe"},
    {"utf16", "UTF-16LE", "\xff\xfe"},
};

static wh_status open_charset(const char *name, iconv_t *ret, struct wh_error *reterr)
{
    *ret = iconv_open(name, "UTF-8");
    if (*ret != (iconv_t)-1)
        return WH_OK;
    if (errno == ENOMEM)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to convert text");
    int st = wh_fail(reterr, WH_E_USAGE, "E1002", "encoding '%s' is not known", name);
    wh_error_hint(reterr, "'iconv -l' lists the names");
    return st;
}

wh_status sink_charset_choose(struct sink_target *fl, const char *said, struct wh_error *reterr)
{
    iconv_t cd;
    fl->encoding = NULL;
    fl->mark = "";
    if (!said)
        return WH_OK;
    fl->encoding = said;
    for (size_t i = 0; i < sizeof CHARSETS / sizeof *CHARSETS; i++) {
        if (strcasecmp(CHARSETS[i].said, said) != 0)
            continue;
        fl->encoding = CHARSETS[i].name;
        fl->mark = CHARSETS[i].mark;
    }
    if (!fl->encoding)
        return WH_OK;
    fl->encoding = wh_strdup(fl->encoding);
    if (!fl->encoding)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a target");
    WH_TRY(open_charset(fl->encoding, &cd, reterr));
    iconv_close(cd);
    return WH_OK;
}

wh_status sink_charset_open(const struct sink_target *fl, void **ret, struct wh_error *reterr)
{
    iconv_t cd;
    *ret = NULL;
    if (!fl->encoding)
        return WH_OK;
    WH_TRY(open_charset(fl->encoding, &cd, reterr));
    *ret = cd;
    return WH_OK;
}

void sink_charset_close(void *cd)
{
    if (cd)
        iconv_close(cd);
}

static wh_status no_such_character(const struct sink_target *fl, const char *at, size_t n,
                                   struct wh_error *reterr)
{
    struct wh_str shown = wh_str_clip((struct wh_str){at, n}, 40);
    int st = wh_fail(reterr, WH_E_DATA, "E6005", "'%s' has no character for what begins '%.*s'",
                     fl->encoding, WH_STR_FMT(shown));
    wh_error_hint(reterr, "encoding=gb18030 and utf-16 have all characters");
    return st;
}

/* Ends in the charset's initial state, so that pieces may follow one another. */
wh_status sink_charset_put(const struct sink_target *fl, void *cd, const char *p, size_t n,
                           struct wh_buf *out, struct wh_error *reterr)
{
    char *in = (char *)(uintptr_t)p;
    size_t left = n;
    bool more = true;
    while (more) {
        bool end = !left;
        if (wh_buf_reserve(out, 2 * left + 64) != WH_OK)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to convert text");
        char *to = out->p + out->n;
        size_t room = out->cap - out->n - 1;
        size_t k = iconv(cd, end ? NULL : &in, end ? NULL : &left, &to, &room);
        out->n = (size_t)(to - out->p);
        bool full = k == (size_t)-1 && errno == E2BIG;
        /* Text that came out as something that does not read back is as bad as none. */
        if (k && !full)
            return no_such_character(fl, in, left, reterr);
        more = !end || full;
    }
    return WH_OK;
}
