/*
 * Home: the folder in which a node keeps what must survive it.
 *
 *   HOME/lock      held by the node that is up; says its process id
 *   HOME/boot      the boot number, raised durably at each start
 *   HOME/socket    where the command line reaches the node
 *   HOME/compiled  machine code of components
 *   HOME/state.sqlite  what processes saved, and which are to live on (store/store.h)
 *
 * One node at a time has a home. The boot number goes into every id that the node
 * makes, so none is issued twice in the life of the folder.
 *
 * Thread: main.
 */
#ifndef TH_NODE_HOME_H
#define TH_NODE_HOME_H

#include "base/own.h"
#include "world/world.h"

typedef struct th_home th_home;

/* What the environment says about where to keep state; a value may be NULL. */
typedef struct th_home_env {
    const char *xdg_state_home; /* XDG_STATE_HOME, used if it is absolute */
    const char *home;           /* HOME */
} th_home_env;

/*
 * Append where the home is if nobody says: that of the node that is up, or, with
 * @path (absolute), one of its own for each program that is run. Pure.
 *
 * Refuses: NOT_FOUND, the environment names no folder.
 */
th_err th_home_default(th_buf *out, const th_home_env *env, const char *path);

/*
 * Make the folder if need be, lock it and raise its boot number. @why gets the
 * reason.
 *
 * Refuses: EXISTS, a node is up on it; DAMAGED; UNSUPPORTED, a newer version wrote
 *          it; DENIED and others of the disk.
 */
th_err th_home_open(th_home **out, th_world *world, const char *folder, th_buf *why);
th_home *th_home_close(th_home *home); /* takes NULL, returns NULL */

const char *th_home_folder(const th_home *home);
uint64_t th_home_boot(const th_home *home);

/* Append HOME/@name. */
void th_home_file(const char *folder, const char *name, th_buf *out);

#define TH_HOME_SOCKET "socket"
#define TH_HOME_COMPILED "compiled"
#define TH_HOME_STATE "state.sqlite"

TH_AUTO_FREE(th_home, th_home_close)

#endif
