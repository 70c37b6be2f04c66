"""Places of things in the core's arrays.  One record of 64 bytes is a price level or an order (one cache line).

Record r: int32 fields at node4[16 r + F], int64 fields at node8[8 r + F] of the same memory.  Records
1 .. order_base-1 are price levels (each the sentinel of its own circular queue), the rest are orders; 0 is none.
"""

from __future__ import annotations

# Records, int32 fields
NEXT, PREV, LEVEL, LEAVES, ACCOUNT, ENTRY, SMP_KEY, FLAGS = range(8)
QTY, SESSION, INSTRUMENT, BEARS = 10, 11, 12, 13
# Records, int64 fields
ORDER_ID, PRICE = 4, 7
NODE4, NODE8 = 16, 8
# FLAGS of an order: side, time in force, self-match instruction, post-only, type
FLAG_TIF, FLAG_SMP, FLAG_POST, FLAG_TYPE = 2, 5, 8, 9

# Instrument rows (int64); pairs are (buy, sell)
PHASE, MIN_PRICE, MAX_PRICE, MAX_QTY, PROTECTION, WINDOW_LO, WINDOW = range(7)
LEVELS, BEST, BITS0, BITS1, BITS2, FAR_COUNT, FAR_BASE = 8, 10, 12, 14, 16, 18, 20
WORDS2, FAR_LEVELS = 22, 23
INSTRUMENT_WORDS = 32
NO_BUY, NO_SELL = -(1 << 62), 1 << 62  # best price of an empty side

# Account rows (int64)
MEMBER, OWNER, OPEN_ORDERS = range(3)
ACCOUNT_WORDS = 4

# Entries of the day's client ids (int64): 4 words of text, then
ENTRY_ORDER, ENTRY_PLACE, ENTRY_END, ENTRY_QTY = 4, 5, 6, 7
ENTRY_WORDS = 8
# ENTRY_PLACE = account | record << 32 (record 0: ended); ENTRY_END = status << 40 | cum_qty once ended,
# negative in an alias (minus its root entry); ENTRY_QTY = order_qty | instrument << 32

# Header (int64)
TIME, ACCOUNTS, INSTRUMENTS, FREE, BUMP, LIVE, ORDER_LIMIT, NEXT_TRADE, IDS, ID_LIMIT = range(10)
ID_MASK, DIRECT_MASK, SPILL_MASK, SPILLED, ORDER_BASE, LEVEL_LIMIT, LEVELS_USED, STAGE, RESTORED = range(10, 19)
SEQ, BASE, OP, CAPACITY = range(20, 24)  # of the command in hand; BASE: event number of its index 0; room for events
CURSOR, CURSOR_RECORD, CURSOR_AT, CURSOR_COUNT, CURSOR_REASON = range(24, 29)
INCOMING_ENDED, BITS_USED, FAR_USED = range(29, 32)
RULE_OF = 64  # rule number of each code
ADDRESSES = 112  # of the arrays, in the order of memory.Core; they mean nothing outside the process
HEADER_WORDS = 128

# CURSOR
IDLE, MATCHING, CANCELING = range(3)
# STAGE
FRESH, RESTATING, OPEN = range(3)
