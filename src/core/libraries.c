/* SPDX-License-Identifier: Apache-2.0 */
#include "core/libraries.h"

#include <gnu/libc-version.h>
#include <stdio.h>
#include <xxhash.h>
#include <yaml.h>

void wh_core_libraries(void (*each)(void *arg, const char *name, const char *version), void *arg)
{
    char xxhash[32];

    snprintf(xxhash, sizeof xxhash, "%d.%d.%d", XXH_VERSION_MAJOR, XXH_VERSION_MINOR,
             XXH_VERSION_RELEASE);
    each(arg, "glibc", gnu_get_libc_version());
    each(arg, "libyaml", yaml_get_version_string());
    each(arg, "xxhash", xxhash); /* its code is in its header */
}
