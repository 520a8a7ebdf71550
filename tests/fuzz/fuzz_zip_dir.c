/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "formats/archive/archive.h"

struct archive {
    const uint8_t *p;
    size_t n;
};

static wh_status read_at(void *arg, int64_t offset, void *p, size_t n, struct wh_error *reterr)
{
    const struct archive *a = arg;

    FUZZ_CHECK(offset >= 0 && offset <= (int64_t)a->n && n <= a->n - (size_t)offset);
    memcpy(p, a->p + offset, n);
    return WH_OK;
}

/* Members lie in the archive, before its directory, whatever it says. */
static wh_status each(void *arg, const struct wh_archived *m, struct wh_error *reterr)
{
    const struct archive *a = arg;
    int64_t content;

    FUZZ_CHECK(m->name.n > 0 && m->offset >= 0 && m->packed >= 0 && m->size >= 0);
    FUZZ_CHECK(m->offset + 30 <= (int64_t)a->n && m->packed <= (int64_t)a->n - m->offset - 30);
    if (wh_zip_content(read_at, arg, m->offset, m->deflated, &content, reterr) == WH_OK)
        FUZZ_CHECK(content >= m->offset + 30);
    return WH_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct archive a = {p, n};
    struct wh_error err;

    if (n > 1 << 20)
        return 0;
    wh_ignore(wh_zip_list(read_at, (int64_t)n, each, &a, &err));
    return 0;
}
