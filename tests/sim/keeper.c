/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper's file-scope variables belong to a process, and here there are several: it is compiled
 * as it is, and what it keeps is exchanged with the process. */
#include "engine/run_keeper.c"

#include "sim.h"

void keeper_save(struct keeper *k)
{
    *k = (struct keeper){stop_level, stop_signal, stop_fd, stop_ns};
}

void keeper_load(const struct keeper *k)
{
    stop_level = k->stop_level;
    stop_signal = k->stop_signal;
    stop_fd = k->stop_fd;
    stop_ns = k->stop_ns;
}
