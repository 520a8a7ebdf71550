/* SPDX-License-Identifier: Apache-2.0 */
/* What a user keeps outside of jobs: named connections and secrets, in $XDG_CONFIG_HOME/wherry
 * (~/.config/wherry): connections/NAME.yaml, one MAP of connection options each, and secrets/NAME,
 * one text each. Folders are 0700, files 0600, written beside and renamed. Secrets are plain text:
 * a key that lies beside them would only look safe. /etc/wherry/connections is read after those of
 * the user and never written. One thread. */
#ifndef WHERRY_ENGINE_OWN_H
#define WHERRY_ENGINE_OWN_H

#include "core/buf.h"
#include "core/tree.h"

/* NULL: no home, or no memory. */
const char *wh_own_folder(struct wh_arena *);
/* Letters, digits, _ - and .; no scheme, so that NAME: means one thing. */
bool wh_own_name(const char *name, struct wh_error *reterr);

/* All connections as a MAP by name; what cannot be read is left out and gets a warning. A file that
 * others may change is not read. */
wh_status wh_connections_load(struct wh_arena *, struct wh_node **ret, struct wh_problems *);
/* The file that a name comes from, or NULL. */
const char *wh_connection_file(struct wh_arena *, const char *name);
wh_status wh_connection_save(const char *name, const char *yaml, size_t n, bool replace,
                             struct wh_error *reterr);
wh_status wh_connection_remove(const char *name, struct wh_error *reterr);

const char *wh_secret_path(struct wh_arena *, const char *name); /* NULL: no name of a secret */
wh_status wh_secret_save(const char *name, const char *text, size_t n, struct wh_error *reterr);
wh_status wh_secret_remove(const char *name, struct wh_error *reterr);
/* Names, sorted. The callback's END stops. */
wh_status wh_secrets_each(wh_status (*each)(void *, const char *name), void *arg,
                          struct wh_error *reterr);

#endif
