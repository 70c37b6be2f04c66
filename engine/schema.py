"""The one vocabulary: records, enumerations, codes and limits that every room of the house speaks.

Owns the layout of COMMAND and EVENT rows (the log, the kernel, the binary frames and the exports all
read it from here), the words that stand for each code in JSON, and the limits that size every array.
Imports nothing of the project; keeps no state.  Names are FIX's in snake_case, ITCH's for the feed.

Units: prices are signed int64 ticks of their instrument, quantities int64 lots, times int64 ns UTC.
Every enumeration starts at 1; 0 means 'absent' and is refused where a value is due.
"""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np

FORMAT_VERSION: Final = 2  # layout of blocks and rows
RULES_VERSION: Final = 2  # meaning of the rules in engine/RULES.md


class CommandKind(IntEnum):
    """What a COMMAND row asks for; kinds from ACT_FIRST on are acts with a JSON payload."""

    ORDER_PLACE = 1
    ORDER_CANCEL = 2
    ORDER_AMEND = 3
    ORDER_MASS_CANCEL = 4
    CLOCK_TICK = 5
    DISCONNECT = 6
    ORDER_RESTORE = 7
    INSTRUMENT_DEFINE = 16
    ACCOUNT_DEFINE = 17
    PHASE_SET = 18
    DAY_OPEN = 19
    DAY_START = 20
    AUCTION_UNCROSS = 21
    CONTROL_SET = 22
    LIMIT_SET = 23
    COLLATERAL_SET = 24
    FIXING_SET = 25
    MARGIN_SET = 26
    FEE_SET = 27
    CAP_SET = 28
    KILL_SET = 29
    POSITION_RESTORE = 30
    BALANCE_RESTORE = 31


ACT_FIRST: Final = 16


class EventKind(IntEnum):
    """What happened; every command yields at least one event (FIX ExecType 150 where one exists)."""

    ORDER_ACCEPTED = 1
    ORDER_REJECTED = 2
    ORDER_CANCELED = 3
    ORDER_AMENDED = 4
    ORDER_EXPIRED = 5
    ORDER_PREVENTED = 6
    ORDER_STATUS = 7
    TRADE = 8
    ORDER_RESTORED = 9
    MASS_CANCELED = 10
    DISCONNECTED = 11
    CLOCK_TICKED = 12
    ORDER_TRIGGERED = 13
    ORDER_ACTIVATED = 14
    ORDER_REFRESHED = 15
    AUCTION_INDICATIVE = 16
    AUCTION_UNCROSSED = 17
    ORDER_SUSPENDED = 18
    INSTRUMENT_DEFINED = 20
    ACCOUNT_DEFINED = 21
    PHASE_CHANGED = 22
    DAY_OPENED = 23
    DAY_STARTED = 24
    ACT_REJECTED = 25
    CONTROLS_SET = 26
    LIMITS_SET = 27
    CALL_EXTENDED = 28
    COLLATERAL_SET = 29
    FIXING_SET = 30
    MARGIN_SET = 31
    FEES_SET = 32
    CAP_SET = 33
    KILL_SET = 34
    POSITION_RESTORED = 35
    BALANCE_RESTORED = 36


class Side(IntEnum):
    """FIX 54."""

    BUY = 1
    SELL = 2


class OrdType(IntEnum):
    """FIX 40."""

    LIMIT = 1
    MARKET = 2
    STOP = 3
    STOP_LIMIT = 4
    MARKET_TO_LIMIT = 5


class TimeInForce(IntEnum):
    """FIX 59."""

    DAY = 1
    GTC = 2
    IOC = 3
    FOK = 4
    GTD = 5
    AT_OPEN = 6
    AT_CLOSE = 7


class Smp(IntEnum):
    """Self-match prevention instruction of the incoming order (FIX 2964); absent means CANCEL_RESTING."""

    NONE = 1
    CANCEL_RESTING = 2
    CANCEL_INCOMING = 3
    CANCEL_BOTH = 4
    DECREMENT = 5


class Phase(IntEnum):
    """Trading phase of an instrument (FIX 326); closed is where every instrument starts."""

    CLOSED = 1
    PRE_OPEN = 2
    CONTINUOUS = 3
    HALTED = 4
    NO_CANCEL = 5
    OPENING_AUCTION = 6
    BREAK = 7
    VOLATILITY_AUCTION = 8
    PRE_CLOSE = 9
    CLOSE_NO_CANCEL = 10
    CLOSING_AUCTION = 11
    TRADE_AT_CLOSE = 12
    SETTLEMENT = 13
    POST_CLOSE = 14


class AuctionStep(IntEnum):
    """The step of the ladder that decided an auction price (R52); NO_CROSS: there is none."""

    VOLUME = 1
    SURPLUS = 2
    PRESSURE = 3
    REFERENCE = 4
    UNPRICED = 5
    NO_CROSS = 6


class OrdStatus(IntEnum):
    """FIX 39."""

    NEW = 1
    PARTIALLY_FILLED = 2
    FILLED = 3
    CANCELED = 4
    EXPIRED = 5


class Reason(IntEnum):
    """Why an order was canceled (FIX 378 and its kin); 0 in rows that need none."""

    REQUESTED = 1
    IOC = 2
    FOK = 3
    PROTECTION = 4
    SELF_MATCH = 5
    MASS_CANCEL = 6
    DISCONNECT = 7
    AMENDED_TO_FILLED = 8
    AUCTION = 9
    MIN_QTY = 10
    LEVELS_FULL = 11
    PRICE_LIMIT = 12
    KILL_SWITCH = 13


class Code(IntEnum):
    """Refusals in order of precedence: the first gate that fails gives the code."""

    OK = 0
    MALFORMED = 1
    UNKNOWN_ACCOUNT = 2
    UNKNOWN_INSTRUMENT = 3
    INVALID_COMBINATION = 4
    DISPLAY_QTY = 5
    MIN_QTY = 6
    STOP_PRICE = 7
    EXPIRE_TIME = 8
    DUPLICATE = 9
    UNKNOWN_ORDER = 10
    NOT_OWNER = 11
    TOO_LATE = 12
    KILLED_ACCOUNT = 13
    KILLED_MEMBER = 14
    KILLED_EXCHANGE = 15
    PHASE = 16
    MAX_ORDER_QTY = 17
    TICK_SIZE = 18
    PRICE_BAND = 19
    PRICE_LIMIT = 20
    MOVING_BAND = 21
    MAX_ORDER_VALUE = 22
    CLOSE_PRICE = 23
    POST_ONLY = 24
    POSITION_CAP = 25
    MARGIN = 26
    DAY_ID_LIMIT = 27
    ORDERS_FULL = 28
    FAR_LEVELS_FULL = 29
    STOP_LEVELS_FULL = 30
    BAD_TERMS = 40
    INSTRUMENT_EXISTS = 41
    ACCOUNT_EXISTS = 42
    PHASE_TRANSITION = 43
    INSTRUMENTS_FULL = 44
    ACCOUNTS_FULL = 45
    DAY_ORDER = 46
    NOT_IN_CALL = 47


CODE_TEXT: Final[dict[Code, str]] = {
    Code.OK: "no refusal",
    Code.MALFORMED: "the request's fields do not form a valid command",
    Code.UNKNOWN_ACCOUNT: "no such account",
    Code.UNKNOWN_INSTRUMENT: "no such instrument",
    Code.INVALID_COMBINATION: "these order attributes cannot be combined",
    Code.DISPLAY_QTY: "the displayed quantity is negative or above the order's quantity",
    Code.MIN_QTY: "the minimum quantity is negative or above the order's quantity",
    Code.STOP_PRICE: "a stop order has a stop price, and no other order has one",
    Code.EXPIRE_TIME: "a good-till-date order has an expiry in the future, and no other order has one",
    Code.DUPLICATE: "this cl_ord_id was used before on this trading day; the original's state is given",
    Code.UNKNOWN_ORDER: "no such live order",
    Code.NOT_OWNER: "the order belongs to another account",
    Code.TOO_LATE: "the order has already ended",
    Code.KILLED_ACCOUNT: "the account's trading has been stopped by its kill switch",
    Code.KILLED_MEMBER: "the member's trading has been stopped by its kill switch",
    Code.KILLED_EXCHANGE: "all trading has been stopped by the exchange's kill switch",
    Code.PHASE: "the trading phase does not permit this request",
    Code.MAX_ORDER_QTY: "the quantity is above the instrument's maximum order size",
    Code.TICK_SIZE: "the price is not a whole number of ticks",
    Code.PRICE_BAND: "the price is outside the instrument's price band",
    Code.PRICE_LIMIT: "the price is outside the daily limits",
    Code.MOVING_BAND: "the price is too far from the last price",
    Code.MAX_ORDER_VALUE: "the value is above the instrument's maximum order value",
    Code.CLOSE_PRICE: "in this phase orders trade at the closing price only, and this is not it",
    Code.POST_ONLY: "the post-only order would trade at once",
    Code.POSITION_CAP: "the beneficial owner would hold more lots of the commodity than allowed",
    Code.MARGIN: "the free collateral does not cover the order",
    Code.DAY_ID_LIMIT: "the venue's table of client order ids is full for this trading day",
    Code.ORDERS_FULL: "the venue holds its maximum number of live orders",
    Code.FAR_LEVELS_FULL: "too many price levels lie outside the book's window",
    Code.STOP_LEVELS_FULL: "too many different stop prices wait on this side",
    Code.BAD_TERMS: "the act's payload is incomplete or inconsistent",
    Code.INSTRUMENT_EXISTS: "an instrument of this symbol exists already",
    Code.ACCOUNT_EXISTS: "an account of this name exists already",
    Code.PHASE_TRANSITION: "this phase cannot follow the present one",
    Code.INSTRUMENTS_FULL: "the venue holds its maximum number of instruments",
    Code.ACCOUNTS_FULL: "the venue holds its maximum number of accounts",
    Code.DAY_ORDER: "the act is out of place in the opening of a trading day",
    Code.NOT_IN_CALL: "the instrument is not in a call",
}

# Which numbered rule of engine/RULES.md each refusal enforces.
CODE_RULE: Final[dict[Code, int]] = {
    Code.MALFORMED: 2, Code.UNKNOWN_ACCOUNT: 3, Code.UNKNOWN_INSTRUMENT: 4, Code.INVALID_COMBINATION: 5,
    Code.DISPLAY_QTY: 17, Code.MIN_QTY: 19, Code.STOP_PRICE: 18, Code.EXPIRE_TIME: 16, Code.DUPLICATE: 6,
    Code.UNKNOWN_ORDER: 7, Code.NOT_OWNER: 8, Code.TOO_LATE: 7, Code.KILLED_ACCOUNT: 77, Code.KILLED_MEMBER: 77,
    Code.KILLED_EXCHANGE: 77, Code.PHASE: 9, Code.MAX_ORDER_QTY: 10, Code.TICK_SIZE: 11, Code.PRICE_BAND: 12,
    Code.PRICE_LIMIT: 67, Code.MOVING_BAND: 68, Code.MAX_ORDER_VALUE: 66, Code.CLOSE_PRICE: 59, Code.POST_ONLY: 13,
    Code.POSITION_CAP: 76, Code.MARGIN: 74, Code.DAY_ID_LIMIT: 15, Code.ORDERS_FULL: 15, Code.FAR_LEVELS_FULL: 15,
    Code.STOP_LEVELS_FULL: 15, Code.BAD_TERMS: 40, Code.INSTRUMENT_EXISTS: 40, Code.ACCOUNT_EXISTS: 41,
    Code.PHASE_TRANSITION: 42, Code.INSTRUMENTS_FULL: 40, Code.ACCOUNTS_FULL: 41, Code.DAY_ORDER: 44,
    Code.NOT_IN_CALL: 54,
}  # fmt: skip

# COMMAND flag bits (byte 5)
POST_ONLY: Final = 1  # FIX 18=6
HAS_PRICE: Final = 2  # an amend names a new price; a place with a price always sets it
HAS_QTY: Final = 4  # an amend names a new total quantity
OFF_TICK: Final = 8  # a text price was no whole number of ticks; refused by R11
HAS_STOP: Final = 16  # the command names a stop price
HAS_EXPIRE: Final = 32  # an amend names a new expire time
OF_SESSION: Final = 64  # a mass cancel means the orders of its client session only
# EVENT flag bits
LAST: Final = 1  # the last event of its command
DUP: Final = 2  # answers a repeated cl_ord_id
PRIORITY_KEPT: Final = 4  # an amend that kept its place in the queue
INACTIVE: Final = 8  # not in the book: a stop that waits, an order for the closing call, a suspended order
UNCROSS: Final = 16  # a trade of an auction, which has no aggressor
SELF_MATCH: Final = 32  # a trade of an auction between orders that R27 would have kept apart
OVERRIDE: Final = 64  # a phase of the instrument alone, which its group does not change (R65)

CL_ORD_ID_BYTES: Final = 32
CL_ORD_ID_PATTERN: Final = r"[A-Za-z0-9._:-]{1,32}"
NAME_PATTERN: Final = r"[A-Za-z0-9._:/-]{1,32}"  # symbols, accounts, members, owners

MAX_ORDER_QTY: Final = 1_000_000_000
MAX_CONTRACT_SIZE: Final = 1_000_000_000
MAX_PRICE_TICKS: Final = 2_000_000_000  # times MAX_ORDER_QTY stays below 2**63
MAX_WINDOW_TICKS: Final = 1 << 20
DEFAULT_WINDOW_TICKS: Final = 4096
MAX_FAR_LEVELS: Final = 4096
MAX_STOP_LEVELS: Final = 1024
MAX_EVENTS_PER_CALL: Final = 65_536
MAX_SMP_ID: Final = 65_535
WINDOW_SLICES: Final = 8  # of a look-back window of the volatility trigger (R69)
DEFAULT_SHORT_MS: Final = 60_000
DEFAULT_LONG_MS: Final = 600_000
MAX_WINDOW_MS: Final = 86_400_000
MAX_CURRENCIES: Final = 15
MAX_MARGIN: Final = 1 << 60  # of an account, in minor units
DEFAULT_PROTECTION_TICKS: Final = 100
MAX_BLOCK_ROWS: Final = 4096
MAX_PAYLOAD_BYTES: Final = 1 << 20
MAX_FRAME_BYTES: Final = 64 * 1024
SYMBOL_ALL: Final = "ALL"


class Limits(NamedTuple):
    """Sizes of the preallocated state; a log names the limits it was written under."""

    instruments: int = 256
    accounts: int = 16_384
    orders: int = 1 << 20
    levels: int = 1 << 21
    day_ids: int = 1 << 22


COMMAND: Final = np.dtype(
    {
        "names": [
            "kind", "side", "ord_type", "time_in_force", "smp", "flags", "reserved",
            "instrument", "smp_id", "price", "order_qty", "cl_ord_id", "target_lo", "target_hi",
            "stop_price", "display_qty", "min_qty", "expire_time",
            "seq", "time", "account", "client_session",
        ],
        "formats": [
            "u1", "u1", "u1", "u1", "u1", "u1", "<u2",
            "<i4", "<i4", "<i8", "<i8", "S32", "<i8", "<i8",
            "<i8", "<i4", "<i4", "<i8",
            "<i8", "<i8", "<i4", "<i4",
        ],
        "offsets": [0, 1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 64, 72, 80, 88, 92, 96, 104, 112, 120, 124],
        "itemsize": 128,
    }
)  # fmt: skip
"""One command.  Bytes 0-103 are what a client may set (the binary order record); 104-127 are stamped here.

target: the order meant by a cancel or amend.  target_hi == 0: target_lo is its order_id (0: none);
otherwise (target_lo, target_hi) = cl_ord_id_key of the id it was placed under.  Both zero: cl_ord_id itself.
An amend with a new client id carries the new id in cl_ord_id and names the order by target.
Acts: target_lo and target_hi are offset and length of their payload in the block's payload section;
client_session is the number of the principal who acts.
stop_price is in ticks, display_qty and min_qty in lots (0: none), expire_time ns UTC (0: none).
ORDER_RESTORE: target_lo is the order_id, order_qty the total, min_qty the leaves, target_hi what an iceberg shows.
"""
CLIENT_PREFIX_BYTES: Final = 104

EVENT: Final = np.dtype(
    {
        "names": [
            "seq", "time", "index", "instrument", "account", "kind", "phase", "code",
            "rule", "flags", "side", "ord_type", "time_in_force", "reason", "op",
            "order_id", "price", "qty", "leaves_qty", "cum_qty", "cl_ord_id", "delta_qty", "old_price",
        ],
        "formats": [
            "<i8", "<i8", "<i4", "<i4", "<i4", "u1", "u1", "<u2",
            "<u2", "u1", "u1", "u1", "u1", "u1", "u1",
            "<i8", "<i8", "<i8", "<i8", "<i8", "S32", "<i8", "<i8",
        ],
        "offsets": [0, 8, 16, 20, 24, 28, 29, 30, 32, 34, 35, 36, 37, 38, 39,
                    40, 48, 56, 64, 72, 80, 112, 120],
        "itemsize": 128,
    }
)  # fmt: skip
"""One event: a common head (bytes 0-47) and the body of an order event.

seq, index name the event (exec_id = seq.index).  op is the CommandKind that caused it.
Order events: price the order's limit; qty its order_qty (total, with what is filled); leaves_qty and cum_qty
after the event; delta_qty the lots taken off the book (canceled, expired) or, for ORDER_AMENDED, the leaves
before the amend, with old_price the price before it.  MASS_CANCELED and DISCONNECTED: qty is the count of
orders canceled.  AUCTION_INDICATIVE and AUCTION_UNCROSSED: price, qty the volume, leaves_qty the surplus and side
its side (0: none), reason the AuctionStep.  ORDER_REJECTED repeats what the request said (price, qty, cl_ord_id).
ORDER_STATUS: reason holds the OrdStatus.  PHASE_CHANGED: phase is the new phase, reason the one before.
"""

_fields, _names = EVENT.fields, EVENT.names
assert _fields is not None and _names is not None
_HEAD: Final = {name: _fields[name] for name in _names[:16]}

TRADE: Final = np.dtype(
    {
        "names": [*_HEAD, "price", "qty", "leaves_qty", "cum_qty", "trade_id", "resting_order_id",
                  "resting_account", "smp", "resting_leaves_qty", "fee", "resting_fee"],
        "formats": [*(field[0] for field in _HEAD.values()), "<i8", "<i8", "<i8", "<i8", "<i8", "<i8",
                    "<i4", "<i4", "<i8", "<i8", "<i8"],
        "offsets": [*(field[1] for field in _HEAD.values()), 48, 56, 64, 72, 80, 88, 96, 100, 104, 112, 120],
        "itemsize": 128,
    }
)  # fmt: skip
"""The same 128 bytes read as a TRADE or ORDER_PREVENTED row, which name both sides.

order_id, account, side, leaves_qty, cum_qty are the incoming order's (the aggressor's); resting_* the other's.
TRADE: qty lots at price (the resting order's).  ORDER_PREVENTED: qty is the lots that would have traded, and
smp the instruction applied; leaves after it are those of both orders once the prevention is carried out.
"""

COMMAND_WORDS: Final = COMMAND.itemsize // 8
EVENT_WORDS: Final = EVENT.itemsize // 8
_MASK: Final = (1 << 64) - 1
KEY_FACTORS: Final = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x27D4EB2F165667C5)
KEY_FINISH: Final = 0x2545F4914F6CDD1D


def _fold(words: tuple[int, ...], turn: int) -> int:
    mixed = 0
    for place, word in enumerate(words):
        mixed ^= (word * KEY_FACTORS[(place + turn) % 4]) & _MASK
    mixed ^= mixed >> 32
    mixed = (mixed * KEY_FINISH) & _MASK
    return mixed ^ (mixed >> 29)


def cl_ord_id_key(cl_ord_id: bytes) -> tuple[int, int]:
    """Fold a client order id to the 128-bit key by which a command names an order (COMMAND.target).

    Both halves are below 2**62 and the second is never 0, so that 'named by key' can be told from 'by order_id'.

    >>> cl_ord_id_key(b"a-1") == cl_ord_id_key(b"a-1") != cl_ord_id_key(b"a-2")
    True
    """
    padded = cl_ord_id.ljust(CL_ORD_ID_BYTES, b"\0")
    words = tuple(int.from_bytes(padded[i : i + 8], "little") for i in range(0, CL_ORD_ID_BYTES, 8))
    return _fold(words, 0) >> 2, (_fold(words, 1) >> 2) | 1


class Tick(NamedTuple):
    """A price increment as an exact decimal: `units` over 10**`scale`.

    >>> Tick.parse("0.005").ticks("3.005")
    601
    >>> Tick.parse("0.005").text(601)
    '3.005'
    """

    units: int
    scale: int

    @classmethod
    def parse(cls, text: str) -> Tick:
        """Read a positive decimal such as "0.005" or "50"; ValueError otherwise."""
        whole, dot, fraction = text.partition(".")
        if not (text.isascii() and whole.isdigit() and (fraction.isdigit() or not dot) and len(text) <= 20):
            raise ValueError(f"not a tick: {text!r}")
        units = int(whole + fraction)
        if units <= 0:
            raise ValueError(f"not a tick: {text!r}")
        return cls(units, len(fraction))

    def ticks(self, price: str) -> int | None:
        """Whole ticks of a decimal price; None if it is not a whole number of them; ValueError if no decimal."""
        body = price[1:] if price[:1] == "-" else price
        whole, dot, fraction = body.partition(".")
        if not (body.isascii() and whole.isdigit() and (fraction.isdigit() or not dot) and len(price) <= 32):
            raise ValueError(f"not a decimal price: {price!r}")
        extra = fraction[self.scale :]
        if extra.strip("0"):
            return None
        number = int(whole + fraction[: self.scale].ljust(self.scale, "0"))
        whole_ticks, rest = divmod(number, self.units)
        if rest:
            return None
        return -whole_ticks if price[:1] == "-" else whole_ticks

    def text(self, ticks: int) -> str:
        """The decimal text of a price, with all the digits of the tick."""
        number = abs(ticks) * self.units
        sign = "-" if ticks < 0 else ""
        if not self.scale:
            return f"{sign}{number}"
        whole, fraction = divmod(number, 10**self.scale)
        return f"{sign}{whole}.{fraction:0{self.scale}d}"


def word(member: IntEnum) -> str:
    """The JSON word of an enumeration member: `Side.BUY` is "buy"."""
    return member.name.lower()


def words(kind: type[IntEnum]) -> dict[str, IntEnum]:
    """JSON word to member, for the members of one enumeration."""
    return {word(member): member for member in kind}


OP_WORDS: Final[dict[str, CommandKind]] = {
    "order.place": CommandKind.ORDER_PLACE,
    "order.cancel": CommandKind.ORDER_CANCEL,
    "order.amend": CommandKind.ORDER_AMEND,
    "order.mass_cancel": CommandKind.ORDER_MASS_CANCEL,
    "clock.tick": CommandKind.CLOCK_TICK,
    "disconnect": CommandKind.DISCONNECT,
    "order.restore": CommandKind.ORDER_RESTORE,
    "instrument.define": CommandKind.INSTRUMENT_DEFINE,
    "account.define": CommandKind.ACCOUNT_DEFINE,
    "phase.set": CommandKind.PHASE_SET,
    "day.open": CommandKind.DAY_OPEN,
    "day.start": CommandKind.DAY_START,
    "auction.uncross": CommandKind.AUCTION_UNCROSS,
    "control.set": CommandKind.CONTROL_SET,
    "limit.set": CommandKind.LIMIT_SET,
    "collateral.set": CommandKind.COLLATERAL_SET,
    "fixing.set": CommandKind.FIXING_SET,
    "margin.set": CommandKind.MARGIN_SET,
    "fee.set": CommandKind.FEE_SET,
    "cap.set": CommandKind.CAP_SET,
    "kill.set": CommandKind.KILL_SET,
    "position.restore": CommandKind.POSITION_RESTORE,
    "balance.restore": CommandKind.BALANCE_RESTORE,
}

EVENT_WORDS_JSON: Final[dict[EventKind, str]] = {
    EventKind.ORDER_ACCEPTED: "order.accepted",
    EventKind.ORDER_REJECTED: "order.rejected",
    EventKind.ORDER_CANCELED: "order.canceled",
    EventKind.ORDER_AMENDED: "order.amended",
    EventKind.ORDER_EXPIRED: "order.expired",
    EventKind.ORDER_PREVENTED: "order.prevented",
    EventKind.ORDER_STATUS: "order.status",
    EventKind.TRADE: "trade",
    EventKind.ORDER_RESTORED: "order.restored",
    EventKind.MASS_CANCELED: "order.mass_canceled",
    EventKind.DISCONNECTED: "disconnected",
    EventKind.CLOCK_TICKED: "clock.ticked",
    EventKind.ORDER_TRIGGERED: "order.triggered",
    EventKind.ORDER_ACTIVATED: "order.activated",
    EventKind.ORDER_REFRESHED: "order.refreshed",
    EventKind.AUCTION_INDICATIVE: "auction.indicative",
    EventKind.AUCTION_UNCROSSED: "auction.uncrossed",
    EventKind.ORDER_SUSPENDED: "order.suspended",
    EventKind.INSTRUMENT_DEFINED: "instrument.defined",
    EventKind.ACCOUNT_DEFINED: "account.defined",
    EventKind.PHASE_CHANGED: "phase.changed",
    EventKind.DAY_OPENED: "day.opened",
    EventKind.DAY_STARTED: "day.started",
    EventKind.ACT_REJECTED: "act.rejected",
    EventKind.CONTROLS_SET: "controls.set",
    EventKind.LIMITS_SET: "limits.set",
    EventKind.CALL_EXTENDED: "call.extended",
    EventKind.COLLATERAL_SET: "collateral.set",
    EventKind.FIXING_SET: "fixing.set",
    EventKind.MARGIN_SET: "margin.set",
    EventKind.FEES_SET: "fees.set",
    EventKind.CAP_SET: "cap.set",
    EventKind.KILL_SET: "kill.set",
    EventKind.POSITION_RESTORED: "position.restored",
    EventKind.BALANCE_RESTORED: "balance.restored",
}


def _fingerprint() -> bytes:
    parts: list[object] = [FORMAT_VERSION]
    for dtype in (COMMAND, EVENT, TRADE):
        assert dtype.fields is not None and dtype.names is not None
        parts.append([(name, dtype.fields[name][0].str, dtype.fields[name][1]) for name in dtype.names])
    for kind in (CommandKind, EventKind, Side, OrdType, TimeInForce, Smp, Phase, OrdStatus, Reason, Code, AuctionStep):
        parts.append([(member.name, int(member)) for member in kind])
    return hashlib.sha256(repr(parts).encode()).digest()


SCHEMA_FINGERPRINT: Final[bytes] = _fingerprint()
"""sha256 of the layouts and enumerations; every block of the log carries it."""

assert COMMAND.itemsize == EVENT.itemsize == TRADE.itemsize == 128
