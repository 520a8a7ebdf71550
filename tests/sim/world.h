/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WHERRY_TESTS_SIM_WORLD_H
#define WHERRY_TESTS_SIM_WORLD_H

#include "sim.h"

/* Plays a seed to its end; world.dir and world.state are given. Fails by sim_fail. */
void world_run(uint64_t seed, enum mutant);

#endif
