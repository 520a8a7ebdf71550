/* SPDX-License-Identifier: Apache-2.0 */
/* Lets json_oracle.py drive the reader and the writer.
 *
 *     json_tool read LAYOUT BUFFER STEP TYPES NAME...     stdin: a JSON text; LAYOUT lines, array,
 *         values; TYPES: a letter per name: j = json, t = text, d = decimal, i = int64, f = double
 *         stdout: per row a cell per name and what else oracle_tool.h says
 *     json_tool write LAYOUT TYPES NAME...                stdin: cells; stdout: the text */
#include "data/number.h"
#include "oracle_tool.h"

static enum wh_json_layout layout(const char *word)
{
    return !strcmp(word, "lines")   ? WH_JSON_LINES
           : !strcmp(word, "array") ? WH_JSON_ARRAY
                                    : WH_JSON_VALUES;
}

static struct ArrowSchema columns(const char *types, char **names)
{
    struct ArrowSchema s;
    must(wh_schema_init(&s, (int64_t)strlen(types)), NULL);
    for (int64_t i = 0; types[i]; i++) {
        struct wh_type t = WH_TYPE(WH_K_UTF8);
        t.logical = types[i] == 'j' ? WH_L_JSON : WH_L_NONE;
        t.kind = types[i] == 'd'   ? WH_K_DECTEXT
                 : types[i] == 'i' ? WH_K_I64
                 : types[i] == 'f' ? WH_K_F64
                                   : WH_K_UTF8;
        must(wh_schema_set(&s, i, names[i], &t, NULL), NULL);
    }
    return s;
}

static int read_json(char **arg)
{
    struct wh_buf rejects = WH_BUF(1 << 26);
    struct ArrowSchema s = columns(arg[3], arg + 4);
    bool *places = wh_calloc((size_t)s.n_children + 1, sizeof *places);
    struct wh_json_config cfg = {.schema = &s,
                                 .places = places,
                                 .layout = layout(arg[0]),
                                 .buffer = strtoul(arg[1], NULL, 10),
                                 .line = 1,
                                 .stop_at = -1,
                                 .max_rows = -1,
                                 .reject = note_reject,
                                 .arg = &rejects};
    struct wh_text_rows rows = {NULL, NULL};
    struct wh_error err = {0};
    must(places ? WH_OK : WH_E_NOMEM, NULL);
    for (int64_t i = 0; i < s.n_children; i++)
        places[i] = arg[4 + i][0] == '/';
    must(wh_json_reader_new(&cfg, &rows.json, &err), &err);
    wh_free(places);
    return read_and_show(rows, &s, &rejects, strtoul(arg[2], NULL, 10));
}

static wh_status put(struct wh_column *c, const char *s, size_t n)
{
    int64_t i;
    double f;
    if (c->type.kind == WH_K_I64)
        return wh_read_i64(s, n, &i) ? wh_col_i64(c, i) : WH_E_DATA;
    if (c->type.kind == WH_K_F64)
        return wh_read_f64(s, n, &f) ? wh_col_f64(c, f) : WH_E_DATA;
    return wh_col_bytes(c, s, n);
}

static int write_json(char **arg)
{
    struct ArrowSchema s = columns(arg[1], arg + 2);
    struct wh_batch b = take_cells(&s, put);
    struct wh_view *v = views_of(&s, &b);
    struct wh_json_writer *w;
    struct wh_buf out = WH_BUF(1 << 30);
    struct wh_error err = {0};
    bool array = layout(arg[0]) == WH_JSON_ARRAY;
    must(wh_json_writer_new(&s, array, &w, &err), &err);
    must(wh_json_write(w, v, NULL, 0, b.n_rows, &out, &err), &err);
    printf("%s", array ? "[\n" : "");
    fwrite(out.p ? out.p : "", 1, out.n, stdout);
    printf("%s", array ? "\n]\n" : "");
    wh_json_writer_free(w);
    wh_buf_free(&out);
    wh_batch_release(&b);
    wh_free(v);
    wh_schema_release(&s);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 6 && !strcmp(argv[1], "read"))
        return read_json(argv + 2);
    if (argc > 4 && !strcmp(argv[1], "write"))
        return write_json(argv + 2);
    return 2;
}
