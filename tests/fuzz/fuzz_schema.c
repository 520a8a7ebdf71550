/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "data/builder.h"

#include <string.h>

static void round_trip(const struct ArrowSchema *s)
{
    struct wh_buf first = WH_BUF(64 << 20), second = WH_BUF(64 << 20);
    struct ArrowSchema back = {0};
    struct wh_error err = {0};

    FUZZ_CHECK(wh_schema_to_json(s, &first) == WH_OK);
    FUZZ_CHECK(wh_schema_from_json(first.p, first.n, &back, &err) == WH_OK);
    FUZZ_CHECK(wh_schema_equal(s, &back));
    FUZZ_CHECK(wh_schema_to_json(&back, &second) == WH_OK);
    FUZZ_CHECK(first.n == second.n && memcmp(first.p, second.p, first.n) == 0);
    wh_schema_release(&back);
    wh_buf_free(&first);
    wh_buf_free(&second);
}

/* A batch without rows and one with a null in every column can be made of any schema. */
static void build(const struct ArrowSchema *s)
{
    struct wh_builder *b;
    struct wh_batch batch;

    if (s->n_children > 64)
        return;
    FUZZ_CHECK(wh_builder_new(s, &b, NULL) == WH_OK);
    for (int64_t rows = 0; rows < 2; rows++) {
        for (int64_t i = 0; i < s->n_children && rows; i++)
            FUZZ_CHECK(wh_col_null(wh_builder_column(b, i)) == WH_OK);
        FUZZ_CHECK(wh_builder_finish(b, &batch) == WH_OK);
        wh_batch_release(&batch);
    }
    wh_builder_free(b);
}

/* Red when the reader of stored schemas or of type words leaves its input, leaks, or reads what
 * does not come back the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct ArrowSchema s = {0};
    struct wh_error err = {0};
    char *text = malloc(n + 1);
    struct wh_type t, again;

    FUZZ_CHECK(text);
    memcpy(text, data, n);
    text[n] = 0;
    if (wh_schema_from_json(text, n, &s, &err) == WH_OK) {
        round_trip(&s);
        build(&s);
        wh_schema_release(&s);
    }
    FUZZ_CHECK(!s.release);
    if (wh_field_parse(text, "c", &s, &err) == WH_OK) {
        struct wh_buf words = WH_BUF(1 << 22);
        struct ArrowSchema back = {0};

        FUZZ_CHECK(wh_type_of(&s, &t, &err) == WH_OK);
        FUZZ_CHECK(wh_type_print(&t, &words) == WH_OK);
        FUZZ_CHECK(wh_field_parse(words.p, "c", &back, &err) == WH_OK);
        FUZZ_CHECK(wh_type_of(&back, &again, &err) == WH_OK && wh_type_equal(&t, &again));
        wh_schema_release(&back);
        wh_schema_release(&s);
        wh_buf_free(&words);
    }
    free(text);
    return 0;
}
