/* SPDX-License-Identifier: Apache-2.0 */
/* What the core uses of others. */
#ifndef WHERRY_CORE_LIBRARIES_H
#define WHERRY_CORE_LIBRARIES_H

/* Each library behind the core with its version, as it is loaded or was linked in. */
void wh_core_libraries(void (*each)(void *arg, const char *name, const char *version), void *arg);

#endif
