/* SPDX-License-Identifier: Apache-2.0 */
/* What readers of one file leave to each other: where a split truly begins, and a reader that
 * stands where the next one goes on. */
#include "scan.h"

/* ---- corrected starts -------------------------------------------------------------------------
 */

static void lock(struct files_scan *sc)
{
    while (atomic_flag_test_and_set(&sc->lock))
        ;
}

bool files_corrected(struct files_scan *sc, uint32_t file, int64_t start, int64_t *ret)
{
    bool found = false;
    lock(sc);
    for (size_t i = 0; i < sc->n_corrections && !found; i++) {
        found = sc->corrections[i].file == file && sc->corrections[i].start == start;
        if (found)
            *ret = sc->corrections[i].right;
    }
    atomic_flag_clear(&sc->lock);
    return found;
}

wh_status files_correct(struct files_scan *sc, uint32_t file, int64_t start, int64_t right)
{
    int64_t known;
    if (files_corrected(sc, file, start, &known))
        return WH_OK;
    lock(sc);
    struct files_correction *v =
        wh_realloc(sc->corrections, (sc->n_corrections + 1) * sizeof *sc->corrections);
    if (v) {
        sc->corrections = v;
        v[sc->n_corrections++] = (struct files_correction){file, start, right};
    }
    atomic_flag_clear(&sc->lock);
    return v ? WH_OK : WH_E_NOMEM;
}

/* ---- parked readers ---------------------------------------------------------------------------
 */

void files_parked_free(struct files_parked *p)
{
    wh_text_rows_free(&p->rows);
    files_input_close(p->input);
    if (p->storage)
        files_storage_close(p->storage);
    wh_free(p->storage);
    wh_free(p->head);
    *p = (struct files_parked){0};
}

void files_park(struct files_scan *sc, struct files_parked *take)
{
    struct files_parked old;
    lock(sc);
    struct files_parked *place = &sc->parked[sc->next_parked++ % FILES_PARKED];
    old = *place;
    *place = *take;
    atomic_flag_clear(&sc->lock);
    files_parked_free(&old);
    *take = (struct files_parked){0};
}

bool files_unpark(struct files_scan *sc, uint32_t file, int64_t at, struct files_parked *ret)
{
    bool found = false;
    lock(sc);
    for (int i = 0; i < FILES_PARKED && !found; i++) {
        struct files_parked *p = &sc->parked[i];
        found = p->at && p->at == at && p->file == file;
        if (found) {
            *ret = *p;
            *p = (struct files_parked){0};
        }
    }
    atomic_flag_clear(&sc->lock);
    return found;
}
