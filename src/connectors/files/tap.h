/* SPDX-License-Identifier: Apache-2.0 */
/* Standard input, which can be read only once: what the plan looked at is kept for the reader. It
 * belongs to the process, and so does the one buffer behind these functions. */
#ifndef WHERRY_FILES_TAP_H
#define WHERRY_FILES_TAP_H

#include <wherry/connector.h>

/* Up to n bytes at `offset`. Peeking keeps what it reads (at most 8 MiB); taking needs offsets in
 * order and lets go of what lies behind; reading what was let go is E4002. */
wh_status files_tap_read(const struct wh_ctx *, int64_t offset, bool peek, void *buf, size_t n,
                         size_t *ret_n, struct wh_error *reterr);

#endif
