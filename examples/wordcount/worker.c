/*
 * A worker counts the words of one chunk for each request: the chunk is the blob, and
 * the answer "LINES\n" with a line "COUNT WORD\n" for each word. worker.lua does the
 * same.
 *
 * The words are counted in a table of slots that is at most half full; a slot that a
 * word finds taken by another one sends it on to the next. Words are not copied: they
 * lie in the chunk, in lower case.
 */
#include <thole.h>

#define ROOM_AT_FIRST 1024 /* a power of 2 */

typedef struct {
    const char *word; /* NULL: free */
    size_t len;
    uint32_t hash;
    uint32_t count;
} slot;

typedef struct {
    slot *slots;
    size_t room; /* a power of 2 */
    size_t used;
    size_t word_bytes; /* of all words together */
} table;

static bool is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* FNV-1a. */
static uint32_t hash_of(const char *word, size_t len)
{
    uint32_t hash = 2166136261u;

    for (size_t i = 0; i < len; i++) {
        hash = (hash ^ (uint8_t)word[i]) * 16777619u;
    }
    return hash;
}

static slot *slots_new(size_t room)
{
    slot *slots = th_alloc(room * sizeof *slots);

    memset(slots, 0, room * sizeof *slots);
    return slots;
}

/* The slot of the word, or the free one where it belongs. */
static slot *find(const table *in, const char *word, size_t len, uint32_t hash)
{
    size_t at = hash & (in->room - 1);

    while (in->slots[at].word != NULL &&
           (in->slots[at].hash != hash || in->slots[at].len != len ||
            memcmp(in->slots[at].word, word, len) != 0)) {
        at = (at + 1) & (in->room - 1);
    }
    return &in->slots[at];
}

static void grow(table *in)
{
    table larger = {.slots = slots_new(in->room * 2),
                    .room = in->room * 2,
                    .used = in->used,
                    .word_bytes = in->word_bytes};

    for (size_t i = 0; i < in->room; i++) {
        const slot *from = &in->slots[i];

        if (from->word != NULL) {
            *find(&larger, from->word, from->len, from->hash) = *from;
        }
    }
    th_free(in->slots);
    *in = larger;
}

static void add(table *in, const char *word, size_t len)
{
    uint32_t hash = hash_of(word, len);
    slot *at = find(in, word, len, hash);

    at->count++;
    if (at->word == NULL) {
        at->word = word;
        at->len = len;
        at->hash = hash;
        in->word_bytes += len;
        in->used++;
        if (in->used * 2 > in->room) {
            grow(in);
        }
    }
}

/* Count the words of @chunk, which becomes lower case; its lines are the result. */
static size_t count(table *in, char *chunk, size_t bytes)
{
    size_t lines = 0;

    for (size_t i = 0; i < bytes; i++) {
        lines += chunk[i] == '\n';
        chunk[i] = lower(chunk[i]);
    }
    for (size_t i = 0; i < bytes;) {
        size_t start = i;

        while (i < bytes && is_letter(chunk[i])) {
            i++;
        }
        if (i > start) {
            add(in, chunk + start, i - start);
        } else {
            i++;
        }
    }
    return lines;
}

#define NUMBER_BYTES 10 /* digits of a 32-bit number */

static char *put(char *to, const void *from, size_t bytes)
{
    memcpy(to, from, bytes);
    return to + bytes;
}

static char *put_number(char *to, uint32_t n)
{
    char digits[NUMBER_BYTES];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return put(to, digits + at, sizeof digits - at);
}

/* The answer, a fresh slice. */
static th_slice answer_of(const table *in, size_t lines)
{
    size_t most = NUMBER_BYTES + 1 + in->word_bytes + in->used * (NUMBER_BYTES + 2);
    char *text = th_alloc(most);
    char *end = put_number(text, (uint32_t)lines);

    *end++ = '\n';
    for (size_t i = 0; i < in->room; i++) {
        const slot *from = &in->slots[i];

        if (from->word != NULL) {
            end = put_number(end, from->count);
            *end++ = ' ';
            end = put(end, from->word, from->len);
            *end++ = '\n';
        }
    }
    return (th_slice){text, (size_t)(end - text)};
}

static void answer(void)
{
    table counts = {.slots = slots_new(ROOM_AT_FIRST), .room = ROOM_AT_FIRST};
    th_blob chunk = {0};
    size_t lines = 0;
    th_slice text;

    if (th_get_blob(&chunk)) {
        lines = count(&counts, (char *)chunk.bytes.ptr, chunk.bytes.len);
    }
    text = answer_of(&counts, lines);
    th_respond(&(th_response){.body = text});
    th_slice_free(&text);
    th_blob_free(&chunk);
    th_free(counts.slots);
}

void th_main(th_slice our)
{
    (void)our;
    for (;;) {
        th_message message = th_receive();

        if (message.kind == TH_REQUEST) {
            answer();
        }
        th_message_free(&message);
    }
}
