/* SPDX-License-Identifier: Apache-2.0 */
#include "core/errors.h"

#include <string.h>

static const struct wh_error_page pages[] = {
#define WH_ERR(code, title, retriable, scope, exit_code, page)                                     \
    {#code, title, retriable, WH_SCOPE_##scope, exit_code, page},
#include "core/errors.def"
#undef WH_ERR
};

#define N_PAGES (sizeof pages / sizeof pages[0])

const struct wh_error_page *wh_error_page(const char *code)
{
    size_t lo = 0, hi = N_PAGES;

    while (code && lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = strcmp(code, pages[mid].code);

        if (order == 0)
            return &pages[mid];
        if (order < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

const char *wh_error_next(const char *code, char *text, size_t size)
{
    const struct wh_error_page *page = wh_error_page(code);
    const char *from = page ? strstr(page->page, "\nDo: ") : NULL;
    size_t n = 0;

    for (const char *p = from ? from + 5 : ""; *p && n + 1 < size; p++)
        text[n++] = *p == '\n' ? ' ' : *p;
    n -= n > 0 && text[n - 1] == '.' && n + 1 < size; /* as other hints: no sentence */
    text[n] = 0;
    return text;
}

const struct wh_error_page *wh_error_pages(size_t *ret_n)
{
    *ret_n = N_PAGES;
    return pages;
}

int wh_error_exit(const char *code, bool touched)
{
    const struct wh_error_page *page = wh_error_page(code);
    int exit_code = page ? page->exit_code : 1;

    if (exit_code == 1 && !touched && page && code[1] != '9')
        return 2;
    /* "Refused, nothing touched" is never said of a run that began. E7: this resume is refused, and
     * it leaves everything as it found it. */
    return exit_code == 2 && touched && code[1] != '7' ? 1 : exit_code;
}
