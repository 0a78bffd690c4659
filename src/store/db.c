#include "store/db.h"

#include "base/log.h"
#include "base/mem.h"
#include "store/store_vfs.h"

#include <string.h>

/*
 * SQLite in WAL mode, `synchronous = FULL`: a commit appends the pages that it changed
 * to the log and syncs that; th_db_tidy brings them into the file at leisure.
 *
 * After a sync that failed, the system may show bytes that are not on the disk, and
 * will not write them again. So the connection is never opened anew after an error: it
 * knows that those pages of the log do not count, and they are cut off. A node that
 * starts cannot know it, and takes as committed what it sees. So the log that it finds is
 * written once more as it is (store_vfs.c), and then brought into the file.
 */
#define FORMAT 1

/* A log that has grown beyond is cut when it is begun anew. */
#define LOG_BYTES "16777216"
#define CACHE_KIB "8192" /* what SQLite keeps of the file in memory, at most */

#define VERBS 3

struct th_db {
    sqlite3 *sqlite;
    char *path;
    th_store_vfs vfs;
    sqlite3_stmt *begin, *commit, *rollback;
    sqlite3_stmt *verbs[TH_STORE_TABLES][VERBS];
    unsigned log_pages; /* after the last commit */
    th_err log_err;     /* of this transaction: nothing may be written to the log */
    th_log_limit full, damaged;
};

static const char *const verb_texts[TH_STORE_TABLES][VERBS] = {
    [TH_STORE_PROCESS] =
        {
            [TH_STORE_GET] = "SELECT record FROM process WHERE id = ?1",
            [TH_STORE_PUT] = "REPLACE INTO process (id, record) VALUES (?1, ?2)",
            [TH_STORE_REMOVE] = "DELETE FROM process WHERE id = ?1",
        },
    [TH_STORE_STATE] =
        {
            [TH_STORE_GET] = "SELECT value FROM state WHERE id = ?1",
            [TH_STORE_PUT] = "REPLACE INTO state (id, value) VALUES (?1, ?2)",
            [TH_STORE_REMOVE] = "DELETE FROM state WHERE id = ?1",
        },
};

static const char *const each_texts[TH_STORE_TABLES] = {
    [TH_STORE_PROCESS] = "SELECT id, record FROM process ORDER BY id",
    [TH_STORE_STATE] = "SELECT id, value FROM state ORDER BY id",
};

/* --- Errors ----------------------------------------------------------------------- */

/* What an answer of SQLite means. The file is ours alone: what is odd in it is damage. */
static th_err meaning(th_db *db, int code)
{
    th_err err = db->vfs.err;

    db->vfs.err = TH_OK;
    switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return TH_OK;
    case SQLITE_NOMEM:
        return TH_NOMEM;
    case SQLITE_FULL:
        return TH_QUOTA;
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR:
        return err != TH_OK                    ? err
               : code == SQLITE_IOERR_NOMEM    ? TH_NOMEM
               : (code & 0xff) == SQLITE_IOERR ? TH_DAMAGED
                                               : TH_INVALID;
    default:
        return TH_DAMAGED;
    }
}

/* The meaning of @code, which whoever keeps the node is told. */
static th_err told(th_db *db, int code)
{
    th_err err = meaning(db, code);

    if (err == TH_QUOTA) {
        th_log_limited(&db->full, WARN, "store.full",
                       "path=%s why=\"the disk is full\"", db->path);
    } else if (err == TH_DAMAGED) {
        th_log_limited(&db->damaged, ERROR, "store.damaged", "path=%s why=\"%s\"",
                       db->path, sqlite3_errmsg(db->sqlite));
    }
    return err;
}

static const char *damage(th_db *db)
{
    int code = sqlite3_errcode(db->sqlite) & 0xff;

    return code == SQLITE_OK || code == SQLITE_ROW || code == SQLITE_DONE
               ? "something is missing in it"
               : sqlite3_errmsg(db->sqlite);
}

/* Say why the file cannot be used. */
static th_err refuse(th_db *db, th_err err, th_buf *why)
{
    th_buf_putf(why, "the store %s ", db->path);
    switch (err) {
    case TH_DAMAGED:
        th_buf_putf(why,
                    "is damaged (%s); put back a backup of it, or move it away with "
                    "its -wal and -journal to begin with an empty one",
                    damage(db));
        break;
    case TH_QUOTA:
        th_buf_puts(why, "needs room, but the disk is full; free some and start again");
        break;
    case TH_NOT_FOUND:
        th_buf_puts(why, "cannot be made: its folder is not there");
        break;
    case TH_DENIED:
        th_buf_puts(why,
                    "cannot be opened for writing; give the node's user the right");
        break;
    case TH_INVALID:
        th_buf_puts(why, "cannot be opened: this is not the path of a file");
        break;
    default:
        th_buf_putf(why, "cannot be opened: %s", th_reason_of(err)->text);
    }
    return err;
}

/* --- Opening ---------------------------------------------------------------------- */

static th_err run(th_db *db, const char *text)
{
    return meaning(db, sqlite3_exec(db->sqlite, text, NULL, NULL, NULL));
}

/* The number that the first row of @text begins with. Refuses: NOT_FOUND, no row. */
static th_err ask_number(th_db *db, const char *text, int64_t *out)
{
    sqlite3_stmt *query = NULL;
    int code = sqlite3_prepare_v2(db->sqlite, text, -1, &query, NULL);
    th_err err;

    if (code == SQLITE_OK) {
        code = sqlite3_step(query);
    }
    err = code == SQLITE_DONE ? TH_NOT_FOUND : meaning(db, code);
    if (err == TH_OK) {
        *out = sqlite3_column_int64(query, 0);
    }
    sqlite3_finalize(query);
    return err;
}

static int count_pages(void *context, sqlite3 *sqlite, const char *name, int pages)
{
    th_db *db = context;

    (void)sqlite;
    (void)name;
    db->log_pages = (unsigned)pages;
    return SQLITE_OK;
}

/* Nothing in the file may make SQLite do more than to look up and change rows. */
static void harden(sqlite3 *sqlite)
{
    sqlite3_db_config(sqlite, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(sqlite, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(sqlite, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(sqlite, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
}

static th_err connect_file(th_db *db)
{
    int code = sqlite3_open_v2(db->path, &db->sqlite,
                               SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                   SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                               db->vfs.name);

    if (code != SQLITE_OK) {
        return meaning(db, code);
    }
    harden(db->sqlite);
    sqlite3_wal_hook(db->sqlite, count_pages, db);
    return run(db, "PRAGMA locking_mode = EXCLUSIVE;"
                   "PRAGMA temp_store = MEMORY;"
                   "PRAGMA cell_size_check = ON;"
                   "PRAGMA secure_delete = FAST;"
                   "PRAGMA cache_size = -" CACHE_KIB ";");
}

/* Is the file new, or ours, and of a format that we know? */
static th_err check_format(th_db *db, bool *is_new, th_buf *why)
{
    int64_t count = 0, ours = 0, format = 0;
    th_err err = ask_number(db, "SELECT count(*) FROM sqlite_schema", &count);

    *is_new = err == TH_OK && count == 0;
    if (err != TH_OK || count == 0) {
        return err == TH_OK ? TH_OK : refuse(db, err, why);
    }
    err =
        ask_number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'meta'", &ours);
    if (err == TH_OK && ours == 0) {
        th_buf_putf(why,
                    "%s is a database of another program; give the store another path",
                    db->path);
        return TH_DAMAGED;
    }
    if (err == TH_OK) {
        err = ask_number(db, "SELECT value FROM meta WHERE name = 'format'", &format);
        err = err == TH_NOT_FOUND || format < 0 ? TH_DAMAGED : err;
    }
    if (err == TH_OK && format > FORMAT) {
        th_buf_putf(
            why,
            "the store %s has format %lld, and this thole knows formats up to "
            "%d; start a thole that is at least as new as the one that wrote it",
            db->path, (long long)format, FORMAT);
        return TH_UNSUPPORTED;
    }
    return err == TH_OK ? TH_OK : refuse(db, err, why);
}

static th_err make_tables(th_db *db)
{
    return run(db, "BEGIN;"
                   "CREATE TABLE meta (name TEXT PRIMARY KEY, value)"
                   " WITHOUT ROWID;"
                   "CREATE TABLE process (id TEXT PRIMARY KEY, record BLOB)"
                   " WITHOUT ROWID;"
                   "CREATE TABLE state (id TEXT PRIMARY KEY, value BLOB)"
                   " WITHOUT ROWID;"
                   "INSERT INTO meta VALUES ('format', 1);"
                   "COMMIT;");
}

static th_err prepare(th_db *db, const char *text, sqlite3_stmt **out)
{
    return meaning(db, sqlite3_prepare_v3(db->sqlite, text, -1,
                                          SQLITE_PREPARE_PERSISTENT, out, NULL));
}

static th_err prepare_all(th_db *db)
{
    th_err err = prepare(db, "BEGIN", &db->begin);

    if (err == TH_OK) {
        err = prepare(db, "COMMIT", &db->commit);
    }
    if (err == TH_OK) {
        err = prepare(db, "ROLLBACK", &db->rollback);
    }
    for (int table = 0; table < TH_STORE_TABLES; table++) {
        for (int verb = 0; verb < VERBS && err == TH_OK; verb++) {
            err = prepare(db, verb_texts[table][verb], &db->verbs[table][verb]);
        }
    }
    return err;
}

/* On a full disk the log stays as it is: a node that can still read is better than none. */
static th_err empty_log(th_db *db)
{
    th_err err =
        meaning(db, sqlite3_wal_checkpoint_v2(db->sqlite, NULL,
                                              SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL));

    return err == TH_QUOTA ? TH_OK : err;
}

/* SQLite answers with the mode that it is in, and then tries whether it can be. */
static th_err use_log(th_db *db)
{
    sqlite3_stmt *query = NULL;
    int code =
        sqlite3_prepare_v2(db->sqlite, "PRAGMA journal_mode = WAL", -1, &query, NULL);
    const char *mode;
    bool is_used = false;

    if (code == SQLITE_OK && sqlite3_step(query) == SQLITE_ROW) {
        mode = (const char *)sqlite3_column_text(query, 0);
        is_used = mode != NULL && strcmp(mode, "wal") == 0;
    }
    code = code == SQLITE_OK ? sqlite3_finalize(query) : code;
    return code == SQLITE_OK && !is_used ? TH_DAMAGED : meaning(db, code);
}

static th_err set_up(th_db *db, bool is_new)
{
    th_err err = use_log(db);

    if (err == TH_OK) {
        err = run(db, "PRAGMA synchronous = FULL;"
                      "PRAGMA journal_size_limit = " LOG_BYTES ";");
    }
    if (err == TH_OK && is_new) {
        err = make_tables(db);
        th_store_vfs_keep_log(&db->vfs);
    }
    if (err == TH_OK) {
        err = prepare_all(db);
    }
    return err == TH_OK ? empty_log(db) : err;
}

th_err th_db_open(th_db **out, th_world *world, const char *path, th_buf *why)
{
    th_auto(th_db) db = th_calloc(1, sizeof *db);
    bool is_new = false;
    th_err err;

    if (db == NULL) {
        return TH_NOMEM;
    }
    th_store_vfs_init(&db->vfs, world);
    db->path = th_strndup(path, strlen(path));
    if (db->path == NULL) {
        return TH_NOMEM;
    }
    err = connect_file(db);
    if (err != TH_OK) {
        return refuse(db, err, why);
    }
    err = check_format(db, &is_new, why);
    if (err != TH_OK) {
        return err;
    }
    err = set_up(db, is_new);
    if (err != TH_OK) {
        return refuse(db, err, why);
    }
    *out = th_take(&db);
    return TH_OK;
}

th_db *th_db_close(th_db *db)
{
    if (db == NULL) {
        return NULL;
    }
    sqlite3_finalize(db->begin);
    sqlite3_finalize(db->commit);
    sqlite3_finalize(db->rollback);
    for (int table = 0; table < TH_STORE_TABLES; table++) {
        for (int verb = 0; verb < VERBS; verb++) {
            sqlite3_finalize(db->verbs[table][verb]);
        }
    }
    th_assert(sqlite3_close(db->sqlite) == SQLITE_OK);
    th_store_vfs_deinit(&db->vfs);
    th_free(db->path);
    return th_free(db);
}

/* --- Transactions ----------------------------------------------------------------- */

static th_err step(th_db *db, sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    th_err err = told(db, code);

    sqlite3_reset(statement);
    return err;
}

/* After some errors SQLite has ended it by itself. */
void th_db_rollback(th_db *db)
{
    if (sqlite3_get_autocommit(db->sqlite) == 0) {
        sqlite3_step(db->rollback);
        sqlite3_reset(db->rollback);
        db->vfs.err = TH_OK;
    }
}

th_err th_db_begin(th_db *db)
{
    th_db_rollback(db); /* one whose end failed */
    db->log_err = th_store_vfs_cut_log(&db->vfs);
    return step(db, db->begin);
}

th_err th_db_commit(th_db *db)
{
    th_err err = step(db, db->commit);

    if (err != TH_OK) {
        th_db_rollback(db);
    } else if (db->log_err == TH_OK) {
        th_store_vfs_keep_log(&db->vfs);
    }
    return err;
}

/* No bytes are a blob without any, not NULL. */
static int bind_value(sqlite3_stmt *statement, th_slice value)
{
    return sqlite3_bind_blob64(statement, 2, value.bytes == 0 ? "" : value.at,
                               value.bytes, SQLITE_STATIC);
}

/* The bytes in column @i of the row that @statement is at. */
static th_err read_column(th_db *db, sqlite3_stmt *statement, int i, th_slice *out)
{
    const void *at = sqlite3_column_blob(statement, i);
    int bytes = sqlite3_column_bytes(statement, i);

    if (at == NULL && sqlite3_errcode(db->sqlite) == SQLITE_NOMEM) {
        return TH_NOMEM;
    }
    *out = th_slice_of(at, (size_t)bytes);
    return TH_OK;
}

static th_err take_value(th_db *db, sqlite3_stmt *statement, th_buf *value)
{
    th_slice bytes;
    th_err err = read_column(db, statement, 0, &bytes);

    if (err != TH_OK) {
        return err;
    }
    th_buf_put(value, bytes.at, bytes.bytes);
    return value->failed ? TH_NOMEM : TH_OK;
}

th_err th_db_apply(th_db *db, const th_store_change *change, th_buf *value)
{
    sqlite3_stmt *statement = db->verbs[change->table][change->verb];
    int code = sqlite3_bind_text(statement, 1, change->key.at, (int)change->key.bytes,
                                 SQLITE_STATIC);
    th_err err;

    if (change->verb != TH_STORE_GET && db->log_err != TH_OK) {
        return db->log_err;
    }
    if (code == SQLITE_OK && change->verb == TH_STORE_PUT) {
        code = bind_value(statement, change->value);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_step(statement);
    }
    err = told(db, code);
    if (err == TH_OK && change->verb == TH_STORE_GET) {
        err = code == SQLITE_DONE ? TH_NOT_FOUND : take_value(db, statement, value);
    }
    sqlite3_reset(statement);
    return err;
}

th_err th_db_each(th_db *db, th_store_table table, th_store_row *row, void *context,
                  th_buf *why)
{
    sqlite3_stmt *walk = NULL;
    th_err err = prepare(db, each_texts[table], &walk);
    bool goes_on = true;

    while (err == TH_OK && goes_on) {
        int code = sqlite3_step(walk);
        th_slice key, value;

        if (code == SQLITE_DONE) {
            break;
        }
        err = meaning(db, code);
        if (err == TH_OK) {
            err = read_column(db, walk, 0, &key);
        }
        if (err == TH_OK) {
            err = read_column(db, walk, 1, &value);
        }
        goes_on = err == TH_OK && row(context, key, value);
    }
    if (err != TH_OK) {
        refuse(db, err, why);
    }
    sqlite3_finalize(walk);
    return err;
}

void th_db_tidy(th_db *db, unsigned pages_min)
{
    if (db->log_pages >= pages_min) {
        told(db, sqlite3_wal_checkpoint_v2(db->sqlite, NULL, SQLITE_CHECKPOINT_PASSIVE,
                                           NULL, NULL));
    }
}
