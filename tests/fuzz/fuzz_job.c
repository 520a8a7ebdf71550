/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "../unit/fake_connectors.h"

#include "engine/job.h"

#include <string.h>

/* Red when a job that was read is another one after it was stored and read again, or when a job is
 * refused without words. */
static void check_stored(const struct wh_job *job, struct wh_problems *problems)
{
    struct wh_buf a = WH_BUF(64 << 20), b = WH_BUF(64 << 20);
    struct wh_job *again = NULL;

    FUZZ_CHECK(wh_job_to_json(job, &a) == WH_OK);
    int st = wh_job_read("stored.json", a.p, a.n, NULL, NULL, &again, problems);

    if (st != WH_OK)
        for (size_t i = 0; i < problems->n; i++)
            fprintf(stderr, "%s %s\n%s\n", problems->v[i].where, problems->v[i].message, a.p);
    FUZZ_CHECK(st == WH_OK);
    if (!wh_u128_eq(job->shape, again->shape))
        fprintf(stderr, "%s\n---\n%s\n", job->shape_text, again->shape_text);
    FUZZ_CHECK(wh_u128_eq(job->shape, again->shape));
    FUZZ_CHECK(strcmp(job->run_id, again->run_id) == 0 && job->planned_us == again->planned_us);
    FUZZ_CHECK(wh_job_to_json(again, &b) == WH_OK);
    FUZZ_CHECK(strcmp(a.p, b.p) == 0);
    wh_job_free(again);
    wh_buf_free(&a);
    wh_buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct wh_arena *arena = wh_arena_new(64 << 20);
    struct wh_problems problems = {.arena = arena};
    struct wh_job *job = NULL;

    FUZZ_CHECK(arena);
    /* References depend on the machine; a stored job has our own notes in x-wherry. */
    if (!data || memmem(data, n, "file:", 5) || memmem(data, n, "env:", 4) ||
        memmem(data, n, ":@", 2) || memmem(data, n, "x-wherry", 8) || memmem(data, n, "***", 3))
        goto out;
    if (wh_job_read("fuzz.yaml", (const char *)data, n, NULL, NULL, &job, &problems) == WH_OK) {
        FUZZ_CHECK(problems.errors == 0);
        check_stored(job, &problems);
        wh_job_free(job);
    } else {
        FUZZ_CHECK(problems.errors > 0);
    }
out:
    wh_arena_free(arena);
    return 0;
}
