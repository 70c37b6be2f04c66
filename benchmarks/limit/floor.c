/* The floor: the exchange's matching algorithm and nothing else, as fast as we know how to write it in C.

   What it shares with engine/core: price levels in a dense window with three tiers of occupancy bitmaps, a circular
   queue of orders per level with the level as its sentinel, queue links apart from the records, an order to a cache
   line, a table of live orders by order id, a hash of client ids, looking ahead across the commands of a block, and
   the rows (rows.h).  What it leaves out: every gate (risk, phases, bands, margin, self-match, ownership), positions,
   the day's memory of ended client ids with its test for duplicates, all order types but limit, all phases but
   continuous trading.  It trusts its caller to have looked at the rows (benchmarks/limit/floor.py does).

   Branches that nothing predicts are arithmetic: whether a level was empty, which side it is, whether a price is best. */

#include "rows.h"

#include <stdlib.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif
#include <sys/mman.h>

#define MAX_INSTRUMENTS 256
#define MAX_WINDOW (1 << 18) /* one word on top of two tiers of 64 */
#define LARGE_PAGE (2l << 20)
#define RECORD_BITS 24 /* of a place in the table of client ids; the others are of the hash */
#define RECORD ((1u << RECORD_BITS) - 1)
#define BUCKET 16      /* places of that table in one line: 15 ids, and */
#define PASSED 15      /* how many found them taken and went on to the next line */
#define TAKEN_BY_IDS 0x7fffu
#ifndef LOOK_FROM
#define LOOK_FROM 6144 /* live orders from which on most lines are not in the nearest caches when they are needed */
#endif
#ifndef FAR
#define FAR 12 /* how many commands ahead: where an order is looked up, */
#define NEAR 8 /* the order, */
#define SOON 4 /* and its neighbours */
#endif
#define ROWS_AHEAD 24 /* and their rows, in books of any size */

typedef struct {
    int32_t next, prev;
} Link;

typedef struct {
    uint64_t *tier0, *tier1;    /* words by 2 * number + side; a bit says that a word of the tier below is not zero */
    uint64_t tier2[2];          /* by side, as is: */
    int32_t best[2];            /* offset in the window; -1: no buy, width: no sell */
    int32_t low, width, levels; /* lowest price, prices, and the record of the level at offset 0 */
} __attribute__((aligned(64))) Instrument;

typedef struct {
    Link *link;                    /* by record: price levels first, then orders; record 0 is none */
    Order *order;                  /* by record, those of the levels unused (and so never touched) */
    int32_t *direct;               /* youngest live order by the low bits of its order id */
    uint32_t *client;              /* by the hash of account and client id: lines of 15 records */
    Instrument *instrument;
    int64_t direct_mask, client_words;
    int32_t client_shift, free, fresh, live, instruments;
    int64_t now, trades;
    const Event *room;             /* where the events of trades have to end, so that there is room for all others */
    int64_t orders, levels, bytes;
} Book;

/* --- memory ------------------------------------------------------------------------------------------------------ */

static void *reserve(Book *b, int64_t bytes) {
    bytes = (bytes + 2 * LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE;
    char *raw = mmap(0, bytes + LARGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (raw == MAP_FAILED)
        return 0;
    char *begin = (char *)(((intptr_t)raw + LARGE_PAGE - 1) & -LARGE_PAGE);
    if (begin > raw)
        munmap(raw, begin - raw);
    munmap(begin + bytes, raw + LARGE_PAGE - begin);
    madvise(begin, bytes, MADV_HUGEPAGE);
    b->bytes += bytes;
    return begin;
}

void floor_close(Book *b);

/* A book for so many live orders and so many prices of all instruments; 0 if there is no memory for it. */
Book *floor_open(int64_t orders, int64_t levels) {
    Book *b = calloc(1, sizeof *b);
    if (!b || levels + orders > (int64_t)RECORD)
        return 0;
    int64_t bits = 6;
    while (1ll << bits < 2 * orders)
        bits++;
    b->orders = orders;
    b->levels = levels;
    b->client_words = 1ll << bits;
    b->client_shift = (int32_t)(64 + 4 - bits);
    b->direct_mask = (2ll << bits) - 1;
    b->fresh = (int32_t)levels + 1;
    b->trades = 1;
    b->link = reserve(b, (levels + orders + 1) * sizeof(Link));
    b->order = reserve(b, (levels + orders + 1) * sizeof(Order));
    b->direct = reserve(b, (b->direct_mask + 1) * sizeof(int32_t));
    b->client = reserve(b, b->client_words * sizeof(uint32_t));
    b->instrument = aligned_alloc(64, (MAX_INSTRUMENTS + 1) * sizeof(Instrument));
    if (b->link && b->order && b->direct && b->client && b->instrument)
        return b;
    floor_close(b);
    return 0;
}

/* The next instrument (numbers begin at 1): `width` prices from `low` on; its number, or 0 if it does not fit. */
int32_t floor_add(Book *b, int32_t low, int32_t width) {
    int32_t used = 0;
    for (int32_t i = 1; i <= b->instruments; i++)
        used += b->instrument[i].width;
    if (b->instruments == MAX_INSTRUMENTS || width < 1 || width > MAX_WINDOW || used + width > b->levels)
        return 0;
    Instrument *in = &b->instrument[++b->instruments];
    in->tier0 = calloc(width / 64 + 1, 16);
    in->tier1 = calloc(width / 4096 + 1, 16);
    if (!in->tier0 || !in->tier1)
        return 0;
    in->low = low;
    in->width = width;
    in->levels = 1 + used;
    in->best[BUY] = -1;
    in->best[SELL] = width;
    in->tier2[BUY] = in->tier2[SELL] = 0;
    for (int32_t level = in->levels; level < in->levels + width; level++)
        b->link[level] = (Link){level, level};
    return b->instruments;
}

/* Live orders: how full the book is. */
int64_t floor_live(const Book *b) { return b->live; }

/* --- levels ------------------------------------------------------------------------------------------------------ */

/* Lowest occupied offset above p, or the window's width. */
static int32_t above(const Instrument *in, int side, int32_t p) {
    int32_t w = p >> 6;
    uint64_t bits = in->tier0[2 * w + side] & (~1ull << (p & 63));
    if (!bits) {
        int32_t j = w >> 6;
        bits = in->tier1[2 * j + side] & (~1ull << (w & 63));
        if (!bits) {
            bits = in->tier2[side] & (~1ull << j);
            if (!bits)
                return in->width;
            j = __builtin_ctzll(bits);
            bits = in->tier1[2 * j + side];
        }
        w = j * 64 + __builtin_ctzll(bits);
        bits = in->tier0[2 * w + side];
    }
    return w * 64 + __builtin_ctzll(bits);
}

/* Highest occupied offset below p, or -1. */
static int32_t below(const Instrument *in, int side, int32_t p) {
    int32_t w = p >> 6;
    uint64_t bits = in->tier0[2 * w + side] & ((1ull << (p & 63)) - 1);
    if (!bits) {
        int32_t j = w >> 6;
        bits = in->tier1[2 * j + side] & ((1ull << (w & 63)) - 1);
        if (!bits) {
            bits = in->tier2[side] & ((1ull << j) - 1);
            if (!bits)
                return -1;
            j = 63 - __builtin_clzll(bits);
            bits = in->tier1[2 * j + side];
        }
        w = j * 64 + 63 - __builtin_clzll(bits);
        bits = in->tier0[2 * w + side];
    }
    return w * 64 + 63 - __builtin_clzll(bits);
}

ALWAYS int32_t next_best(const Instrument *in, int side, int32_t p) {
    return side == BUY ? below(in, side, p) : above(in, side, p);
}

/* Whether an order of `side` at offset p trades: the best of the other side is as good or better. */
ALWAYS int crosses(const Instrument *in, int side, int32_t p) { return (p - in->best[1 - side]) * (1 - 2 * side) >= 0; }

/* The level at offset p has become empty and its bit is cleared: clear what lies above it, find the next best. */
ALWAYS void vacate(Instrument *in, int side, int32_t p) {
    int32_t w = p >> 6;
    if (in->tier0[2 * w + side] == 0 && (in->tier1[2 * (w >> 6) + side] &= ~(1ull << (w & 63))) == 0)
        in->tier2[side] &= ~(1ull << (w >> 6));
    if (in->best[side] == p)
        in->best[side] = next_best(in, side, p);
}

ALWAYS void join(Book *b, Instrument *in, int side, int32_t x, int32_t p) {
    int32_t level = in->levels + p, last = b->link[level].prev, w = p >> 6;
    b->link[x].next = level;
    b->link[x].prev = last;
    b->link[last].next = x;
    b->link[level].prev = x;
    in->tier0[2 * w + side] |= 1ull << (p & 63);
    in->tier1[2 * (w >> 6) + side] |= 1ull << (w & 63);
    in->tier2[side] |= 1ull << (w >> 6);
    int32_t best = in->best[side];
    in->best[side] = (p - best) * (1 - 2 * side) > 0 ? p : best;
}

ALWAYS void leave(Book *b, Instrument *in, int side, int32_t x, int32_t p) {
    int32_t next = b->link[x].next, prev = b->link[x].prev;
    b->link[prev].next = next;
    b->link[next].prev = prev;
    /* Whether the level is empty now is a toss-up; that its word is too, or that it was the best, is rare. */
    uint64_t alone = next == prev, word = in->tier0[2 * (p >> 6) + side] & ~(alone << (p & 63));
    in->tier0[2 * (p >> 6) + side] = word;
    uint64_t other = (uint32_t)(in->best[side] ^ p);
    if (((uint32_t)(next ^ prev) | (word < other ? word : other)) == 0)
        vacate(in, side, p);
}

/* --- finding orders ---------------------------------------------------------------------------------------------- */

#if ROWS == 128
ALWAYS uint64_t hash_of(const Text *text, uint64_t account) {
    uint64_t m = text->word[0] * 0x9E3779B97F4A7C15ull ^ text->word[1] * 0xC2B2AE3D27D4EB4Full ^
                 text->word[2] * 0x165667B19E3779F9ull ^ (text->word[3] ^ account) * 0xD6E8FEB86659FD93ull;
    m ^= m >> 32;
    return m * 0x9FB21C651E98DF25ull;
}

ALWAYS uint32_t *home(const Book *b, uint64_t hash) { return b->client + (hash >> b->client_shift) * BUCKET; }

/* Which of the 16 words of a bucket are `value` under `bits`, the first in bit 0. */
ALWAYS uint32_t places(const uint32_t *bucket, uint32_t value, uint32_t bits) {
#ifdef __AVX2__
    __m256i sought = _mm256_set1_epi32((int)value), under = _mm256_set1_epi32((int)bits);
    __m256i low = _mm256_and_si256(_mm256_load_si256((const __m256i *)bucket), under);
    __m256i high = _mm256_and_si256(_mm256_load_si256((const __m256i *)bucket + 1), under);
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(low, sought))) |
           (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(high, sought))) << 8;
#else
    uint32_t found = 0;
    for (int k = 0; k < BUCKET; k++)
        found |= (uint32_t)((bucket[k] & bits) == value) << k;
    return found;
#endif
}

ALWAYS uint32_t *after(const Book *b, uint32_t *bucket) {
    bucket += BUCKET;
    return bucket == b->client + b->client_words ? b->client : bucket;
}

ALWAYS void remember(Book *b, uint64_t hash, int32_t x) {
    uint32_t *bucket = home(b, hash), free;
    while (__builtin_expect((free = places(bucket, 0, ~0u) & TAKEN_BY_IDS) == 0, 0)) {
        bucket[PASSED]++;
        bucket = after(b, bucket);
    }
    bucket[__builtin_ctz(free)] = (uint32_t)x | (uint32_t)hash << RECORD_BITS;
}

ALWAYS void forget(Book *b, int32_t x) {
    uint32_t *bucket = home(b, hash_of(&b->order[x].text, b->order[x].account)), found;
    while (__builtin_expect((found = places(bucket, (uint32_t)x, RECORD) & TAKEN_BY_IDS) == 0, 0)) {
        bucket[PASSED]--;
        bucket = after(b, bucket);
    }
    bucket[__builtin_ctz(found)] = 0;
}

static int32_t find_client(const Book *b, const Text *text, uint64_t account) {
    uint64_t hash = hash_of(text, account);
    for (uint32_t *bucket = home(b, hash);; bucket = after(b, bucket)) {
        uint32_t alike = places(bucket, (uint32_t)hash << RECORD_BITS, ~RECORD) & TAKEN_BY_IDS;
        for (; alike; alike &= alike - 1) {
            int32_t x = (int32_t)(bucket[__builtin_ctz(alike)] & RECORD);
            if (b->order[x].account == account && memcmp(&b->order[x].text, text, sizeof *text) == 0)
                return x;
        }
        if (bucket[PASSED] == 0)
            return 0;
    }
}
#endif

ALWAYS void enlist(Book *b, int64_t order_id, int32_t x) {
    int32_t *at = &b->direct[order_id & b->direct_mask];
    b->order[x].older = *at;
    *at = x;
}

ALWAYS void delist(Book *b, int64_t order_id, int32_t x) {
    int32_t *at = &b->direct[order_id & b->direct_mask];
    while (*at != x)
        at = &b->order[*at].older;
    *at = b->order[x].older;
}

ALWAYS int32_t find(const Book *b, const Command *c) {
    int64_t order_id = named_id(c);
#if ROWS == 128
    if (__builtin_expect(order_id == 0, 0))
        return find_client(b, &c->cl_ord_id, (uint32_t)c->account);
#endif
    int32_t x = b->direct[order_id & b->direct_mask];
    while (b->order[x].order_id != order_id && x)
        x = b->order[x].older;
    return x;
}

/* The order in record x, which is in no queue any more, has ended. */
ALWAYS void release(Book *b, int32_t x) {
    delist(b, b->order[x].order_id, x);
#if ROWS == 128
    forget(b, x);
#endif
    b->link[x].next = b->free;
    b->free = x;
    b->live--;
}

/* --- matching ---------------------------------------------------------------------------------------------------- */

/* While a queue is walked, ask for the order after the next, and for what the end of the next will touch. */
ALWAYS void look_along(const Book *b, int32_t next) {
    const Order *o = &b->order[next];
    __builtin_prefetch(&b->order[b->link[b->link[next].next].next], 1);
    __builtin_prefetch(&b->direct[o->order_id & b->direct_mask], 1);
#if ROWS == 128
    __builtin_prefetch(home(b, hash_of(&o->text, o->account)), 1);
#endif
}

/* Trade `taker`, which crosses, with the other side as far as offset `limit`; *left: its lots.  The event after the
   last, or 0 if there might be no room: there are no more trades than lots or live orders. */
ALWAYS Event *sweep(Book *b, Instrument *in, Event *e, const Told *t, const Order *taker, int side, int32_t limit,
                    int32_t *left, const int looks) {
    int32_t q = *left;
    const int other = 1 - side;
    if (b->room - e < q && b->room - e < b->live)
        return 0;
    do {
        int32_t p = in->best[other], level = in->levels + p, x = b->link[level].next;
        for (;;) {
            Order *maker = &b->order[x];
            int32_t lots = q < maker->leaves ? q : maker->leaves, rest = maker->leaves - lots, next = b->link[x].next;
            if (looks)
                look_along(b, next);
            q -= lots;
            e = put_trade(e, t, taker, maker, lots, q, rest, b->trades++);
            if (rest > 0) {
                maker->leaves = rest;
                break;
            }
            release(b, x);
            x = next;
            if (x == level || q == 0)
                break;
        }
        b->link[level].next = x;
        b->link[x].prev = level;
        if (x == level) {
            in->tier0[2 * (p >> 6) + other] &= ~(1ull << (p & 63));
            vacate(in, other, p);
        }
    } while (q > 0 && crosses(in, side, limit));
    *left = q;
    return e;
}

/* Whether q lots would trade at once. */
static int fills(const Book *b, const Instrument *in, int side, int32_t limit, int32_t q) {
    int other = 1 - side;
    for (int32_t p = in->best[other]; (limit - p) * (1 - 2 * side) >= 0; p = next_best(in, other, p)) {
        int32_t level = in->levels + p;
        for (int32_t x = b->link[level].next; x != level; x = b->link[x].next)
            if ((q -= b->order[x].leaves) <= 0)
                return 1;
    }
    return 0;
}

/* --- commands ---------------------------------------------------------------------------------------------------- */

ALWAYS Event *place(Book *b, const Command *c, Event *e, uint64_t hash, const int looks) {
    Told t = tell(c, e, &b->now);
    Instrument *in = &b->instrument[instrument_of(c)];
    int side = side_of(c), tif = tif_of(c);
    int32_t p = price_of(c) - in->low, left = qty_of(c);
    e = put_accepted(e, &t, c);
    if (crosses(in, side, p) | (tif >= IOC)) {
        Order taker = {.order_id = new_id(c, &t), .price = price_of(c), .leaves = left, .qty = left,
                       .instrument = (uint16_t)instrument_of(c), .terms = terms_of(c)};
#if ROWS == 128
        taker.account = (uint16_t)c->account;
#endif
        if (crosses(in, side, p) && (tif != FOK || fills(b, in, side, p, left)))
            e = sweep(b, in, e, &t, &taker, side, p, &left, looks);
        if (left == 0 || !e)
            return e;
        if (tif >= IOC) {
            taker.leaves = left;
            return put_canceled(e, &t, &taker, (uint64_t)(tif - 1), 0);
        }
    }
    int32_t x = b->free;
    if (x)
        b->free = b->link[x].next;
    else
        x = b->fresh++;
    b->live++;
    Order *o = &b->order[x];
    o->order_id = new_id(c, &t);
    o->price = price_of(c);
    o->leaves = left;
    o->qty = qty_of(c);
    o->instrument = (uint16_t)instrument_of(c);
    o->terms = terms_of(c);
#if ROWS == 128
    o->account = (uint16_t)c->account;
    o->text = c->cl_ord_id;
    remember(b, hash, x);
#else
    (void)hash;
#endif
    enlist(b, o->order_id, x);
    join(b, in, side, x, p);
    return e;
}

ALWAYS Event *cancel(Book *b, const Command *c, Event *e) {
    Told t = tell(c, e, &b->now);
    int32_t x = find(b, c);
    if (x == 0)
        return put_unknown(e, &t, c);
    Order *o = &b->order[x];
    Instrument *in = &b->instrument[o->instrument];
    e = put_canceled(e, &t, o, REQUESTED, 1);
    leave(b, in, (int)(o->terms & 3) - 1, x, o->price - in->low);
    release(b, x);
    return e;
}

ALWAYS Event *amend(Book *b, const Command *c, Event *e, const int looks) {
    Told t = tell(c, e, &b->now);
    int32_t x = find(b, c);
    if (x == 0)
        return put_unknown(e, &t, c);
    Order *o = &b->order[x];
    Instrument *in = &b->instrument[o->instrument];
    int side = (int)(o->terms & 3) - 1;
    int32_t old_price = o->price, before = o->leaves;
    int32_t price = amended_price(c, o), total = amended_total(c, o), left = total - (o->qty - before);
    if (left <= 0) {
        e = put_canceled(e, &t, o, TO_FILLED, 1);
        leave(b, in, side, x, old_price - in->low);
        release(b, x);
        return e;
    }
    int keeps = price == old_price && total <= o->qty && ROWS == 128;
    o->price = price;
    o->leaves = left;
    o->qty = total;
    e = put_amended(e, &t, o, keeps, before, old_price);
    if (keeps)
        return e;
    int32_t p = price - in->low;
    leave(b, in, side, x, old_price - in->low);
    if (crosses(in, side, p)) {
        e = sweep(b, in, e, &t, o, side, p, &left, looks);
        o->leaves = left;
        if (!e)
            return 0;
        if (left == 0) {
            release(b, x);
            return e;
        }
    }
    join(b, in, side, x, p);
    return e;
}

/* --- blocks ------------------------------------------------------------------------------------------------------ */

/* Ask for the memory that the next commands of the block will need, in three steps, each with what the one before has
   brought.  Record 0 answers for orders that are not there. */
ALWAYS void look_far(const Book *b, const Command *c, uint64_t *hash) {
    if (is_place(c)) {
#if ROWS == 128
        *hash = hash_of(&c->cl_ord_id, (uint32_t)c->account);
        __builtin_prefetch(home(b, *hash), 1);
#endif
    } else
        __builtin_prefetch(&b->direct[named_id(c) & b->direct_mask], 1);
    (void)hash;
}

ALWAYS int32_t level_of(const Book *b, const Command *c, int instrument) {
    const Instrument *in = &b->instrument[instrument];
    return in->levels + price_of(c) - in->low;
}

ALWAYS void look_near(const Book *b, const Command *c) {
    if (is_place(c))
        __builtin_prefetch(&b->link[level_of(b, c, instrument_of(c))], 1);
    else {
        int32_t x = b->direct[named_id(c) & b->direct_mask];
        __builtin_prefetch(&b->order[x], 1);
        __builtin_prefetch(&b->link[x], 1);
    }
}

ALWAYS void look_soon(const Book *b, const Command *c) {
    if (is_place(c))
        __builtin_prefetch(&b->link[b->link[level_of(b, c, instrument_of(c))].prev], 1);
    else {
        int32_t x = b->direct[named_id(c) & b->direct_mask];
        __builtin_prefetch(&b->link[b->link[x].next], 1);
        __builtin_prefetch(&b->link[b->link[x].prev], 1);
        if (is_cancel(c)) {
#if ROWS == 128
            __builtin_prefetch(home(b, hash_of(&b->order[x].text, b->order[x].account)), 1);
#endif
        }
    }
}

/* Commands [0, count) of one block; the event after the last, or 0 if there might be no room (*count: at which). */
ALWAYS Event *run_block(Book *b, const Command *c, int64_t *count, Event *e, const Event *room, const int looks) {
    uint64_t hashes[16] = {0};
    const int64_t high = *count;
    b->room = room - 2 * high; /* no command makes more than two events besides its trades */
    if (looks)
        for (int64_t i = 0; i < high && i < FAR; i++)
            look_far(b, c + i, &hashes[i & 15]);
    for (int64_t i = 0; i < high; i++) {
        for (size_t line = 0; line < sizeof *c; line += 64)
            __builtin_prefetch((const char *)(c + i + ROWS_AHEAD) + line);
        if (looks) {
            if (i + FAR < high)
                look_far(b, c + i + FAR, &hashes[(i + FAR) & 15]);
            if (i + NEAR < high)
                look_near(b, c + i + NEAR);
            if (i + SOON < high)
                look_soon(b, c + i + SOON);
        }
        if (is_place(c + i)) {
#if ROWS == 128
            uint64_t hash = looks ? hashes[i & 15] : hash_of(&c[i].cl_ord_id, (uint32_t)c[i].account);
#else
            uint64_t hash = 0;
#endif
            e = place(b, c + i, e, hash, looks);
        } else if (is_cancel(c + i))
            e = cancel(b, c + i, e);
        else
            e = amend(b, c + i, e, looks);
        if (!e) {
            *count = i;
            return 0;
        }
        mark_last(e);
    }
    return e;
}

static __attribute__((noinline)) Event *run_small(Book *book, const Command *c, int64_t *count, Event *e,
                                                  const Event *room) {
    Book b = *book; /* a copy whose address nobody has: the compiler may keep it in registers */
    e = run_block(&b, c, count, e, room, 0);
    *book = b;
    return e;
}

static __attribute__((noinline)) Event *run_large(Book *book, const Command *c, int64_t *count, Event *e,
                                                  const Event *room) {
    Book b = *book;
    e = run_block(&b, c, count, e, room, 1);
    *book = b;
    return e;
}

/* Carry out commands[first:last] in blocks of `block`; each writes its events from the start of `events`, which has
   place for `room`.  How many events were written, all blocks together; or -1 - i if command i
   might need more room, and the book is of no use any more. */
int64_t floor_run(Book *b, const Command *commands, int64_t first, int64_t last, int64_t block, Event *events,
                  int64_t room) {
    int64_t written = 0;
    for (int64_t i = first; i < last; i += block) {
        int64_t count = last - i < block ? last - i : block;
        if (room < 2 * count)
            return -1 - i;
        Event *end = b->live < LOOK_FROM ? run_small(b, commands + i, &count, events, events + room)
                                         : run_large(b, commands + i, &count, events, events + room);
        if (!end)
            return -1 - (i + count);
        written += end - events;
    }
    return written;
}

void floor_close(Book *b) {
    if (!b)
        return;
    if (b->link)
        munmap(b->link, ((b->levels + b->orders + 1) * sizeof(Link) + 2 * LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE);
    if (b->order)
        munmap(b->order, ((b->levels + b->orders + 1) * sizeof(Order) + 2 * LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE);
    if (b->direct)
        munmap(b->direct, ((b->direct_mask + 1) * 4 + 2 * LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE);
    if (b->client)
        munmap(b->client, (b->client_words * 4 + 2 * LARGE_PAGE - 1) / LARGE_PAGE * LARGE_PAGE);
    for (int32_t i = 1; b->instrument && i <= b->instruments; i++) {
        free(b->instrument[i].tier0);
        free(b->instrument[i].tier1);
    }
    free(b->instrument);
    free(b);
}
