/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "core/alloc.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* Red when a path of the allocator does not count what it takes or gives back. */
static void counts_every_path(void **state)
{
    struct wh_mem_stats before = wh_mem_stats();
    char *p = wh_alloc(1000), *q = wh_calloc(10, 100), *r = wh_alloc_aligned(1000);
    char *s = wh_strdup("text");
    struct wh_mem_stats now = wh_mem_stats();

    assert_true(now.bytes - before.bytes >= 3005);
    assert_true(now.peak_bytes >= now.bytes);
    assert_int_equal(now.calls - before.calls, 4);
    assert_int_equal((uintptr_t)r % 64, 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(q[i], 0);
    memset(p, 'x', 1000);
    p = wh_realloc(p, 100000);
    assert_int_equal(p[999], 'x');
    assert_true(wh_mem_stats().bytes - now.bytes >= 98000);
    p = wh_realloc(p, 10);
    assert_int_equal(p[9], 'x');
    wh_free(p);
    wh_free(q);
    wh_free(r);
    wh_free(s);
    wh_free(NULL);
    assert_int_equal(wh_mem_stats().bytes, before.bytes);
}

/* Red when an overflowing product or an impossible size gives memory that is too small. */
static void refuses_impossible_sizes(void **state)
{
    /* volatile: the compiler would warn about what is tested here */
    volatile size_t huge = SIZE_MAX, half = SIZE_MAX / 2 + 2;

    assert_null(wh_calloc(half, 2));
    assert_null(wh_alloc(huge));
    assert_null(wh_alloc_aligned(huge - 10));
    assert_null(wh_strndup("a", huge));
    assert_null(wh_strdup(NULL));
    char *p = wh_alloc(0);

    assert_non_null(p);
    assert_null(wh_realloc(p, huge));
    wh_free(p);
}

/* Red when the budget admits more than it says, or a refused realloc loses the old block. */
static void keeps_the_budget(void **state)
{
    char *p = wh_alloc(100);

    memcpy(p, "kept", 5);
    wh_mem_budget(wh_mem_stats().bytes + 1000);
    assert_null(wh_alloc(2000));
    assert_null(wh_calloc(1, 2000));
    assert_null(wh_alloc_aligned(2000));
    assert_null(wh_realloc(p, 5000));
    assert_string_equal(p, "kept");
    char *q = wh_alloc(500);

    assert_non_null(q);
    wh_mem_budget(0);
    wh_free(q);
    q = wh_alloc(2000);
    assert_non_null(q);
    wh_free(q);
    wh_free(p);
}

/* Red when another call than the N-th fails, or more than it when not asked for. */
static void fails_the_nth(void **state)
{
    for (int forever = 0; forever < 2; forever++) {
        wh_mem_fail_at(3, forever);
        for (int call = 1; call <= 6; call++) {
            void *p = call % 2 ? wh_alloc(8) : wh_calloc(1, 8);
            bool fails = call == 3 || (forever && call > 3);

            assert_int_equal(p == NULL, fails);
            wh_free(p);
        }
    }
    wh_mem_fail_at(0, false);
    void *p = wh_alloc(8);

    assert_non_null(p);
    wh_free(p);
}

static void *churn(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    void *kept[16] = {0};

    for (int i = 0; i < 20000; i++) {
        void **slot = &kept[rand_r(&seed) % 16];

        if (*slot && rand_r(&seed) % 2)
            *slot = wh_realloc(*slot, (size_t)rand_r(&seed) % 5000);
        else {
            wh_free(*slot);
            *slot = wh_alloc((size_t)rand_r(&seed) % 5000);
        }
    }
    for (int i = 0; i < 16; i++)
        wh_free(kept[i]);
    return NULL;
}

/* Red when concurrent counting loses an update: the sum would not come back to where it was. */
static void counts_across_threads(void **state)
{
    int64_t before = wh_mem_stats().bytes;
    pthread_t threads[4];
    unsigned seeds[4] = {1, 2, 3, 4};

    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, churn, &seeds[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wh_mem_stats().bytes, before);
}

/* Red when the resident size is not that of this process in bytes. */
static void knows_resident_memory(void **state)
{
    size_t n = 32 << 20;
    int64_t before = wh_mem_rss();
    char *p = wh_alloc(n);

    memset(p, 1, n);
    assert_true(before > 100 << 10);
    assert_true(wh_mem_rss() - before > (int64_t)n / 2);
    assert_true(wh_mem_peak_rss() >= wh_mem_rss() - (1 << 20));
    assert_true(wh_mem_peak_rss() < INT64_C(1) << 40);
    wh_free(p);
}

/* Red when arena memory is not zeroed, not aligned, overlaps, or is not all freed. */
static void arena_gives_memory(void **state)
{
    int64_t before = wh_mem_stats().bytes;
    struct wh_arena *arena = wh_arena_new(8 << 20);
    unsigned seed = 7;
    char *blocks[500];
    size_t sizes[500];

    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 500; i++) {
            sizes[i] = (size_t)rand_r(&seed) % (i % 50 ? 300 : 40000);
            blocks[i] = wh_arena_alloc(arena, sizes[i]);
            assert_non_null(blocks[i]);
            assert_int_equal((uintptr_t)blocks[i] % 16, 0);
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal(blocks[i][k], 0);
            memset(blocks[i], i % 255 + 1, sizes[i]);
        }
        for (int i = 0; i < 500; i++)
            for (size_t k = 0; k < sizes[i]; k++)
                assert_int_equal((unsigned char)blocks[i][k], i % 255 + 1);
        assert_true(wh_arena_bytes(arena) <= 8 << 20);
        wh_arena_reset(arena);
        assert_true(wh_arena_bytes(arena) <= 64 << 10);
    }
    assert_string_equal(wh_arena_strdup(arena, "abc"), "abc");
    assert_string_equal(wh_arena_strndup(arena, "abc", 2), "ab");
    assert_null(wh_arena_strdup(arena, NULL));
    assert_string_equal(wh_arena_printf(arena, "%d-%s", 5, "x"), "5-x");
    char *text = wh_arena_printf(arena, "%01000d", 7);

    assert_int_equal(strlen(text), 1000);
    assert_int_equal(text[999], '7');
    wh_arena_free(arena);
    wh_arena_free(NULL);
    assert_int_equal(wh_mem_stats().bytes, before);
}

/* Red when an arena grows beyond its cap, or refuses what still fits below it. */
static void arena_keeps_its_cap(void **state)
{
    struct wh_arena *arena = wh_arena_new(10000);
    size_t given = 0;

    assert_null(wh_arena_alloc(arena, 10001));
    assert_null(wh_arena_alloc(arena, SIZE_MAX));
    assert_null(wh_arena_strndup(arena, "x", SIZE_MAX));
    while (wh_arena_alloc(arena, 100))
        given += 100;
    assert_in_range(given, 8000, 10000);
    assert_true(wh_arena_bytes(arena) <= 10000);
    wh_arena_free(arena);
}

/* Red when the cleanup helpers free twice, not at all, or change errno. */
static void cleanup_helpers(void **state)
{
    int64_t before = wh_mem_stats().bytes;
    char *kept;

    {
        char *p WH_CLEANUP(wh_freep) = wh_alloc(10);
        char *q WH_CLEANUP(wh_freep) = wh_alloc(10);
        struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(100);

        assert_non_null(arena);
        assert_non_null(q);
        kept = TAKE_PTR(p);
        assert_null(p);
    }
    wh_free(kept);
    assert_int_equal(wh_mem_stats().bytes, before);
    char secret[8] = "secret";

    wh_wipe(secret, sizeof secret);
    assert_int_equal(secret[0], 0);
}

/* Red when WH_TEST_FAIL_ALLOC is not read: fault tests of the whole program would test nothing. The
 * variable is read at the first allocation, so this needs a process of its own. */
static void environment_fails_the_nth(void **state)
{
    int child_status;
    pid_t child = fork();

    if (child == 0) {
        setenv("WH_TEST_FAIL_ALLOC", "2", 1);
        execl("/proc/self/exe", "test_alloc", "child", NULL);
        _exit(99);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &child_status, 0), child);
    assert_true(WIFEXITED(child_status));
    assert_int_equal(WEXITSTATUS(child_status), 0);
}

static int child_main(void)
{
    void *first = wh_alloc(1), *second = wh_alloc(1), *third = wh_alloc(1);
    bool right = first && !second && third;

    wh_free(first);
    wh_free(third);
    return right ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return child_main();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_every_path),     cmocka_unit_test(refuses_impossible_sizes),
        cmocka_unit_test(keeps_the_budget),      cmocka_unit_test(fails_the_nth),
        cmocka_unit_test(counts_across_threads), cmocka_unit_test(knows_resident_memory),
        cmocka_unit_test(arena_gives_memory),    cmocka_unit_test(arena_keeps_its_cap),
        cmocka_unit_test(cleanup_helpers),       cmocka_unit_test(environment_fails_the_nth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
