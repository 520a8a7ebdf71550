#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Geometries of PostGIS: PG to PG as bytes and decoded, and by CSV, JSON lines and SQLite as EWKB in hex,
judged by ST_AsEWKB of both ends.

Red when a geometry, its SRID, a dimension, an empty or a NULL changes; when bytes pass into a column of
another kind or SRID, or do not pass where they could; when a geometry that its column refuses is not a
dirty row; when the plan does not say what becomes text, or that a box has fewer digits there."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

# Every kind in two, three and four dimensions, empty ones, extremes, with and without SRID.
SHAPES = ['POINT(1 2)', 'POINT EMPTY', 'POINT Z (1 2 3)', 'POINT M (1 2 3)', 'POINT ZM (0.1 1e300 -1e-300 4.9406564584124654e-324)', 'POINT(-0 0)',
          'POINT(0.30000000000000004 1.0000000000000002)', 'LINESTRING(0 0,1 1,2 1)', 'LINESTRING EMPTY', 'LINESTRING ZM (0 0 1 2,1 1 2 3)',
          'POLYGON((0 0,10 0,10 10,0 0),(1 1,2 1,2 2,1 1))', 'POLYGON EMPTY', 'POLYGON Z ((0 0 1,1 0 1,1 1 1,0 0 1))', 'MULTIPOINT((0 0),(1 1))',
          'MULTIPOINT(EMPTY,(1 1))', 'MULTILINESTRING((0 0,1 1),(2 2,3 3))', 'MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))',
          'GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1),GEOMETRYCOLLECTION EMPTY)', 'GEOMETRYCOLLECTION EMPTY', 'CIRCULARSTRING(0 0,1 1,2 0)',
          'COMPOUNDCURVE(CIRCULARSTRING(0 0,1 1,2 0),(2 0,3 0))', 'CURVEPOLYGON(CIRCULARSTRING(0 0,4 0,4 4,0 4,0 0))', 'TRIANGLE((0 0,0 9,9 0,0 0))',
          'POLYHEDRALSURFACE Z (((0 0 0,0 0 1,0 1 1,0 1 0,0 0 0)))', 'TIN(((0 0,0 1,1 1,0 0)))']
GLOBE = ['POINT(1 2)', 'POINT EMPTY', 'POINT(-180 90)', 'POINT Z (179.99999999999997 -90 8848.86)', 'LINESTRING(170 0,-170 0)', 'POLYGON((0 0,10 0,10 10,0 0))',
         'MULTIPOINT((0 0),(1 1))', 'GEOMETRYCOLLECTION(POINT(1 2))', 'POLYGON EMPTY']


def setup(pg):
    pg.sql('create extension postgis; create table g (id int primary key, srid int, v geometry, w geography, p geometry(PointZ, 4326), n text)')
    rows = ["(%d, %d, 'SRID=%d;%s', null, null, null)" % (2 * i + k, srid, srid, wkt) for i, wkt in enumerate(SHAPES) for k, srid in ((0, 0), (1, 3857))]
    rows += ["(%d, 4326, null, 'SRID=4326;%s', null, 'w')" % (1000 + i, wkt) for i, wkt in enumerate(GLOBE)]
    rows += ["(2000, 4326, null, null, 'SRID=4326;POINT Z (1 2 3)', '')", "(2001, 4326, null, null, 'SRID=4326;POINT Z EMPTY', null)",
             '(2002, null, null, null, null, null)']
    pg.sql('insert into g values ' + ', '.join(rows))
    pg.sql("create table big (id int primary key, v geometry(LineString, 4326))")
    pg.sql("insert into big select i, st_setsrid(st_makeline(array(select st_makepoint(random() * 360 - 180, random() * 180 - 90) from "
           "generate_series(1, 50 + i % 7))), 4326) from generate_series(1, 3000) i")


def same(pg, a, b, columns, where='true', database='postgres'):
    """Rows of a that are not in b or the other way, by EWKB."""
    bytes_ = ', '.join("encode(st_asewkb(%s::geometry), 'hex')" % c for c in columns)
    look = 'select id, %s from %%s where %s' % (bytes_, where)
    return pg.sql('select count(*) from ((%s except all %s) union all (%s except all %s)) x' % (look % a, look % b, look % b, look % a),
                  database=database) == '0'


def straight(t, pg, place):
    for how, words in (('bytes', []), ('decoded', ['--from', 'frames=false'])):
        for table, columns in (('g', 'vwp'), ('big', 'v')):
            there = '%s_%s' % (table, how)
            code, out, err = place.run('copy', pg.url('public.' + table), pg.url('public.' + there), '--json', '--no-progress', *words)
            event = harness.finished(out)
            t.check(code == 0 and event['tables'][0]['hash'] == ('bytes' if how == 'bytes' else 'rows'), '%s passes as %s' % (table, how),
                    '%s %s%s' % (code, out[-1500:], err))
            t.check(same(pg, table, there, columns), '%s by %s: EWKB of both ends' % (table, how))
            types = ['select format_type(atttypid, atttypmod) from pg_attribute where attrelid = %r::regclass and attnum > 0' % x for x in (table, there)]
            t.check(pg.sql(types[0]) == pg.sql(types[1]), '%s by %s: types' % (table, how), pg.sql(types[1]))
    # Into a database where the extension lives in another schema.
    pg.database('moved')
    pg.sql('create schema gis; create extension postgis schema gis', database='moved')
    code, out, err = place.run('copy', pg.url('public.g'), pg.url('public.g', database='moved'), '--json', '--no-progress')
    t.check(code == 0 and harness.finished(out)['tables'][0]['hash'] == 'bytes', 'another schema of the extension', '%s %s%s' % (code, out[-1500:], err))
    look = "select md5(string_agg(concat_ws(' ', id, v::text, w::text, p::text), ',' order by id)) from g"
    t.check(pg.sql(look) == pg.sql('set search_path = public, gis; ' + look, database='moved'), 'and its values')


def strict(t, pg, place):
    """A column of another kind or SRID: refused rows are dirty, the others arrive."""
    pg.sql('create table points (id int, v geometry(Point, 3857))')
    code, out, err = place.run('copy', pg.url('public.g'), pg.url('public.points'), '--columns', 'id,v', '--json', '--no-progress', '--dirty', 'rows=1000')
    event = harness.finished(out)
    # PostGIS itself gives a geometry without SRID that of the column.
    fits = "v is null or (st_srid(v) in (0, 3857) and geometrytype(v) = 'POINT' and st_zmflag(v) = 0)"
    rows, good = pg.sql('select count(*), count(*) filter (where %s) from g' % fits).split('|')
    t.check(code == 0 and event['rows_dirty'] == int(rows) - int(good) and harness.unbalanced(event) is None, 'geometries of another kind are dirty rows',
            '%s %s of %s, %s good\n%s%s' % (code, event.get('rows_dirty'), rows, good, out[-1500:], err))
    t.check(same(pg, '(select id, st_setsrid(v, 3857) as v from g where %s) a' % fits, 'points', 'v'), 'the others arrive')
    t.check(event['tables'][0]['hash'] == 'rows', 'bytes do not pass into a narrower column')


def through(t, pg, place):
    for name, middle in (('csv', 'g.csv'), ('json', 'g.jsonl'), ('sqlite', 'sqlite:g.db#g')):
        code, _, err = place.run('copy', pg.url('public.g'), middle)
        t.check(code == 0 and '"v" (public.geometry)' in err and 'exact' in err, 'to %s, with a warning' % name, err)
        pg.sql('create table g_%s (like g)' % name)
        code, _, err = place.run('copy', middle, pg.url('public.g_' + name))
        t.check(code == 0 and same(pg, 'g', 'g_' + name, 'vwp'), 'by %s: EWKB of both ends' % name, '%s %s' % (code, err))
    with open(place.path('g.csv'), encoding='utf-8') as f:
        line = next(x for x in f if x.startswith('1,'))
    t.check('0101000020110F0000000000000000F03F0000000000000040' in line, 'EWKB in hex', line)


def boxes(t, pg, place):
    """Their only form is a text of 15 digits: said, whatever the destination."""
    pg.sql("create table boxes (id int, b box2d, c box3d); insert into boxes values (1, 'BOX(0.30000000000000004 0,1 1)', 'BOX3D(0 0 0,1 1 1)')")
    for there in (pg.url('public.boxes2'), 'boxes.csv'):
        code, out, err = place.run('plan', pg.url('public.boxes'), there)
        t.check(code == 0 and 'fewer digits' in out + err and '"b" (public.box2d), "c" (public.box3d)' in out + err, 'boxes are said', out + err)


def main():
    t = harness.Tally('postgis', harness.seed_of())
    if not servers.binaries():
        t.skip('no PostgreSQL server is installed')
        return t.finish()
    with servers.Postgres() as pg:
        if pg.sql("select count(*) from pg_available_extensions where name = 'postgis'") != '1':
            t.skip('PostGIS is not installed')
            return t.finish()
        place = harness.Place('postgis')
        try:
            setup(pg)
            for part in (straight, strict, through, boxes):
                part(t, pg, place)
        finally:
            place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
