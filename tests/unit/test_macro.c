/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "core/log.h"
#include "engine/macro.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static struct wh_arena *arena;

/* 2017-10-16 09:00:00 at +08:00, the instant of the examples in the product's own manual. */
#define NOW INT64_C(1508115600000000)

static int set_up(void **state)
{
    arena = wh_arena_new(64 << 20);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    wh_arena_free(arena);
    return 0;
}

static struct wh_macros macros(const char *zone, struct wh_problems *problems)
{
    static struct wh_param params[] = {
        {"bizdate", WH_PARAM_DATE, false, "2024-02-29"},
        {"at", WH_PARAM_TIMESTAMP, false, "2024-02-29 23:05:09"},
        {"rate", WH_PARAM_DECIMAL, false, "7.12"},
        {"who", WH_PARAM_TEXT, false, "O'Hara"},
        {"raw", WH_PARAM_TEXT, true, "a > 1"},
        {"empty", WH_PARAM_TEXT, true, ""},
        {"unset", WH_PARAM_TEXT, false, NULL},
        {"tricky", WH_PARAM_TEXT, true, "${env:HOME}"},
    };
    struct wh_zone *z = NULL;
    struct wh_error err;

    *problems = (struct wh_problems){.arena = arena};
    assert_ok(wh_zone_open(arena, zone, &z, &err));
    return (struct wh_macros){.arena = arena,
                              .zone = z,
                              .planned_us = NOW,
                              .job = "shop",
                              .stream = "orders",
                              .run = "r-1",
                              .params = params,
                              .n_params = sizeof params / sizeof params[0],
                              .problems = problems};
}

struct example {
    const char *text;
    unsigned flags;
    const char *want; /* "E1050 message | hint" for a refusal */
};

static void check(const struct example *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct wh_problems p;
        struct wh_macros m = macros("Asia/Shanghai", &p);
        const char *got = wh_macro_expand(&m, v[i].text, v[i].flags, "t");

        if (!got)
            got = wh_arena_printf(arena, "%s %s | %s", p.v[0].code, p.v[0].message,
                                  p.v[0].hint ? p.v[0].hint : "");
        if (strcmp(got, v[i].want) != 0)
            fail_msg("'%s'\n   gives '%s'\nwanted '%s'", v[i].text, got, v[i].want);
    }
}
#define CHECK(table) check(table, sizeof table / sizeof table[0])

/* Red when a time macro gives another text than the product's manual says. */
static void times(void **state)
{
    static const struct example table[] = {
        {"${dateformat(yyyy-MM-dd)}", 0, "2017-10-16"},
        {"${dateformat(yyyy_MM_dd HH:mm:ss)}", 0, "2017_10_16 09:00:00"},
        {"${dateformat(yyyy-MM-dd HH:mm:ss, -1, DAY)}", 0, "2017-10-15 09:00:00"},
        {"${timestamp()}", 0, "1508115600000"},
        {"${timestamp(-10, MINUTE)}", 0, "1508115000000"},
        {"${timestamp(dateformat(yyyyMMdd))}", 0, "1508083200000"},
        {"${timestamp(dateformat(yyyyMMdd,-1,DAY))}", 0, "1507996800000"},
        {"*${dateformat(yyyyMMdd,-1,DAY)}*", 0, "*20171015*"},
        {"${dateformat(yyyy-MM-dd'T'HH:mm:ss.SSS)}", 0, "2017-10-16T09:00:00.000"},
        {"${dateformat(EEE d MMM yy, h a)}", 0, "Mon 16 Oct 17, 9 AM"},
        {"${dateformat(D 'it''s' EEEE MMMM,1,YEAR)}", 0, "289 it's Tuesday October"},
        {"${dateformat(yyyy,MM)}", 0, "2017,10"},
        {"${dateformat(yyyyMMdd,-2,WEEK)}", 0, "20171002"},
        {"${dateformat(yyyyMMddHH,-33,HOUR)}", 0, "2017101500"},
        {"${run.scheduled}", 0, "2017-10-16 09:00:00"},
        {"${run.scheduled:yyyyMMdd}", 0, "20171016"},
        {"${dateformat(yyyy-xx)}", 0,
         "E1051 'yyyy-xx' is no date pattern | patterns are made of yyyy MM dd HH mm ss SSS; text "
         "in '...'"},
        {"${dateformat(yyyy,1,FORTNIGHT)}", 0,
         "E1051 '1,FORTNIGHT' is no step in time | units are SECOND MINUTE HOUR DAY WEEK MONTH "
         "YEAR"},
        {"${dateformat(yyyy,9999999999,YEAR)}", 0,
         "E1051 '9999999999,YEAR' is no step in time | units are SECOND MINUTE HOUR DAY WEEK MONTH "
         "YEAR"},
        {"${timestamp(x)}", 0,
         "E1051 'x' is no argument of timestamp() | write timestamp(), timestamp(-1,DAY) or "
         "timestamp(dateformat(yyyyMMdd))"},
    };

    CHECK(table);
}

/* Red when a parameter is pasted where it could change a statement, or a default is forgotten. */
static void parameters(void **state)
{
    static const struct example table[] = {
        {"dt='${bizdate:yyyyMMdd}'", WH_MACRO_SQL, "dt='20240229'"},
        {"${bizdate}", WH_MACRO_SQL, "2024-02-29"},
        {"${at:HHmm}", 0, "2305"},
        {"a * ${rate}", WH_MACRO_SQL, "a * 7.12"},
        {"n = ${who}", WH_MACRO_SQL,
         "E1054 ${who} is text and stands in SQL | write ${x:sql} for a quoted literal, ${x:ident} "
         "for a quoted name"},
        {"n = ${who:sql}", WH_MACRO_SQL, "n = 'O''Hara'"},
        {"${who:ident}", WH_MACRO_SQL, "\"O'Hara\""},
        {"${raw}", WH_MACRO_SQL, "a > 1"},
        {"${who}", 0, "O'Hara"},
        {"x${empty}", WH_MACRO_NONEMPTY,
         "E1052 ${empty} is empty here | set it; where empty is meant, write ${name:-}"},
        {"x${empty:-}", WH_MACRO_NONEMPTY, "x"},
        {"x${unset:-y${who}}", 0, "xyO'Hara"},
        {"${unset}", 0,
         "E1005 parameter unset has no value | give it with '--set NAME=VALUE' or a default"},
        {"${job.name}/${stream.name}/${run.id}", 0, "shop/orders/r-1"},
        {"${bizdte}", 0, "E1050 unknown macro ${bizdte} | did you mean ${bizdate}?"},
        {"${zzz}", 0,
         "E1050 unknown macro ${zzz} | declare it under params:, or write $${zzz} for the text"},
        {"${window.start}", 0,
         "E1014 ${window.start} belongs to incremental streams, which this build does not offer "
         "yet | use dateformat() or a parameter for the bounds"},
        {"${who:yyyy}", 0,
         "E1051 'O'Hara' is no date or time and cannot take the format 'yyyy' | formats are for "
         "dates; text takes :sql and :ident"},
        {"${who", 0, "E1051 ${ is not closed by } | write $${ for a literal ${"},
        {"$${who}", 0, "${who}"},
        {"$${who} ${rate}", WH_MACRO_ESCAPE, "$${who} 7.12"},
        {"${tricky}", WH_MACRO_ESCAPE, "$${env:HOME}"},
        {"${tricky}", 0, "${env:HOME}"},
        {"{source.table} $5 $", 0, "{source.table} $5 $"},
        {"${unset:-${unset:-${unset:-${unset:-${unset:-${unset:-${unset:-${unset:-${unset:-x}}}}}}}"
         "}}",
         0, "E1051 macros are nested more than 8 deep | "},
    };

    CHECK(table);
}

/* Red when a reference leaks into the stored job, or a missing one is taken for empty. */
static void references(void **state)
{
    static const struct example table[] = {
        {"${env:WH_TEST_VALUE}", 0, "seven"},
        {"${env:WH_TEST_VALUE}", WH_MACRO_KEEP, "${env:WH_TEST_VALUE}"},
        {"${env:WH_TEST_VALUE:sql}", WH_MACRO_SQL, "'seven'"},
        {"${env:WH_TEST_VALUE}", WH_MACRO_SQL,
         "E1054 ${env:WH_TEST_VALUE} is text and stands in SQL | write ${x:sql} for a quoted "
         "literal, ${x:ident} for a quoted name"},
        {"${env:WH_TEST_NONE:-eight}", 0, "eight"},
        {"${env:WH_TEST_NONE}", 0,
         "E1055 the environment variable WH_TEST_NONE is not set | set it where the run is "
         "started; "
         "a service has another environment than your shell"},
        {"${cred:x}", 0,
         "E1055 ${cred:x}: secrets may only stand in connections and URLs | put it into an option "
         "of a connection"},
        {"${cred:x}", WH_MACRO_KEEP, "${cred:x}"},
        {"${cmd:[echo, a]}", 0,
         "E1055 ${cmd:[echo, a]}: commands are not run here | look at what it prints; it is "
         "started without a shell"},
        {"${file:relative}", 0, "E1055 ${file:relative}: write the whole path, from / on | "},
    };

    setenv("WH_TEST_VALUE", "seven", 1);
    unsetenv("WH_TEST_NONE");
    CHECK(table);
}

/* Red when a command gets a shell, input, or more than its time; when a failure is taken for a
 * value, or more than one newline is cut off. */
static void commands(void **state)
{
    static const struct example table[] = {
        {"<${cmd:[echo, a b, 'c,d', \"e f\"]}>", 0, "<a b c,d e f>"},
        {"${cmd:[printf, 'x\\n\\n']}", 0, "x\n"},
        {"${cmd:[echo, $HOME; id]}", 0, "$HOME; id"},
        {"${cmd:[ echo ,]}", 0, ""},
        {"${cmd:[cat]}-", 0, "-"},
        {"${cmd:[false]}", 0,
         "E1055 ${cmd:false}: it ended with exit code 1 | look at what it prints; it is started "
         "without a shell"},
        {"${cmd:[no-such-program-here]}", 0,
         "E1055 ${cmd:no-such-program-here}: there is no such program | look at what it prints; it "
         "is started without a shell"},
        {"${cmd:[sh, -c, 'kill -9 $$']}", 0,
         "E1055 ${cmd:sh}: it was ended | look at what it prints; it is started without a shell"},
        {"${cmd:[head, -c, 70000, /dev/zero]}", 0,
         "E1055 ${cmd:head}: it prints more than 64 kB | look at what it prints; it is started "
         "without a shell"},
        {"${cmd:[printf, '\\377']}", 0,
         "E1055 ${cmd:printf}: it prints no text (UTF-8) | look at what it prints; it is started "
         "without a shell"},
        {"${cmd:echo a}", 0,
         "E1055 ${cmd:echo a}: write ${cmd:[program, argument]} | look at what it prints; it is "
         "started without a shell"},
        {"${cmd:[]}", 0,
         "E1055 ${cmd:[]}: write ${cmd:[program, argument]} | look at what it prints; it is "
         "started without a shell"},
        {"${cmd:[echo, 'a]}", 0,
         "E1055 ${cmd:[echo, 'a]}: write ${cmd:[program, argument]} | look at what it prints; it "
         "is started without a shell"},
        {"${cmd:[echo, a]}", WH_MACRO_KEEP, "${cmd:[echo, a]}"},
    };

    wh_commands_allow(true);
    CHECK(table);
    wh_commands_allow(false);
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static const char *resolve(const char *text, bool secret)
{
    struct wh_problems p = {.arena = arena};
    const char *got = wh_reference_resolve(arena, text, secret, "t", &p);

    return got ? got : wh_arena_printf(arena, "%s %s", p.v[0].code, p.v[0].message);
}

/* Red when a secret that others may read is accepted, or its value can be seen in the log. */
static void secret_files(void **state)
{
    char folder[] = "/tmp/wh_macro_XXXXXX", path[64], text[100];

    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/pw", folder);
    snprintf(text, sizeof text, "a${file:%s}b", path);
    write_file(path, "s3cret\r\n", 0600);
    assert_string_equal(resolve(text, true), "as3cretb");
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    assert_string_equal(resolve("${cred:pw}", true), "s3cret");
    assert_non_null(strstr(resolve("${cred:../pw}", true), "is no name of a credential"));
    char line[64] = "password is s3cret here";

    wh_log_mask(line);
    assert_null(strstr(line, "s3cret"));
    write_file(path, "s3cret", 0640);
    assert_non_null(strstr(resolve(text, true), "others may read it (mode 0640)"));
    assert_string_equal(resolve(text, false), "as3cretb");
    assert_string_equal(resolve("$${file:x} ${other}", true), "${file:x} ${other}");
    unlink(path);
    assert_non_null(strstr(resolve(text, true), "No such file"));
    rmdir(folder);
    unsetenv("CREDENTIALS_DIRECTORY");
}

/* Red when the zone's rules are read wrongly: summer time, its borders, years after the table. */
static void zones(void **state)
{
    static const struct {
        const char *zone;
        int64_t utc_s;
        const char *local;
    } table[] = {
        {"Europe/Berlin", 1711846799, "2024-03-31 01:59:59"}, /* a second before the gap */
        {"Europe/Berlin", 1711846800, "2024-03-31 03:00:00"},
        {"Europe/Berlin", 1729990800, "2024-10-27 02:00:00"}, /* second time */
        {"Europe/Berlin", 4118148000, "2100-07-01 20:00:00"}, /* by the footer's rule */
        {"America/New_York", 4102444800, "2099-12-31 19:00:00"},
        {"Asia/Shanghai", 0, "1970-01-01 08:00:00"},
        {"Australia/Sydney", 4102444800, "2100-01-01 11:00:00"}, /* southern summer */
        {"UTC", -1, "1969-12-31 23:59:59"},
        {"+05:45", 0, "1970-01-01 05:45:00"},
        {"-03:30", 0, "1969-12-31 20:30:00"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wh_zone *z;
        struct wh_error err;
        struct wh_buf out = WH_BUF(100);

        assert_ok(wh_zone_open(arena, table[i].zone, &z, &err));
        struct wh_civil c = wh_zone_civil(z, table[i].utc_s * 1000000);

        assert_true(wh_date_format("yyyy-MM-dd HH:mm:ss", 19, &c, &out));
        assert_string_equal(out.p, table[i].local);
        /* Back again, but for the hour that exists twice. */
        if (i != 2)
            assert_int_equal(wh_zone_instant(z, &c), table[i].utc_s * 1000000);
        else
            assert_int_equal(wh_zone_instant(z, &c), (table[i].utc_s - 3600) * 1000000);
        wh_buf_free(&out);
    }
    struct wh_zone *z;
    struct wh_error err;
    static const char *const bad[] = {"Mars/Olympus", "../passwd", "/etc/passwd", "+25:00", ""};

    for (size_t i = 0; i < 5; i++)
        assert_int_equal(wh_zone_open(arena, bad[i], &z, &err), WH_E_USAGE);
    assert_ok(wh_zone_open(arena, NULL, &z, &err)); /* the system's, whatever it is */
}

/* Red when months and years do not clamp, or a pattern cannot read what it wrote. */
static void calendar(void **state)
{
    struct wh_zone *z;
    struct wh_error err;
    struct wh_civil c = {.year = 2024, .month = 3, .day = 31, .hour = 2, .minute = 30}, back;
    struct wh_buf out = WH_BUF(200);
    static const char *const patterns[] = {"yyyyMMddHHmmss", "yyyy-MM-dd HH:mm:ss",
                                           "d/M/yyyy h:mm:ss a", "EEE, dd MMM yyyy HH.mm.ss"};

    assert_ok(wh_zone_open(arena, "Europe/Berlin", &z, &err));
    assert_true(wh_date_shift(z, &c, -1, "MONTH"));
    assert_int_equal(c.month * 100 + c.day, 229);
    assert_true(wh_date_shift(z, &c, 1, "YEAR"));
    assert_int_equal(c.month * 100 + c.day, 228);
    assert_int_equal(c.year, 2025);
    assert_false(wh_date_shift(z, &c, 1, "day"));
    c = (struct wh_civil){.year = 2024, .month = 3, .day = 31, .hour = 13, .minute = 5};
    for (size_t i = 0; i < 4; i++) {
        wh_buf_clear(&out);
        assert_true(wh_date_format(patterns[i], strlen(patterns[i]), &c, &out));
        assert_true(wh_date_parse(patterns[i], strlen(patterns[i]), out.p, &back));
        assert_int_equal(wh_zone_instant(z, &back), wh_zone_instant(z, &c));
    }
    assert_false(wh_date_parse("yyyyMMdd", 8, "20230229", &back));
    assert_false(wh_date_parse("yyyyMMdd", 8, "20230201x", &back));
    wh_buf_free(&out);
}

/* Red when a parameter takes a value of another type. */
static void values_of_parameters(void **state)
{
    static const struct {
        enum wh_param_type type;
        const char *text, *want; /* NULL = refused */
    } table[] = {
        {WH_PARAM_INTEGER, "-17", "-17"},
        {WH_PARAM_INTEGER, "1.5", NULL},
        {WH_PARAM_INTEGER, "1; drop", NULL},
        {WH_PARAM_DECIMAL, "7.12", "7.12"},
        {WH_PARAM_DECIMAL, "7,12", NULL},
        {WH_PARAM_DECIMAL, ".", NULL},
        {WH_PARAM_BOOL, "true", "true"},
        {WH_PARAM_BOOL, "1", NULL},
        {WH_PARAM_DATE, "20240229", "2024-02-29"},
        {WH_PARAM_DATE, "2023-02-29", NULL},
        {WH_PARAM_DATE, "2024-2-29", NULL},
        {WH_PARAM_TIMESTAMP, "2024-02-29T01:02:03", "2024-02-29 01:02:03"},
        {WH_PARAM_TIMESTAMP, "2024-02-29", "2024-02-29 00:00:00"},
        {WH_PARAM_TIMESTAMP, "yesterday", NULL},
        {WH_PARAM_TEXT, "x'y", "x'y"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wh_problems p;
        struct wh_macros m = macros("UTC", &p);
        struct wh_param param = {.name = "p", .type = table[i].type};
        const char *got = wh_param_value(&m, &param, table[i].text, "t");

        if (!got != !table[i].want || (got && strcmp(got, table[i].want) != 0))
            fail_msg("'%s' gives '%s'", table[i].text, got ? got : "a refusal");
        assert_int_equal(p.errors, got ? 0 : 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times),        cmocka_unit_test(parameters),
        cmocka_unit_test(references),   cmocka_unit_test(commands),
        cmocka_unit_test(secret_files), cmocka_unit_test(zones),
        cmocka_unit_test(calendar),     cmocka_unit_test(values_of_parameters),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
