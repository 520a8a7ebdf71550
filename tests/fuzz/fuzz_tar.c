/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "formats/archive/archive.h"

struct seen {
    const uint8_t *p;
    size_t n, members;
    uint64_t hash;
};

static wh_status each(void *arg, const struct wh_archived *m, struct wh_error *reterr)
{
    struct seen *s = arg;

    FUZZ_CHECK(m->name.n > 0 && m->offset >= 0 && m->size >= 0 && m->size == m->packed);
    FUZZ_CHECK(m->offset % 512 == 0 && m->offset <= (int64_t)s->n &&
               m->size <= (int64_t)s->n - m->offset);
    s->members++;
    for (size_t i = 0; i < m->name.n; i++)
        s->hash = (s->hash ^ (uint8_t)m->name.s[i]) * 1099511628211u;
    s->hash = (s->hash ^ (uint64_t)m->offset) * 1099511628211u + (uint64_t)m->size;
    return WH_OK;
}

/* Pushed in steps, or read with the content passed over. */
static int list(struct seen *s, size_t step, bool pass)
{
    struct wh_tar *t = wh_tar_new(each, s);
    struct wh_error err;
    int st = WH_OK;

    FUZZ_CHECK(t);
    for (size_t at = 0; st == WH_OK && at < s->n;) {
        int64_t ahead = pass ? wh_tar_ahead(t) : 0;
        size_t k = s->n - at < step ? s->n - at : step;

        FUZZ_CHECK(ahead >= 0);
        if (ahead) {
            k = ahead < (int64_t)(s->n - at) ? (size_t)ahead : s->n - at;
            st = wh_tar_pass(t, (int64_t)k, &err);
        } else {
            k = pass && k > 512 ? 512 : k;
            st = wh_tar_add(t, s->p + at, k, &err);
        }
        at += k;
    }
    if (st == WH_OK)
        st = wh_tar_end(t, &err);
    wh_tar_free(t);
    return st;
}

/* Chance finds no checksum: headers get theirs, so that what stands in them is reached. */
static void sum_headers(uint8_t *p, size_t n)
{
    for (uint8_t *h = p; n >= 512; h += 512, n -= 512) {
        unsigned sum = 0;

        if (memcmp(h + 257, "ustar", 5) != 0)
            continue;
        memset(h + 148, ' ', 8);
        for (int i = 0; i < 512; i++)
            sum += h[i];
        for (int i = 5; i >= 0; i--, sum >>= 3)
            h[148 + i] = (uint8_t)('0' + (sum & 7));
    }
}

static void both(const uint8_t *p, size_t n)
{
    struct seen a = {.p = p, .n = n}, b = a, c = a;
    int sa = list(&a, 1 << 16, false), sb = list(&b, 37, false), sc = list(&c, 512, true);

    FUZZ_CHECK(sa == sb && a.members == b.members && a.hash == b.hash);
    FUZZ_CHECK(sa == sc && a.members == c.members && a.hash == c.hash);
}

/* The answer must not hang on the sizes of the steps; no member lies outside the archive. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static uint8_t copy[1 << 16];

    if (!n || n > sizeof copy)
        return 0;
    both(p, n);
    memcpy(copy, p, n);
    sum_headers(copy, n);
    both(copy, n);
    return 0;
}
