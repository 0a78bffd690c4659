/*
 * Rights model: what the kernel's rights come to, as simply as it can be said, for
 * tests. Three processes with chosen names; each issues "messaging" and "control".
 *
 * A capability is the number of its issuer and of its params. What somebody has of it is
 * a stamp: of the issuer's life and of how often it was taken back. It counts while it
 * is the newest.
 */
#ifndef TH_WITNESS_RIGHTS_MODEL_H
#define TH_WITNESS_RIGHTS_MODEL_H

#include "base/err.h"

#include <string.h>

#define MODEL_PEOPLE 3
#define MODEL_CAPS (2 * MODEL_PEOPLE) /* messaging of each, then control of each */
#define MODEL_GIVEN 32                /* messages whose capabilities are remembered */

typedef enum model_phase {
    MODEL_GONE,
    MODEL_AWAITED, /* it comes again with what it held */
    MODEL_ALIVE,
} model_phase;

typedef struct model_given {
    unsigned cap, stamp;
} model_given;

typedef struct model_person {
    /* Fixed. */
    unsigned package;
    bool is_strict, is_public;

    model_phase phase;
    unsigned lives; /* of it as an issuer: what it issued in earlier ones is void */
    unsigned held[MODEL_CAPS]; /* stamps; 0: never */
    model_given given[MODEL_GIVEN];
    unsigned given_count;
} model_person;

typedef struct model {
    model_person people[MODEL_PEOPLE];
    unsigned taken_back[MODEL_CAPS];
} model;

typedef enum model_verb {
    MODEL_SEND, /* a to b, with cap */
    MODEL_CALL, /* a asks b, whose answer brings cap */
    MODEL_SAVE,
    MODEL_DROP,
    MODEL_KILL,
    MODEL_CRASH,  /* a's on-exit is Restart */
    MODEL_START,  /* of one who is gone, or awaited */
    MODEL_FORGET, /* one who is awaited does not come */
    MODEL_GRANT,  /* by the owner, as is REVOKE */
    MODEL_REVOKE,
    MODEL_VERBS,
} model_verb;

typedef struct model_op {
    model_verb verb;
    unsigned a, b, cap;
} model_op;

static inline unsigned model_issuer(unsigned cap)
{
    return cap % MODEL_PEOPLE;
}

static inline unsigned model_stamp(const model *m, unsigned cap)
{
    return 1 + m->taken_back[cap] + 1000 * m->people[model_issuer(cap)].lives;
}

static inline bool model_holds(const model *m, unsigned a, unsigned cap)
{
    return m->people[a].held[cap] == model_stamp(m, cap);
}

/* It may hand on, or keep, what it issued, holds, or was given lately. */
static inline bool model_may_name(const model *m, unsigned a, unsigned cap)
{
    const model_person *p = &m->people[a];
    unsigned first = p->given_count < MODEL_GIVEN ? 0 : p->given_count - MODEL_GIVEN;

    for (unsigned i = first; i < p->given_count; i++) {
        const model_given *given = &p->given[i % MODEL_GIVEN];

        if (given->cap == cap && given->stamp == model_stamp(m, cap)) {
            return true;
        }
    }
    return model_issuer(cap) == a || model_holds(m, a, cap);
}

static inline bool model_may_send(const model *m, unsigned a, unsigned b)
{
    const model_person *from = &m->people[a], *to = &m->people[b];

    return a == b || to->is_public ||
           (from->package == to->package && !from->is_strict) || model_holds(m, a, b);
}

static inline bool model_may_control(const model *m, unsigned a, unsigned b)
{
    return a == b || m->people[a].package == m->people[b].package ||
           model_holds(m, a, MODEL_PEOPLE + b);
}

static inline void model_give(model *m, unsigned a, unsigned cap)
{
    model_person *p = &m->people[a];

    p->given[p->given_count++ % MODEL_GIVEN] = (model_given){cap, model_stamp(m, cap)};
}

/* What @a holds, and what it was given, goes with it. */
static inline void model_end(model *m, unsigned a, model_phase phase)
{
    m->people[a].given_count = 0;
    m->people[a].phase = phase;
    if (phase == MODEL_GONE) {
        memset(m->people[a].held, 0, sizeof m->people[a].held);
        m->people[a].lives++;
    }
}

/* Can it be done at all? */
static inline bool model_has(const model *m, const model_op *op)
{
    bool a_lives = m->people[op->a].phase == MODEL_ALIVE;
    bool b_lives = m->people[op->b].phase == MODEL_ALIVE;

    switch (op->verb) {
    case MODEL_SEND:
    case MODEL_CALL:
        return op->a != op->b && a_lives && b_lives;
    case MODEL_START:
        return !a_lives;
    case MODEL_FORGET:
        return m->people[op->a].phase == MODEL_AWAITED;
    case MODEL_REVOKE:
        return true;
    default:
        return a_lives;
    }
}

/* Do it. Does the kernel allow it? */
static inline bool model_do(model *m, const model_op *op)
{
    model_person *a = &m->people[op->a];

    switch (op->verb) {
    case MODEL_SEND:
    case MODEL_CALL:
        if (!model_may_send(m, op->a, op->b)) {
            return false;
        }
        if (op->verb == MODEL_SEND && model_may_name(m, op->a, op->cap)) {
            model_give(m, op->b, op->cap);
        } else if (op->verb == MODEL_CALL && model_may_name(m, op->b, op->cap)) {
            model_give(m, op->a, op->cap);
        }
        return true;
    case MODEL_SAVE:
        a->held[op->cap] =
            model_may_name(m, op->a, op->cap) ? model_stamp(m, op->cap) : 0;
        return true;
    case MODEL_DROP:
        a->held[op->cap] = 0;
        return true;
    case MODEL_KILL:
    case MODEL_FORGET:
        model_end(m, op->a, MODEL_GONE);
        return true;
    case MODEL_CRASH:
        model_end(m, op->a, MODEL_AWAITED);
        return true;
    case MODEL_START:
        if (a->is_strict) {
            a->held[op->a] = model_stamp(m, op->a); /* messaging on itself */
        }
        a->phase = MODEL_ALIVE;
        return true;
    case MODEL_GRANT:
        a->held[op->cap] = model_stamp(m, op->cap);
        return true;
    case MODEL_REVOKE:
    case MODEL_VERBS:
        break;
    }
    m->taken_back[op->cap]++;
    return true;
}

#endif
