#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gen_ref.py: the tables of the gen connector a second time, in plain Python.

    gen_ref.py rows SHAPE FIRST END [OPTION=VALUE...]   rows as JSON arrays, as gen_dump prints them
    gen_ref.py columns SHAPE [OPTION=VALUE...]          names and types of the columns
    gen_ref.py checksum SHAPE FIRST END [OPTION=VALUE...]   sum of the row hashes of a range
    gen_ref.py compare GEN_DUMP [--seed N]              run the dump program over sampled ranges of
                                                        every shape, compare every bit and the sums

As a module: table(shape, **options) gives .columns, a list of (name, type, nullable, key), and
.row(i), a list of values: None, bool, int, str, bytes, float (as Bits of 32 or 64), Decimal2 (two's
complement and scale), tuples for intervals, lists. Nothing here reads the C sources: the formulas
are those of their comments.
"""
import json
import os
import random
import struct
import subprocess
import sys
from decimal import Decimal

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'unit'))
import rowhash_ref  # noqa: E402

M64 = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(x):
    x ^= x >> 30
    x = x * 0xBF58476D1CE4E5B9 & M64
    x ^= x >> 27
    x = x * 0x94D049BB133111EB & M64
    return x ^ x >> 31


def at(stream, index):
    return mix((stream + index * GOLDEN) & M64)


def sub(key, n):
    return mix((key + (n + 1) * GOLDEN) & M64)


def again(h):
    return mix((h + GOLDEN) & M64)


def below(h, n):
    return h * n >> 64


def field(h, shift, n):
    return (h >> shift & 0xFFFF) * n >> 16


def signed(v, bits=64):
    v &= (1 << bits) - 1
    return v - (1 << bits) if v >> bits - 1 else v


def rem(a, b):
    """Remainder with the sign of the dividend, as in C."""
    return a % b if a >= 0 else -(-a % b)


class Bits:
    """A float by its bits; every NaN is the same."""

    def __init__(self, bits, width):
        self.bits, self.width = bits, width

    def json(self):
        v = struct.unpack('>d' if self.width == 64 else '>f',
                          self.bits.to_bytes(self.width // 8, 'big'))[0]
        return 'nan' if v != v else f'{self.bits:0{self.width // 4}x}'


class Dec:
    """A decimal by its unscaled value."""

    def __init__(self, unscaled, width=128):
        self.unscaled, self.width = unscaled, width

    def json(self):
        return f'{self.unscaled & (1 << self.width) - 1:0{self.width // 4}x}'


def double(v):
    return Bits(int.from_bytes(struct.pack('>d', v), 'big'), 64)


def single(v):
    return Bits(int.from_bytes(struct.pack('>f', v), 'big'), 32)


def to_json(v):
    if isinstance(v, (Bits, Dec)):
        return v.json()
    if isinstance(v, bytes):
        return 'hex:' + v.hex()
    if isinstance(v, (list, tuple)):
        return [to_json(x) for x in v]
    return v


WORDS = ('amber basil cedar delta ember fjord grove harbor iris jade kelp lagoon maple nectar oasis '
         'pearl quartz raven saffron tundra umber violet willow xenon yarrow zephyr anchor beacon '
         'canyon dune estuary fern glacier heron inlet juniper kite lotus meadow nimbus otter '
         'prairie quill ridge summit thistle upland valley walnut yew zinnia bayou cobalt drift elm '
         'flint gorge hazel island jasper knoll larch marsh north').split()


def word_text(i):
    return WORDS[i % 64] + (f'-{i // 64}' if i >= 64 else '')


def url_text(i):
    return f'https://www.{WORDS[i % 64]}.example/{WORDS[i // 64 % 64]}/{i}'


class Table:
    def __init__(self, number, options):
        self.seed = int(options.get('seed', 1))
        self.key = sub(self.seed & M64, number)
        self.null_below = int(float(options.get('null_ratio', 0)) * 4294967295.0)
        self.columns = []  # (name, type, nullable, key)
        self.cells = []    # function of the row

    def add(self, name, kind, cell, nullable=False, key=0):
        self.columns.append((name, kind, nullable, key))
        self.cells.append(cell)

    def stream(self):
        """Of the column about to be added."""
        return sub(self.key, len(self.columns))

    def row(self, i):
        return [cell(i) for cell in self.cells]

    # cells that stand alone
    def plain(self, name, kind, how, low, count, nullable=False, skew=False):
        stream = self.stream()

        def cell(row):
            h = at(stream, row)
            if nullable and (h & 0xFFFFFFFF) < self.null_below:
                return None
            u = h >> 32
            index = (u * u >> 32) * count >> 32 if skew else below(h, count)
            if how == 'int':
                return bool(low + index) if kind == 'bool' else low + index
            if how == 'float':
                return (single if kind == 'float32' else double)((low + index) / 4)
            if how == 'decimal':
                return Dec(low + index)
            return url_text(index) if how == 'url' else word_text(index)
        self.add(name, kind, cell, nullable)

    def row_number(self, name, low):
        self.add(name, 'int64', lambda row: low + row, key=1)


# ------------------------------------------------------------------------------------- lineitem

COMMENT_WORDS = (
    'quickly ironic pending deposits final packages silent accounts bold requests furiously regular '
    'carefully special slyly express theodolites even foxes haggle sleep along the above '
    'instructions blithely unusual platelets across asymptotes fluffily daring pinto beans nag '
    'among dependencies wake according to ideas boost against courts busy excuses cajole under '
    'ruthless frets dazzle after dogged sauternes detect between warthogs engage permanent realms '
    'integrate beside stealthy tithes').split()


class Lineitem(Table):
    SIZES = [4, 1, 7, 3, 5, 2, 6]
    INSTRUCT = ['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN']
    MODE = ['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB']
    COLUMNS = [('l_orderkey', 'int64', 1), ('l_partkey', 'int64', 0), ('l_suppkey', 'int64', 0),
               ('l_linenumber', 'int32', 2), ('l_quantity', 'decimal(15,2)', 0),
               ('l_extendedprice', 'decimal(15,2)', 0), ('l_discount', 'decimal(15,2)', 0),
               ('l_tax', 'decimal(15,2)', 0), ('l_returnflag', 'utf8(1)', 0),
               ('l_linestatus', 'utf8(1)', 0), ('l_shipdate', 'date', 0),
               ('l_commitdate', 'date', 0), ('l_receiptdate', 'date', 0),
               ('l_shipinstruct', 'utf8(25)', 0), ('l_shipmode', 'utf8(10)', 0),
               ('l_comment', 'utf8(44)', 0)]

    def __init__(self, **options):
        super().__init__(0, options)
        self.columns = [(n, t, False, k) for n, t, k in self.COLUMNS]
        pool, k, stream = '', 0, sub(self.key, 106)
        parts, size = [], 0
        while size < 65536:
            w = COMMENT_WORDS[below(at(stream, k), 64)] + ' '
            parts.append(w)
            size += len(w)
            k += 1
        pool = ''.join(parts)[:65536]
        self.pool = pool + pool[:64]

    def row(self, row):
        g, j = divmod(row, 28)
        turn = below(at(sub(self.key, 100), g), 7)
        order = 0
        while j >= self.SIZES[(turn + order) % 7]:
            j -= self.SIZES[(turn + order) % 7]
            order += 1
        o, line = 7 * g + order, j + 1
        r, s, c, i = (at(sub(self.key, n), row) for n in (101, 102, 103, 104))
        day = 8035 + below(at(sub(self.key, 105), o), 2406)
        part = 1 + below(r, 2000000)
        supplier = (part + (s & 3) * (25000 + (part - 1) // 100000)) % 100000 + 1
        quantity = 1 + field(s, 16, 50)
        price = quantity * (90000 + part // 10 % 20001 + 100 * (part % 1000))
        ship = day + 1 + field(c, 0, 121)
        receipt = ship + 1 + field(c, 32, 30)
        length, place = 10 + field(i, 32, 34), i >> 48
        return [o // 8 * 32 + o % 8 + 1, part, supplier, line, Dec(quantity * 100), Dec(price),
                Dec(field(s, 32, 11)), Dec(field(s, 48, 9)),
                'N' if receipt > 9298 else 'R' if s >> 4 & 1 else 'A',
                'O' if ship > 9298 else 'F', ship, day + 30 + field(c, 16, 61), receipt,
                self.INSTRUCT[field(i, 0, 4)], self.MODE[field(i, 16, 7)],
                self.pool[place:place + length]]


# ----------------------------------------------------------------------------------------- hits
# name, type, how, low, count, flags: n = may be null, u = uniform (else small ones preferred)

HITS = '''
event_time|timestamp(s)|int|1372636800|2678400|u
event_date|date|int|15887|31|u
event_ms|timestamp(ms)|int|1372636800000|2678400000|u
server_time|timestamp(us, utc)|int|1372636800000000|2678400000000|u
user_id|int64|int|1000000007|17000000|
session_id|uint64|int|4611686018427387904|90000000|u
counter_id|int32|int|1|6500|
client_ip|uint32|int|167772160|9000000|
region_id|int32|int|1|9000|
country|dictionary<utf8>|text|0|60|
city|utf8|text|0|1200|n
url|utf8|url|0|300000|
referer|utf8|url|0|120000|n
title|utf8|text|0|40000|
url_hash|int64|int|-4611686018427387904|4611686018427387904|u
referer_hash|int64|int|-4611686018427387904|1099511627776|u
url_category|int16|int|0|900|
referer_category|int16|int|0|900|
url_region|int32|int|0|4000|
referer_region|int32|int|0|4000|
is_refresh|bool|int|0|2|
is_link|bool|int|0|2|
is_download|bool|int|0|2|
is_not_bounce|bool|int|0|2|u
is_mobile|bool|int|0|2|n
is_event|bool|int|0|2|
is_parameter|bool|int|0|2|
is_artificial|bool|int|0|2|
java_enabled|int8|int|0|2|
javascript_enabled|int8|int|0|2|
cookie_enabled|int8|int|0|2|
good_event|int8|int|0|2|
with_hash|int8|int|0|2|
counter_class|int8|int|-1|3|
os|dictionary<utf8>|text|0|40|
browser|dictionary<utf8>|text|0|50|
browser_major|uint8|int|1|120|
browser_minor|utf8(8)|text|0|60|
user_agent|int16|int|0|260|
user_agent_major|uint8|int|0|40|
flash_major|uint8|int|0|12|
flash_minor|uint8|int|0|4|
net_major|uint8|int|0|5|
net_minor|uint8|int|0|5|
mobile_phone|uint8|int|0|100|
mobile_model|utf8|text|0|170|n
resolution_width|uint16|int|320|2240|
resolution_height|uint16|int|240|1360|
resolution_depth|uint8|int|8|25|
window_width|int16|int|-1|2560|
window_height|int16|int|-1|1600|
client_timezone|int16|int|-720|1441|
client_time|time(us)|int|0|86400000000|u
client_clock|time(ns)|int|0|86400000000000|nu
silverlight_1|uint8|int|0|6|
silverlight_2|uint8|int|0|6|
silverlight_3|int32|int|0|70000|
silverlight_4|uint16|int|0|20|
page_charset|dictionary<utf8>|text|0|24|
code_version|int32|int|1|1500|
language|dictionary<utf8>|text|0|64|
browser_country|utf8(8)|text|0|64|
social_network|dictionary<utf8>|text|0|16|n
social_action|dictionary<utf8>|text|0|8|n
social_page|utf8|url|0|900|n
search_phrase|utf8|text|0|25000|n
search_engine|uint8|int|0|60|
adv_engine|uint8|int|0|60|
traffic_source|int8|int|-1|10|
age|uint8|int|0|80|n
sex|uint8|int|0|3|
income|uint8|int|0|5|
interests|int32|int|0|16384|
robotness|uint8|int|0|4|
remote_ip|uint32|int|3232235520|65536|
window_name|int32|int|-1|400000|
opener_name|int32|int|-1|400000|
history_length|int16|int|-1|50|
http_error|uint16|int|0|600|
send_timing|int32|int|-1|60000|
dns_timing|int32|int|-1|20000|
connect_timing|int32|int|-1|20000|
response_start|duration(ms)|int|0|30000|
response_end|duration(us)|int|0|30000000|n
fetch_timing|int32|int|0|90000|
load_seconds|float32|float|0|4000|
scroll_share|float64|float|0|400|n
bid_price|decimal(18,4)|decimal|0|5000000|
order_total|decimal(15,2)|decimal|-10000|4000000|n
currency|utf8(16)|text|0|32|
goal|utf8|text|0|5000|n
open_source|dictionary<utf8>|text|0|20|
campaign|dictionary<utf8>|text|0|64|
utm_source|utf8|text|0|300|n
utm_medium|dictionary<utf8>|text|0|12|n
utm_content|utf8|text|0|2000|n
utm_term|utf8|text|0|9000|n
from_tag|utf8|text|0|64|
has_gclid|bool|int|0|2|
params|utf8|url|0|64|n
clid|int32|int|-2147483648|2147483647|
shard|int8|int|-128|255|u
last_seen|timestamp(ns, utc)|int|1372636800000000000|2678400000000000|nu
'''


class Hits(Table):
    def __init__(self, **options):
        super().__init__(1, options)
        self.row_number('hit_id', 1)
        for line in HITS.strip().split('\n'):
            name, kind, how, low, count, flags = line.split('|')
            self.plain(name, kind, how, int(low), int(count), 'n' in flags, 'u' not in flags)


# ---------------------------------------------------------------------------------------- posts

TEMPLATES = [
    '## %W %W: %W\n\n',
    '- %W %W\n- "%W", %W\n- %W (%N)\n\n',
    '> %W %W, she said: "%W it\'s %W"\n> -- %W\n\n',
    '```c\nfor (int %W = 0; %W < %N; %W++)\n\tputs("%W\\n"); /* %W */\n```\n\n',
    '| %W | %W |\n|:---|---:|\n| %N | "%W" |\n\n',
    '[%W %W](https://www.%W.example/%W?%W=%N&%W=%N#%W); %W\n\n',
    '%W %W\r\n%W, %W\r\n\r\n',
    '%W \u2014 %W \u2026 \u201c%W\u201d \u6570\u636e\u8fc1\u79fb %W na\u00efve caf\u00e9 '
    '\U0001F69A\U0001F4E6 %W\n\n',
]


class Posts(Table):
    POOL = 163840

    def __init__(self, **options):
        super().__init__(2, options)
        self.make_pool()
        self.row_number('id', 1)
        self.special('parent_id', 'int64', self.parent, True)
        self.plain('author_id', 'int64', 'int', 1, 3000000, skew=True)
        self.plain('kind', 'dictionary<utf8>', 'text', 0, 8, skew=True)
        self.special('title', 'utf8(120)', self.title)
        self.special('body', 'utf8', self.body)
        self.special('tags', 'utf8', self.tags)
        self.plain('score', 'int32', 'int', -50, 5000, skew=True)
        self.plain('views', 'int64', 'int', 0, 2000000, skew=True)
        self.created_stream = self.stream()
        self.special('created', 'timestamp(us, utc)', lambda h, row: self.created(row))
        self.special('edited', 'timestamp(us, utc)', self.edited, True)
        self.plain('answered', 'bool', 'int', 0, 2)
        self.plain('rating', 'float64', 'float', -8, 29)
        self.plain('locale', 'utf8(12)', 'text', 0, 64, skew=True)

    def special(self, name, kind, fn, nullable=False):
        stream = self.stream()
        self.add(name, kind, lambda row: fn(at(stream, row), row), nullable)

    def make_pool(self):
        stream, j = sub(self.key, 200), 0

        def draw(n):
            nonlocal j
            j += 1
            return below(at(stream, j - 1), n)

        def word():
            return WORDS[draw(64)]
        pool, self.starts = bytearray(), []
        while len(pool) < self.POOL:
            if len(pool) < self.POOL - 20480:
                self.starts.append(len(pool))
            kind = draw(16)
            if kind < 8:
                text = ''
                pieces = TEMPLATES[kind].split('%')
                text = pieces[0]
                for piece in pieces[1:]:
                    text += (word() if piece[0] == 'W' else str(draw(1000))) + piece[1:]
            else:
                sentences = []
                for _ in range(2 + draw(4)):
                    s = ' '.join(word() for _ in range(6 + draw(14)))
                    sentences.append(s[0].upper() + s[1:] + '.')
                text = ' '.join(sentences) + '\n\n'
            pool += text.encode()
        self.pool = bytes(pool)

    @staticmethod
    def parent(h, row):
        return None if row == 0 or h % 4 == 0 else 1 + below(h, row)

    @staticmethod
    def title(h, row):
        s = ' '.join(WORDS[at(h, j + 1) % 64] for j in range(3 + below(h, 8)))
        return s[0].upper() + s[1:] + ('?' if h & 1 else '')

    @staticmethod
    def tags(h, row):
        return ''.join('<' + WORDS[at(h, j + 1) % 64] + '>' for j in range(below(h, 6)))

    def body(self, h, row):
        u = again(h) >> 32
        start = self.starts[below(h, len(self.starts))]
        end = start + 512 + ((u * u >> 32) * 19968 >> 32)
        while self.pool[end] & 0xC0 == 0x80:
            end -= 1
        return self.pool[start:end].decode()

    def created(self, row):
        return 1262304000000000 + row % 10**9 * 370000 + below(at(self.created_stream, row), 1000000)

    def edited(self, h, row):
        return None if h % 3 else self.created(row) + below(h, 2592000000000)


# ----------------------------------------------------------------------------------------- wide

class Wide(Table):
    KINDS = [('int64', 'int', -10**12, 2 * 10**12 + 1), ('float64', 'float', -4000000, 8000001),
             ('utf8', 'text', 0, 1000000), ('decimal(18,4)', 'decimal', -10**9, 2 * 10**9 + 1),
             ('date', 'int', 0, 25000), ('bool', 'int', 0, 2), ('timestamp(us)', 'int', 0, 2 * 10**15),
             ('int32', 'int', -2**31, 2**32), ('utf8', 'text', 0, 64),
             ('float32', 'float', -400000, 800001)]

    def __init__(self, **options):
        super().__init__(3, options)
        self.row_number('id', 1)
        for i in range(1, int(options.get('columns', 200))):
            kind, how, low, count = self.KINDS[(i - 1) % 10]
            self.plain(f'c{i:04d}', kind, how, low, count, nullable=True)


# ----------------------------------------------------------------------------------------- evil

EVIL_TEXTS = [
    '', ' ', '  blanks before and behind  ', 'NULL', 'null', 'NA', '\\N', "''", '"', '""', "'",
    'say "hi", he said', "it's", 'comma, semicolon; pipe| tab\t end', 'line 1\nline 2',
    'line 1\r\nline 2', 'old\rmac', '\n', '\r\n', 'newline at the end\n', 'back\\slash', '\\',
    '\\n\\t\\"', '=1+1', '-0', '0012', '1e3', 'true', '2024-02-30', '%s%n{}${x}{row.id}',
    '<b>&amp;</b>', "'; drop table t; --", '# no comment', '\x01\x02\x1f\x7f', '\u00e9', 'e\u0301',
    'Z\u0351\u032b\u0343\u036a\u0302', '\u00df \u0130 \u0131', '\u200b', '\ufeffa mark inside',
    '\u0085\u2028\u2029', '\u00a0no break', '\ufffd', '\uffff', '\U0010ffff',
    '\u05e9\u05dc\u05d5\u05dd', '\u0627\u0644\u0639\u0631\u0628\u064a\u0629 12',
    '\u202ebackwards\u202c', '\u4e2d\u6587\uff0c\u5168\u89d2\uff1a', '\ud55c\uad6d\uc5b4',
    '\U0001F600', '\U0001F468\u200d\U0001F469\u200d\U0001F467', '\U0001F1E8\U0001F1ED']
CODES = ['', '0', '007', '+1', '1.0', 'A B', '\u00e4\u00f6\u00fc', '12345678901234567890',
         '\U0001F600\U0001F600', 'x', 'NaN', 'N/A']
DOCUMENTS = ['{}', '[]', 'null', '"text"', '0', '-12345678901234567890.5e-3',
             '{"a":{"b":[1,2,{"c":null}]}}', '{"a":1,"a":2}',
             '{"q":"\\"\\\\\\n\\u0001\\ud83d\\ude00"}', '{ "spaces" : [ true , false ] }',
             '"\u4e2d\u6587"']
NUMBERS = ['0', '1', '-1', '0.1', '-0.' + '0' * 53 + '1', '1234567890' * 6,
           '-' + '9' * 38 + '.' + '9' * 38,
           '3.14159265358979323846264338327950288419716939937510582097494459', 'NaN']
COLOURS = ['red', 'green', 'blue', "Bleu d'\u00c9t\u00e9", 'a,b']
I8, I16, I32, I63 = 2**7, 2**15, 2**31, 2**63
INTS = {
    'bool': [0, 1],
    'i8': [0, 1, -1, -I8, I8 - 1, 1 - I8, 10, -10, 99, 100],
    'i16': [0, 1, -1, -I16, I16 - 1, -I8, I8 - 1, 128, 255, 256],
    'i32': [0, 1, -1, -I32, I32 - 1, 1 - I32, -I16, I16 - 1, 65535, 65536, 16777217, -16777217],
    'i64': [0, 1, -1, -I63, I63 - 1, 1 - I63, -I32, I32 - 1, 4294967295, 4294967296,
            9007199254740993, -9007199254740993, 999999999999999, 10**18],
    'u8': [0, 1, 127, 128, 255], 'u16': [0, 1, 32767, 32768, 65535],
    'u32': [0, 1, I32 - 1, I32, 4294967295],
    'u64': [0, 1, I63 - 1, I63, M64, 4294967296, 9007199254740993],
    'year': [0, 1901, 2155, 1970, 2024],
    'date': [-719162, 2932896, 0, -1, 1, 11016, -25508, -25509, 19782, 19783, -141428, -141427,
             24855, 24856],
    'time_us': [0, 1, 43200000000, 86399999999, 86400000000, 1000000, 999999],
    'time_ns': [0, 1, 43200000000000, 86399999999999, 86400000000000, 999],
    'ts_ns': [I63 - 1, -I63, 1 - I63, 0, -1, 1, 951782400000000000, 1710037800000000000,
              1700000000123456789],
    'dur_s': [0, 1, -1, 9223372036, -9223372036, 86400, 3020399, -3020399],
    'dur_ms': [0, 1, -1, 9223372036854, -9223372036854, 86400000],
    'dur_us': [0, 1, -1, 9223372036854775, -9223372036854775, 86400000000],
    'dur_ns': [0, 1, -1, I63 - 1, -I63, 86400000000000],
}
for _name, _unit, _last in (('ts_s', 1, 0), ('ts_ms', 1000, 999), ('ts_us', 10**6, 999999)):
    INTS[_name] = [-62135596800 * _unit, 253402300799 * _unit + _last, 0, -1, 1, 951782400 * _unit,
                   1710037800 * _unit, 2147483647 * _unit, -2147483649 * _unit,
                   1700000000 * _unit + _last]
INF = float('inf')
F32 = [0.0, -0.0, 1.0, -1.0, INF, -INF, float('nan'), 3.4028234663852886e38, -3.4028234663852886e38,
       2.0**-126, 2.0**-149, -2.0**-149, 0.10000000149011612, 16777216.0, 0.3333333432674408]
F64 = [0.0, -0.0, 1.0, -1.0, INF, -INF, float('nan'), 1.7976931348623157e308,
       -1.7976931348623157e308, 2.0**-1022, 5e-324, -5e-324, 0.1, 0.30000000000000004, 1e23,
       9007199254740992.0, 1e15, 123456789.123456789, 48.053808600000004, 5e-324]
N9, N18, N38, N76 = 10**9 - 1, 10**18 - 1, 10**38 - 1, 10**76 - 1
DECS = {
    9: [0, 1, -1, 100, -100, N9, -N9, 10, 5],
    18: [0, 1, -1, 10000, N18, -N18, N9, 5000],
    38: [0, 1, -1, N38, -N38, N18, 2**64, -2**64, 2**63, 10**37, 100, -5],
    76: [0, 1, -1, N76, -N76, N38, 2**128, -2**127, 10**38],
}
INTERVALS = [(0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1),
             (12, 0, 0), (1, -1, 1), (-14, 3, 86400000000000), (13, 30, 3600000000000),
             (I32 - 1, I32 - 1, I63 - 1), (-I32, -I32, -I63)]
BINARIES = [b'', b'\0', b'\0\0\0\0', b'\xff\xfe', b'\r\n', b'\\x41', b'abc', b'"\',;', b'\xc3\x28']
FIXEDS = [b'\0' * 16, b'\xff' * 16, b'0123456789abcdef', b'        \r\n\r\n""\'\'']


class Evil(Table):
    def __init__(self, **options):
        super().__init__(4, options)
        self.big = int(options.get('big', 1 << 20))
        self.nul = str(options.get('nul', 'false')).lower() == 'true'
        self.make_pool()
        nan = str(options.get('nan', 'true')).lower() == 'true'
        self.row_number('id', 1)
        self.ints('select', 'bool', 'bool', lambda v: bool(v & 1))
        self.ints('i8', 'int8', 'i8', lambda v: signed(v, 8))
        self.ints('i16', 'int16', 'i16', lambda v: signed(v, 16))
        self.ints('na\u00efve \u5217', 'int32', 'i32', lambda v: signed(v, 32))
        self.ints('i64', 'int64', 'i64', signed)
        for bits in (8, 16, 32, 64):
            self.ints(f'u{bits}', f'uint{bits}', f'u{bits}',
                      lambda v, m=(1 << bits) - 1: v & m, False)
        self.pick('f32', 'float32', [single(v) if nan or v == v else None for v in F32], lambda h: self.random_float(h, 32))
        self.pick('f64', 'float64', [double(v) if nan or v == v else None for v in F64], lambda h: self.random_float(h, 64))
        for p, s in ((9, 2), (18, 4), (38, 0), (38, 10), (38, 38)):
            self.pick(f'dec{p}_{s}', f'decimal({p},{s})', [Dec(v) for v in DECS[p]],
                      lambda h, p=p: self.random_dec(h, p))
        self.pick('dec76_38', 'decimal(76,38)', [Dec(v, 256) for v in DECS[76]], self.random_dec256)
        self.pick('bin', 'binary', BINARIES, lambda h: self.random_bytes(h, below(again(h), 64)))
        self.pick('fix8', 'fixed(8)', [v[:8] for v in FIXEDS], lambda h: self.random_bytes(h, 8))
        self.pick('uid', 'uuid', FIXEDS, lambda h: self.random_bytes(h, 16))
        self.span('yr', 'int16 year', 'year', 1901, 255)
        self.span('d', 'date', 'date', -719162, 3652059)
        self.span('t_us', 'time(us)', 'time_us', 0, 86400000001)
        self.span('t_ns', 'time(ns)', 'time_ns', 0, 86400000000001)
        for prefix, more in (('ts', ''), ('tz', ', utc')):
            for unit, factor in (('s', 1), ('ms', 10**3), ('us', 10**6)):
                self.span(f'{prefix}_{unit}', f'timestamp({unit}{more})', f'ts_{unit}',
                          -62135596800 * factor, 315537897600 * factor)
            self.ints(f'{prefix}_ns', f'timestamp(ns{more})', 'ts_ns', signed)
        self.span('dur_s', 'duration(s)', 'dur_s', -9223372036, 18446744073)
        self.span('dur_ms', 'duration(ms)', 'dur_ms', -9223372036854, 18446744073709)
        self.span('dur_us', 'duration(us)', 'dur_us', -9223372036854775, 18446744073709551)
        self.ints('dur_ns', 'duration(ns)', 'dur_ns', signed)
        self.pick('iv', 'interval', INTERVALS, self.random_interval)
        self.pick('dict', 'dictionary<utf8>', EVIL_TEXTS,
                  lambda h: EVIL_TEXTS[below(again(h), len(EVIL_TEXTS))])
        self.ints('i32', 'int32', 'i32', lambda v: signed(v, 32))
        self.pick('text', 'utf8', EVIL_TEXTS, self.random_text)
        self.big_column()
        self.listed('quoted "name", with comma', 'utf8(20)', CODES)
        self.pick('doc', 'json', DOCUMENTS,
                  lambda h: f'{{"k": {again(h)}, "s": "{WORDS[h % 64]}"}}')
        self.pick('number', 'decimal', NUMBERS, lambda h: ('-' if h >> 8 & 1 else '') +
                  f'{again(h)}.{again(again(h)) | 1}')
        self.listed('colour', 'utf8 enum', COLOURS)
        if str(options.get('nested', 'false')).lower() == 'true':
            self.nested()

    def make_pool(self):
        stream, parts, size, k = sub(self.key, 300), [], 0, 0
        encoded = [t.encode() for t in EVIL_TEXTS]
        while size < self.big + 2048:
            parts.append(encoded[at(stream, k) % len(encoded)])
            size += len(parts[-1])
            k += 1
        self.pool = b''.join(parts) + b'\0'

    def pick(self, name, kind, specials, rand):
        stream, n = self.stream(), len(specials)

        def cell(row):
            h = at(stream, row)
            if row < n:
                return specials[row]
            if row == n or h % 8 == 0:
                return None
            return specials[below(again(h), n)] if h % 8 <= 3 else rand(h)
        self.add(name, kind, cell, True)

    def ints(self, name, kind, specials, fit, is_signed=True):
        def rand(h):
            r = again(h)
            return fit((signed(r) if is_signed else r) >> (h >> 8 & 63))
        self.pick(name, kind, [fit(v) for v in INTS[specials]], rand)

    def span(self, name, kind, specials, low, span):
        self.pick(name, kind, INTS[specials], lambda h: low + below(again(h), span))

    def listed(self, name, kind, values):
        self.pick(name, kind, values, lambda h: values[below(again(h), len(values))])

    @staticmethod
    def random_float(h, width):
        r = again(h)
        if width == 32:
            r >>= 32
            return Bits(r & ~(1 << 30) if r >> 23 & 0xFF == 0xFF else r, 32)
        return Bits(r & ~(1 << 62) if r >> 52 & 0x7FF == 0x7FF else r, 64)

    @staticmethod
    def random_dec(h, precision):
        r1 = again(h)
        v = signed(r1 << 64 | again(r1), 128) >> (h >> 8 & 127)
        return Dec(rem(v, 10**precision))

    @staticmethod
    def random_dec256(h):
        r = [again(h)]
        for _ in range(3):
            r.append(again(r[-1]))
        a = ((r[0] << 64 | r[1]) >> (h >> 8 & 127)) % 10**38
        v = a * 10**38 + (r[2] << 64 | r[3]) % 10**38
        return Dec(-v if h >> 16 & 1 else v, 256)

    @staticmethod
    def random_bytes(h, n):
        return bytes(at(h, k + 1) & 0xFF for k in range(n))

    @staticmethod
    def random_interval(h):
        r = again(h)
        return (rem(signed(r, 32), 1200), rem(signed(r >> 32, 32), 1000), signed(again(r)) >> 20)

    def random_text(self, h):
        if self.nul and h >> 60 == 0:
            return 'a\0b'
        return ''.join(EVIL_TEXTS[at(h, j + 1) % len(EVIL_TEXTS)]
                       for j in range(below(again(h), 6)))

    def big_column(self):
        stream = self.stream()

        def cell(row):
            h = at(stream, row)
            r, start = again(h), h >> 8 & 1023
            if row == 5:
                end = start + self.big
            elif h >> 52 == 0:
                end = start + 1 + below(r, self.big)
            elif h % 8 == 0:
                return None
            else:
                end = start + below(r, 256)
            while self.pool[start] & 0xC0 == 0x80:
                start -= 1
            while end > start and self.pool[end] & 0xC0 == 0x80:
                end -= 1
            return self.pool[start:end].decode()
        self.add('big', 'utf8', cell, True)

    def nested(self):
        def int32(x):
            return None if x % 8 == 0 else signed(x >> 8, 32)

        def text(x):
            return None if x % 8 == 0 else EVIL_TEXTS[(x >> 8) % len(EVIL_TEXTS)]

        def items(h, one):
            if h % 8 == 0:
                return None
            return [one(h, j) for j in range(0 if h % 8 == 1 else (h >> 8) % 7)]

        def struct(h):
            if h % 8 == 0:
                return None
            full = h % 8 != 1
            return [int32(at(h, 1)) if full else None, text(at(h, 2)) if full else None]

        def pair(h, j):
            x = at(h, j + 1)
            return [WORDS[(h + j & M64) % 64], None if x % 8 == 0 else signed(x)]

        def column(name, kind, fn):
            stream = self.stream()
            self.add(name, kind, lambda row: fn(at(stream, row)), True)
        column('ints', 'list<int32>', lambda h: items(h, lambda g, j: int32(at(g, j + 1))))
        column('texts', 'list<utf8>', lambda h: items(h, lambda g, j: text(at(g, j + 1))))
        column('pair', 'struct<a: int32, b: utf8>', struct)
        column('pairs', 'list<struct<a: int32, b: utf8>>',
               lambda h: items(h, lambda g, j: struct(at(g, j + 1))))
        column('dir', 'map<utf8, int64>', lambda h: items(h, pair))
        column('nothing', 'null', lambda h: None)


SHAPES = {'lineitem': Lineitem, 'hits': Hits, 'posts': Posts, 'wide': Wide, 'evil': Evil}


def table(shape, **options):
    return SHAPES[shape](**options)


# -------------------------------------------------------------------------------------- compare

def children(kind):
    """Types of the children of list<...>, struct<...>, map<...>."""
    inside, depth, parts = kind[kind.index('<') + 1:-1], 0, ['']
    for c in inside:
        depth += (c == '<') - (c == '>')
        if c == ',' and depth == 0:
            parts.append('')
        else:
            parts[-1] += c
    if kind.startswith('struct'):
        parts = [p.split(':', 1)[1] for p in parts]
    return [p.strip() for p in parts]


def hashed(kind, v):
    """(type, value) as rowhash_ref takes them."""
    if v is None:
        return kind, None
    if isinstance(v, Bits):
        return kind, struct.unpack('>d' if v.width == 64 else '>f',
                                   v.bits.to_bytes(v.width // 8, 'big'))[0]
    if isinstance(v, Dec):
        scale = int(kind[:-1].split(',')[1])
        digits = tuple(int(d) for d in str(abs(v.unscaled)))
        return kind, Decimal((int(v.unscaled < 0), digits, -scale))
    if kind == 'decimal':
        return kind, Decimal(v)
    if kind.startswith('list'):
        return kind, [hashed(children(kind)[0], x) for x in v]
    if kind.startswith('struct'):
        return kind, [hashed(t, x) for t, x in zip(children(kind), v)]
    if kind.startswith('map'):
        return kind, [hashed(t, x) for pair in v for t, x in zip(children(kind), pair)]
    return kind, v


def checksum(t, first, end):
    """Sum of the row hashes of rows first..end-1, by tests/unit/rowhash_ref.py, as 32 hex digits."""
    total = 0
    for i in range(first, end):
        total += rowhash_ref.row_hash([hashed(c[1], v) for c, v in zip(t.columns, t.row(i))])
    return f'{total % (1 << 128):032x}'


def dump(program, shape, first, end, options):
    args = [program, shape, str(first), str(end)] + [f'{k}={v}' for k, v in options.items()]
    out = subprocess.run(args, capture_output=True, timeout=300, check=False)
    if out.returncode:
        raise SystemExit(f'{" ".join(args)}: {out.stderr.decode()}')
    lines = out.stdout.decode().split('\n')
    return [json.loads(line) for line in lines[:-2]], json.loads(lines[-2])


def compare_range(program, t, shape, first, end, options):
    """Number of cells that differ; prints the first few."""
    got, last = dump(program, shape, first, end, options)
    bad = 0
    if last['hash'] != checksum(t, first, end):
        print(f'{shape} {first}..{end}: hash {last["hash"]}, reference {checksum(t, first, end)}')
        bad += 1
    if len(got) != end - first:
        print(f'{shape} {first}..{end}: {len(got)} rows, {end - first} expected')
        bad += 1
    for i, row in enumerate(got):
        want = [to_json(v) for v in t.row(first + i)]
        for (name, *_), a, b in zip(t.columns, row, want):
            if a != b:
                bad += 1
                if bad <= 5:
                    print(f'{shape} row {first + i} {name}: C {a!r:.100}, reference {b!r:.100}')
    return bad


def compare_schema(program, t, shape, options):
    args = [program, shape, 'schema'] + [f'{k}={v}' for k, v in options.items()]
    out = subprocess.run(args, capture_output=True, timeout=60, check=True).stdout.decode()
    got = [json.loads(line) for line in out.split('\n') if line]
    want = [[n, k, nullable, str(key) if key else ''] for n, k, nullable, key in t.columns]
    for a, b in zip(got, want):
        if a != b:
            print(f'{shape}: column {a}, reference {b}')
    return 0 if got == want else 1


CASES = [
    ('lineitem', {}, 3000), ('lineitem', {'seed': 42}, 300), ('hits', {}, 400),
    ('hits', {'null_ratio': 0.3, 'seed': 7}, 200), ('posts', {}, 120),
    ('posts', {'seed': -5}, 60), ('wide', {}, 60), ('wide', {'columns': 1000, 'null_ratio': 0.5}, 9),
    ('evil', {'big': 5000}, 500), ('evil', {'nested': 'true', 'nul': 'true', 'nan': 'false', 'big': 300}, 300),
    ('evil', {}, 20)]


def compare(program, seed):
    rng = random.Random(seed)
    print(f'seed {seed}')
    failed = 0
    for shape, options, n in CASES:
        options = dict(options, rows=10**15)
        t = table(shape, **options)
        bad = compare_schema(program, t, shape, options)
        for first in (0, rng.randrange(1, 100), rng.randrange(10**6), rng.randrange(10**14)):
            bad += compare_range(program, t, shape, first, first + n, options)
        print(f'{"ok  " if not bad else "FAIL"} {shape} {options}')
        failed += bad > 0
    return failed


def options_of(args):
    return dict(a.split('=', 1) for a in args)


def main(args):
    if len(args) >= 4 and args[0] == 'rows':
        t = table(args[1], **options_of(args[4:]))
        for i in range(int(args[2]), int(args[3])):
            print(json.dumps([to_json(v) for v in t.row(i)], ensure_ascii=False))
        return 0
    if len(args) >= 4 and args[0] == 'checksum':
        print(checksum(table(args[1], **options_of(args[4:])), int(args[2]), int(args[3])))
        return 0
    if len(args) >= 2 and args[0] == 'columns':
        for c in table(args[1], **options_of(args[2:])).columns:
            print(json.dumps(c, ensure_ascii=False))
        return 0
    if len(args) >= 2 and args[0] == 'compare':
        seed = int(args[args.index('--seed') + 1]) if '--seed' in args else random.randrange(10**9)
        return 1 if compare(args[1], seed) else 0
    print(__doc__)
    return 2


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
