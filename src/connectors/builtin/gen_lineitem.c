/* SPDX-License-Identifier: Apache-2.0 */
/* lineitem: 16 columns named, typed and related as in TPC-H's table of that name, scale factor 10.
 *
 * Orders have 1 to 7 lines, 4 on average: 28 rows are always 7 orders, whose sizes are the sequence
 * below turned by a random number, so row -> (order, line) is a table look-up. In the formulas
 * H(n, i) = gen_at(gen_sub(key, n), i), f(h, s, n) = gen_field(h, s, n), b = gen_below.
 *
 *   g = row / 28, turn = b(H(100, g), 7); (order, line) of row % 28; o = 7 g + order
 *   r = H(101, row), s = H(102, row), c = H(103, row), i = H(104, row), o's hash d = H(105, o)
 *
 * Dates are days since 1970-01-01; 8035 is 1992-01-01, 9298 is 1995-06-17.
 */
#include "gen_fill.h"

enum {
    GROUP_ROWS = 28,
    GROUP_ORDERS = 7,
    PARTS = 2000000,
    SUPPLIERS = 100000,
    FIRST_DAY = 8035,
    ORDER_DAYS = 2406,
    CURRENT_DAY = 9298,
    POOL = 65536, /* comments are cut from this many bytes of words */
    COMMENT_LEAST = 10,
    COMMENT_SPREAD = 34,
};

static const uint8_t order_sizes[GROUP_ORDERS] = {4, 1, 7, 3, 5, 2, 6};

struct facts {
    int64_t order[GEN_BLOCK];
    int32_t line[GEN_BLOCK], part[GEN_BLOCK], order_day[GEN_BLOCK], ship_day[GEN_BLOCK];
    uint64_t s[GEN_BLOCK], c[GEN_BLOCK], i[GEN_BLOCK];
};

static const char *const comment_words[64] = {
    "quickly",      "ironic",   "pending",   "deposits",  "final",       "packages",
    "silent",       "accounts", "bold",      "requests",  "furiously",   "regular",
    "carefully",    "special",  "slyly",     "express",   "theodolites", "even",
    "foxes",        "haggle",   "sleep",     "along",     "the",         "above",
    "instructions", "blithely", "unusual",   "platelets", "across",      "asymptotes",
    "fluffily",     "daring",   "pinto",     "beans",     "nag",         "among",
    "dependencies", "wake",     "according", "to",        "ideas",       "boost",
    "against",      "courts",   "busy",      "excuses",   "cajole",      "under",
    "ruthless",     "frets",    "dazzle",    "after",     "dogged",      "sauternes",
    "detect",       "between",  "warthogs",  "engage",    "permanent",   "realms",
    "integrate",    "beside",   "stealthy",  "tithes",
};

/* The pool: word number b(H(106, k), 64) for k = 0, 1, ... with a space after each, cut at POOL
 * bytes and then continued with its own beginning so that no comment runs over its end. */
static wh_status setup(struct gen_scan *sc)
{
    uint64_t stream = gen_sub(sc->key, 106);
    size_t n = 0;
    char *p = wh_arena_alloc(sc->arena, POOL + 128);

    if (!p)
        return WH_E_NOMEM;
    for (uint64_t k = 0; n < POOL; k++) {
        const char *word = comment_words[gen_below(gen_at(stream, k), 64)];
        size_t len = strlen(word);

        memcpy(p + n, word, len);
        p[n + len] = ' ';
        n += len + 1;
    }
    memcpy(p + POOL, p, 64);
    sc->pool = p;
    sc->pool_n = POOL;
    return WH_OK;
}

/* Place of row % 28 in its group: which order, which of its lines. */
static void place(unsigned turn, unsigned at, unsigned *ret_order, unsigned *ret_line)
{
    unsigned order = 0, size = order_sizes[turn];

    while (at >= size) {
        at -= size;
        order++;
        size = order_sizes[(turn + order) % GROUP_ORDERS];
    }
    *ret_order = order;
    *ret_line = at + 1;
}

static void prepare_orders(const struct gen_scan *sc, const struct gen_block *b, struct facts *f)
{
    uint64_t groups = gen_sub(sc->key, 100), orders = gen_sub(sc->key, 105);
    int64_t group = b->first / GROUP_ROWS;
    unsigned at = (unsigned)(b->first % GROUP_ROWS), order = 0, line = 0, turn;

    for (int i = 0; i < b->n; group++, at = 0) {
        turn = (unsigned)gen_below(gen_at(groups, (uint64_t)group), GROUP_ORDERS);
        place(turn, at, &order, &line);
        while (at < GROUP_ROWS && i < b->n) {
            int64_t o = group * GROUP_ORDERS + order;
            int32_t day = FIRST_DAY + (int32_t)gen_below(gen_at(orders, (uint64_t)o), ORDER_DAYS);
            unsigned size = order_sizes[(turn + order) % GROUP_ORDERS];

            for (; line <= size && i < b->n; line++, at++, i++) {
                f->order[i] = o;
                f->line[i] = (int32_t)line;
                f->order_day[i] = day;
            }
            if (line > size) {
                order++;
                line = 1;
            }
        }
    }
}

static void prepare(const struct gen_scan *sc, struct gen_block *b)
{
    struct facts *f = b->facts;
    uint64_t first = (uint64_t)b->first;
    uint64_t r = gen_sub(sc->key, 101), s = gen_sub(sc->key, 102), c = gen_sub(sc->key, 103),
             t = gen_sub(sc->key, 104);

    prepare_orders(sc, b, f);
    for (int i = 0; i < b->n; i++) {
        f->part[i] = 1 + (int32_t)gen_below(gen_at(r, first + (uint64_t)i), PARTS);
        f->s[i] = gen_at(s, first + (uint64_t)i);
        f->c[i] = gen_at(c, first + (uint64_t)i);
        f->i[i] = gen_at(t, first + (uint64_t)i);
        f->ship_day[i] = f->order_day[i] + 1 + (int32_t)gen_field(f->c[i], 0, 121);
    }
}

#define FILL(name)                                                                                 \
    static wh_status name(const struct gen_scan *sc, const struct gen_column *col,                 \
                          struct wh_column *out, const struct gen_block *b)
/* A column of fixed width: value of row i from the facts f. */
#define FILL_EACH(name, ctype, expr)                                                               \
    FILL(name)                                                                                     \
    {                                                                                              \
        const struct facts *f = b->facts;                                                          \
        ctype *p = GEN_VALUES(out, b->n, ctype);                                                   \
        for (int i = 0; i < b->n; i++)                                                             \
            p[i] = (expr);                                                                         \
        return WH_OK;                                                                              \
    }

static int32_t quantity(const struct facts *f, int i)
{
    return 1 + (int32_t)gen_field(f->s[i], 16, 50);
}

static int32_t supplier(const struct facts *f, int i)
{
    int32_t part = f->part[i];

    return (part + (int32_t)(f->s[i] & 3) * (SUPPLIERS / 4 + (part - 1) / SUPPLIERS)) % SUPPLIERS +
           1;
}

/* Cents: quantity times the part's price, which TPC-H computes from the part's number. */
static int64_t price(const struct facts *f, int i)
{
    int32_t part = f->part[i];

    return (int64_t)quantity(f, i) * (90000 + part / 10 % 20001 + 100 * (part % 1000));
}

static int32_t receipt_day(const struct facts *f, int i)
{
    return f->ship_day[i] + 1 + (int32_t)gen_field(f->c[i], 32, 30);
}

/* TPC-H's sparse order keys: 8 used out of 32. */
FILL_EACH(fill_orderkey, int64_t, f->order[i] / 8 * 32 + f->order[i] % 8 + 1)
FILL_EACH(fill_partkey, int64_t, f->part[i])
FILL_EACH(fill_suppkey, int64_t, supplier(f, i))
FILL_EACH(fill_linenumber, int32_t, f->line[i])
FILL_EACH(fill_quantity, __int128, quantity(f, i) * 100)
FILL_EACH(fill_price, __int128, price(f, i))
FILL_EACH(fill_discount, __int128, (int32_t)gen_field(f->s[i], 32, 11))
FILL_EACH(fill_tax, __int128, (int32_t)gen_field(f->s[i], 48, 9))
FILL_EACH(fill_shipdate, int32_t, f->ship_day[i])
FILL_EACH(fill_commitdate, int32_t, f->order_day[i] + 30 + (int32_t)gen_field(f->c[i], 16, 61))
FILL_EACH(fill_receiptdate, int32_t, receipt_day(f, i))

FILL(fill_returnflag)
{
    const struct facts *f = b->facts;
    struct gen_text t;

    WH_TRY(gen_text_begin(out, b->n, (size_t)b->n, &t));
    for (int i = 0; i < b->n; i++) {
        *t.p++ = receipt_day(f, i) > CURRENT_DAY ? 'N' : f->s[i] >> 4 & 1 ? 'R' : 'A';
        *t.end++ = (int32_t)(t.p - t.base);
    }
    gen_text_end(out, &t);
    return WH_OK;
}

FILL(fill_linestatus)
{
    const struct facts *f = b->facts;
    struct gen_text t;

    WH_TRY(gen_text_begin(out, b->n, (size_t)b->n, &t));
    for (int i = 0; i < b->n; i++) {
        *t.p++ = f->ship_day[i] > CURRENT_DAY ? 'O' : 'F';
        *t.end++ = (int32_t)(t.p - t.base);
    }
    gen_text_end(out, &t);
    return WH_OK;
}

/* One of col->count words, in fields of 48 bytes: number f(i, col->low, count). */
struct word {
    uint8_t n;
    char text[48];
};

FILL(fill_word)
{
    const struct facts *f = b->facts;
    struct word words[8] = {{0}};
    struct gen_text t;

    for (int64_t k = 0; k < col->count; k++) {
        words[k].n = (uint8_t)strlen(col->words[k]);
        memcpy(words[k].text, col->words[k], words[k].n);
    }
    WH_TRY(gen_text_begin(out, b->n, (size_t)b->n * 24, &t));
    for (int i = 0; i < b->n; i++) {
        const struct word *w = &words[gen_field(f->i[i], (int)col->low, (uint32_t)col->count)];

        gen_text_put48(&t, w->text, w->n);
    }
    gen_text_end(out, &t);
    return WH_OK;
}

/* 10 + f(i, 32, 34) bytes of the pool from place i >> 48. */
FILL(fill_comment)
{
    const struct facts *f = b->facts;
    struct gen_text t;

    WH_TRY(gen_text_begin(out, b->n, (size_t)b->n * 44, &t));
    for (int i = 0; i < b->n; i++)
        gen_text_put48(&t, sc->pool + (f->i[i] >> 48),
                       COMMENT_LEAST + gen_field(f->i[i], 32, COMMENT_SPREAD));
    gen_text_end(out, &t);
    return WH_OK;
}

static const char *const instructs[] = {"DELIVER IN PERSON", "COLLECT COD", "NONE",
                                        "TAKE BACK RETURN"};
static const char *const modes[] = {"REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"};

static const struct gen_column columns[] = {
    {"l_orderkey", "int64", fill_orderkey, "bigint", .key = 1},
    {"l_partkey", "int64", fill_partkey, "bigint"},
    {"l_suppkey", "int64", fill_suppkey, "bigint"},
    {"l_linenumber", "int32", fill_linenumber, "integer", .key = 2},
    {"l_quantity", "decimal(15,2)", fill_quantity, "decimal(15,2)"},
    {"l_extendedprice", "decimal(15,2)", fill_price, "decimal(15,2)"},
    {"l_discount", "decimal(15,2)", fill_discount, "decimal(15,2)"},
    {"l_tax", "decimal(15,2)", fill_tax, "decimal(15,2)"},
    {"l_returnflag", "utf8(1)", fill_returnflag, "char(1)"},
    {"l_linestatus", "utf8(1)", fill_linestatus, "char(1)"},
    {"l_shipdate", "date", fill_shipdate, "date"},
    {"l_commitdate", "date", fill_commitdate, "date"},
    {"l_receiptdate", "date", fill_receiptdate, "date"},
    {"l_shipinstruct", "utf8(25)", fill_word, "char(25)", .low = 0, .count = 4, .words = instructs},
    {"l_shipmode", "utf8(10)", fill_word, "char(10)", .low = 16, .count = 7, .words = modes},
    {"l_comment", "utf8(44)", fill_comment, "varchar(44)"},
};

static int64_t row_bytes(const struct gen_scan *sc)
{
    return 169;
}

const struct gen_shape wh_gen_lineitem = {
    .name = "lineitem",
    .comment = "TPC-H's lineitem: 16 columns, decimals, dates, short text; key (order, line)",
    .columns = columns,
    .n_columns = sizeof columns / sizeof *columns,
    .setup = setup,
    .prepare = prepare,
    .facts_size = sizeof(struct facts),
    .block_rows = GEN_BLOCK,
    .row_bytes = row_bytes,
};
