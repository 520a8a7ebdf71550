-- SPDX-License-Identifier: Apache-2.0
-- Values that break copies: one table per kind, hard.KIND (id, what, v), so that the refusal of one kind
-- hides no other. test_types.py says how each must arrive. Row 0 is NULL in all.
set client_min_messages = warning;
set timezone = 'UTC';
set datestyle = 'ISO, YMD';
create schema hard;
create extension hstore schema public;
create extension citext schema public;
create extension ltree schema public;
create extension cube schema public;
set search_path = hard, public;

create type mood as enum ('sad', 'ok', 'it''s "fine", really', 'żółć', '');
create type pair as (a int, b text, c numeric(8, 2));
create type nested as (p pair, list int[], "odd name" text);
create type float_range as range (subtype = float8);
create domain positive as int check (value > 0);
create domain short_text as varchar(5) not null default 'x';
create domain cents as numeric(12, 2);
create domain over_domain as cents check (value < 1000000);
create domain int_list as int[];

create domain a_money as money;
create domain good_mood as mood check (value <> 'sad');
create domain checked_pair as pair check ((value).a is null or (value).a > 0);
create domain some_cents as cents[];
create domain half_open as int4range check (isempty(value) or lower_inc(value));
create domain "do main, ""x""" as text check (value <> 'no');
create type text_range as range (subtype = text, collation = "C");
create type cents_range as range (subtype = cents);
create type purse as (owner name, amounts money[], spare money);
create type "Odd ""Type"", (x)" as ("a ""b""" int, "ż,y" text, "select" "char", n mood);
create type "enum.with;all" as enum ('a,b', '{', '"', '\', 'NULL', ' ', 'a (b)', E'tab\t', 'wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww');
create type deep as (n nested, ns nested[], m mood, ms mood[], r float_range, i interval, t timestamptz, d over_domain, j jsonb,
  o "Odd ""Type"", (x)", b bit(3), bs bytea[]);
create type none as ();

-- hard.put('kind', 'type', 'what', 'value', 'what', 'value', ...)
create function put(kind text, type text, variadic v text[]) returns void language plpgsql as $$
begin
  execute format('create table hard.%I (id int primary key, what text not null, v %s)', kind, type);
  execute format('insert into hard.%I values (0, ''null'', null)', kind);
  for i in 1 .. array_length(v, 1) / 2 loop
    execute format('insert into hard.%I values (%s, %L, %L::%s)', kind, i, v[2 * i - 1], v[2 * i], type);
  end loop;
end $$;

do $$
declare
  every text := (select string_agg(chr(c), '') from generate_series(1, 591) c);
  widths text := E'\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff';
  bytes text := '\x' || (select string_agg(lpad(to_hex(b), 2, '0'), '') from generate_series(0, 255) b);
begin
-- whole numbers
perform put('bool', 'bool', 'true', 't', 'false', 'f');
perform put('int2', 'int2', 'min', '-32768', 'max', '32767', 'zero', '0', 'minus one', '-1');
perform put('int4', 'int4', 'min', '-2147483648', 'max', '2147483647', 'zero', '0', 'minus one', '-1', '2^24 + 1', '16777217');
perform put('int8', 'int8', 'min', '-9223372036854775808', 'max', '9223372036854775807', '2^53 + 1', '9007199254740993',
  'zero', '0', 'minus one', '-1', '2^31', '2147483648', '2^32', '4294967296');
perform put('oid', 'oid', 'zero', '0', 'max', '4294967295', '2^31', '2147483648');
-- floats
perform put('float4', 'float4', 'tenth', '0.1', 'max', '3.4028235e38', 'min', '-3.4028235e38', 'smallest', '1.4e-45',
  'smallest normal', '1.1754944e-38', 'minus zero', '-0', '2^24 + 2', '16777218', 'nine digits', '1.00000012', 'third', '0.33333334');
perform put('float4_far', 'float4', 'nan', 'nan', 'inf', 'inf', 'minus inf', '-inf');
perform put('float8', 'float8', 'tenth', '0.1', 'max', '1.7976931348623157e308', 'min', '-1.7976931348623157e308',
  'smallest', '4.9406564584124654e-324', 'smallest normal', '2.2250738585072014e-308', 'minus zero', '-0',
  '17 digits', '0.30000000000000004', '2^53', '9007199254740992', 'halfway', '9007199254740993e3', 'pi', '3.141592653589793',
  'e16', '1e16', 'e-5', '1e-5');
perform put('float8_far', 'float8', 'nan', 'nan', 'inf', 'inf', 'minus inf', '-inf');
-- numerics
perform put('num', 'numeric', 'zero', '0', 'scale kept', '1.50', 'zero with scale', '0.000', 'minus', '-1.50', 'long',
  '123456789012345678901234567890123456789012345.123456789', 'tiny', '0.' || repeat('0', 43) || '1', 'third', '0.3333333333333333333333333333',
  '9999', '9999', '10000', '10000', '0.0001', '0.0001', '0.00001', '0.00001', '100 million', '100000000', 'one and a bit', '1.00000000000001',
  '1000 digits', '-' || repeat('123456789', 111) || '1', '1000 digits behind', '0.' || repeat('987654321', 111) || '1',
  'longest', repeat('9', 131072), 'longest behind', '1.' || repeat('7', 16383), '38 nines', repeat('9', 38), '39 nines', repeat('9', 39),
  '76 nines', repeat('9', 76), '77 nines', repeat('9', 77), 'int64 min', '-9223372036854775808', 'over int64', '9223372036854775808');
perform put('num_far', 'numeric', 'nan', 'nan', 'inf', 'inf', 'minus inf', '-inf');
perform put('num_15_2', 'numeric(15,2)', 'max', '9999999999999.99', 'min', '-9999999999999.99', 'cent', '0.01', 'minus cent', '-0.01',
  'zero', '0', 'whole', '100', '4 digits', '1234.56', '5 digits', '12345.60', 'group border', '10000.00', '99', '99.99');
perform put('num_15_2_far', 'numeric(15,2)', 'nan', 'nan', 'one', '1');
perform put('num_38_10', 'numeric(38,10)', 'max', repeat('9', 28) || '.' || repeat('9', 10), 'min', '-' || repeat('9', 28) || '.' || repeat('9', 10),
  'step', '0.0000000001', 'zeros', '1.1000000000', 'zero', '0');
perform put('num_38_38', 'numeric(38,38)', 'max', '0.' || repeat('9', 38), 'step', '-0.' || repeat('0', 37) || '1');
perform put('num_38_0', 'numeric(38,0)', 'max', repeat('9', 38), 'min', '-' || repeat('9', 38), 'one', '1');
perform put('num_76_20', 'numeric(76,20)', 'max', repeat('9', 56) || '.' || repeat('9', 20), 'min', '-' || repeat('9', 56) || '.' || repeat('9', 20), 'step', '0.00000000000000000001');
perform put('num_100_50', 'numeric(100,50)', 'max', repeat('9', 50) || '.' || repeat('9', 50), 'step', '-0.' || repeat('0', 49) || '1', 'one', '1');
perform put('num_1000_0', 'numeric(1000,0)', 'max', repeat('9', 1000), 'one', '1');
perform put('num_minus_scale', 'numeric(3,-2)', 'max', '99900', 'min', '-99900', 'rounded', '12345', 'zero', '0');
perform put('num_more_scale', 'numeric(2,5)', 'max', '0.00099', 'step', '-0.00001', 'zero', '0');
perform put('money', 'money', 'max', '92233720368547758.07', 'min', '-92233720368547758.08', 'cent', '0.01', 'thousands', '1234567.89');
-- texts
perform put('text', 'text', 'empty', '', 'word NULL', 'NULL', 'backslash N', '\N', 'backslash dot', '\.', 'blanks', '  x  ', 'one blank', ' ',
  'tab', E'a\tb', 'newline', E'a\nb', 'CRLF', E'a\r\nb', 'CR', E'a\rb', 'only newline', E'\n', 'ends in newline', E'a\n', 'quotes', 'a"b''c`d', 'one quote', '"',
  'two quotes', '""', 'backslashes', 'a\b\\c\', 'one backslash', '\', 'comma', 'a,b;c|d', 'emoji', '😀👩‍👩‍👧', 'decomposed', U&'e\0301', 'BOM', U&'\FEFFx',
  'non-characters', U&'\FFFE\FDD0', 'control', E'\x01\x1a\x1b\x7f', 'right to left', 'שלום', 'every', every, 'widths', widths, 'braces', '{"a",NULL}', 'dollar', '$1 ${x} {x}',
  'number', '0012', 'number with sign', '+1', 'number with exponent', '1e3', 'hex', '0x1F', 'date', '2024-02-30', 'true', 'true', 'equals', '=1+1', 'sep', 'sep=;',
  'line separators', U&'\2028\2029\0085', '100 kB', repeat('0123456789abcdef', 6250), 'markup', '<a href="x">&amp;</a>');
perform put('text_large', 'text', 'three MB', repeat('żółć', 375000), 'one MB of quotes', repeat('"', 1048576));
perform put('varchar', 'varchar(20)', 'empty', '', 'full', repeat('ż', 20), 'blanks', 'x   ');
perform put('varchar_any', 'varchar', 'empty', '', 'long', repeat('x', 5000));
perform put('bpchar', 'char(5)', 'empty', '', 'short', 'ab', 'full', 'abcde', 'wide', 'żółć', 'inner', ' a b', 'blanks', '     ');
perform put('bpchar_any', 'bpchar', 'empty', '', 'ends in blanks', 'ab   ', 'plain', 'ab');
perform put('char_one', '"char"', 'letter', 'a', 'empty', '', 'blank', ' ');
perform put('name', 'name', 'empty', '', 'full', repeat('n', 63), 'wide', repeat('ż', 31), 'quoted', 'a"b');
perform put('a_citext', 'public.citext', 'cases', 'AbC', 'empty', '');
perform put('bytea', 'bytea', 'empty', '\x', 'nul', '\x00', 'not utf8', '\xfffe80c1', 'backslash', '\x5c783031', 'every', bytes,
  'text of hex', '\x5c7836313632', 'spaces', '\x20200a0d', '64 kB', '\x' || repeat('00ff', 32768));
-- dates and times
perform put('date', 'date', 'year 1', '0001-01-01', 'julian gap', '1582-10-10', 'before gap', '1500-02-28', '1900', '1900-03-01', 'before epoch', '1969-12-31',
  'epoch', '1970-01-01', 'epoch of the server', '2000-01-01', 'last', '9999-12-31', 'leap', '2024-02-29', 'leap 2000', '2000-02-29');
perform put('date_far', 'date', 'BC', '0044-03-15 BC', 'first', '4714-11-24 BC', 'year 12000', '12000-01-01', 'last', '5874897-12-31');
perform put('date_inf', 'date', 'inf', 'infinity', 'minus inf', '-infinity', 'plain', '2024-01-01');
perform put('time', 'time', 'midnight', '00:00:00', 'last', '23:59:59.999999', '24:00', '24:00:00', 'micro', '12:34:56.000001', 'half', '12:34:56.5');
perform put('time_0', 'time(0)', 'midnight', '00:00:00', 'last', '23:59:59', '24:00', '24:00:00');
perform put('timetz', 'timetz', 'plus', '12:34:56.123456+05:30', 'minus', '00:00:00-12', 'odd', '23:59:59+14:59:59', '24:00', '24:00:00+00');
perform put('ts', 'timestamp', 'micro', '2024-02-29 12:34:56.123456', 'one micro', '2024-01-01 00:00:00.000001', 'before epoch', '1969-12-31 23:59:59.999999',
  'epoch', '1970-01-01', '1900', '1900-01-01 00:00:00.000001', 'year 1', '0001-01-01', 'julian gap', '1582-10-10 01:02:03', 'over int64 of ns', '2262-04-12 00:00:00.5',
  'under int64 of ns', '1677-09-20', 'last', '9999-12-31 23:59:59.999999', 'gap in Warsaw', '2024-03-31 02:30:00', 'gap in New York', '2024-03-10 02:30:00');
perform put('ts_far', 'timestamp', 'BC', '0044-03-15 12:00:00 BC', 'first', '4714-11-24 00:00:00 BC', 'year 12000', '12000-01-01 00:00:00.000001',
  'last of int64 since 1970', '294247-01-10 04:00:54.775807');
perform put('ts_beyond', 'timestamp', 'after it', '294247-01-10 04:00:54.775808', 'last', '294276-12-31 23:59:59.999999', 'inf', 'infinity', 'minus inf', '-infinity', 'plain', '2024-01-01');
perform put('ts_0', 'timestamp(0)', 'second', '2024-02-29 12:34:56');
perform put('ts_3', 'timestamp(3)', 'milli', '2024-02-29 12:34:56.789', 'before epoch', '1969-12-31 23:59:59.999');
perform put('tstz', 'timestamptz', 'micro', '2024-02-29 12:34:56.123456+05:30', 'before epoch', '1969-12-31 23:59:59.999999+00', '1900', '1900-01-01 00:00:00.000001+00',
  'overlap in Warsaw 1', '2024-10-27 00:30:00+00', 'overlap in Warsaw 2', '2024-10-27 01:30:00+00', 'last', '9999-12-31 23:59:59.999999+00', 'year 1', '0001-01-01 00:00:00+00');
perform put('tstz_far', 'timestamptz', 'BC', '0044-03-15 12:00:00+00 BC', 'year 12000', '12000-01-01 00:00:00+00');
perform put('tstz_beyond', 'timestamptz', 'last', '294276-12-31 23:59:59.999999+00', 'inf', 'infinity', 'minus inf', '-infinity', 'plain', '2024-01-01 00:00:00+00');
perform put('interval', 'interval', 'mixed', '1 year 2 mons -3 days 04:05:06.000007', 'zero', '0', 'minus', '-1 mon +2 days -00:00:00.000001', 'hours', '2562047:47:16.854775', 'months', '178000000 years', 'days', '2147483647 days');
perform put('interval_beyond', 'interval', 'over int64 of ns', '9999999:00:00', 'plain', '1 day');
perform put('interval_ym', 'interval year to month', 'plain', '1 year 2 mons');
perform put('uuid', 'uuid', 'plain', '6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'zero', '00000000-0000-0000-0000-000000000000', 'last', 'ffffffff-ffff-ffff-ffff-ffffffffffff');
-- documents
perform put('json', 'json', 'number', '{"b":1.10,"a":12345678901234567890}', 'twice', '{"a":1,"a":2}', 'emoji', '"😀"', 'null', 'null', 'spaces', ' {  "a" :  [ ] } ',
  'escaped nul', '"\u0000"', 'exponent', '1e400', 'empty text', '""', 'newline', E'{\n}');
perform put('jsonb', 'jsonb', 'number', '{"b":1.10,"a":12345678901234567890}', 'emoji', '"😀"', 'null', 'null', 'deep', repeat('[', 500) || repeat(']', 500), 'long number', repeat('9', 500),
  'empty key', '{"": {}}', 'escapes', '"\"\\\n\u0001"');
perform put('xml', 'xml', 'element', '<a b="c">&lt;d/&gt;</a>', 'content', 'x<y/>z', 'comment', '<!-- c --><a/>');
perform put('jsonpath', 'jsonpath', 'filter', '$.a[*] ? (@ > 1)');
-- the server's own types, carried as its text
perform put('inet', 'inet', 'v4', '192.168.0.1', 'v4 net', '10.0.0.1/8', 'v6', '::1', 'v6 net', '2001:db8::1/64');
perform put('cidr', 'cidr', 'v4', '10.0.0.0/8', 'v6', '2001:db8::/32');
perform put('macaddr', 'macaddr', 'plain', '08:00:2b:01:02:03');
perform put('macaddr8', 'macaddr8', 'plain', '08:00:2b:01:02:03:04:05');
perform put('bit_8', 'bit(8)', 'mixed', '10110001', 'zero', '00000000');
perform put('bit_1', 'bit', 'one', '1', 'zero', '0');
perform put('varbit', 'varbit', 'empty', '', 'long', repeat('10', 300));
perform put('tsvector', 'tsvector', 'weights', '''it''''s'':3A fat:2B,4C rat:5', 'empty', '');
perform put('tsquery', 'tsquery', 'and', 'fat & (rat | !cat:*)');
perform put('point', 'point', 'plain', '(0.1,-1e300)', 'inf', '(inf,nan)');
perform put('line', 'line', 'plain', '{1,2,3}');
perform put('lseg', 'lseg', 'plain', '[(0,0),(1,1)]');
perform put('box', 'box', 'plain', '(2,2),(0,0)');
perform put('path', 'path', 'open', '[(0,0),(1,1)]', 'closed', '((0,0),(1,1),(2,0))');
perform put('polygon', 'polygon', 'plain', '((0,0),(1,1),(2,0))');
perform put('circle', 'circle', 'plain', '<(0.1,0.2),3>');
perform put('pg_lsn', 'pg_lsn', 'max', 'FFFFFFFF/FFFFFFFF');
perform put('pg_snapshot', 'pg_snapshot', 'plain', '10:20:10,14,15');
perform put('xid8', 'xid8', 'max', '18446744073709551615');
perform put('regclass', 'regclass', 'table', 'pg_catalog.pg_class');
perform put('regtype', 'regtype', 'type', 'timestamp with time zone');
perform put('tid', 'tid', 'max', '(4294967295,65535)');
-- ranges
perform put('int4range', 'int4range', 'half open', '[1,10)', 'empty', 'empty', 'unbounded', '(,)', 'left', '(,5)');
perform put('numrange', 'numrange', 'closed', '[1.10,2.20]', 'nan', '[1,NaN]');
perform put('tstzrange', 'tstzrange', 'inf', '[2024-01-01 00:00:00+00,infinity)', 'plain', '["2024-01-01 00:00:00+00","2024-01-02 00:00:00.5+00")');
perform put('daterange', 'daterange', 'plain', '[2024-01-01,2024-02-01)');
perform put('int8multirange', 'int8multirange', 'two', '{[1,3),[5,7)}', 'empty', '{}');
perform put('a_float_range', 'hard.float_range', 'plain', '[0.1,0.2)');
-- arrays and composites
perform put('int_array', 'int[]', 'plain', '{1,2,3}', 'null inside', '{1,NULL,3}', 'empty', '{}', 'two dimensions', '{{1,2},{3,4}}', 'other bounds', '[-1:1]={1,2,3}');
perform put('text_array', 'text[]', 'quotes', '{"a\"b","c\\d","NULL",NULL,"","a,b","{}"}', 'newline', E'{"a\nb"}', 'empty', '{}');
perform put('num_array', 'numeric(10,2)[]', 'plain', '{1.50,NaN,-0.01}');
perform put('ts_array', 'timestamptz[]', 'plain', '{"2024-02-29 12:34:56.123456+00",infinity}');
perform put('bytea_array', 'bytea[]', 'plain', '{"\\x00ff","\\x"}');
perform put('mood_array', 'hard.mood[]', 'plain', '{sad,"it''s \"fine\", really",NULL,""}');
perform put('a_pair', 'hard.pair', 'plain', '(1,"a,b ""c""",2.50)', 'nulls', '(,,)', 'empty text', '(1,"",)');
perform put('a_nested', 'hard.nested', 'plain', '("(1,x,2.50)","{1,2}","y")');
perform put('pair_array', 'hard.pair[]', 'plain', '{"(1,\"a,b\",2.50)",NULL}');
-- user types
perform put('a_mood', 'hard.mood', 'plain', 'sad', 'quotes', 'it''s "fine", really', 'wide', 'żółć', 'empty', '');
perform put('a_positive', 'hard.positive', 'max', '2147483647', 'one', '1');
perform put('a_cents', 'hard.cents', 'max', '9999999999.99', 'cent', '-0.01');
perform put('a_over_domain', 'hard.over_domain', 'plain', '999999.99');
perform put('a_int_list', 'hard.int_list', 'plain', '{1,NULL}');
perform put('a_hstore', 'public.hstore', 'plain', '"a"=>"1", "b"=>NULL, "c \"d"=>""', 'empty', '');
perform put('a_ltree', 'public.ltree', 'plain', 'Top.Science.Astronomy');
end $$;

-- More of each: extremes, quotes inside of quotes, types in types.
do $$
begin
perform put('interval_signs', 'interval', 'year and days', '-1 year +2 mons -3 days +04:05:06.5', 'day and micro', '1 day -00:00:00.000001',
  'months min', '-2147483648 mons', 'months max', '2147483647 mons', 'days min', '-2147483648 days', 'hours min', '-2562047:47:16.854775',
  'all most', '2147483647 mons 2147483647 days 2562047:47:16.854775', 'opposite', '2147483647 mons -2147483648 days 00:00:00.000001',
  '30 days are no month', '30 days', '24 hours are no day', '24:00:00', '12 months', '12 mons', 'week', '1 week', 'micro', '00:00:00.000001');
perform put('interval_ds', 'interval day to second(3)', 'milli', '-1 day +00:00:00.001', 'hours', '100:00:00');
perform put('interval_3', 'interval(3)', 'milli', '1 mon -1 day 00:00:00.001');
perform put('interval_far', 'interval', 'most', '2147483647 mons 2147483647 days 2562047788:00:54.775807', 'least',
  '-2147483648 mons -2147483648 days -2562047788:00:54.775807', 'plain', '1 day');
perform put('timetz_far', 'timetz', 'first', '00:00:00+15:59:59', 'last', '24:00:00-15:59:59', 'micro', '23:59:59.999999-00:00:01');
perform put('timetz_2', 'timetz(2)', 'hundredth', '12:34:56.12-03:30', '24:00', '24:00:00+15:59:59');
perform put('xml_more', 'xml', 'empty', '', 'quotes', '<a b=''"''/>', 'cdata', '<a><![CDATA[ <&"'' ]]></a>', 'wide', '<ż ż="😀"/>', 'newline', E'<a>\n</a>\n',
  'instruction', '<?pi x="y"?><a/>', 'version', '<?xml version="1.1"?><a/>', 'standalone', '<?xml version="1.0" standalone="yes"?><a/>', 'blanks', '  ');
perform put('jsonpath_more', 'jsonpath', 'strict', 'strict $."a \"b\""[0 to last] ? (@."x y" like_regex "^a.*\"" flag "i")',
  'exists', '$.** ? (exists (@.y) && !(@.z == null))', 'variable', '$var + 1.5e10', 'wide', '$."żółć😀"');
perform put('inet_more', 'inet', 'any', '0.0.0.0/0', 'last', '255.255.255.255', 'v4 in v6', '::ffff:1.2.3.4', 'v6 long', '2001:db8:0:1:ffff:ff00:42:8329', 'v6 any', '::/0',
  'v6 host bits', 'fe80::1/10');
perform put('cidr_more', 'cidr', 'any', '0.0.0.0/0', 'host', '1.2.3.4/32', 'v6 any', '::/0', 'v6 host', '2001:db8::ff00:42:8329/128', 'v4 in v6', '::ffff:1.2.3.0/120');
perform put('macaddr8_more', 'macaddr8', 'last', 'ff:ff:ff:ff:ff:ff:ff:ff', 'zero', '00:00:00:00:00:00:00:00', 'from six', '08:00:2b:01:02:03');
perform put('bit_65', 'bit(65)', 'ones', repeat('1', 65), 'last', repeat('0', 64) || '1');
perform put('varbit_5', 'varbit(5)', 'empty', '', 'zero', '0', 'full', '10101');
perform put('tsvector_more', 'tsvector', 'quotes', '''\\a'''' '''' b'':1A,2 ''ż ó'':16383', 'only blanks inside', '''  '':1', 'colon', ''':'' ''a:1'':7D', 'no positions', 'a b c');
perform put('tsquery_more', 'tsquery', 'quotes', '''it''''s \\ x'' <-> ''b'':*AB & !( ''c d'' | e )', 'distance', 'a <3> b <0> c', 'empty', '', 'nested not', '!!a', 'wide', '''żółć 😀''');
perform put('pg_lsn_more', 'pg_lsn', 'zero', '0/0', 'usual', '16/B374D848');
perform put('txid_snapshot', 'txid_snapshot', 'plain', '10:20:10,14,15');
perform put('xid8_more', 'xid8', 'zero', '0', 'over int64', '9223372036854775808');
perform put('xid', 'xid', 'max', '4294967295', 'zero', '0');
perform put('cid', 'cid', 'max', '4294967295');
perform put('refcursor', 'refcursor', 'name', 'a "b"', 'empty', '');
perform put('regproc', 'regproc', 'function', 'pg_catalog.array_in');
perform put('regprocedure', 'regprocedure', 'function', 'pg_catalog.int4pl(integer,integer)', 'none', '-');
perform put('regoperator', 'regoperator', 'operator', '+(integer,integer)');
perform put('regrole', 'regrole', 'role', 'postgres');
perform put('regnamespace', 'regnamespace', 'schema', 'pg_catalog');
perform put('regconfig', 'regconfig', 'configuration', 'english');
perform put('regcollation', 'regcollation', 'collation', '"C"');
perform put('aclitem', 'aclitem', 'grant', 'postgres=r*w/postgres', 'public', '=r/postgres');
perform put('regclass_array', 'regclass[]', 'two', '{pg_class,NULL,pg_catalog.pg_type}');
perform put('tid_zero', 'tid', 'zero', '(0,0)');
-- ranges
perform put('int8range', 'int8range', 'extremes', '[-9223372036854775808,9223372036854775807)', 'right', '[5,)');
perform put('tsrange', 'tsrange', 'inf', '[-infinity,infinity]', 'micro', '(2024-02-29 12:34:56.123456,2024-02-29 12:34:56.123457]', 'unbounded', '(,)', 'BC', '["0044-03-15 12:00:00 BC",)');
perform put('numrange_more', 'numrange', 'nans', '[NaN,NaN]', 'infs', '(-Infinity,Infinity)', 'long', '[' || repeat('9', 200) || '.5,)', 'scales', '[1.0,1.000]');
perform put('nummultirange', 'nummultirange', 'two', '{[1.10,2.2),(3,4]}', 'all', '{(,)}', 'empty', '{}');
perform put('tsmultirange', 'tsmultirange', 'two', '{["2024-01-01 00:00:00","2024-01-02 00:00:00.5"),[infinity,infinity]}');
perform put('datemultirange', 'datemultirange', 'two', '{[2024-01-01,2024-02-01),[2025-01-01,)}');
perform put('float_range_more', 'hard.float_range', 'nan', '[NaN,NaN]', 'minus zero', '[-0,0]');
perform put('a_float_multirange', 'hard.float_multirange', 'two', '{[0.1,0.2),[1e300,Infinity]}');
perform put('a_text_range', 'hard.text_range', 'quotes', '["a,b","c\"d)"]', 'empty text', '["",b)', 'brackets', '("(",")")', 'unbounded', '(,)', 'empty', 'empty', 'wide', '["żółć","😀")');
perform put('a_cents_range', 'hard.cents_range', 'plain', '[0.10,0.20)');
-- arrays
perform put('bounds', 'int[]', 'from 5', '[5:7]={1,2,3}', 'lowest', '[-2147483648:-2147483647]={1,2}', 'matrix', '[0:1][-1:0]={{1,2},{3,4}}', 'cube', '{{{1},{2}},{{3},{4}}}',
  'six dimensions', '{{{{{{1,2}}}}}}', 'null in a matrix', '{{NULL,1},{2,NULL}}', 'one', '[3:3]={NULL}');
perform put('text_matrix', 'text[]', 'hard', '{{"a,b","{c}"},{NULL,"NULL"}}', 'empty at 0', '[0:0]={""}', 'blanks', E'{" a ","\t","null"}', 'wide', '{żółć,😀}');
perform put('cents_array', 'hard.cents[]', 'plain', '{0.01,NULL,-9999999999.99}');
perform put('a_some_cents', 'hard.some_cents', 'plain', '{0.01,NULL}', 'empty', '{}');
perform put('positive_array', 'hard.positive[]', 'plain', '{1,NULL,2147483647}', 'matrix', '{{1},{2}}');
perform put('range_array', 'int4range[]', 'plain', '{"[1,5)",empty,NULL,"(,)"}');
perform put('tstzrange_array', 'tstzrange[]', 'plain', '{"[\"2024-01-01 00:00:00+00\",infinity)",empty}');
perform put('float_range_array', 'hard.float_range[]', 'plain', '{"[0.1,0.2)",NULL}');
perform put('multirange_array', 'nummultirange[]', 'plain', '{"{[1.10,2.2),[3,4]}","{}",NULL}');
perform put('bool_array', 'bool[]', 'plain', '{t,f,NULL}');
perform put('int8_array', 'int8[]', 'extremes', '{-9223372036854775808,9223372036854775807}');
perform put('float8_array', 'float8[]', 'all', '{NaN,Infinity,-Infinity,-0,0.1,4.9406564584124654e-324}');
perform put('float4_array', 'float4[]', 'all', '{NaN,0.1,1.4e-45,16777218}');
perform put('numeric_array', 'numeric[]', 'all', '{NaN,Infinity,1.50,' || repeat('9', 500) || '.1,0.000}');
perform put('bpchar_array', 'char(3)[]', 'plain', '{"a  ",bcd,"   "}');
perform put('varchar_array', 'varchar(3)[]', 'plain', '{abc,"",NULL}');
perform put('char_array', '"char"[]', 'plain', '{a,"",\\377}');
perform put('name_array', 'name[]', 'plain', '{"a \"b\"",""}');
perform put('uuid_array', 'uuid[]', 'plain', '{6ba7b810-9dad-11d1-80b4-00c04fd430c8,NULL}');
perform put('json_array', 'json[]', 'plain', '{"{\"a\":  \"x,y\"}","null",NULL}');
perform put('jsonb_array', 'jsonb[]', 'plain', '{"{\"a\": 1.10}","null",NULL}');
perform put('xml_array', 'xml[]', 'plain', '{"<a b=\"c\"/>",NULL}');
perform put('date_array', 'date[]', 'far', '{infinity,-infinity,"0044-03-15 BC",5874897-12-31}');
perform put('ts_far_array', 'timestamp[]', 'far', '{infinity,"4714-11-24 00:00:00 BC","294276-12-31 23:59:59.999999"}');
perform put('time_array', 'time[]', 'plain', '{24:00:00,00:00:00.000001}');
perform put('timetz_array', 'timetz[]', 'plain', '{24:00:00-15:59:59,NULL}');
perform put('interval_array', 'interval[]', 'far', '{"2147483647 mons -2147483648 days 2562047788:00:54.775807","-1 mons +1 day"}');
perform put('inet_array', 'inet[]', 'plain', '{::1,10.0.0.1/8}');
perform put('cidr_array', 'cidr[]', 'plain', '{::/0,10.0.0.0/8}');
perform put('macaddr_array', 'macaddr[]', 'plain', '{08:00:2b:01:02:03}');
perform put('bit_array', 'bit(3)[]', 'plain', '{101,NULL,000}');
perform put('varbit_array', 'varbit[]', 'plain', '{1,"",' || repeat('01', 100) || '}');
perform put('point_array', 'point[]', 'plain', '{"(0.1,-1e300)","(Infinity,NaN)"}');
perform put('box_array', 'box[]', 'other delimiter', '{(2,2),(0,0);(1,1),(0,0);NULL}');
perform put('tsvector_array', 'tsvector[]', 'plain', '{"''it''''s'':3A","",NULL}');
perform put('oid_array', 'oid[]', 'plain', '{0,4294967295}');
perform put('xid8_array', 'xid8[]', 'plain', '{18446744073709551615}');
perform put('money_array', 'money[]', 'plain', '{"$1,234,567.89",-$0.01,NULL}');
perform put('hstore_array', 'public.hstore[]', 'plain', '{"\"a\"=>\"1,\\\"x\"",NULL,""}');
-- composites, domains, enums, names with quotes
perform put('a_deep', 'hard.deep', 'full', (row(row(row(1, 'a"b,(c)', 2.50)::hard.pair, '[0:1]={1,NULL}', E'x\n\\y')::hard.nested,
    array[row(row(null, '', 0)::hard.pair, '{}', 'NULL')::hard.nested, null], 'it''s "fine", really', '{sad,"it''s \"fine\", really",NULL,""}', '[0.1,0.2)',
    '-1 mon +2 days -00:00:00.000001', '2024-02-29 12:34:56.123456+00', 999999.99, '{"a": [1.10, "\"\\"]}', row(-1, '},"', 'x', 'żółć')::hard."Odd ""Type"", (x)",
    '101', array['\x00ff', '\x']::bytea[])::hard.deep)::text, 'nulls', '(,,,,,,,,,,,)', 'null inside', (row(row(null, null, null)::hard.nested, '{}', null, '{}', 'empty',
    null, 'infinity', null, 'null', null, null, null)::hard.deep)::text);
perform put('deep_array', 'hard.deep[]', 'nulls', '{"(,,,,,,,,,,,)",NULL}');
perform put('nested_array', 'hard.nested[]', 'two', (array[row(row(1, 'a"b', 2.50)::hard.pair, '{1,NULL}', 'x,y')::hard.nested, null])::text,
  'matrix', (array[[row(null, '{}', '')::hard.nested], [row(row(2, null, -0.01)::hard.pair, null, '{}')::hard.nested]])::text, 'bounds', '[2:2]={"(,,)"}');
perform put('a_none', 'hard.none', 'nothing', '()');
perform put('an_odd_type', 'hard."Odd ""Type"", (x)"', 'plain', '(1,"a ""b"", (c)",z,sad)', 'nulls', '(,,,)');
perform put('odd_type_array', 'hard."Odd ""Type"", (x)"[]', 'plain', '{"(1,\"a \"\"b\"\"\",z,sad)"}');
perform put('an_odd_enum', 'hard."enum.with;all"', 'comma', 'a,b', 'brace', '{', 'quote', '"', 'backslash', '\', 'NULL', 'NULL', 'blank', ' ', 'brackets', 'a (b)', 'tab', E'tab\t',
  'long', repeat('w', 63));
perform put('odd_enum_array', 'hard."enum.with;all"[]', 'all', enum_range(null::hard."enum.with;all")::text, 'matrix', '{{"a,b"},{NULL}}');
perform put('an_odd_domain', 'hard."do main, ""x"""', 'plain', 'a,"b"', 'empty', '');
perform put('a_good_mood', 'hard.good_mood', 'plain', 'ok', 'empty', '');
perform put('a_checked_pair', 'hard.checked_pair', 'plain', '(1,"a,b",-0.01)', 'nulls', '(,,)');
perform put('a_half_open', 'hard.half_open', 'plain', '[1,5)', 'empty', 'empty');
perform put('a_purse', 'hard.purse', 'plain', '("a b","{$1.50,NULL}","-$92,233,720,368,547,758.08")', 'nulls', '(,,)');
perform put('a_money_domain', 'hard.a_money', 'minus', '-1.50', 'zero', '0');
perform put('a_cube', 'public.cube', 'box', '(1,2),(3,4.5)', 'point', '(0.1)');
perform put('hstore_more', 'public.hstore', 'backslash', '"\\\\"=>"\\", ""=>""', 'arrow', '"=>"=>"a=>b, c"', 'word NULL', '"a"=>"NULL"', 'wide', '"żółć"=>"😀"', 'newline', E'"a\n"=>"\t"');
end $$;

-- What put() cannot make.
create table vectors (id int primary key, v int2vector, w oidvector);
insert into vectors values (1, '1 2 3', '4 5 4294967295'), (2, null, null);
create table char_bytes (id int primary key, v "char");
insert into char_bytes values (1, '\200'::"char"), (2, '\377'::"char"), (3, null);
create table jsonb_exact (id int primary key, v jsonb);
insert into jsonb_exact values (1, '{"a": 1.10, "b": [1e3, -0.0]}');
create table a_short_text (id int primary key, v hard.short_text);
insert into a_short_text values (1, ''), (2, 'żółća');

-- Shapes of tables.
create table no_columns ();
insert into no_columns select from generate_series(1, 7);
create table no_rows (a int primary key, b text);
create table one_column (v text);
insert into one_column values (null), (''), ('\.'), ('\N'), (E'\n');
create table generated (a int primary key, b int generated always as (a * 2) stored, c text);
insert into generated (a, c) values (1, 'x'), (2, null);
create table identity_always (id int generated always as identity primary key, v text);
insert into identity_always (v) values ('a'), ('b');
create table identity_default (id bigint generated by default as identity (start 100) primary key, v text);
insert into identity_default (v) values ('a'), ('b');
create table serial_column (id serial primary key, v text default 'none', n int not null default 7);
insert into serial_column (v) values ('a'), (default);
create table "Odd ""Name"".with;all" ("select" int primary key, "a b" text, "ż" text, "a""b" text, "x.y" text, "A" int, "a" int);
insert into "Odd ""Name"".with;all" values (1, 'a', 'b', 'c', 'd', 2, 3);
create table dropped (a int, gone text, b text, gone2 int, primary key (a));
insert into dropped values (1, 'x', 'y', 2);
alter table dropped drop column gone, drop column gone2, add column later text default 'made later';
insert into dropped values (2, 'z', 'here');
create table toasted (id int primary key, v text, w bytea);
alter table toasted alter v set storage external;
insert into toasted select i, repeat(md5(i::text), 3000), decode(repeat(md5(i::text), 3000), 'hex') from generate_series(1, 5) i;
create table parted (id int, v text) partition by range (id);
create table parted_1 partition of parted for values from (0) to (10);
create table parted_2 (v text, id int);
alter table parted attach partition parted_2 for values from (10) to (20);
create table parted_rest partition of parted default;
insert into parted select i, 'row ' || i from generate_series(0, 30) i;
create table parent (id int, v text);
create table child (extra text) inherits (parent);
insert into parent values (1, 'parent');
insert into child values (2, 'child', 'extra');
create view a_view as select id, v || '!' as v, id / 3.0 as third, null::text as n, array[id] as list from parted;
create materialized view a_matview as select * from a_view;
create unlogged table not_logged (id int primary key, v text);
insert into not_logged values (1, 'a');
do $$
begin
  execute 'create table wide_1600 (' || (select string_agg('c' || i || ' int', ', ') from generate_series(1, 1600) i) || ')';
  execute 'insert into wide_1600 (c1, c800, c1600) values (1, 800, 1600), (null, null, null)';
  execute 'insert into wide_1600 values (' || (select string_agg((i % 10)::text, ', ') from generate_series(1, 1600) i) || ')';
end $$;

-- Rows that are too large: one of 5 MiB between two small ones.
create table too_large (id int primary key, v text);
insert into too_large values (1, 'small'), (2, repeat('x', 5 << 20)), (3, 'small');
