/*
 * Database: the store's file, as one connection of SQLite with its tables.
 *
 * Everything that changes it stands between begin and commit. A commit that returned OK
 * is durable. After anything else that fails there is nothing of the transaction, and
 * the next one may succeed; nothing needs to be opened anew.
 *
 * Thread: one at a time.
 */
#ifndef TH_STORE_DB_H
#define TH_STORE_DB_H

#include "store/store.h"

typedef struct th_db th_db;

/* As th_store_open. */
th_err th_db_open(th_db **out, th_world *world, const char *path, th_buf *why);

/* What was not committed is undone. Takes NULL, returns NULL. */
th_db *th_db_close(th_db *db);

TH_AUTO_FREE(th_db, th_db_close)

th_err th_db_begin(th_db *db);

/* Within a transaction. A get appends to @value. Refuses: NOT_FOUND, of a get. */
th_err th_db_apply(th_db *db, const th_store_change *change, th_buf *value);

/* After it, whatever it returns, the transaction is over. */
th_err th_db_commit(th_db *db);
void th_db_rollback(th_db *db);

/* As th_store_each. */
th_err th_db_each(th_db *db, th_store_table table, th_store_row *row, void *context,
                  th_buf *why);

/*
 * Bring what the log (WAL) holds to its place if it has at least @pages_min of pages.
 * If that fails it is as durable as before.
 */
void th_db_tidy(th_db *db, unsigned pages_min);

#endif
