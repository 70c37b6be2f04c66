"""Places of things in the core's arrays.  One record of 64 bytes is a price level or an order (one cache line).

Record r: int32 fields at node4[16 r + F], int64 fields at node8[8 r + F] of the same memory.  Records
1 .. order_base-1 are price levels (each the sentinel of its own circular queue), the rest are orders; 0 is none.
The links of the queues lie apart, at link[2 r + F], eight to a line: so a queue is walked, and an order put into it or
taken out, without its neighbours' records, and a sweep can ask for the records that it is about to trade.
What few orders have (a display quantity, an expiry) lies apart, so that the record stays one line.
"""

from __future__ import annotations

from engine.schema import MAX_STOP_LEVELS

# Links, two int32 by record
NEXT, PREV = range(2)
LINKS = 2
# Records, int32 fields; the first two are free
LEVEL, LEAVES, ACCOUNT, ENTRY, SMP_KEY, FLAGS = range(2, 8)
QTY, SESSION, INSTRUMENT, BEARS = 10, 11, 12, 13
# Records, int64 fields; a level's TOTAL is kept during a call only
ORDER_ID, PRICE = 4, 7
TOTAL = 4
NODE4, NODE8 = 16, 8
# FLAGS of an order: side, type, time in force and self-match instruction, a byte each as in a command, and in the bits
# that these leave free what it is besides
FLAG_TYPE, FLAG_TIF, FLAG_SMP = 8, 16, 24
AS_IN_COMMANDS, AS_IN_EVENTS = 0x07070703, 0x00070703
FLAG_POST = 2
ICEBERG = 1 << 3
GIVES_UP = 1 << 4  # what it cannot trade at once is canceled: ioc, fok, market, market_to_limit
UNPRICED = 1 << 5  # ranks at the edge of the band in a call (R51)
STOPPED = 1 << 6  # waits as a stop (R60)
PARKED = 1 << 7  # kept aside for the closing call (R58)
SUSPENDED = 1 << 11  # kept aside until its price is within the daily limits (R67)
OUTSIDE = STOPPED | PARKED | SUSPENDED  # live, but not in the book
APART = UNPRICED | OUTSIDE

# What few orders have (int64, by record)
SHOWN, DISPLAY, EXPIRE = range(3)
MORE_WORDS = 4

# Instrument rows (int64); pairs are (buy, sell)
PHASE, PLAIN_LOW, PLAIN_HIGH, MAX_QTY, GATED, WINDOW_LO, WINDOW, PERMITS = range(8)
LEVELS, BEST, BITS0, BITS1, BITS2, FAR_COUNT, FAR_BASE = 8, 10, 12, 14, 16, 18, 20
WORDS2, FAR_LEVELS = 22, 23
LAST, LAST_ID, REFERENCE, CLOSE, CLOSE_KNOWN, ASIDE = range(24, 30)  # ASIDE: level of the orders kept aside
EDGE_PRICED = 30  # pair, in a call: priced orders at the edge of the limits
# The second half is a book of its own, of the stops that wait, by stop price and without a window: buy stops are its
# sell side (the lowest first), sell stops its buy side (the highest first).  What of its fields a book without window
# has no use for holds the call.
STOPS = 32
HIGH, LOW, OVERRIDE, GROUP, CALLING = STOPS, STOPS + 1, STOPS + 2, STOPS + 3, STOPS + 4
PROTECTION = STOPS + 8
COMMODITY = STOPS + 9
DIRTY = STOPS + 7
MIN_PRICE, MAX_PRICE = STOPS + 12, STOPS + 13  # PLAIN_LOW and PLAIN_HIGH: those of them that lie in the window
TREE = STOPS + 24  # pair: sums of the lots by price
TOLD_PRICE, TOLD_VOLUME, TOLD_SURPLUS, TOLD_STEP = range(STOPS + 26, STOPS + 30)
LEAVERS = STOPS + 30  # whether orders came that the uncross ends (R56)
BUYS = STOPS + 31  # lots of all buys
INSTRUMENT_WORDS = 64
OUTSIDE_LEVELS = 2 * MAX_STOP_LEVELS + 1  # of an instrument: stop prices of both sides, and what is kept aside
NO_BUY, NO_SELL = -(1 << 62), 1 << 62  # best price of an empty side
MODE_AT = 16  # PERMITS holds the Permit bits of the phase, and from this bit on its Mode

# Price controls of an instrument (int64, by instrument); MIN_PRICE and MAX_PRICE of its row are the daily limits
BAND_MIN, BAND_MAX, MAX_VALUE, BAND, BOUND_LOW, BOUND_HIGH, TRIGGERED, EXTENSIONS = range(8)
TICKS, SLICE_NS = 8, 10  # pairs: short and long window
SETTLEMENT, STEP, RUN_SIDE, LOCKED = range(12, 16)
SLICES = 16  # of either window 8 slices of three words: number, highest, lowest price
SLICE_WORDS, WINDOW_WORDS = 3, 24
CONTROL_WORDS = 64
NO_SLICE = -100  # number of a slice that holds no trade
# GATED of an instrument's row: whether orders have to take the longer way
BY_VALUE, BY_TRIGGER, BY_ACCOUNT = 1, 2, 4

# Account rows (int64)
MEMBER, OWNER, OPEN_ORDERS, GATE, CCY, BALANCE, REQUIRED = range(7)
ACCOUNT_WORDS = 8
KILLED_ONE, KILLED_MEMBER, KILLED_ALL, CHECKED = 1, 2, 4, 8  # bits of GATE
NO_ACCOUNT = 16  # bit of GATE of account 0
KILLED = KILLED_ONE | KILLED_MEMBER | KILLED_ALL

# Positions (int64), by account and instrument, and the same sums by beneficial owner and commodity, with the cap in
# the place of what is held; 1 + g is the open lots of side g
POSITION, BUYS_OPEN, SELLS_OPEN, HELD = range(4)
CAP = 3
POSITION_WORDS = 4
# What an instrument costs accounts of a currency (int64), by currency and instrument: value of a tick of a lot as a
# fraction (denominator 0: no fixing), margin per lot + 1 (0: none set), fees, their basis (FEES_*), worst fee per lot.
# The exchange's income stands in the first word of instrument 0.
VALUE, VALUE_OF, PER_LOT, TAKER, MAKER, AUCTION, BASIS, WORST = range(8)
COST_WORDS = 8
FEES_BY_LOT, FEES_IN_BPS = 1, 2

# Entries of the day's client ids (int64): 4 words of text, then
ENTRY_ORDER, ENTRY_PLACE, ENTRY_END, ENTRY_QTY = 4, 5, 6, 7
ENTRY_WORDS = 8
# Their table, `tab`: a group of places is a cache line.  A place is 0 while free, or the number of an entry, in the
# lowest ID_BITS, and above it the highest bits of its key: whether an id is new is mostly answered by that line alone.
PLACES = 16
# Where commands are not known ahead, nobody waits for that line: `seen` says that an id is new, from a byte an id, and
# of the latest LATE_MOST entries only their keys are kept, until their lines have come.
# ENTRY_PLACE = account | record << 32 (record 0: ended); ENTRY_END = status << 40 | cum_qty once ended,
# negative in an alias (minus its root entry); ENTRY_QTY = order_qty | instrument << 32

# Header (int64)
TIME, ACCOUNTS, INSTRUMENTS, FREE, BUMP, LIVE, ORDER_LIMIT, NEXT_TRADE, IDS, ID_LIMIT = range(10)
ID_GROUPS, DIRECT_MASK, SPILL_MASK, SPILLED, ORDER_BASE, LEVEL_LIMIT, LEVELS_USED, STAGE, RESTORED = range(10, 19)
SEQ, BASE, OP, CAPACITY = range(20, 24)  # of the command in hand; BASE: event number of its index 0; room for events
CURSOR, CURSOR_RECORD, CURSOR_AT, CURSOR_COUNT, CURSOR_REASON = range(24, 29)
INCOMING_ENDED, BITS_USED, FAR_USED = range(29, 32)
SUBJECT = 32  # record of the order that the present amend is about
FIRST_TRADE = 33  # NEXT_TRADE when the present market_to_limit began to trade
NEXT_EXPIRY, TREE_USED = 34, 35
PENDING = 36  # whether the command has more to do than CURSOR says, in this order:
ELECT = 37  # the instrument whose stops are being elected (R61)
WORK_AT, WORK_COUNT, WORK_STEP, WORK_SUB = range(38, 42)  # what entering a phase brings, instrument by instrument (R42)
TELL_AT, TELL_TO = 42, 43  # instruments whose indicative is to be told (R53)
CLOSING, CLOSING_OF = 44, 45  # kind of the closing event, and whose (account, instrument, side)
UNCROSS_PRICE, UNCROSS_LEFT, UNCROSS_VOLUME = 46, 47, 48
STRIDE = 50  # of positions and costs: places per account, owner or currency
BLIND = 51  # set where the core may not look at commands before their turn (it asks for their memory only)
STUCK = 49  # whether the next event has no room: only then is work put off, so that the last event knows it is that
RULE_OF = 64  # rule number of each code
ID_BITS = 53
SEEN_WORDS, LATE_COUNT, LATE = 54, 55, 56  # of the filter; entries not in the table yet, and their keys in turn
LATE_MOST = 8
SPILL_TOP = 52  # highest order_id in the spill table, or of those that were since it was empty
ADDRESSES = 128  # of the arrays, in the order of memory.Core; from here on nothing means anything outside the process
# What looking ahead has found, by the low bits of a command's place in its block: the key of its client id, and the
# record of the order that it names or of the level that it will join
KEYS, KEYS_KEPT = 150, 16
AHEAD, AHEAD_KEPT = 166, 8
HEADER_WORDS = 174

# CURSOR
IDLE, MATCHING, CANCELING, SETTLING = range(4)
# STAGE
FRESH, RESTATING, OPEN = range(3)
# Bits of a word of the work list, above the instrument's number
ENTERS_CALL, ACTIVATES, UNCROSSES, IF_CROSSED, SETS_CLOSE, ELECTS, REVIEWS = (1 << bit for bit in range(32, 39))
NEVER = (1 << 63) - 1
