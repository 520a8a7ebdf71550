/* SPDX-License-Identifier: Apache-2.0 */
/* The marker protocol of class T (docs/internals/commit.md), for spin.
 *
 * One run, one flow, NE engine processes that are started at any time: the first makes the run, each
 * later one is a `resume`. Promela's interleaving lets every engine be stopped between any two
 * actions for as long as it likes (a zombie) and go on later; the Killer ends engines at any point;
 * links are cut with the commit done, in flight, or never sent. A claim of a living owner is always
 * allowed: the clock that calls an owner stale is the adversary's.
 *
 * An engine: claim in the state - claim at the destination (epoch raised under the exclusive lock of
 * the run row) - perhaps restart with a new generation - prepare (a destructive step that is not
 * transactional) - units - publish - closing - run_close - delete markers - closed.
 * Unit 1 is the rest that unit 0 left when it was cut: it exists only in unit 0's marker until the
 * state records it.
 *
 * What is checked (assert; the end is checked in init):
 *   rows of a unit are applied once, nothing is applied after the close;
 *   the destructive step runs while no transaction of an older epoch lives, and destroys no unit;
 *   publish happens once and only with all units in; the state records only what is committed;
 *   every behaviour ends (no deadlock, no cycle), and then the run is closed with all rows in.
 *
 * Switches, all 1 in the protocol. Each control switches one off, and spin must find an error:
 *   MARKER  the unit's marker is inserted in the transaction of its rows
 *   EPOCH   the run row's epoch is compared
 *   EXCL    claim and run_close wait for (or end) every transaction that holds the run row
 *   LOOKUP  an unknown outcome is looked up, not guessed
 *   REST    what a cut left is stored in the marker
 *
 * Edges: every change of a recorded state goes through edge(what, from, to); tests/model/edges.py
 * reads the allowed transitions of real runs from here.
 */
#ifndef NE
#define NE 3
#endif
#ifndef CUTS
#define CUTS 1
#endif
#ifndef KILLS
#define KILLS (NE - 1)
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif
#ifndef MARKER
#define MARKER 1
#endif
#ifndef EPOCH
#define EPOCH 1
#endif
#ifndef EXCL
#define EXCL 1
#endif
#ifndef LOOKUP
#define LOOKUP 1
#endif
#ifndef REST
#define REST 1
#endif
#define TRIES (CUTS + NE)

#ifndef END
#define END 1        /* 0: do not look at how it ends, only at what must never happen */
#endif

#define NU 2         /* units: 0 and its rest 1 */
#define PREP 2       /* what a transaction is for: a unit, or one of two steps */
#define PUB 3
#define NW 4
#define NG (RESTARTS + 1)
#define NS (NE + CUTS) /* server sessions with an open transaction, at most */
#define NOBODY 254
#define ORPHAN 255
#define MK(g, w) mk[(g) * NW + (w)]

/* Recorded states, named as in the store. `none` = no record yet. */
mtype = { none, planned, claimed, moving, publishing, finishing, closing, closed, discarded,
          preparing, settling, published, finished, failed,
          drawn, leased, recorded, intended, done };

/* ---- the destination ---- */
bool d_open = true;   /* run row: state */
byte d_epoch = 0;     /* run row: epoch */
bool mk[NG * NW];     /* markers, committed */
byte rows[NU];        /* how often the rows of a unit are in the target */
byte out = 0;         /* how often the stage was published */
/* Open transactions; each holds the run row for share since its first statement. */
byte t_epoch[NS];     /* 0 = free */
byte t_own[NS];
byte t_what[NS];
byte t_gen[NS];
bool t_sent[NS];      /* COMMIT is on its way */

/* ---- the state store ---- */
byte s_epoch = 0;
byte s_gen = 0;
mtype s_run = planned, s_flow = planned;
mtype s_unit[NU];
mtype s_step[2];

/* ---- the adversary ---- */
byte kills = KILLS, cuts = CUTS, restarts = RESTARTS;
byte started = 0, ended = 0;
bool alive[NE], killed[NE];

inline edge(what, from, to) { assert(what == from); what = to }

inline tx_free(k) { t_epoch[k] = 0; t_own[k] = 0; t_what[k] = 0; t_gen[k] = 0; t_sent[k] = 0 }

/* The server commits transaction k: rows and marker are one act. */
inline tx_commit(k) {
    if
    :: t_what[k] < NU ->
        assert(d_open);                    /* nothing is applied after the close */
        rows[t_what[k]]++;
        assert(rows[t_what[k]] == 1)       /* and nothing twice */
    :: t_what[k] == PUB ->
        assert(d_open);
        out++;
        assert(out == 1 && rows[0] == 1 && rows[1] == 1)
    :: t_what[k] == PREP -> skip
    fi;
    if
    :: MARKER || t_what[k] >= NU -> MK(t_gen[k], t_what[k]) = true
    :: else -> skip
    fi;
    tx_free(k)
}

/* The session ends: what was not sent is rolled back; what was sent may have won the race. */
inline tx_end(k) {
    if
    :: t_sent[k] -> tx_commit(k)
    :: tx_free(k)
    fi
}

#define BUSY(k) (t_epoch[k] != 0)
#define LOST(k) (BUSY(k) && t_own[k] == ORPHAN)
#define EXPOSED(i) (alive[i] && !killed[i])
#if NS == 3
#define ANY(is) (is(0) || is(1) || is(2))
#elif NS == 4
#define ANY(is) (is(0) || is(1) || is(2) || is(3))
#elif NS == 5
#define ANY(is) (is(0) || is(1) || is(2) || is(3) || is(4))
#endif
#if NE == 2
#define ANY_EXPOSED (EXPOSED(0) || EXPOSED(1))
#else
#define ANY_EXPOSED (EXPOSED(0) || EXPOSED(1) || EXPOSED(2))
#endif

/* Sets k to the first busy transaction that `cond` is true for, else NS. */
#define FIND(k, cond)                                                                              \
    k = 0;                                                                                         \
    do                                                                                             \
    :: k < NS && !(cond) -> k++                                                                    \
    :: else -> break                                                                               \
    od

/* Sessions whose client is gone end by themselves, sometime, or never before they are evicted. */
proctype Server()
{
    byte k;
end:
    do
    :: atomic { ANY(LOST) -> FIND(k, LOST(k)); tx_end(k); k = 0 }
    od
}

/* kill -9 at any point, as long as somebody is left to resume. */
proctype Killer()
{
    byte i;
end:
    do
    :: atomic {
        kills > 0 && started < NE && ANY_EXPOSED ->
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
    byte my, g, w, k, tries;
    bool maybe;

    {
        /* Claim in the state: any time, any owner. Adopts what is recorded. */
        atomic {
            started++;
            alive[id] = true;
            s_epoch++;
            my = s_epoch
        }
        if
        :: s_run == closed -> goto leave
        :: s_run == closing -> goto close     /* closing does not claim, it repeats run_close */
        :: else
        fi;

        /* Claim at the destination: the run row exclusively, in a transaction of its own. */
        do
        :: atomic { d_epoch >= my || !d_open -> goto leave }                   /* FENCED */
        :: atomic { d_epoch < my && d_open && (!EXCL || !ANY(BUSY)) -> d_epoch = my; break }
        :: atomic { EXCL && d_epoch < my && d_open && ANY(BUSY) ->              /* evict a zombie */
                FIND(k, BUSY(k) && t_epoch[k] < my);
                assert(k < NS);
                tx_end(k); k = 0 }
        od;
        atomic {
            if
            :: s_epoch != my -> goto leave                          /* fenced by the state */
            :: s_epoch == my && s_run == planned -> edge(s_run, planned, claimed)
            :: s_epoch == my && s_run == claimed -> edge(s_run, claimed, claimed)
            :: s_epoch == my && s_run == moving -> edge(s_run, moving, claimed)
            :: s_epoch == my && s_run == publishing -> edge(s_run, publishing, claimed)
            :: s_epoch == my && s_run == finishing -> edge(s_run, finishing, claimed)
            :: s_epoch == my && s_run == closing -> goto close
            :: s_epoch == my && s_run == closed -> goto leave
            fi;
            /* The snapshot may be gone: the flow starts again as the next generation. */
            if
            :: restarts > 0 && s_step[1] == none && s_step[0] != none ->
                restarts--;
                s_gen++;
                s_unit[0] = drawn; s_unit[1] = none;
                s_step[0] = none;
                if
                :: s_flow == preparing -> edge(s_flow, preparing, planned)
                :: s_flow == moving -> edge(s_flow, moving, planned)
                :: s_flow == settling -> edge(s_flow, settling, planned)
                :: s_flow == failed -> edge(s_flow, failed, planned)
                :: s_flow == planned -> edge(s_flow, planned, planned)
                fi
            :: skip
            fi;
            g = s_gen
        }

next:   /* What is next, with its intent in the state. */
        atomic {
            if
            :: s_epoch != my -> goto leave
            :: else
            fi;
            maybe = false;
            if
            :: s_step[0] != done ->
                w = PREP;
                if
                :: s_step[0] == none -> edge(s_step[0], none, intended)
                :: s_step[0] == intended -> edge(s_step[0], intended, intended); maybe = true
                :: s_step[0] == failed -> edge(s_step[0], failed, intended); maybe = true
                fi;
                if
                :: s_flow == planned -> edge(s_flow, planned, preparing)
                :: s_flow == preparing -> edge(s_flow, preparing, preparing)
                :: s_flow == failed -> edge(s_flow, failed, preparing)
                fi
            :: s_step[0] == done && (s_unit[0] != recorded || s_unit[1] == drawn ||
                                     s_unit[1] == leased || s_unit[1] == failed) ->
                w = (s_unit[0] != recorded -> 0 : 1);
                if
                :: s_unit[w] == drawn -> edge(s_unit[w], drawn, leased)
                :: s_unit[w] == leased -> edge(s_unit[w], leased, leased); maybe = true
                :: s_unit[w] == failed -> edge(s_unit[w], failed, leased); maybe = true
                fi;
                if
                :: s_run == claimed -> edge(s_run, claimed, moving)
                :: s_run == moving
                fi;
                if
                :: s_flow == preparing -> edge(s_flow, preparing, moving)
                :: s_flow == moving -> edge(s_flow, moving, moving)
                :: s_flow == failed -> edge(s_flow, failed, moving)
                fi
            :: s_step[0] == done && s_unit[0] == recorded && s_unit[1] != drawn &&
               s_unit[1] != leased && s_unit[1] != failed && s_step[1] != done ->
                w = PUB;
                if
                :: s_step[1] == none -> edge(s_step[1], none, intended)
                :: s_step[1] == intended -> edge(s_step[1], intended, intended); maybe = true
                :: s_step[1] == failed -> edge(s_step[1], failed, intended); maybe = true
                fi;
                if   /* a resume that finds every unit recorded has nothing to move */
                :: s_run == claimed -> edge(s_run, claimed, publishing)
                :: s_run == moving -> edge(s_run, moving, publishing)
                :: s_run == publishing
                fi;
                if
                :: s_flow == moving -> edge(s_flow, moving, settling);
                                       edge(s_flow, settling, publishing)
                :: s_flow == publishing -> edge(s_flow, publishing, publishing)
                :: s_flow == failed -> edge(s_flow, failed, publishing)
                fi
            :: s_step[0] == done && s_step[1] == done ->
                if
                :: s_run == publishing -> edge(s_run, publishing, finishing)
                :: s_run == claimed -> edge(s_run, claimed, finishing)
                fi;
                if
                :: s_flow == published -> edge(s_flow, published, finished)
                :: s_flow == finished -> edge(s_flow, finished, finished)
                fi;
                edge(s_run, finishing, closing);
                goto close
            fi
        }
        if
        :: maybe -> goto look      /* an attempt before us may have committed: look first */
        :: else
        fi;

open:   /* First statement of a unit or step transaction: run row for share and marker together. */
        atomic {
            if
            :: !d_open || (EPOCH && d_epoch != my) -> goto leave                      /* FENCED */
            :: else
            fi;
            if
            :: (MARKER || w >= NU) && MK(g, w) -> goto look                           /* TWIN */
            :: else
            fi;
            FIND(k, (MARKER || w >= NU) && BUSY(k) && t_what[k] == w && t_gen[k] == g);
            if
            :: k < NS ->                                         /* BLOCKED: evict, try again */
                tx_end(k); k = 0; goto open
            :: else
            fi;
            FIND(k, !BUSY(k));
            if
            :: k == NS -> k = 0; goto leave    /* only a control without fences gets here */
            :: else
            fi;
            t_epoch[k] = my; t_own[k] = id; t_what[k] = w; t_gen[k] = g;
            k = 0
        }

        /* The destructive step is not transactional: its effect shows at once. */
        atomic {
            if
            :: w == PREP ->
                FIND(k, BUSY(k) && t_own[k] == id);
                if
                :: k == NS -> k = 0; goto lost
                :: else -> k = 0
                fi;
                do
                :: k < NS -> assert(!BUSY(k) || t_epoch[k] >= my); k++
                :: else -> break
                od;
                k = 0;
                assert(!MK(g, 0) && !MK(g, 1) && out == 0);
                rows[0] = 0; rows[1] = 0
            :: else
            fi
        }

        /* Seal, check, COMMIT sent ... */
        atomic {
            FIND(k, BUSY(k) && t_own[k] == id);
            if
            :: k == NS -> k = 0; goto lost
            :: else -> t_sent[k] = true; k = 0
            fi
        }
        /* ... and its answer, or none. */
        atomic {
            FIND(k, BUSY(k) && t_own[k] == id);
            if
            :: k == NS -> k = 0; goto lost                              /* evicted meanwhile */
            :: k < NS -> tx_commit(k); k = 0; goto record
            :: k < NS && cuts > 0 -> cuts--; tx_commit(k); k = 0        /* done, answer lost */
            :: k < NS && cuts > 0 -> cuts--; t_own[k] = ORPHAN; k = 0   /* in flight */
            :: k < NS && cuts > 0 -> cuts--; t_own[k] = ORPHAN; t_sent[k] = false; k = 0
            fi
        }

lost:   /* Outcome unknown: first our own session is evicted (it may be gone already, or not be found:
         * then the next attempt is blocked by it), then we look. */
        atomic {
            FIND(k, LOST(k) && t_epoch[k] == my);
            if
            :: k < NS -> tx_end(k)
            :: skip
            fi;
            k = 0;
            tries++;
            if
            :: tries > TRIES -> goto leave                              /* exit 5 */
            :: else
            fi;
            if   /* the failed attempt may be recorded as such before the next one */
            :: s_epoch == my && w < NU && s_unit[w] == leased ->
                edge(s_unit[w], leased, failed); goto next
            :: s_epoch == my && w >= NU && s_step[w - NU] == intended ->
                edge(s_step[w - NU], intended, failed);
                if   /* a table that gives up is resumed by the next run */
                :: s_flow == preparing -> edge(s_flow, preparing, failed)
                :: s_flow == publishing -> edge(s_flow, publishing, failed)
                fi;
                goto next
            :: skip
            fi
        }

look:   atomic {
            if
            :: !LOOKUP -> goto record                                   /* guessed */
            :: LOOKUP && MK(g, w) -> goto record
            :: LOOKUP && !MK(g, w) -> goto open
            fi
        }

record: atomic {
            if
            :: s_epoch != my -> goto leave
            :: else
            fi;
            if
            :: w < NU ->
                assert(rows[w] == 1);
                edge(s_unit[w], leased, recorded);
                if   /* the rest comes back from the marker in the same state transaction */
                :: w == 0 && (REST || (!maybe && tries == 0)) -> edge(s_unit[1], none, drawn)
                :: else
                fi
            :: w == PREP -> edge(s_step[0], intended, done)
            :: w == PUB ->
                edge(s_step[1], intended, done);
                edge(s_flow, publishing, published)
            fi;
            maybe = false;
            goto next
        }

close:  do
        :: atomic { d_epoch > my -> goto leave }
        :: atomic { d_epoch <= my && (!EXCL || !ANY(BUSY)) -> d_open = false; break }
        :: atomic { EXCL && d_epoch <= my && ANY(BUSY) ->
                FIND(k, BUSY(k));
                tx_end(k); k = 0 }
        od;
        atomic {
            k = 0;
            do
            :: k < NG * NW -> mk[k] = false; k++
            :: else -> break
            od;
            k = 0
        }
        atomic {
            if
            :: s_epoch == my && s_run == closing -> edge(s_run, closing, closed)
            :: else
            fi
        }
leave:  skip
    } unless { killed[id] };

    /* Dead or gone: its sessions are the server's now. */
    atomic {
        FIND(k, BUSY(k) && t_own[k] == id);
        if
        :: k < NS -> t_own[k] = ORPHAN
        :: else
        fi;
        k = 0; my = 0; g = 0; w = 0; tries = 0; maybe = false;
        alive[id] = false;
        ended++
    }
}

init {
    byte i;

    atomic {
        s_unit[0] = drawn; s_unit[1] = none;
        s_step[0] = none; s_step[1] = none;
        run Server();
        run Killer();
        i = 0;
        do
        :: i < NE -> run Engine(i); i++
        :: else -> break
        od;
        i = 0
    }
    atomic {
        ended == NE ->
        assert(!END || (s_run == closed && s_flow == finished));
        assert(!END || (!d_open && out == 1 && rows[0] == 1 && rows[1] == 1));
        do
        :: i < NG * NW -> assert(!END || !mk[i]); i++
        :: else -> break
        od;
        i = 0
    }
}
