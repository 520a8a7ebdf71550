/* SPDX-License-Identifier: Apache-2.0 */
/* Which columns pass as raw bytes, and the walker that counts their rows. */
#include "test.h"

#include "pg.h"

struct pair {
    const char *from, *to;
    bool fits;
};

/* Fails if a pair passes whose receiver would round, cut or misread, or if one is decoded that
 * could pass. */
static void whitelist(void **state)
{
    static const struct pair pairs[] = {
        {"integer", "integer", true},
        {"integer", "bigint", false},
        {"integer", "real", false}, /* as many bytes, another meaning */
        {"bigint", "double precision", false},
        {"numeric", "numeric", true},
        {"numeric(10,2)", "numeric", true},
        {"numeric", "numeric(10,2)", false}, /* would be rounded */
        {"numeric(10,2)", "numeric(10,2)", true},
        {"numeric(10,2)", "numeric(12,2)", true},
        {"numeric(10,2)", "numeric(12,4)", true},
        {"numeric(10,2)", "numeric(12,5)", false}, /* a digit less before the point */
        {"numeric(10,2)", "numeric(10,1)", false},
        {"numeric(3,-2)", "numeric(3,-2)", true},
        {"numeric(3,-2)", "numeric(5,0)", true},
        {"numeric(3,-2)", "numeric(4,0)", false},
        {"text", "text", true},
        {"text", "character varying", true},
        {"text", "character varying(10)", false},
        {"character varying(10)", "text", true},
        {"character varying(10)", "character varying(20)", true},
        {"character varying(20)", "character varying(10)", false},
        {"character(10)", "character(10)", true},
        {"character(10)", "character(12)", false}, /* would be padded */
        {"character(10)", "text", false},          /* padding would become part of the value */
        {"timestamp without time zone", "timestamp without time zone", true},
        {"timestamp(3) without time zone", "timestamp without time zone", true},
        {"timestamp(3) without time zone", "timestamp(6) without time zone", true},
        {"timestamp without time zone", "timestamp(3) without time zone", false},
        {"timestamp(6) without time zone", "timestamp(3) without time zone", false},
        {"timestamp without time zone", "timestamp with time zone", false},
        {"interval", "interval", true},
        {"interval day to second(3)", "interval day to second(3)", false},
        {"bit(8)", "bit(8)", true},
        {"bit(8)", "bit(9)", false},
        {"bit varying(8)", "bit varying(9)", true},
        {"json", "jsonb", false},
        {"jsonb", "jsonb", true},
        {"integer[]", "integer[]", true},
        {"integer[]", "integer", false},
        {"integer", "integer[]", false},
        {"integer[]", "bigint[]", false},
        {"text[]", "character varying[]", false}, /* the number of the elements' type is in it */
        {"numeric(10,2)[]", "numeric[]", true},
        {"numeric[]", "numeric(10,2)[]", false},
        {"timestamp(3) with time zone[]", "timestamp(3) with time zone[]", true},
        {"money[]", "money[]", false},
        {"public.mood[]", "public.mood[]", false},
        {"[]", "[]", false},
        {"int4range", "int4range", true},
        {"int4range", "int8range", false},
        {"hard.float_range", "hard.float_range", false}, /* bounds of a user's type may differ */
        {"\"char\"", "\"char\"", true},
        {"\"char\"", "character(1)", false},
        {"regclass", "regclass", false}, /* the number of an object of that database */
        {"public.mood", "public.mood", false},
        {"public.\"integer\"", "integer", false},
        {"", "", false},
        {"numeric(10,2", "numeric", false},
        {"numeric((10))", "numeric", false},
        {"numeric(10,2,3)", "numeric", false},
        {"numeric(99999999999999999999,2)", "numeric", false},
        {"uuid", "uuid", true},
        {"money", "money", false}, /* its meaning depends on a setting */
        {"xml", "xml", false},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *why = NULL;
        bool fits = pg_frame_types(wh_str(pairs[i].from), wh_str(pairs[i].to), &why);

        if (fits != pairs[i].fits)
            fail_msg("%s -> %s: %s", pairs[i].from, pairs[i].to, fits ? "passes" : why);
        assert_int_equal(!fits, why != NULL);
    }
}

/* Fails if what another number stands for in another database passes, or a geometry is forced into
 * another kind or SRID, or one of another extension or of arrays passes. */
static void made_types(void **state)
{
#define GIS "base of extension postgis"
    static const struct {
        const char *from, *from_shape, *to, *to_shape;
        bool fits;
    } pairs[] = {
        {"public.mood", "enum ('a')", "s.mood", "enum ('a', 'b')", true},
        {"public.mood[]", "enum ('a')", "public.mood[]", "enum ('a')", false},
        {"public.geometry", GIS, "gis.geometry", GIS, true},
        {"geometry", GIS, "geometry", GIS, true},
        {"public.geometry(PointZ,4326)", GIS, "public.geometry(PointZ,4326)", GIS, true},
        {"public.geometry(PointZ,4326)", GIS, "public.geometry", GIS, true},
        {"public.geometry", GIS, "public.geometry(PointZ,4326)", GIS, false},
        {"public.geometry(PointZ,4326)", GIS, "public.geometry(PointZ,3857)", GIS, false},
        {"public.geometry", GIS, "public.geography", GIS, false},
        {"public.geography(Point,4326)", GIS, "x.geography", GIS, true},
        {"public.geometry", "base", "public.geometry", "base", false},
        {"public.geometry[]", GIS, "public.geometry[]", GIS, false},
        {"public.mygeometry", GIS, "public.mygeometry", GIS, false},
        {"public.box2d", GIS, "public.box2d", GIS, false},
        {"integer", "", "integer", "", true},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        struct pg_passes from = {wh_str(pairs[i].from), wh_str(pairs[i].from_shape)};
        struct pg_passes to = {wh_str(pairs[i].to), wh_str(pairs[i].to_shape)};
        const char *why = NULL;

        if (pg_frame_fits(&from, &to, &why) != pairs[i].fits)
            fail_msg("%s -> %s: %s", pairs[i].from, pairs[i].to, why ? why : "passes");
    }
}

static int64_t rows_of(const void *p, size_t n, int cols, int *ret_status)
{
    struct wh_error err = {0};
    int64_t rows = -1;

    *ret_status = pg_frame_rows((struct wh_bytes){p, n}, cols, &rows, &err);
    return rows;
}

/* Fails if rows are counted wrongly, or a frame that is cut anywhere inside a row passes. */
static void walker(void **state)
{
    /* (7, NULL), (NULL, "abc") */
    static const uint8_t two[] = {0, 2, 0,    0,    0,    4,    0, 0, 0, 7, 255, 255, 255, 255,
                                  0, 2, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 3, 'a', 'b', 'c'};
    int st;

    assert_int_equal(rows_of(two, sizeof two, 2, &st), 2);
    assert_int_equal(st, WH_OK);
    assert_int_equal(rows_of(two, 14, 2, &st), 1);
    assert_int_equal(st, WH_OK);
    assert_int_equal(rows_of(two, 0, 2, &st), 0);
    assert_int_equal(st, WH_OK);
    for (size_t n = 1; n < sizeof two; n++) {
        rows_of(two, n, 2, &st);
        assert_int_equal(st, n == 14 ? WH_OK : WH_E_DATA);
    }
    rows_of(two, sizeof two, 3, &st);
    assert_int_equal(st, WH_E_DATA);
    rows_of("\377\377", 2, 2, &st); /* a trailer is no row */
    assert_int_equal(st, WH_E_DATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whitelist),
        cmocka_unit_test(made_types),
        cmocka_unit_test(walker),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
