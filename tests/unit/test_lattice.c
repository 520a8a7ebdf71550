/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts by name, and joins. Values are judged by tests/lattice/lattice.py. */
#include "test.h"

#include "data/lattice.h"

static struct wh_type type_of(const char *text)
{
    struct wh_type t = {0};

    if (!wh_type_parse(text, &t))
        fail_msg("'%s' is no type", text);
    return t;
}

/* Red when a verdict that people rely on changes. */
static void verdicts(void **state)
{
    static const struct {
        const char *from, *to;
        enum wh_fit fit;
    } cases[] = {
        {"int64", "int64", WH_FIT_EXACT},
        {"int32", "int64", WH_FIT_WIDENING},
        {"int64", "int32", WH_FIT_CHECKED},
        {"uint64", "int64", WH_FIT_CHECKED},
        {"int64", "float64", WH_FIT_CHECKED},
        {"int32", "float64", WH_FIT_WIDENING},
        {"float64", "float32", WH_FIT_CHECKED},
        {"float64", "decimal(18,2)", WH_FIT_CHECKED},
        {"decimal(18,2)", "float64", WH_FIT_CHECKED},
        {"decimal(15,2)", "float64", WH_FIT_WIDENING},
        {"int64", "decimal(18,0)", WH_FIT_CHECKED},
        {"int64", "decimal(19,0)", WH_FIT_WIDENING},
        {"decimal(18,2)", "decimal", WH_FIT_WIDENING},
        {"decimal(18,2)", "decimal(18,3)", WH_FIT_CHECKED},
        {"decimal(18,2)", "decimal(19,3)", WH_FIT_WIDENING},
        {"utf8(20)", "utf8(10)", WH_FIT_CHECKED},
        {"utf8(20)", "utf8", WH_FIT_WIDENING},
        {"utf8", "date", WH_FIT_CHECKED},
        {"date", "utf8", WH_FIT_WIDENING},
        {"timestamp(ns)", "timestamp(us)", WH_FIT_CHECKED},
        {"timestamp(us)", "timestamp(us, utc)", WH_FIT_IMPOSSIBLE},
        {"date", "timestamp(us, utc)", WH_FIT_IMPOSSIBLE},
        {"timestamp(us, utc)", "timestamp(us)", WH_FIT_LOSSY},
        {"timestamp(us)", "time(us)", WH_FIT_LOSSY},
        {"int64", "timestamp(us)", WH_FIT_IMPOSSIBLE},
        {"bool", "date", WH_FIT_IMPOSSIBLE},
        {"null", "date", WH_FIT_WIDENING},
        {"json", "utf8", WH_FIT_WIDENING},
        {"utf8", "json", WH_FIT_CHECKED},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wh_type a = type_of(cases[i].from), b = type_of(cases[i].to);
        const char *why = "x";
        enum wh_fit fit = wh_lattice(&a, &b, &why);

        if (fit != cases[i].fit)
            fail_msg("%s to %s is %s", cases[i].from, cases[i].to, wh_fit_name(fit));
        assert_int_equal(why == NULL, fit == WH_FIT_EXACT);
    }
}

/* Red when merging loses values, or finds no type where there is one. Both orders must agree. */
static void joins(void **state)
{
    static const struct {
        const char *a, *b, *joined; /* NULL: only text holds both */
    } cases[] = {
        {"int32", "int32", "int32"},
        {"int8", "int64", "int64"},
        {"int8", "uint8", "int16"},
        {"int32", "uint32", "int64"},
        {"int64", "uint64", "decimal(20,0)"},
        {"int32", "float64", "float64"},
        {"int32", "float32", "float64"},
        {"int64", "float64", "decimal"},
        {"float32", "float64", "float64"},
        {"decimal(10,2)", "int64", "decimal(21,2)"},
        {"decimal(10,2)", "decimal(5,4)", "decimal(12,4)"},
        {"decimal(38,0)", "decimal(38,38)", "decimal(76,38)"},
        {"decimal(76,0)", "decimal(38,38)", "decimal"},
        {"decimal(18,2)", "float64", "decimal"},
        {"decimal", "int8", "decimal"},
        {"null", "date", "date"},
        {"utf8(3)", "utf8(9)", "utf8(9)"},
        {"utf8(3)", "utf8", "utf8"},
        {"json", "utf8", "utf8"},
        {"binary(3)", "fixed(4)", "binary(4)"},
        {"date", "timestamp(us)", "timestamp(us)"},
        {"date", "timestamp(us, utc)", NULL},
        {"timestamp(s)", "timestamp(ns)", "timestamp(ns)"},
        {"timestamp(s)", "timestamp(s, utc)", NULL},
        {"time(us)", "time(ns)", "time(ns)"},
        {"time(us)", "timestamp(us)", NULL},
        {"bool", "int8", NULL},
        {"int64", "utf8", NULL},
        {"date", "int64", NULL},
    };
    struct wh_buf b = WH_BUF(200);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int swapped = 0; swapped < 2; swapped++) {
            struct wh_type x = type_of(swapped ? cases[i].b : cases[i].a), t;
            struct wh_type y = type_of(swapped ? cases[i].a : cases[i].b);
            bool found = wh_type_join(&x, &y, &t);

            wh_buf_clear(&b);
            if (found)
                assert_ok(wh_type_print(&t, &b));
            if (found != (cases[i].joined != NULL) || (found && strcmp(b.p, cases[i].joined) != 0))
                fail_msg("%s and %s join to %s", cases[i].a, cases[i].b, found ? b.p : "nothing");
        }
    wh_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(verdicts), cmocka_unit_test(joins)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
