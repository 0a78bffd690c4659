/*
 * House: a node without a program, for tests of the keeper in the simulated world.
 *
 * Its processes are actors, puppets that do what a message tells them and say in `seen`
 * what they saw, a word each. The boss tells them, and asks the keeper. A house is left
 * in good order (house_close), or by a crash: then another opens on what is left.
 */
#ifndef TH_SVC_KEEPER_HOUSE_H
#define TH_SVC_KEEPER_HOUSE_H

#include "base/test.h"
#include "kernel/internal.h"
#include "witness/puppet.h"
#include "svc/keeper.h"
#include "world/world_sim.h"

typedef struct house {
    th_stage stage; /* world, kernel and host */
    th_store *store;
    th_lives *lives;
    th_keeper *keeper;
    th_puppet actor;    /* "test:actor", of package "test:local" */
    th_puppet boss;     /* of the node itself */
    th_puppet listener; /* public, "listener:test:local" */
    th_process *boss_process;
    th_buf seen, notes;
    uint64_t boot;
    bool lacks_actor;       /* its code is missing in this boot */
    const th_on_exit *main; /* not NULL: there is a main process with that on-exit */
    th_puppet main_actor;
    int overs, shutdowns;
    void (*acked)(struct house *house, th_slice word); /* NULL, or hears each word */
} house;

/* Boot on @world, which becomes the house's. */
void house_open(house *house, th_world *world);

/* Where there are two: the actors are those of this one. */
void house_is(house *house);

/* End it as the node does; the world is given back. */
th_world *house_close(house *house);

/* Do all there is to do in no time; and the same, after so long. */
void house_run(house *house);
void house_wait(house *house, uint64_t ms);

/* One step of the kernel or the store, in no time; false: there is none. */
bool house_step(house *house);

/* Tell "@name:test:local": return, crash, "state TEXT", "spawn NAME ON_EXIT". */
th_err house_tell(house *house, const char *name, const char *what);

/* Ask the keeper; its answer becomes a word. */
void house_ask(house *house, const char *command);
void house_ask_with(house *house, const char *command, const char *metadata);

/* Does it run? And what its record says: "" when there is none. */
bool house_runs(house *house, const char *name);
bool house_has_record(house *house, const char *name);

/* What was seen since the last time. */
const char *house_seen(house *house);

#endif
