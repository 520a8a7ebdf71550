/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WHERRY_FILES_LOCAL_H
#define WHERRY_FILES_LOCAL_H

#include <wherry/storage.h>
#include "core/alloc.h"
#include "core/buf.h"

/* What wh_storage_local.open reads: the connection options begin with it. */
struct wh_local_options {
    const char *root; /* NULL = the current folder */
};

extern const struct wh_storage_ops wh_storage_local;

#endif
