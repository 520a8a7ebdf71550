/* SPDX-License-Identifier: Apache-2.0 */
/* A storage in front of another one: what is put is encrypted, what is read was, and sizes are
 * those of the text. Names, folders and publishing are the other one's. */
#ifndef WHERRY_FILES_SEALED_H
#define WHERRY_FILES_SEALED_H

#include "formats/codec/seal.h"
#include "local.h"

/* What files_sealed_storage.open reads. Both outlive the storage. */
struct files_sealed_options {
    struct wh_local_options where; /* the other one's */
    const struct wh_storage_ops *under;
    const struct wh_seal_key *key;
};

extern const struct wh_storage_ops files_sealed_storage;

/* The other storage, of a state of this one. */
void files_sealed_under(void *st, const struct wh_storage_ops **ret_ops, void **ret_st);

#endif
