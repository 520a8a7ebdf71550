/* SPDX-License-Identifier: Apache-2.0 */
/* pgcopy FILE ROUNDS TYPE:WIRE...: decodes a file of COPY BINARY, encodes it again, compares the
 * bytes, and prints MB/s of both on one core: the codec alone, without a server or a socket.
 *
 *   psql -c "copy (select ...) to stdout (format binary)" >rows
 *   pgcopy rows 20 int64:i64 'decimal(15,2):numeric' date32:date utf8:text
 */
#include "pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const wire_names[] = {
    [PG_W_TEXT] = "text",
    [PG_W_BOOL] = "bool",
    [PG_W_I16] = "i16",
    [PG_W_I32] = "i32",
    [PG_W_I64] = "i64",
    [PG_W_OID] = "oid",
    [PG_W_F32] = "f32",
    [PG_W_F64] = "f64",
    [PG_W_NUMERIC] = "numeric",
    [PG_W_BYTEA] = "bytea",
    [PG_W_DATE] = "date",
    [PG_W_TIME] = "time",
    [PG_W_TIMESTAMP] = "timestamp",
    [PG_W_TIMESTAMPTZ] = "timestamptz",
    [PG_W_INTERVAL] = "interval",
    [PG_W_UUID] = "uuid",
    [PG_W_JSONB] = "jsonb",
};

enum {
    MAX = 64
};

static struct pg_col cols[MAX];
static enum pg_wire wires[MAX];
static struct wh_error err;

static void die(const char *what)
{
    fprintf(stderr, "pgcopy: %s %s %s %s\n", what, err.code, err.where, err.message);
    exit(1);
}

static void column(struct ArrowSchema *schema, int i, char *word)
{
    char *colon = strrchr(word, ':');
    struct ArrowSchema field = {0};
    struct wh_type t;
    int w = 0;

    if (!colon)
        die(word);
    *colon = 0;
    while (w <= PG_W_JSONB && strcmp(wire_names[w], colon + 1) != 0)
        w++;
    if (w > PG_W_JSONB || wh_field_parse(word, word, &field, &err) ||
        wh_type_of(&field, &t, &err) || wh_schema_set(schema, i, word, &t, NULL))
        die(word);
    wh_schema_release(&field);
    wires[i] = (enum pg_wire)w;
    cols[i] = (struct pg_col){.name = word, .wire = wires[i]};
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t be32(const char *p)
{
    const uint8_t *b = (const uint8_t *)p;

    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Where the row at p ends: messages as the server cuts them. */
static const char *row_end(const char *p)
{
    int n = (int)(be32(p) >> 16);

    p += 2;
    for (int i = 0; i < n && n != 65535; i++) {
        uint32_t len = be32(p);

        p += 4 + (len == UINT32_MAX ? 0 : len);
    }
    return p;
}

struct meter {
    double decode, encode;
    int64_t rows, bad;
};

static void encode_batch(struct pg_encoder *e, struct wh_builder *b, struct wh_buf *out,
                         struct meter *m)
{
    struct wh_batch batch = {0};
    int64_t done;
    double t;

    if (wh_builder_finish(b, &batch))
        die("finish");
    t = now();
    if (pg_encoder_bind(e, &batch, &err))
        die("bind");
    for (int64_t at = 0; at < batch.n_rows; at += done)
        if (pg_encode(e, NULL, at, batch.n_rows - at, 1 << 18, out, &done, &err))
            die("encode");
    m->encode += now() - t;
    wh_batch_release(&batch);
}

static void pass(const char *p, const char *end, struct ArrowSchema *schema, int n,
                 struct wh_buf *out, struct meter *m)
{
    struct wh_builder *b;
    struct pg_decoder *d;
    struct pg_encoder *e;
    bool first = true;
    double t;

    if (wh_builder_new(schema, &b, &err) || pg_decoder_new(cols, n, b, false, &d, &err) ||
        pg_encoder_new(schema, wires, n, &e, &err) || pg_encode_header(out))
        die("set-up");
    while (p < end) {
        const char *ends[64]; /* found first: in life they come from the messages */
        int k = 0, cut = 0;

        for (const char *to = first ? p + 19 : p; cut < 64 && to < end; cut++)
            ends[cut] = to = row_end(to);
        t = now();
        for (; k < cut; k++) {
            const char *to = ends[k];
            int64_t rows;
            int bad;

            if (pg_decode(d, (struct wh_bytes){p, (size_t)(to - p)}, &rows, &bad, &err))
                die("decode");
            m->rows += rows;
            m->bad += bad;
            first = false;
            p = to;
        }
        m->decode += now() - t;
        if (wh_builder_full(b) || p == end)
            encode_batch(e, b, out, m);
    }
    if (pg_encode_trailer(out))
        die("trailer");
    pg_encoder_free(e);
    pg_decoder_free(d);
    wh_builder_free(b);
}

int main(int argc, char **argv)
{
    struct wh_buf in = WH_BUF((size_t)1 << 30), out = WH_BUF((size_t)1 << 30);
    struct ArrowSchema schema;
    struct meter m = {0};
    int n = argc - 3, rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
    FILE *f = argc > 2 ? fopen(argv[1], "rb") : NULL;
    size_t got;

    if (!f || n < 1 || n > MAX || wh_schema_init(&schema, n))
        die("FILE ROUNDS TYPE:WIRE...");
    for (int i = 0; i < n; i++)
        column(&schema, i, argv[3 + i]);
    do {
        if (wh_buf_reserve(&in, 1 << 20))
            die("memory");
        got = fread(in.p + in.n, 1, 1 << 20, f);
        in.n += got;
    } while (got);
    fclose(f);
    for (int i = 0; i < rounds; i++) {
        wh_buf_clear(&out);
        pass(in.p, in.p + in.n, &schema, n, &out, &m);
    }
    printf("%lld rows, %lld bad, decode %.0f MB/s, encode %.0f MB/s, %s\n",
           (long long)(m.rows / rounds), (long long)(m.bad / rounds),
           (double)in.n * rounds / m.decode / 1e6, (double)out.n * rounds / m.encode / 1e6,
           in.n == out.n && memcmp(in.p, out.p, in.n) == 0 ? "same bytes" : "OTHER BYTES");
    wh_schema_release(&schema);
    wh_buf_free(&in);
    wh_buf_free(&out);
    return 0;
}
