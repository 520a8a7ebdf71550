/* SPDX-License-Identifier: Apache-2.0 */
/* Class P (docs/internals/commit.md): units are staged under names of their own, the state decides
 * which attempt won, PUBLISH alone makes rows visible. For spin; the style is that of marker.pml.
 *
 * NE engines, each started at any time, stopped anywhere by the interleaving, killed at any point
 * while somebody is left to resume. The destination (a folder) knows no epoch and fences nobody:
 * a zombie may write, publish and drop at any time. Only the state compares epochs.
 *
 * Checked: what is visible of a unit is one complete part, and always the recorded one; nothing is
 * visible before every unit is recorded; no recorded part is dropped before it is published; every
 * behaviour ends, and then everything is visible once.
 *
 * Switches, all 1 in the design; with one of them 0 spin must find an error:
 *   RECEIPT  publish takes the recorded receipts (0: whatever complete part it finds)
 *   FIRST    the first record of a unit stays (0: a later attempt's replaces it)
 *            (seen only with FENCE=0: the two protect each other)
 * With FENCE=0 alone the state compares no epochs, and all must hold nevertheless.
 */
#ifndef NE
#define NE 2
#endif
#ifndef RECEIPT
#define RECEIPT 1
#endif
#ifndef FIRST
#define FIRST 1
#endif
#ifndef FENCE
#define FENCE 1
#endif

#define NU 2
#define PART(e, u) part[(e) * NU + (u)]
#define NONE 0
#define HALF 1 /* being written */
#define FULL 2

byte part[NE * NU]; /* stage files: one name per attempt and unit */
byte shown[NU];     /* final names: 0, or 1 + the engine whose part it is */

byte s_epoch = 0;
byte won[NU];       /* recorded receipt: 0, or 1 + engine */
bool intended = false, published = false, closed = false;

byte started = 0, ended = 0, kills = NE - 1;
bool alive[NE], killed[NE];

#define MINE (!FENCE || s_epoch == my)
#define EXPOSED(i) (alive[i] && !killed[i])

proctype Killer()
{
end:
    do
    :: atomic {
        kills > 0 && started < NE && (EXPOSED(0) || EXPOSED(1)
#if NE > 2
            || EXPOSED(2)
#endif
        ) ->
        if
        :: EXPOSED(0) -> killed[0] = true
        :: EXPOSED(1) -> killed[1] = true
#if NE > 2
        :: EXPOSED(2) -> killed[2] = true
#endif
        fi;
        kills-- }
    od
}

proctype Engine(byte id)
{
    byte my, u, e;

    {
        atomic { started++; alive[id] = true; s_epoch++; my = s_epoch }
        if
        :: closed -> goto leave
        :: else
        fi;

next:   atomic {
            if
            :: !MINE -> goto leave
            :: MINE && won[0] == 0 -> u = 0
            :: MINE && won[0] != 0 && won[1] == 0 -> u = 1
            :: MINE && won[0] != 0 && won[1] != 0 -> intended = true; u = 0; goto publish
            fi
        }
        /* An older attempt may have staged the unit and died before its record: look, and adopt. */
        atomic {
            e = 0;
            do
            :: e < NE && PART(e, u) == FULL && e != id -> break
            :: e < NE -> e++
            :: e == NE -> break
            od;
            if
            :: e < NE -> goto record
            :: else -> e = id
            fi
        }
        PART(id, u) = HALF;
        PART(id, u) = FULL;                  /* fsync, name: the writer's commit; nothing visible */
record: atomic {
            if
            :: !MINE -> goto leave
            :: MINE && (won[u] == 0 || !FIRST) -> won[u] = 1 + e
            :: MINE && won[u] != 0 && FIRST
            fi;
            e = 0;
            goto next
        }

publish: /* One journalled step per final name: rename, unless it is there already. */
        do
        :: u < NU ->
            if
            :: RECEIPT -> e = won[u] - 1
            :: !RECEIPT ->
                if
                :: PART(0, u) == FULL -> e = 0
                :: PART(1, u) == FULL -> e = 1
                :: else -> e = id
                fi
            fi;
            atomic {
                if
                :: PART(e, u) == FULL && shown[u] == 0 ->
                    PART(e, u) = NONE;
                    shown[u] = 1 + e;
                    assert(shown[u] == won[u] && won[0] != 0 && won[1] != 0)
                :: PART(e, u) == FULL && shown[u] != 0 -> assert(shown[u] == won[u]) /* compared */
                :: PART(e, u) != FULL -> assert(shown[u] == won[u])      /* moved before us */
                fi
            };
            u++
        :: else -> break
        od;
        atomic {
            if
            :: !MINE -> goto leave
            :: else -> published = true; u = 0
            fi
        }

        /* Drop what lost. A zombie's late part may stay behind; it is invisible. */
        do
        :: u < NU * NE ->
            atomic {
                if
                :: won[u % NU] != 1 + u / NU -> part[u] = NONE
                :: else
                fi
            };
            u++
        :: else -> break
        od;
        atomic {
            if
            :: MINE -> closed = true
            :: else
            fi
        }
leave:  skip
    } unless { killed[id] };
    atomic { my = 0; u = 0; e = 0; alive[id] = false; ended++ }
}

init {
    byte i;
    atomic {
        run Killer();
        do
        :: i < NE -> run Engine(i); i++
        :: else -> break
        od;
        i = 0
    }
    atomic {
        ended == NE ->
        assert(closed && published && shown[0] == won[0] && shown[1] == won[1]);
        assert(shown[0] != 0 && shown[1] != 0)
    }
}
