#include "node/home.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

#define BOOT_FILE "boot"
#define BOOT_BYTES_MAX 256
#define BOOT_FORMAT 1
#define BOOT_MAX (UINT64_C(1) << 40)
#define SHORT_BYTES_MAX 32 /* of a path's last step in the name of its home */

struct th_home {
    th_world *world;
    th_lock *lock;
    char *folder;
    uint64_t boot;
};

void th_home_file(const char *folder, const char *name, th_buf *out)
{
    th_buf_putf(out, "%s/%s", folder, name);
}

/* A few readable letters of the path, and a hash of all of it. */
static void put_own(th_buf *out, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash == NULL ? path : slash + 1;

    th_buf_puts(out, "/run/");
    for (size_t i = 0; name[i] != '\0' && i < SHORT_BYTES_MAX; i++) {
        char c = name[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '_';

        th_buf_putc(out, is_plain ? c : '-');
    }
    th_buf_putf(out, "-%016llx",
                (unsigned long long)th_slice_hash(th_slice_str(path), 0));
}

th_err th_home_default(th_buf *out, const th_home_env *env, const char *path)
{
    if (env->xdg_state_home != NULL && env->xdg_state_home[0] == '/') {
        th_buf_putf(out, "%s/thole", env->xdg_state_home);
    } else if (env->home != NULL && env->home[0] == '/') {
        th_buf_putf(out, "%s/.local/state/thole", env->home);
    } else {
        return TH_NOT_FOUND;
    }
    if (path == NULL) {
        th_buf_puts(out, "/node");
    } else {
        put_own(out, path);
    }
    return out->failed ? TH_NOMEM : TH_OK;
}

/* --- The boot number -------------------------------------------------------------- */

/* "thole home FORMAT\nboot N\n", and nothing else. */
static th_err decode_boot(uint64_t *out, th_slice text, th_buf *why)
{
    unsigned format = 0;
    unsigned long long boot = 0;
    int end = 0;

    if (sscanf(text.at, "thole home %u", &format) == 1 && format > BOOT_FORMAT) {
        th_buf_putf(why,
                    "it was written by a newer thole (format %u, this one reads %d)",
                    format, BOOT_FORMAT);
        return TH_UNSUPPORTED;
    }
    if (sscanf(text.at, "thole home %u\nboot %llu%n", &format, &boot, &end) != 2 ||
        format != BOOT_FORMAT || boot >= BOOT_MAX || (size_t)end + 1 != text.bytes ||
        text.at[end] != '\n') {
        th_buf_puts(why, "its file `boot` is damaged; restore it, or use another home "
                         "with --home DIR");
        return TH_DAMAGED;
    }
    *out = boot;
    return TH_OK;
}

static th_err raise_boot(th_home *home, th_buf *why)
{
    th_auto_buf path = TH_BUF_INIT;
    th_auto_buf text = TH_BUF_INIT;
    th_err err;

    th_home_file(home->folder, BOOT_FILE, &path);
    err = path.failed
              ? TH_NOMEM
              : th_world_file_read(home->world, path.at, 0, BOOT_BYTES_MAX, &text);
    if (err == TH_OK) {
        err =
            decode_boot(&home->boot, th_slice_of(th_buf_text(&text), text.bytes), why);
    } else if (err == TH_NOT_FOUND) {
        err = TH_OK;
    }
    if (err != TH_OK) {
        return err;
    }
    home->boot++;
    th_buf_clear(&text);
    th_buf_putf(&text, "thole home %d\nboot %llu\n", BOOT_FORMAT,
                (unsigned long long)home->boot);
    return text.failed ? TH_NOMEM
                       : th_world_file_write(home->world, path.at, th_buf_slice(&text));
}

/* --- Open and close ---------------------------------------------------------------- */

static void say_taken(th_world *world, const char *folder, th_buf *why)
{
    th_auto_buf path = TH_BUF_INIT;
    th_auto_buf text = TH_BUF_INIT;
    unsigned long holder = 0;

    th_home_file(folder, "lock", &path);
    if (!path.failed && th_world_file_read(world, path.at, 0, 32, &text) == TH_OK) {
        holder = strtoul(th_buf_text(&text), NULL, 10);
    }
    th_buf_puts(why, "a node is up on it");
    if (holder > 0) {
        th_buf_putf(why, " (process %lu)", holder);
    }
    th_buf_puts(why, "; stop that one, or use another home with --home DIR");
}

static th_err open_home(th_home *home, th_buf *why)
{
    th_auto_buf compiled = TH_BUF_INIT;
    th_err err = th_world_folder_make(home->world, home->folder);

    if (err == TH_OK) {
        err = th_world_folder_lock(home->world, home->folder, &home->lock);
        if (err == TH_EXISTS) {
            say_taken(home->world, home->folder, why);
        }
    }
    if (err == TH_OK) {
        err = raise_boot(home, why);
    }
    if (err == TH_OK) {
        th_home_file(home->folder, TH_HOME_COMPILED, &compiled);
        err =
            compiled.failed ? TH_NOMEM : th_world_folder_make(home->world, compiled.at);
    }
    return err;
}

th_err th_home_open(th_home **out, th_world *world, const char *folder, th_buf *why)
{
    th_auto(th_home) home = th_calloc(1, sizeof *home);
    th_auto_buf reason = TH_BUF_INIT;
    th_err err;

    if (home == NULL) {
        return TH_NOMEM;
    }
    home->world = world;
    home->folder = th_strndup(folder, strlen(folder));
    err = home->folder == NULL ? TH_NOMEM : open_home(home, &reason);
    if (err != TH_OK) {
        th_buf_putf(why, "the home `%s` cannot be used: %s", folder,
                    reason.bytes > 0    ? reason.at
                    : err == TH_DENIED  ? "you may not write there"
                    : err == TH_INVALID ? "it is not a folder, or its path is too long"
                    : err == TH_NOT_FOUND ? "its path leads nowhere"
                                          : th_reason_of(err)->text);
        return err;
    }
    *out = th_take(&home);
    return TH_OK;
}

th_home *th_home_close(th_home *home)
{
    if (home == NULL) {
        return NULL;
    }
    if (home->lock != NULL) {
        th_world_folder_unlock(home->world, home->lock);
    }
    th_free(home->folder);
    return th_free(home);
}

const char *th_home_folder(const th_home *home)
{
    return home->folder;
}

uint64_t th_home_boot(const th_home *home)
{
    return home->boot;
}
