#include "world/sim_disk.h"

#include "base/mem.h"
#include "world/disk.h"

#include <string.h>

/*
 * The simulated disk.
 *
 * Whatever becomes durable finds its memory waiting: a write has made room in both
 * copies of the bytes, and a change of names brings the entry that it will put among
 * the durable ones. So a sync cannot fail but on purpose.
 */
typedef struct sim_write {
    th_list link;
    uint64_t offset; /* of a cut: how much stays */
    size_t bytes;
    bool is_cut;
    char data[];
} sim_write;

typedef struct sim_change {
    th_list link;
    char *gone;       /* the name that ends, or NULL */
    th_sim_name *set; /* the name that is set, or NULL */
} sim_change;

/* How dice treat what was not synced: in one crash all or nothing, or each by itself. */
typedef enum sim_mood {
    MOOD_DROP,
    MOOD_KEEP,
    MOOD_EACH,
    MOOD_TEAR,
    MOODS,
} sim_mood;

uint64_t th_sim_roll(uint64_t *dice)
{
    uint64_t z = *dice += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static bool coin(uint64_t *dice)
{
    return (th_sim_roll(dice) & 1) != 0;
}

/* --- Files ------------------------------------------------------------------------ */

TH_AUTO_FREE(th_sim_file, th_sim_file_unref)

static th_sim_file *new_file(th_file_kind kind)
{
    th_sim_file *file = th_calloc(1, sizeof *file);

    if (file != NULL) {
        file->refs = 1;
        file->kind = kind;
        th_list_init(&file->writes);
    }
    return file;
}

th_sim_file *th_sim_file_ref(th_sim_file *file)
{
    file->refs++;
    return file;
}

static void forget_writes(th_sim_file *file)
{
    for (th_list *node; (node = th_list_pop(&file->writes)) != NULL;) {
        th_free(th_container_of(node, sim_write, link));
    }
}

th_sim_file *th_sim_file_unref(th_sim_file *file)
{
    if (file != NULL && --file->refs == 0) {
        forget_writes(file);
        th_buf_deinit(&file->content);
        th_buf_deinit(&file->durable);
        th_free(file);
    }
    return NULL;
}

/* Room for @bytes in all. */
static bool make_room(th_buf *buf, uint64_t bytes)
{
    if (bytes <= buf->bytes) {
        return true;
    }
    th_buf_reserve(buf, (size_t)bytes - buf->bytes);
    return !buf->failed;
}

/* @buf, which has room, becomes @bytes long. */
static void set_size(th_buf *buf, size_t bytes)
{
    if (bytes > buf->bytes) {
        memset(buf->at + buf->bytes, 0, bytes - buf->bytes);
    }
    if (buf->at != NULL) {
        buf->at[bytes] = '\0';
    }
    buf->bytes = bytes;
}

/* Put bytes into @buf, which has room. */
static void overwrite(th_buf *buf, size_t offset, const char *data, size_t bytes)
{
    if (bytes > 0 && offset + bytes > buf->bytes) {
        set_size(buf, offset + bytes);
    }
    if (bytes > 0) {
        memcpy(buf->at + offset, data, bytes);
    }
}

static void apply(const sim_write *write, th_buf *to)
{
    if (write->is_cut) {
        set_size(to, (size_t)write->offset);
    } else {
        overwrite(to, (size_t)write->offset, write->data, write->bytes);
    }
}

/* Each sector by itself; the size may have come though its bytes have not. */
static void apply_torn(const sim_write *write, th_buf *to, uint64_t *dice)
{
    size_t end = (size_t)write->offset + write->bytes;

    for (size_t at = (size_t)write->offset, next; at < end; at = next) {
        next = (at / TH_DISK_SECTOR_BYTES + 1) * TH_DISK_SECTOR_BYTES;
        next = next < end ? next : end;
        if (coin(dice)) {
            overwrite(to, at, write->data + (at - write->offset), next - at);
        }
    }
    if (end > to->bytes && coin(dice)) {
        set_size(to, end);
    }
}

static void apply_by_dice(const sim_write *write, th_buf *to, sim_mood mood,
                          uint64_t *dice)
{
    bool is_torn = mood == MOOD_TEAR && !write->is_cut && coin(dice);

    if (is_torn) {
        apply_torn(write, to, dice);
    } else if (mood == MOOD_KEEP || (mood != MOOD_DROP && coin(dice))) {
        apply(write, to);
    }
}

static uint64_t used_bytes(th_sim_disk *disk)
{
    uint64_t used = 0;

    TH_LIST_EACH(node, &disk->names)
    {
        used += th_container_of(node, th_sim_name, link)->file->content.bytes;
    }
    return used;
}

/* Is there room for @file, NULL for one more, to become @bytes long? */
static th_err find_room(th_sim_disk *disk, const th_sim_file *file, uint64_t bytes)
{
    size_t now = file == NULL ? 0 : file->content.bytes;
    uint64_t used;

    if (disk->room == UINT64_MAX || bytes <= now) {
        return TH_OK;
    }
    used = used_bytes(disk);
    return used <= disk->room && bytes - now <= disk->room - used ? TH_OK : TH_QUOTA;
}

static th_err put_write(th_sim_disk *disk, th_sim_file *file, const sim_write *head,
                        const char *data)
{
    uint64_t end = head->offset + head->bytes;
    th_err err = find_room(disk, file, end);
    sim_write *write;

    if (err != TH_OK) {
        return err;
    }
    write = th_malloc(sizeof *write + head->bytes);
    if (write == NULL || !make_room(&file->content, end) ||
        !make_room(&file->durable, end)) {
        file->content.failed = file->durable.failed = false; /* they are as before */
        th_free(write);
        return TH_NOMEM;
    }
    *write = *head;
    if (head->bytes > 0) {
        memcpy(write->data, data, head->bytes);
    }
    apply(write, &file->content);
    th_list_push(&file->writes, &write->link);
    return TH_OK;
}

th_err th_sim_file_write(th_sim_disk *disk, th_sim_file *file, uint64_t offset,
                         th_slice bytes)
{
    if (offset > INT64_MAX - bytes.bytes) {
        return TH_INVALID;
    }
    return put_write(disk, file, &(sim_write){.offset = offset, .bytes = bytes.bytes},
                     bytes.at);
}

th_err th_sim_file_truncate(th_sim_disk *disk, th_sim_file *file, uint64_t bytes)
{
    return put_write(disk, file, &(sim_write){.offset = bytes, .is_cut = true}, NULL);
}

void th_sim_file_sync(th_sim_file *file)
{
    TH_LIST_EACH(node, &file->writes)
    {
        apply(th_container_of(node, sim_write, link), &file->durable);
    }
    forget_writes(file);
}

void th_sim_file_lose(th_sim_file *file, uint64_t *dice)
{
    sim_mood mood = (sim_mood)(th_sim_roll(dice) % MOODS);

    TH_LIST_EACH(node, &file->writes)
    {
        apply_by_dice(th_container_of(node, sim_write, link), &file->durable, mood,
                      dice);
    }
    forget_writes(file);
}

/* --- Names ------------------------------------------------------------------------ */

static th_sim_name *free_name(th_sim_name *name)
{
    if (name != NULL) {
        th_list_remove(&name->link);
        th_sim_file_unref(name->file);
        th_free(name->path);
        th_free(name);
    }
    return NULL;
}

TH_AUTO_FREE(th_sim_name, free_name)

static th_sim_name *new_name(const char *path, th_sim_file *file)
{
    th_sim_name *name = th_calloc(1, sizeof *name);

    if (name == NULL) {
        return NULL;
    }
    th_list_init(&name->link);
    name->path = th_strndup(path, strlen(path));
    if (name->path == NULL) {
        return free_name(name);
    }
    name->file = th_sim_file_ref(file);
    return name;
}

static th_sim_name *find_name(const th_list *names, const char *path)
{
    TH_LIST_EACH(node, names)
    {
        th_sim_name *name = th_container_of(node, th_sim_name, link);

        if (strcmp(name->path, path) == 0) {
            return name;
        }
    }
    return NULL;
}

static void drop_name(const th_list *names, const char *path)
{
    free_name(find_name(names, path));
}

/* Put @name where the order of paths wants it, in place of one that is there. */
static void put_name(th_list *names, th_sim_name *name)
{
    th_list *after = names->next;

    drop_name(names, name->path);
    after = names->next;
    while (after != names &&
           strcmp(th_container_of(after, th_sim_name, link)->path, name->path) < 0) {
        after = after->next;
    }
    th_list_push(after, &name->link);
}

static sim_change *free_change(sim_change *change)
{
    if (change != NULL) {
        th_list_remove(&change->link);
        free_name(change->set);
        th_free(change->gone);
        th_free(change);
    }
    return NULL;
}

TH_AUTO_FREE(sim_change, free_change)

/* @gone may be NULL, and so may @to. */
static sim_change *new_change(const char *gone, const char *to, th_sim_file *file)
{
    th_auto(sim_change) change = th_calloc(1, sizeof *change);

    if (change == NULL) {
        return NULL;
    }
    th_list_init(&change->link);
    change->gone = gone == NULL ? NULL : th_strndup(gone, strlen(gone));
    change->set = to == NULL ? NULL : new_name(to, file);
    if ((gone != NULL && change->gone == NULL) || (to != NULL && change->set == NULL)) {
        return NULL;
    }
    return th_take(&change);
}

/* Let names look so, and remember that it is not durable. */
static th_err change_names(th_sim_disk *disk, const char *gone, const char *to,
                           th_sim_file *file)
{
    th_auto(sim_change) change = new_change(gone, to, file);
    th_auto(th_sim_name) name = to == NULL ? NULL : new_name(to, file);

    if (change == NULL || (to != NULL && name == NULL)) {
        return TH_NOMEM;
    }
    if (gone != NULL) {
        drop_name(&disk->names, gone);
    }
    if (name != NULL) {
        put_name(&disk->names, name);
        th_take(&name);
    }
    th_list_push(&disk->changes, &change->link);
    th_take(&change);
    return TH_OK;
}

th_sim_file *th_sim_disk_find(th_sim_disk *disk, const char *path)
{
    th_sim_name *name = find_name(&disk->names, path);

    return name == NULL ? NULL : name->file;
}

th_err th_sim_disk_make(th_sim_disk *disk, const char *path, th_file_kind kind,
                        th_slice content, th_sim_file **out)
{
    th_auto(th_sim_file) file = new_file(kind);
    th_err err;

    if (file == NULL) {
        return TH_NOMEM;
    }
    th_buf_put(&file->content, content.at, content.bytes);
    th_buf_put(&file->durable, content.at, content.bytes);
    if (file->content.failed || file->durable.failed) {
        return TH_NOMEM;
    }
    err = find_room(disk, th_sim_disk_find(disk, path), content.bytes);
    if (err == TH_OK) {
        err = change_names(disk, NULL, path, file);
    }
    if (err == TH_OK) {
        *out = file; /* which its name holds */
    }
    return err;
}

th_err th_sim_disk_remove(th_sim_disk *disk, const char *path)
{
    return change_names(disk, path, NULL, NULL);
}

th_err th_sim_disk_rename(th_sim_disk *disk, const char *from, const char *to)
{
    th_sim_file *file = th_sim_disk_find(disk, from);

    return strcmp(from, to) == 0 ? TH_OK : change_names(disk, from, to, file);
}

const char *th_sim_disk_name_in(const char *folder, const char *path)
{
    size_t n = strlen(folder);

    if (strcmp(folder, ".") == 0) {
        return strchr(path, '/') == NULL ? path : NULL;
    }
    n -= strcmp(folder, "/") == 0;
    if (strncmp(path, folder, n) != 0 || path[n] != '/') {
        return NULL;
    }
    return strchr(path + n + 1, '/') == NULL ? path + n + 1 : NULL;
}

void th_sim_disk_sync_names(th_sim_disk *disk, const char *folder)
{
    TH_LIST_EACH(node, &disk->changes)
    {
        sim_change *change = th_container_of(node, sim_change, link);
        const char *path = change->set == NULL ? change->gone : change->set->path;

        if (th_sim_disk_name_in(folder, path) == NULL) {
            continue;
        }
        if (change->gone != NULL) {
            drop_name(&disk->durable, change->gone);
        }
        if (change->set != NULL) {
            put_name(&disk->durable, th_take(&change->set));
        }
        free_change(change);
    }
}

/* --- Crashes ---------------------------------------------------------------------- */

/* What is left of @file. */
static th_sim_file *crash_file(th_sim_file *file, sim_mood mood, uint64_t *dice)
{
    th_sim_file *left = new_file(file->kind);
    size_t most = file->durable.bytes;

    if (left == NULL) {
        return NULL;
    }
    TH_LIST_EACH(node, &file->writes)
    {
        sim_write *write = th_container_of(node, sim_write, link);
        size_t end = (size_t)write->offset + write->bytes;

        most = end > most ? end : most;
    }
    left->modified_ns = file->modified_ns;
    th_buf_put(&left->durable, file->durable.at, file->durable.bytes);
    if (left->durable.failed || !make_room(&left->durable, most)) {
        return th_sim_file_unref(left);
    }
    TH_LIST_EACH(node, &file->writes)
    {
        apply_by_dice(th_container_of(node, sim_write, link), &left->durable, mood,
                      dice);
    }
    th_buf_put(&left->content, left->durable.at, left->durable.bytes);
    return left->content.failed ? th_sim_file_unref(left) : left;
}

/* Both kinds of names of @out get what is left of @file. */
static th_err put_left(th_sim_disk *out, const char *path, th_sim_file *left)
{
    th_auto(th_sim_name) looks = new_name(path, left);
    th_auto(th_sim_name) lasts = new_name(path, left);

    if (looks == NULL || lasts == NULL) {
        return TH_NOMEM;
    }
    put_name(&out->names, th_take(&looks));
    put_name(&out->durable, th_take(&lasts));
    return TH_OK;
}

static th_err crash_name(th_sim_disk *out, const th_sim_name *name, sim_mood mood,
                         uint64_t *dice)
{
    th_sim_file *file = name->file;

    if (file->copy == NULL) {
        file->copy = crash_file(file, mood, dice);
    }
    return file->copy == NULL ? TH_NOMEM : put_left(out, name->path, file->copy);
}

static th_err crash_change(th_sim_disk *out, const sim_change *change, sim_mood mood,
                           uint64_t *dice)
{
    if (mood == MOOD_DROP || (mood != MOOD_KEEP && coin(dice))) {
        return TH_OK;
    }
    if (change->gone != NULL) {
        drop_name(&out->names, change->gone);
        drop_name(&out->durable, change->gone);
    }
    return change->set == NULL ? TH_OK : crash_name(out, change->set, mood, dice);
}

static void forget_copy(const th_sim_name *name)
{
    if (name != NULL) {
        name->file->copy = th_sim_file_unref(name->file->copy);
    }
}

static void forget_copies(th_sim_disk *disk)
{
    TH_LIST_EACH(node, &disk->durable)
    {
        forget_copy(th_container_of(node, th_sim_name, link));
    }
    TH_LIST_EACH(node, &disk->changes)
    {
        forget_copy(th_container_of(node, sim_change, link)->set);
    }
}

th_err th_sim_disk_crash(th_sim_disk *disk, uint64_t *dice, th_sim_disk *out)
{
    sim_mood mood = (sim_mood)(th_sim_roll(dice) % MOODS);
    th_err err = TH_OK;

    TH_LIST_EACH(node, &disk->durable)
    {
        if (err == TH_OK) {
            err = crash_name(out, th_container_of(node, th_sim_name, link), mood, dice);
        }
    }
    TH_LIST_EACH(node, &disk->changes)
    {
        if (err == TH_OK) {
            err =
                crash_change(out, th_container_of(node, sim_change, link), mood, dice);
        }
    }
    forget_copies(disk);
    return err;
}

/* --- The disk --------------------------------------------------------------------- */

void th_sim_disk_init(th_sim_disk *disk)
{
    *disk = (th_sim_disk){.left = UINT64_MAX, .room = UINT64_MAX};
    th_list_init(&disk->names);
    th_list_init(&disk->durable);
    th_list_init(&disk->changes);
}

void th_sim_disk_deinit(th_sim_disk *disk)
{
    TH_LIST_EACH(node, &disk->names)
    {
        free_name(th_container_of(node, th_sim_name, link));
    }
    TH_LIST_EACH(node, &disk->durable)
    {
        free_name(th_container_of(node, th_sim_name, link));
    }
    TH_LIST_EACH(node, &disk->changes)
    {
        free_change(th_container_of(node, sim_change, link));
    }
}

th_err th_sim_disk_ask(th_sim_disk *disk, th_sim_op op, const char *path)
{
    if (disk->left == 0) {
        return TH_IO;
    }
    disk->left -= disk->left != UINT64_MAX;
    return disk->watch == NULL ? TH_OK : disk->watch(disk->watch_context, op, path);
}
