/* SPDX-License-Identifier: Apache-2.0 */
/* Batches out of columns, and their release on whatever thread. */
#include "data/builder.h"
#include "data/column.h"
#include "data/internal.h"
#include "data/pool.h"

#include <stdatomic.h>
#include <string.h>

struct wh_builder {
    struct wh_pool *pool;
    struct wh_column *columns;
    int64_t n_columns;
    int64_t n_arrays;  /* of a batch: top, columns and all their descendants */
    int64_t row_bits;  /* fixed-size bits per row */
    int64_t *variable; /* columns with text, bytes or children: counted one by one */
    int64_t n_variable;
};

static int64_t count_arrays(const struct wh_column *c)
{
    int64_t n = 1;

    for (int64_t i = 0; i < c->n_children; i++)
        n += count_arrays(&c->children[i]);
    return n;
}

static wh_status init_columns(struct wh_builder *b, const struct ArrowSchema *schema,
                              struct wh_error *reterr)
{
    b->n_arrays = 1;
    for (int64_t i = 0; i < schema->n_children; i++) {
        struct wh_column *c = &b->columns[i];

        b->n_columns = i + 1;
        WH_TRY(wh_col_init(c, schema->children[i], b->pool, reterr));
        b->n_arrays += count_arrays(c);
        if (c->children || wh_kind_has_bytes(c->type.kind))
            b->variable[b->n_variable++] = i;
        else
            b->row_bits += c->type.kind == WH_K_BOOL ? 1 : c->width * 8;
    }
    return WH_OK;
}

wh_status wh_builder_new(const struct ArrowSchema *schema, struct wh_builder **ret,
                         struct wh_error *reterr)
{
    struct wh_builder *b = wh_calloc(1, sizeof *b);
    size_t n = (size_t)schema->n_children;
    int st = WH_E_NOMEM;

    if (b) {
        b->pool = wh_pool_new();
        b->columns = wh_calloc(n, sizeof *b->columns);
        b->variable = wh_calloc(n, sizeof *b->variable);
        if (b->pool && b->columns && b->variable)
            st = init_columns(b, schema, reterr);
    }
    if (st != WH_OK) {
        wh_builder_free(b);
        if (st == WH_E_NOMEM)
            wh_ignore(wh_fail(reterr, st, "E8002", "no memory for a batch of %zu columns", n));
        return st;
    }
    *ret = b;
    return WH_OK;
}

void wh_builder_free(struct wh_builder *b)
{
    if (!b)
        return;
    for (int64_t i = 0; i < b->n_columns; i++)
        wh_col_free(&b->columns[i]);
    wh_free(b->columns);
    wh_free(b->variable);
    wh_pool_unref(b->pool);
    wh_free(b);
}

struct wh_column *wh_builder_column(struct wh_builder *b, int64_t i)
{
    return &b->columns[i];
}

int64_t wh_builder_rows(const struct wh_builder *b)
{
    return b->n_columns ? b->columns[0].n : 0;
}

int64_t wh_builder_bytes(const struct wh_builder *b)
{
    int64_t bytes = (wh_builder_rows(b) * b->row_bits + 7) / 8;

    for (int64_t i = 0; i < b->n_variable; i++) {
        const struct wh_column *c = &b->columns[b->variable[i]];

        bytes += c->children ? wh_col_size(c) : (int64_t)c->data_n + c->n * 4;
    }
    return bytes;
}

bool wh_builder_full(const struct wh_builder *b)
{
    return wh_builder_rows(b) >= WH_BATCH_ROWS || wh_builder_bytes(b) >= WH_BATCH_BYTES;
}

void wh_builder_truncate(struct wh_builder *b, int64_t rows)
{
    for (int64_t i = 0; i < b->n_columns; i++)
        wh_col_truncate(&b->columns[i], rows);
}

void wh_builder_max_cell(struct wh_builder *b, size_t bytes)
{
    for (int64_t i = 0; i < b->n_columns; i++)
        wh_col_max_cell(&b->columns[i], bytes);
}

/* ------------------------------------------------------------------- batches
 * One block of memory per batch holds every array struct of it. Arrays may be moved out and
 * released one by one (Arrow C data interface), so the block counts them. */

struct node {
    struct ArrowArray array; /* where the parent's children[] points */
    struct block *block;
    const void *buffers[3];
    size_t sizes[3];
};

struct block {
    _Atomic int64_t refs;
    struct wh_pool *pool;
    struct wh_batch under; /* columns passed through belong to it */
    struct ArrowArray **next_pointer;
    struct node *next_node;
    struct node nodes[];
};

static void unref_block(struct block *b)
{
    if (atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) != 1)
        return;
    wh_batch_release(&b->under);
    wh_pool_unref(b->pool);
    wh_free(b);
}

static void release_node(struct ArrowArray *a)
{
    struct node *node = a->private_data;
    struct block *block = node->block;

    for (int64_t i = 0; i < a->n_children; i++)
        if (a->children[i]->release)
            a->children[i]->release(a->children[i]);
    if (a->dictionary && a->dictionary->release)
        a->dictionary->release(a->dictionary);
    for (int i = 0; i < 3; i++)
        if (node->sizes[i])
            wh_pool_put(block->pool, (void *)(uintptr_t)node->buffers[i], node->sizes[i]);
    a->release = NULL;
    unref_block(block);
}

/* A column of the batch under this one: its buffers are freed there. */
static void release_borrowed(struct ArrowArray *a)
{
    struct node *node = a->private_data;

    a->release = NULL;
    unref_block(node->block);
}

/* Memory behind a finished column: capacities, since those are what a budget has to carry. */
static int64_t held_bytes(const struct node *node)
{
    const struct ArrowArray *a = &node->array;
    int64_t bytes = 0;

    for (int i = 0; i < 3; i++)
        bytes += (int64_t)node->sizes[i];
    return bytes + (int64_t)a->n_children * (int64_t)sizeof(struct ArrowArray *);
}

static struct block *new_block(struct wh_builder *b)
{
    size_t n = (size_t)b->n_arrays;
    struct block *block =
        wh_calloc(1, sizeof *block + n * (sizeof(struct node) + sizeof(struct ArrowArray *)));

    if (block) {
        atomic_init(&block->refs, 0);
        block->pool = wh_pool_ref(b->pool);
        block->next_node = block->nodes;
        block->next_pointer = (struct ArrowArray **)(void *)(block->nodes + n);
    }
    return block;
}

static struct node *take_node(struct block *block)
{
    struct node *node = block->next_node++;

    node->block = block;
    node->array.private_data = node;
    node->array.release = release_node;
    node->array.buffers = node->buffers;
    atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return node;
}

static void attach(struct node *node, int i, void *p, size_t size)
{
    node->buffers[i] = p;
    node->sizes[i] = p ? size : 0;
}

/* Moves a column's buffers into a node and starts the column anew. Cannot fail. */
static struct ArrowArray *move_column(struct wh_column *c, struct block *block)
{
    struct node *node = take_node(block);
    struct ArrowArray *a = &node->array;
    bool bytes = wh_kind_has_bytes(c->type.kind);
    int n = 0;

    a->length = c->n;
    a->null_count = c->n_null;
    if (c->type.kind != WH_K_NULL)
        attach(node, n++, c->validity, wh_col_validity_size(c));
    if (c->offsets)
        attach(node, n++, c->offsets, wh_col_offsets_size(c));
    if (bytes || c->data)
        attach(node, n++, c->data, wh_col_data_size(c));
    a->n_buffers = n;
    if (c->type.kind == WH_K_DICT) {
        a->dictionary = move_column(&c->children[0], block);
    } else if (c->n_children) {
        a->children = block->next_pointer;
        a->n_children = c->n_children;
        block->next_pointer += c->n_children;
        for (int64_t i = 0; i < c->n_children; i++)
            a->children[i] = move_column(&c->children[i], block);
    }
    /* The next batch starts with what this one used, but one huge cell is not expected again. */
    c->hint_rows = c->rows_cap < WH_BATCH_ROWS ? c->rows_cap : WH_BATCH_ROWS;
    c->hint_bytes = c->data_n < WH_BATCH_BYTES ? c->data_n : WH_BATCH_BYTES;
    c->validity = c->data = NULL;
    c->offsets = NULL;
    c->n = c->n_null = 0;
    c->rows_cap = c->data_cap = c->data_n = 0;
    c->max_index = -1;
    return a;
}

static struct ArrowArray *pass_column(const struct ArrowArray *from, struct block *block)
{
    struct node *node = take_node(block);

    node->array = *from;
    node->array.private_data = node;
    node->array.release = release_borrowed;
    return &node->array;
}

static wh_status check_dictionary(struct wh_column *c)
{
    const int32_t *index = (const int32_t *)(const void *)c->data;
    int32_t most = -1;

    for (int64_t i = 0; i < c->n; i++)
        most = index[i] > most ? index[i] : most;
    /* A null's index is 0, which needs no value when all rows are null. */
    return most < c->children[0].n || c->n_null == c->n ? WH_OK : WH_E_BUG;
}

/* Makes a column fit to be moved: buffers exist also when empty, validity only when needed,
 * children as long as they must be. */
static wh_status settle(struct wh_column *c)
{
    if (c->rows_cap == 0)
        WH_TRY(wh_col_reserve(c, 1, 0));
    if (wh_kind_has_bytes(c->type.kind) && !c->data)
        WH_TRY(wh_col_reserve(c, 0, 1));
    if (c->validity && c->n_null == 0) {
        wh_pool_put(c->pool, c->validity, wh_col_validity_size(c));
        c->validity = NULL;
    }
    if (c->type.kind == WH_K_DICT)
        WH_TRY(check_dictionary(c));
    for (int64_t i = 0; i < c->n_children; i++) {
        struct wh_column *child = &c->children[i];

        if (c->type.kind == WH_K_STRUCT && child->n != c->n)
            return WH_E_BUG;
        WH_TRY(settle(child));
        if (c->offsets && child->n != c->offsets[c->n])
            return WH_E_BUG;
    }
    return WH_OK;
}

/* Length of the batch, or -1 when columns differ. */
static int64_t common_length(struct wh_builder *b, const struct wh_batch *take, const int32_t *from)
{
    int64_t rows = take ? take->rows.length : b->n_columns ? b->columns[0].n : 0;

    for (int64_t i = 0; i < b->n_columns; i++) {
        bool passed = from && from[i] >= 0;
        int64_t n = passed ? take->rows.children[from[i]]->length : b->columns[i].n;

        if (n != rows || (passed && b->columns[i].n != 0))
            return -1;
    }
    return rows;
}

static wh_status finish(struct wh_builder *b, struct wh_batch *take, const int32_t *from,
                        struct wh_batch *ret)
{
    struct wh_batch batch = {.n_rows = common_length(b, take, from)};
    struct block *block;
    struct ArrowArray *top;

    if (batch.n_rows < 0)
        return WH_E_BUG;
    batch.bytes = take ? take->bytes : 0;
    for (int64_t i = 0; i < b->n_columns; i++)
        if (!from || from[i] < 0)
            WH_TRY(settle(&b->columns[i]));
    if (!(block = new_block(b)))
        return WH_E_NOMEM;
    top = &take_node(block)->array;
    top->length = batch.n_rows;
    top->n_buffers = 1;
    top->n_children = b->n_columns;
    top->children = block->next_pointer;
    block->next_pointer += b->n_columns;
    for (int64_t i = 0; i < b->n_columns; i++)
        top->children[i] = from && from[i] >= 0 ? pass_column(take->rows.children[from[i]], block)
                                                : move_column(&b->columns[i], block);
    if (take) {
        block->under = *take;
        batch.source_bytes = take->source_bytes;
        batch.first = take->first;
        *take = (struct wh_batch){0};
    }
    for (struct node *node = block->nodes; node < block->next_node; node++)
        batch.bytes += held_bytes(node);
    batch.rows = *top;
    *ret = batch;
    return WH_OK;
}

wh_status wh_builder_finish(struct wh_builder *b, struct wh_batch *ret)
{
    return finish(b, NULL, NULL, ret);
}

wh_status wh_builder_finish_over(struct wh_builder *b, struct wh_batch *take, const int32_t *from,
                                 struct wh_batch *ret)
{
    return finish(b, take, from, ret);
}
