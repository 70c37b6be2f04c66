/* Rows that the floor reads and writes.  Units: prices in ticks, quantities in lots, times in ns UTC.

   ROWS=128 (default): the exchange's own COMMAND and EVENT rows (engine/schema.py), byte for byte, 16 words of 64 bits.
   ROWS=32: rows that say what a plain book needs and no more (an order's number instead of a client id and an account);
   with them the floor shows what the wide rows and the client ids cost. */
#ifndef FLOOR_ROWS_H
#define FLOOR_ROWS_H

#include <stdint.h>
#include <string.h>

#ifndef ROWS
#define ROWS 128
#endif
#define ALWAYS static inline __attribute__((always_inline))

enum { BUY, SELL };                            /* sides as places in pairs */
enum { LIMIT_ORDER = 1, GTC = 2, IOC = 3, FOK = 4 };

/* What a client is called by in rows of 128 bytes. */
typedef struct {
    uint64_t word[4];
} Text;

/* An order: one cache line, with the client id in it (half a line without). */
typedef struct {
    int64_t order_id;
    int32_t price, leaves, qty;
    uint16_t account, instrument;
    int32_t older;                             /* next order with the same place in the table of order ids */
    uint32_t terms;                            /* side + 1, type and time in force, a byte each, as in both rows */
#if ROWS == 128
    Text text;
#endif
} Order;

#if ROWS == 128

typedef struct {
    uint8_t kind, side, ord_type, time_in_force, smp, flags;
    uint16_t reserved;
    int32_t instrument, smp_id;
    int64_t price, order_qty;
    Text cl_ord_id;
    int64_t target_lo, target_hi, stop_price;
    int32_t display_qty, min_qty;
    int64_t expire_time, seq, time;
    int32_t account, client_session;
} Command;

typedef struct {
    uint64_t word[16];
} Event;

_Static_assert(sizeof(Command) == 128 && sizeof(Event) == 128 && sizeof(Order) == 64, "rows and records are lines");

enum { PLACE = 1, CANCEL = 2, AMEND = 3 };
enum { ACCEPTED = 1, REJECTED = 2, CANCELED = 3, AMENDED = 4, TRADE = 8 };
enum { HAS_PRICE = 2, HAS_QTY = 4 };
enum { REQUESTED = 1, TO_FILLED = 8 };         /* reasons; those of IOC and FOK are 2 and 3 */
#define CONTINUOUS 3ull
#define KEPT (4ull << 16)
#define LAST_OF_COMMAND (1ull << 16)
#define UNKNOWN_ORDER (10ull << 48)
#define RULE_OF_UNKNOWN 7ull

/* What all events of a command have in common. */
typedef struct {
    int64_t seq, time;
    uint64_t kind;
    Event *first;
} Told;

ALWAYS uint32_t terms_of(const Command *c) {
    uint32_t word;
    memcpy(&word, c, sizeof word);
    return word >> 8;
}
ALWAYS int side_of(const Command *c) { return c->side - 1; }
ALWAYS int tif_of(const Command *c) { return c->time_in_force; }
ALWAYS int is_place(const Command *c) { return c->kind == PLACE; }
ALWAYS int is_cancel(const Command *c) { return c->kind == CANCEL; }
ALWAYS int instrument_of(const Command *c) { return c->instrument; }
ALWAYS int32_t price_of(const Command *c) { return (int32_t)c->price; }
ALWAYS int32_t qty_of(const Command *c) { return (int32_t)c->order_qty; }
ALWAYS int64_t new_id(const Command *c, const Told *t) { (void)t; return c->seq; }
ALWAYS int64_t named_id(const Command *c) { return c->target_lo; }
ALWAYS int32_t amended_price(const Command *c, const Order *o) { return c->flags & HAS_PRICE ? price_of(c) : o->price; }
ALWAYS int32_t amended_total(const Command *c, const Order *o) { return c->flags & HAS_QTY ? qty_of(c) : o->qty; }

/* Time never goes back, whatever the commands say. */
ALWAYS Told tell(const Command *c, Event *e, int64_t *now) {
    int64_t time = c->time > *now ? c->time : *now;
    *now = time;
    return (Told){c->seq, time, c->kind, e};
}

ALWAYS void put_head(Event *e, const Told *t, uint64_t kind, uint64_t instrument, uint64_t account, uint64_t attributes,
                     int64_t order_id) {
    e->word[0] = t->seq;
    e->word[1] = t->time;
    e->word[2] = (uint64_t)(e - t->first) | instrument << 32;
    e->word[3] = account | kind << 32 | CONTINUOUS << 40;
    e->word[4] = attributes | t->kind << 56;
    e->word[5] = order_id;
}

ALWAYS void put_body(Event *e, int64_t price, int64_t qty, int64_t leaves, const Text *text, int64_t delta,
                     int64_t old_price) {
    e->word[6] = price;
    e->word[7] = qty;
    e->word[8] = leaves;
    e->word[9] = qty - leaves;
    if (text)
        memcpy(e->word + 10, text, sizeof *text);
    else
        memset(e->word + 10, 0, sizeof *text);
    e->word[14] = delta;
    e->word[15] = old_price;
}

ALWAYS uint64_t attributes_of(uint32_t terms) { return (uint64_t)terms << 24; }

ALWAYS Event *put_accepted(Event *e, const Told *t, const Command *c) {
    put_head(e, t, ACCEPTED, c->instrument, c->account, attributes_of(terms_of(c)), c->seq);
    put_body(e, c->price, c->order_qty, c->order_qty, &c->cl_ord_id, 0, 0);
    return e + 1;
}

ALWAYS Event *put_trade(Event *e, const Told *t, const Order *taker, const Order *maker, int32_t lots, int32_t left,
                        int32_t rest, int64_t trade_id) {
    put_head(e, t, TRADE, taker->instrument, taker->account, attributes_of(taker->terms), taker->order_id);
    e->word[6] = (int64_t)maker->price;
    e->word[7] = lots;
    e->word[8] = left;
    e->word[9] = taker->qty - left;
    e->word[10] = trade_id;
    e->word[11] = maker->order_id;
    e->word[12] = maker->account;
    e->word[13] = rest;
    e->word[14] = e->word[15] = 0;
    return e + 1;
}

/* An order is taken off: by its owner, by an amend to what is filled, or as the rest of one that may not rest. */
ALWAYS Event *put_canceled(Event *e, const Told *t, const Order *o, uint64_t reason, int named) {
    put_head(e, t, CANCELED, o->instrument, o->account, attributes_of(o->terms) | reason << 48, o->order_id);
    put_body(e, o->price, o->qty, 0, named ? &o->text : 0, o->leaves, 0);
    e->word[9] = o->qty - o->leaves;
    return e + 1;
}

ALWAYS Event *put_amended(Event *e, const Told *t, const Order *o, int keeps, int32_t before, int32_t old_price) {
    put_head(e, t, AMENDED, o->instrument, o->account, attributes_of(o->terms) | (keeps ? KEPT : 0), o->order_id);
    put_body(e, o->price, o->qty, o->leaves, &o->text, before, old_price);
    return e + 1;
}

ALWAYS Event *put_unknown(Event *e, const Told *t, const Command *c) {
    put_head(e, t, REJECTED, 0, (uint32_t)c->account, RULE_OF_UNKNOWN | (uint64_t)c->side << 24, 0);
    e->word[2] = 0;
    e->word[3] = (uint32_t)c->account | (uint64_t)REJECTED << 32 | UNKNOWN_ORDER;
    put_body(e, c->price, c->order_qty, 0, &c->cl_ord_id, 0, 0);
    e->word[9] = 0;
    return e + 1;
}

ALWAYS void mark_last(Event *end) { end[-1].word[4] |= LAST_OF_COMMAND; }

#else /* ROWS == 32 */

typedef struct {
    int32_t op, instrument, id, side, price, qty, spare[2];
} Command;

typedef struct {
    int32_t kind, id, maker, price, qty, rest, seq, side;
} Event;

_Static_assert(sizeof(Command) == 32 && sizeof(Event) == 32 && sizeof(Order) == 32, "rows and records are half lines");

enum { ACCEPTED = 1, TRADE = 2, CANCELED = 3, AMENDED = 4, REJECTED = 6, GIVEN_UP = 7 };
enum { REQUESTED = 1, TO_FILLED = 8 };

typedef struct {
    int32_t seq;
} Told;

ALWAYS uint32_t terms_of(const Command *c) { return (uint32_t)(c->side + 1); }
ALWAYS int side_of(const Command *c) { return c->side; }
ALWAYS int tif_of(const Command *c) { return c->op == 1 ? GTC : IOC; }
ALWAYS int is_place(const Command *c) { return c->op <= 2; }
ALWAYS int is_cancel(const Command *c) { return c->op == 3; }
ALWAYS int instrument_of(const Command *c) { (void)c; return 1; }
ALWAYS int32_t price_of(const Command *c) { return c->price; }
ALWAYS int32_t qty_of(const Command *c) { return c->qty; }
ALWAYS int64_t new_id(const Command *c, const Told *t) { (void)t; return c->id; }
ALWAYS int64_t named_id(const Command *c) { return c->id; }
ALWAYS int32_t amended_price(const Command *c, const Order *o) { (void)o; return c->price; }
/* These rows name what is to be open, not the total. */
ALWAYS int32_t amended_total(const Command *c, const Order *o) { return c->qty + o->qty - o->leaves; }
ALWAYS Told tell(const Command *c, Event *e, int64_t *now) { (void)c; (void)e; return (Told){(int32_t)(*now)++}; }

ALWAYS Event *put(Event *e, int kind, int32_t id, int32_t maker, int32_t price, int32_t qty, int32_t rest, int32_t seq,
                  int32_t side) {
    *e = (Event){kind, id, maker, price, qty, rest, seq, side};
    return e + 1;
}
ALWAYS Event *put_accepted(Event *e, const Told *t, const Command *c) {
    return put(e, ACCEPTED, c->id, 0, c->price, c->qty, 0, t->seq, c->side);
}
ALWAYS Event *put_trade(Event *e, const Told *t, const Order *taker, const Order *maker, int32_t lots, int32_t left,
                        int32_t rest, int64_t trade_id) {
    (void)left;
    (void)trade_id;
    return put(e, TRADE, (int32_t)taker->order_id, (int32_t)maker->order_id, maker->price, lots, rest, t->seq,
               (int32_t)taker->terms - 1);
}
ALWAYS Event *put_canceled(Event *e, const Told *t, const Order *o, uint64_t reason, int named) {
    (void)named;
    return put(e, reason == REQUESTED ? CANCELED : GIVEN_UP, (int32_t)o->order_id, 0, o->price, o->leaves, 0, t->seq,
               (int32_t)o->terms - 1);
}
ALWAYS Event *put_amended(Event *e, const Told *t, const Order *o, int keeps, int32_t before, int32_t old_price) {
    (void)keeps;
    (void)before;
    (void)old_price;
    return put(e, AMENDED, (int32_t)o->order_id, 0, o->price, o->leaves, 0, t->seq, (int32_t)o->terms - 1);
}
ALWAYS Event *put_unknown(Event *e, const Told *t, const Command *c) {
    return put(e, REJECTED, c->id, 0, 0, 0, 0, t->seq, 0);
}
ALWAYS void mark_last(Event *end) { (void)end; }

#endif
#endif
