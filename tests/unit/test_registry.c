/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "engine/registry.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *find(const char *word)
{
    static char text[1200];
    const struct wh_connector *c = NULL;
    struct wh_error err = {0};

    if (wh_registry_find(wh_str(word), &c, &err) == WH_OK)
        snprintf(text, sizeof text, "%s", c->name);
    else
        snprintf(text, sizeof text, "%s %s | %s", err.code, err.message, err.hint);
    return text;
}

/* Red when a module beside the program (here: in the build tree) is not found, or a word that names
 * no connector is taken for one. */
static void finds(void **state)
{
    unsetenv("WHERRY_MODULES");
    assert_string_equal(find("gen"), "gen");
    assert_string_equal(find("GEN"), "gen");
    assert_string_equal(find("null"), "null");
    assert_string_equal(find("sqlite"), "sqlite");
    assert_string_equal(find("postgress"),
                        "E1021 unknown scheme 'postgress' | did you mean 'postgres'?");
    assert_non_null(strstr(find("qqqqqqq"), "available: file, gen, null, postgresql, sqlite;"));
    assert_memory_equal(find("../gen"), "E1021 unknown scheme '../gen' | ", 32);
    assert_string_equal(find("mariadb"), "E1004 connector 'mysql' is not part of this build | "
                                         "available: file, gen, null, postgresql, "
                                         "sqlite");
    assert_true(wh_registry_is_scheme(WH_STR("gen")));
    assert_true(wh_registry_is_scheme(WH_STR("kafka")));
    assert_false(wh_registry_is_scheme(WH_STR("gene")));
    assert_false(wh_registry_is_scheme(WH_STR("c")));
    assert_false(wh_registry_is_scheme(WH_STR("")));
}

struct seen {
    char ok[400], broken[2000];
};

static wh_status each(void *arg, const struct wh_connector *c)
{
    struct seen *s = arg;

    snprintf(s->ok + strlen(s->ok), sizeof s->ok - strlen(s->ok), "%s ", c->name);
    return WH_OK;
}

static wh_status broken(void *arg, const char *name, const struct wh_error *err)
{
    struct seen *s = arg;
    size_t n = strlen(s->broken);

    snprintf(s->broken + n, sizeof s->broken - n, "%s %s; ", name, err->code);
    return WH_OK;
}

/* Red when a broken module or one of another version is used, or hides the others. */
static void refuses(void **state)
{
    char folder[] = "/tmp/wh_modules_XXXXXX", path[64], list[400];
    struct seen s = {"", ""};

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/wherry-junk.so", folder);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);

    assert_int_equal(write(fd, "no module\n", 10), 10);
    close(fd);
    snprintf(list, sizeof list, "/nonexistent:%s:%s", folder, WH_TEST_MODULES);
    setenv("WHERRY_MODULES", list, 1);
    assert_memory_equal(find("junk"), "E2010 connector 'junk' cannot be loaded: ", 40);
    assert_memory_equal(find("oldabi"), "E2011 ", 6);
    assert_non_null(strstr(find("oldabi"), "was built for another version (abi 1 "));
    assert_ok(wh_registry_each(each, &s, broken));
    assert_string_equal(s.ok, "file gen null postgresql sqlite ");
    assert_string_equal(s.broken, "junk E2010; oldabi E2011; ");
    unlink(path);
    rmdir(folder);
    unsetenv("WHERRY_MODULES");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds), cmocka_unit_test(refuses)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
