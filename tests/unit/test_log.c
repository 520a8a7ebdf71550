/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "core/alloc.h"
#include "core/buf.h"
#include "core/log.h"
#include "core/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* What was logged since the last call; the log goes into a file that is read back. */
static int file_fd = -1;
static off_t seen;

static char *logged(void)
{
    static char text[65536];
    ssize_t n = pread(file_fd, text, sizeof text - 1, seen);

    seen += n > 0 ? n : 0;
    text[n > 0 ? n : 0] = 0;
    return text;
}

static int open_file(void **state)
{
    char name[] = "/tmp/wherry-log-XXXXXX";

    file_fd = mkostemp(name, O_APPEND);
    unlink(name);
    return file_fd < 0;
}

/* Red when a level or a component lets too much or too little through. */
static void chooses_lines(void **state)
{
    wh_log_open(file_fd, false, WH_LOG_INFO, NULL);
    wh_log(WH_LOG_DEBUG, "engine", "no");
    assert_string_equal(logged(), "");
    wh_log(WH_LOG_INFO, "engine", "%d rows", 5);
    const char *line = logged();

    assert_non_null(strstr(line, "Z INFO  engine: 5 rows\n"));
    assert_int_equal(strlen(line), 24 + 1 + strlen("INFO  engine: 5 rows\n"));
    wh_log_open(file_fd, false, WH_LOG_WARN, "engine,sqlite");
    assert_true(wh_log_on(WH_LOG_DEBUG, "sqlite"));
    assert_false(wh_log_on(WH_LOG_DEBUG, "sql"));
    assert_false(wh_log_on(WH_LOG_INFO, "sqlite"));
    assert_true(wh_log_on(WH_LOG_WARN, "other"));
    wh_log_open(file_fd, false, WH_LOG_DEBUG, NULL);
    assert_true(wh_log_on(WH_LOG_DEBUG, "any"));
    errno = 77;
    wh_log(WH_LOG_ERROR, "x", "y");
    assert_int_equal(errno, 77);
    logged();
}

/* Red when the content of a message can forge a second line or a terminal command. */
static void one_line_per_message(void **state)
{
    wh_log_open(file_fd, false, WH_LOG_INFO, NULL);
    wh_log(WH_LOG_WARN, "csv", "a\n2026 ERROR x: forged\r\x1b[31m\t\xE8\xB4\xA7");
    assert_non_null(strstr(logged(), "csv: a\\n2026 ERROR x: forged\\x0d\\x1b[31m \xE8\xB4\xA7\n"));
}

/* Red when JSON lines are not JSON. */
static void json_lines(void **state)
{
    struct wh_arena *arena = wh_arena_new(1 << 20);
    struct wh_problems problems = {.arena = arena};
    struct wh_node *root;

    wh_log_open(file_fd, true, WH_LOG_INFO, NULL);
    wh_log(WH_LOG_WARN, "csv", "bad \"quote\"\n\xFF end");
    const char *line = logged();

    assert_ok(wh_json_parse(arena, "log", line, strlen(line), &root, &problems));
    assert_string_equal(wh_node_text(wh_node_get(root, "level"), ""), "warning");
    assert_string_equal(wh_node_text(wh_node_get(root, "component"), ""), "csv");
    assert_string_equal(wh_node_text(wh_node_get(root, "message"), ""),
                        "bad \"quote\"\n\xEF\xBF\xBD end");
    wh_arena_free(arena);
}

/* Red when a long message is lost, or cut inside a character or an escape. */
static void long_messages(void **state)
{
    static char big[5000];

    memset(big, '\x01', sizeof big - 1);
    wh_log_open(file_fd, true, WH_LOG_INFO, NULL);
    wh_log(WH_LOG_WARN, "x", "%s", big);
    const char *line = logged();

    assert_true(strlen(line) > 18000);
    assert_true(wh_str_ends(wh_str(line), "\\u0001...\"}\n"));
    for (int i = 0; i + 3 < 4999; i += 3)
        memcpy(big + i, "\xE8\xB4\xA7", 3);
    big[4998] = 0;
    for (int shift = 0; shift < 3; shift++) {
        wh_log(WH_LOG_WARN, "x", "%.*s%s", shift, "ab", big);
        line = logged();
        assert_true(wh_utf8_valid(line, strlen(line)));
        assert_true(wh_str_ends(wh_str(line), "...\"}\n"));
    }
}

static void assert_masked(const char *in, const char *expected)
{
    char text[256];

    snprintf(text, sizeof text, "%s", in);
    wh_log_mask(text);
    assert_string_equal(text, expected);
}

/* Red when any form of a secret gets out: plain, in a URL, in JSON, repeated, inside a longer one,
 * or its beginning where a text was cut. */
static void masks_secrets(void **state)
{
    wh_log_secret("s3cr\"t pw/1");
    wh_log_secret("topsecret");
    wh_log_secret("topsecret2");
    wh_log_secret("topsecret");
    wh_log_secret("abc");
    wh_log_secret(NULL);
    assert_masked("pw=s3cr\"t pw/1;", "pw=***;");
    assert_masked("u:s3cr%22t%20pw%2F1@h", "u:***@h");
    assert_masked("{\"p\":\"s3cr\\\"t pw/1\"}", "{\"p\":\"***\"}");
    assert_masked("topsecrettopsecret2,topsecret", "******,***");
    assert_masked("abc stays: too short", "abc stays: too short");
    assert_masked("nothing", "nothing");
    assert_masked("login with topsec...", "login with ***...");
    assert_masked("login with top...", "login with top...");
    wh_log_open(file_fd, false, WH_LOG_INFO, NULL);
    wh_log(WH_LOG_WARN, "x", "password topsecret refused");
    const char *line = logged();

    assert_null(strstr(line, "topsecret"));
    assert_non_null(strstr(line, "password *** refused"));
}

/* Red when a statement is not one line, is cut inside of a character, or is told unasked. */
static void statements(void **state)
{
    char many[4000];

    wh_log_open(file_fd, false, WH_LOG_WARN, "engine");
    assert_int_equal(wh_log_statement_begins(), 0);
    wh_log_statement("dw", "select 1", 5, NULL);
    assert_string_equal(logged(), "");
    wh_log_open(file_fd, false, WH_LOG_WARN, "sql");
    assert_true(wh_log_statement_begins() > 0);
    wh_log_statement("dw [7]", " select\n\t 1  from t", 1234567, NULL);
    assert_non_null(strstr(logged(), "DEBUG sql: dw [7]: 1.2 ms: select 1 from t\n"));
    wh_log_statement("dw", "x", 0, "no such table");
    assert_non_null(strstr(logged(), "0.0 ms: x -- no such table\n"));
    for (size_t i = 0; i < sizeof many - 1; i += 2)
        memcpy(many + i, "\xc3\xa4", 2);
    many[0] = '.'; /* so that the cut would fall inside of one */
    many[1] = '.';
    many[2] = '.';
    memmove(many + 3, many + 4, sizeof many - 4);
    many[sizeof many - 3] = 0;
    wh_log_statement("dw", many, 0, NULL);
    const char *line = logged();

    assert_true(wh_utf8_valid(line, strlen(line)));
    assert_non_null(strstr(line, "\xc3\xa4...\n"));
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < 200; i++)
        wh_log(WH_LOG_WARN, "thread", "%s", (const char *)arg);
    return NULL;
}

/* Red when lines of several threads mix. */
static void lines_do_not_mix(void **state)
{
    static char texts[4][101];
    pthread_t threads[4];
    int lines = 0;

    wh_log_open(file_fd, false, WH_LOG_INFO, NULL);
    for (int i = 0; i < 4; i++) {
        memset(texts[i], 'a' + i, 100);
        assert_int_equal(pthread_create(&threads[i], NULL, write_lines, texts[i]), 0);
    }
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (char *all; *(all = logged());) {
        /* read in pieces that may end inside a line: go back to its start */
        char *last = strrchr(all, '\n');

        seen -= (off_t)strlen(last + 1);
        last[1] = 0;
        for (char *line = all, *end; (end = strchr(line, '\n')); line = end + 1, lines++) {
            char *text = strstr(line, "thread: ") + 8;

            assert_int_equal(end - text, 100);
            for (char *p = text; p < end; p++)
                assert_int_equal(*p, *text);
        }
    }
    assert_int_equal(lines, 800);
}

/* Last, because it cannot be undone. Red when a secret that could not be kept for want of memory is
 * printed afterwards. */
static void hides_all_without_memory(void **state)
{
    wh_mem_fail_at(1, true);
    wh_log_secret("another secret");
    wh_mem_fail_at(0, false);
    assert_masked("with another secret in it", "***");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses_lines),    cmocka_unit_test(one_line_per_message),
        cmocka_unit_test(json_lines),       cmocka_unit_test(long_messages),
        cmocka_unit_test(masks_secrets),    cmocka_unit_test(statements),
        cmocka_unit_test(lines_do_not_mix), cmocka_unit_test(hides_all_without_memory),
    };

    return cmocka_run_group_tests(tests, open_file, NULL);
}
