"""Bad input of every rule, as data: commands that must be refused; what else acts may say wrong is in `bad_input_acts`.

Commands are written as what makes them wrong: the rest is a good place, amend, cancel or restoring of account 1 in the
venue `World` of that name. `target` names an order of account 1 by its client id.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from engine.schema import (
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    OF_SESSION,
    OFF_TICK,
    POST_ONLY,
    Code,
    CommandKind,
    OrdType,
    TimeInForce,
    cl_ord_id_key,
)
from tests.properties.bad_input_world import LATE, TERMS, World, placing

__all__ = ["BAD", "BAD_IDS", "INT32", "INT64", "Bad", "fields_of", "many"]

PLACE, CANCEL, AMEND = CommandKind.ORDER_PLACE, CommandKind.ORDER_CANCEL, CommandKind.ORDER_AMEND
MASS, DISCONNECT, RESTORE = CommandKind.ORDER_MASS_CANCEL, CommandKind.DISCONNECT, CommandKind.ORDER_RESTORE
LIMIT, MARKET, STOP, STOP_LIMIT, TO_LIMIT = OrdType
DAY, GTC, IOC, FOK, GTD, AT_OPEN, AT_CLOSE = TimeInForce
INT64: Final = (-(2**63), -(2**62), 2**62, 2**63 - 1)
INT32: Final = (-(2**31), -1, 2**31 - 1)
BAD_IDS: Final = (
    *(b"", b" ", b"a b", b"a\0b", b"\0a", b"q/r", b"\n", b"{", b"\x7f", b"\x80", b"\xff" * 32, b"a" * 31 + b"!"),
    *(b"a" * 7 + b"\0b", b"a" * 8 + b"\0b", b"a" * 24 + b"\0b", b"\xc3\xa9", b"\xed\xa0\x80"),
)
NO_KINDS: Final = (0, 8, 15, 32, 100, 128, 255)


class Bad(NamedTuple):
    """A command that breaks a rule, and the code by which it is refused."""

    rule: int
    code: Code
    kind: int
    fields: dict[str, Any]
    world: str = "open"

    @property
    def name(self) -> str:
        kind = CommandKind(self.kind).name.lower() if self.kind in set(CommandKind) else f"kind {self.kind}"
        what = " ".join(f"{name}={value!r}" for name, value in self.fields.items())
        return f"R{self.rule} {self.code.name} {kind} {what} {self.world}"


def fields_of(bad: Bad, world: World) -> dict[str, Any]:
    """All fields of a command of the table."""
    fields = dict(bad.fields)
    if "target" in fields:
        fields["target_lo"] = world.orders[fields.pop("target")]
    if bad.kind == PLACE:
        return placing(**fields)
    if bad.kind == RESTORE:
        restored = placing(**{"cl_ord_id": b"old", "min_qty": 5, "target_lo": 77, **fields})
        return {**restored, "flags": fields.get("flags", 0)}
    return {"account": 1, **fields}


def many(rule: int, code: Code, kind: int, *cases: dict[str, Any], world: str = "open") -> list[Bad]:
    return [Bad(rule, code, kind, fields, world) for fields in cases]


def each(name: str, values: Any, **more: Any) -> list[dict[str, Any]]:
    """Cases that differ in one field."""
    return [{name: value, **more} for value in values]


OFF_BAND: Final = (*INT64, 0, -1, 100_001)
GONE: Final = cl_ord_id_key(b"gone")
NOBODY: Final = cl_ord_id_key(b"nobody")
BY_KEY: Final = {"target_lo": GONE[0], "target_hi": GONE[1]}
WITH: Final[dict[CommandKind, dict[str, Any]]] = {
    CommandKind.PHASE_SET: {"phase": "closed"},
    CommandKind.AUCTION_UNCROSS: {},
    CommandKind.CONTROL_SET: {"band_ticks": 1},
    CommandKind.LIMIT_SET: {},
    CommandKind.MARGIN_SET: {"ccy": "USD", "per_lot": 1},
    CommandKind.FEE_SET: {"ccy": "USD", "basis": "lot", "taker": 1, "maker": 1, "auction": 1},
}
STOPPED: Final[dict[str, Any]] = {"ord_type": STOP, "stop_price": 1030}


def naming(kind: int, **more: Any) -> list[Bad]:
    """R7, R8: all ways to name an order that is not there, has ended or belongs to another account."""
    return [
        *many(7, Code.UNKNOWN_ORDER, kind, *each("target_lo", (1, 19_999, -1, *INT64), **more)),
        *many(7, Code.UNKNOWN_ORDER, kind, *({"target_lo": one, "target_hi": one, **more} for one in INT64)),
        *many(7, Code.UNKNOWN_ORDER, kind, {"target_lo": NOBODY[0], "target_hi": NOBODY[1], **more}),
        *many(7, Code.UNKNOWN_ORDER, kind, {"target": "gone", **more}, {"target_hi": -1, **more}),
        *many(7, Code.UNKNOWN_ORDER, kind, {"cl_ord_id": b"nobody", **more}),
        *many(7, Code.UNKNOWN_ORDER, kind, {"cl_ord_id": b"live", "account": 2, **more}),
        *many(7, Code.TOO_LATE, kind, {"cl_ord_id": b"gone", **more}, {**BY_KEY, **more}),
        *many(8, Code.NOT_OWNER, kind, *each("target", ("live", "stop", "aside", "suspended"), account=2, **more)),
    ]


BAD: Final[list[Bad]] = [
    # R2: the form.
    *(Bad(2, Code.MALFORMED, kind, {"account": 1}) for kind in NO_KINDS),
    *many(2, Code.MALFORMED, PLACE, *each("side", (0, 3, 255)), *each("ord_type", (0, 6, 255), flags=HAS_PRICE)),
    *many(2, Code.MALFORMED, PLACE, *each("time_in_force", (0, 8, 255)), *each("smp", (6, 255))),
    *many(2, Code.MALFORMED, PLACE, *each("order_qty", (0, -1, 10**9 + 1, *INT64)), *each("cl_ord_id", BAD_IDS)),
    *many(2, Code.MALFORMED, PLACE, *each("smp_id", (65_536, *INT32)), *each("reserved", (1, 65_535))),
    *many(2, Code.MALFORMED, PLACE, *each("target_lo", (1, -1, *INT64)), *each("target_hi", (1, -1, *INT64))),
    *many(2, Code.MALFORMED, PLACE, *each("flags", (HAS_QTY, HAS_EXPIRE, OF_SESSION, 255))),
    *many(2, Code.MALFORMED, PLACE, {"ord_type": MARKET, "flags": HAS_PRICE}, {**STOPPED, "flags": HAS_PRICE}),
    *many(2, Code.MALFORMED, PLACE, {"ord_type": TO_LIMIT, "time_in_force": DAY, "flags": HAS_PRICE}),
    *many(2, Code.MALFORMED, AMEND, {"target": "live"}, {"target": "live", "flags": POST_ONLY | OFF_TICK}),
    *many(2, Code.MALFORMED, AMEND, *each("order_qty", (0, -1, 10**9 + 1, *INT64), target="live", flags=HAS_QTY)),
    *many(2, Code.MALFORMED, AMEND, *each("cl_ord_id", BAD_IDS[1:], target="live", flags=HAS_QTY, order_qty=6)),
    *many(2, Code.MALFORMED, AMEND, {"flags": HAS_QTY, "order_qty": 6}, {"flags": HAS_PRICE, "price": 999}),
    *many(2, Code.MALFORMED, CANCEL, {}, *each("cl_ord_id", BAD_IDS[1:]), {"cl_ord_id": b"\n", "target": "live"}),
    *many(2, Code.MALFORMED, MASS, *each("side", (3, 255)), *each("cl_ord_id", BAD_IDS[1:])),
    *many(2, Code.MALFORMED, DISCONNECT, *each("cl_ord_id", BAD_IDS[1:])),
    *many(2, Code.MALFORMED, CommandKind.CLOCK_TICK, *each("cl_ord_id", BAD_IDS[1:])),
    # R3, R4: nobody and nothing.
    *(
        Bad(3, Code.UNKNOWN_ACCOUNT, kind, {**more, "account": account})
        for account in (0, 9, *INT32)
        for kind, more in (
            *((PLACE, {}), (CANCEL, {"target": "live"}), (MASS, {}), (DISCONNECT, {"client_session": 1})),
            (AMEND, {"target": "live", "flags": HAS_QTY, "order_qty": 6}),
        )
    ),
    *many(4, Code.UNKNOWN_INSTRUMENT, PLACE, *each("instrument", (0, 5, *INT32))),
    *many(4, Code.UNKNOWN_INSTRUMENT, MASS, *each("instrument", (5, *INT32))),
    # R5: combinations.
    *many(5, Code.INVALID_COMBINATION, PLACE, *each("time_in_force", (IOC, FOK, AT_OPEN, AT_CLOSE), flags=POST_ONLY)),
    *many(5, Code.INVALID_COMBINATION, PLACE, *each("time_in_force", (IOC, FOK, AT_OPEN, AT_CLOSE), **STOPPED)),
    *many(5, Code.INVALID_COMBINATION, PLACE, *each("time_in_force", (IOC, FOK, AT_OPEN, AT_CLOSE), ord_type=TO_LIMIT)),
    *many(5, Code.INVALID_COMBINATION, PLACE, *each("time_in_force", (AT_OPEN, AT_CLOSE), ord_type=STOP_LIMIT)),
    *many(5, Code.INVALID_COMBINATION, PLACE, *each("ord_type", (MARKET, TO_LIMIT), flags=POST_ONLY)),
    *many(5, Code.INVALID_COMBINATION, PLACE, {**STOPPED, "flags": POST_ONLY}, {**STOPPED, "display_qty": 1}),
    *many(5, Code.INVALID_COMBINATION, PLACE, *each("ord_type", (MARKET, TO_LIMIT), display_qty=-1)),
    *many(5, Code.INVALID_COMBINATION, PLACE, *each("time_in_force", (IOC, FOK), display_qty=2)),
    *many(5, Code.INVALID_COMBINATION, PLACE, *each("time_in_force", (FOK, AT_OPEN, AT_CLOSE), min_qty=-1)),
    *many(5, Code.INVALID_COMBINATION, PLACE, {**STOPPED, "min_qty": 1}, {"flags": POST_ONLY, "min_qty": 2**31 - 1}),
    *many(5, Code.INVALID_COMBINATION, AMEND, *each("target", ("unpriced", "stop"), flags=HAS_PRICE, price=999)),
    *many(
        *(5, Code.INVALID_COMBINATION, AMEND),
        *each("target", ("live", "gtd", "iceberg", "aside", "suspended", "unpriced"), flags=HAS_STOP, stop_price=999),
        *each("target", ("live", "stop", "aside", "suspended"), flags=HAS_EXPIRE, expire_time=LATE),
    ),
    # R16 to R19: what belongs to one kind of order.
    *many(17, Code.DISPLAY_QTY, PLACE, *each("display_qty", (6, 10**9, *INT32))),
    *many(19, Code.MIN_QTY, PLACE, *each("min_qty", (6, 10**9, *INT32))),
    *many(18, Code.STOP_PRICE, PLACE, *each("ord_type", (LIMIT, MARKET, TO_LIMIT), flags=HAS_STOP, stop_price=1030)),
    *many(16, Code.EXPIRE_TIME, PLACE, *each("expire_time", (0, 1, -1, -(2**63)), time_in_force=GTD)),
    *many(16, Code.EXPIRE_TIME, PLACE, *each("expire_time", (1, -1, *INT64)), {"time_in_force": DAY, "expire_time": 1}),
    *many(16, Code.EXPIRE_TIME, AMEND, *each("expire_time", (0, 1, -1, -(2**63)), target="gtd", flags=HAS_EXPIRE)),
    # R6 to R8: which order, and whose.
    *many(6, Code.DUPLICATE, PLACE, *each("cl_ord_id", (b"live", b"gone", b"suspended", b"stop"))),
    *many(6, Code.DUPLICATE, AMEND, *each("cl_ord_id", (b"gone", b"live"), target="live", flags=HAS_QTY, order_qty=6)),
    *naming(CANCEL),
    *naming(AMEND, flags=HAS_QTY, order_qty=6),
    # R77, R9: who and when.
    Bad(77, Code.KILLED_ACCOUNT, PLACE, {"account": 5}),
    Bad(77, Code.KILLED_MEMBER, PLACE, {"account": 6}),
    Bad(77, Code.KILLED_EXCHANGE, PLACE, {}, "killed"),
    Bad(77, Code.KILLED_EXCHANGE, PLACE, {"instrument": 4, "order_qty": 10**9}, "killed"),
    *many(9, Code.PHASE, PLACE, {"instrument": 4}, {"time_in_force": AT_OPEN}, {"instrument": 2, "time_in_force": IOC}),
    *many(9, Code.PHASE, PLACE, {"instrument": 2, "min_qty": 1}, {"instrument": 3, "ord_type": MARKET}),
    Bad(9, Code.PHASE, CommandKind.LIMIT_SET, {"symbol": "S1"}),
    # R10 to R13, R59, R66 to R68: quantities and prices.
    *many(10, Code.MAX_ORDER_QTY, PLACE, *each("order_qty", (1001, 10**9))),
    *many(10, Code.MAX_ORDER_QTY, AMEND, *each("order_qty", (1001, 10**9), target="live", flags=HAS_QTY)),
    *many(11, Code.TICK_SIZE, PLACE, {"flags": OFF_TICK}, {"flags": OFF_TICK, **STOPPED}),
    *many(11, Code.TICK_SIZE, AMEND, {"target": "live", "flags": OFF_TICK | HAS_PRICE, "price": 999}),
    *many(11, Code.TICK_SIZE, AMEND, {"target": "stop", "flags": OFF_TICK | HAS_STOP, "stop_price": 1029}),
    *many(12, Code.PRICE_BAND, PLACE, *each("price", OFF_BAND), *each("price", OFF_BAND, **STOPPED | {"ord_type": 4})),
    *many(12, Code.PRICE_BAND, PLACE, *each("stop_price", OFF_BAND, ord_type=STOP)),
    *many(12, Code.PRICE_BAND, PLACE, *each("stop_price", OFF_BAND, ord_type=STOP_LIMIT)),
    *many(12, Code.PRICE_BAND, AMEND, *each("price", OFF_BAND, target="live", flags=HAS_PRICE)),
    *many(12, Code.PRICE_BAND, AMEND, *each("price", OFF_BAND, target="suspended", flags=HAS_PRICE)),
    *many(12, Code.PRICE_BAND, AMEND, *each("stop_price", OFF_BAND, target="stop", flags=HAS_STOP)),
    *many(67, Code.PRICE_LIMIT, PLACE, *each("price", (899, 1101), time_in_force=DAY), {"price": 899, "min_qty": 1}),
    *many(67, Code.PRICE_LIMIT, PLACE, {**STOPPED, "ord_type": STOP_LIMIT, "price": 1101, "time_in_force": DAY}),
    *many(67, Code.PRICE_LIMIT, AMEND, *each("price", (899, 1101), target="live", flags=HAS_PRICE)),
    *many(68, Code.MOVING_BAND, PLACE, {"price": 1051}, {**STOPPED, "ord_type": STOP_LIMIT, "price": 1051}),
    *many(68, Code.MOVING_BAND, PLACE, {"price": 944, "side": 2}),
    *many(68, Code.MOVING_BAND, AMEND, {"target": "live", "flags": HAS_PRICE, "price": 1051}),
    *many(66, Code.MAX_ORDER_VALUE, PLACE, {"order_qty": 501}, {"order_qty": 1000, **STOPPED}),
    *many(66, Code.MAX_ORDER_VALUE, PLACE, {"order_qty": 600, "ord_type": MARKET, "time_in_force": DAY}),
    *many(66, Code.MAX_ORDER_VALUE, AMEND, *each("target", ("live", "stop", "aside"), flags=HAS_QTY, order_qty=600)),
    *many(59, Code.CLOSE_PRICE, PLACE, *each("price", (999, 1001), instrument=3)),
    *many(13, Code.POST_ONLY, PLACE, {"price": 1010, "flags": POST_ONLY}, {"price": 1011, "flags": POST_ONLY}),
    *many(13, Code.POST_ONLY, AMEND, {"target": "post_only", "flags": HAS_PRICE, "price": 1010}),
    # R74, R76: what an account may have.
    *many(76, Code.POSITION_CAP, PLACE, {"account": 3, "order_qty": 81}, {"account": 3, "order_qty": 400, **STOPPED}),
    *many(74, Code.MARGIN, PLACE, {"account": 4, "order_qty": 1}, {"account": 4, **STOPPED}),
    # R15: what is full.
    *many(15, Code.DAY_ID_LIMIT, PLACE, {}, STOPPED, world="ids"),
    Bad(15, Code.DAY_ID_LIMIT, AMEND, {"target": "live", "cl_ord_id": b"fresh"}, "ids"),
    *many(15, Code.ORDERS_FULL, PLACE, {}, STOPPED, {"time_in_force": IOC}, world="orders"),
    Bad(15, Code.FAR_LEVELS_FULL, PLACE, {"instrument": 4, "price": 901}, "levels"),
    Bad(15, Code.STOP_LEVELS_FULL, PLACE, {"instrument": 4, **STOPPED}, "levels"),
    # R45, R78: what cannot be restored.
    *many(2, Code.MALFORMED, RESTORE, *each("side", (0, 3)), *each("ord_type", (0, 2, 5, 6)), world="restating"),
    *many(2, Code.MALFORMED, RESTORE, *each("time_in_force", (0, 1, 3, 4, 6, 7, 8)), world="restating"),
    *many(2, Code.MALFORMED, RESTORE, *each("order_qty", (0, 4, 10**9 + 1, *INT64)), world="restating"),
    *many(2, Code.MALFORMED, RESTORE, *each("min_qty", (0, 6, *INT32)), *each("cl_ord_id", BAD_IDS), world="restating"),
    *many(2, Code.MALFORMED, RESTORE, *each("target_lo", (0, 1, 2**40, *INT64)), world="restating"),
    *many(2, Code.MALFORMED, RESTORE, *each("target_hi", (1, -1, *INT64)), world="restating"),
    *many(2, Code.MALFORMED, RESTORE, *each("target_hi", (0, 3, -1, *INT64), display_qty=2), world="restating"),
    *many(2, Code.MALFORMED, RESTORE, *each("display_qty", (10**9 + 1, *INT32), target_hi=1), world="restating"),
    *many(2, Code.MALFORMED, RESTORE, {**STOPPED, "display_qty": 2, "target_hi": 2}, world="restating"),
    *many(2, Code.MALFORMED, RESTORE, *each("expire_time", (1, -1, *INT64)), world="restating"),
    *many(2, Code.MALFORMED, RESTORE, *each("expire_time", (0, -(2**63)), time_in_force=GTD), world="restating"),
    *many(2, Code.MALFORMED, RESTORE, *each("smp_id", INT32), {"smp": 6}, {"reserved": 1}, world="restating"),
    *many(3, Code.UNKNOWN_ACCOUNT, RESTORE, *each("account", (0, 8, *INT32)), world="restating"),
    *many(4, Code.UNKNOWN_INSTRUMENT, RESTORE, *each("instrument", (0, 4, *INT32)), world="restating"),
    *many(6, Code.DUPLICATE, RESTORE, {"cl_ord_id": b"live"}, world="restating"),
    *many(12, Code.PRICE_BAND, RESTORE, *each("price", OFF_BAND), world="restating"),
    *many(12, Code.PRICE_BAND, RESTORE, *each("stop_price", OFF_BAND, ord_type=STOP), world="restating"),
    Bad(78, Code.MARGIN, RESTORE, {"account": 4, "order_qty": 10**9, "min_qty": 10**9}, "restating"),
    # R44: out of place in a day.
    *(Bad(44, Code.DAY_ORDER, kind, {"account": 1}, "restating") for kind in (PLACE, CANCEL, AMEND, MASS, DISCONNECT)),
    Bad(44, Code.DAY_ORDER, CommandKind.CLOCK_TICK, {}, "restating"),
    Bad(44, Code.DAY_ORDER, RESTORE, {}),
    # Acts, R40 to R78: names that are taken or unknown, tables that are full, and what cannot follow.
    Bad(40, Code.INSTRUMENT_EXISTS, CommandKind.INSTRUMENT_DEFINE, {**TERMS, "symbol": "S1"}),
    Bad(40, Code.INSTRUMENTS_FULL, CommandKind.INSTRUMENT_DEFINE, {**TERMS, "symbol": "S9"}),
    Bad(41, Code.ACCOUNT_EXISTS, CommandKind.ACCOUNT_DEFINE, {"account": "A1", "member": "M9", "owner": "B9"}),
    Bad(41, Code.ACCOUNTS_FULL, CommandKind.ACCOUNT_DEFINE, {"account": "A9", "member": "M9", "owner": "B9"}),
    Bad(42, Code.PHASE_TRANSITION, CommandKind.PHASE_SET, {"symbol": "S1", "phase": "continuous"}),
    Bad(42, Code.PHASE_TRANSITION, CommandKind.PHASE_SET, {"group": "G1", "phase": "trade_at_close"}),
    Bad(54, Code.NOT_IN_CALL, CommandKind.AUCTION_UNCROSS, {"symbol": "S1"}),
    *(
        Bad(rule, Code.UNKNOWN_INSTRUMENT, kind, {**WITH[kind], name: "S9"})
        for rule, kind, names in (
            (42, CommandKind.PHASE_SET, ("symbol", "group")),
            (54, CommandKind.AUCTION_UNCROSS, ("symbol",)),
            (66, CommandKind.CONTROL_SET, ("symbol", "group")),
            (67, CommandKind.LIMIT_SET, ("symbol", "group")),
            (74, CommandKind.MARGIN_SET, ("symbol", "group")),
            (75, CommandKind.FEE_SET, ("symbol", "group")),
        )
        for name in names
    ),
    Bad(
        78,
        Code.UNKNOWN_INSTRUMENT,
        CommandKind.POSITION_RESTORE,
        {"account": "A1", "symbol": "S9", "lots": 1},
        "restating",
    ),
    Bad(
        78,
        Code.UNKNOWN_ACCOUNT,
        CommandKind.POSITION_RESTORE,
        {"account": "A9", "symbol": "S1", "lots": 1},
        "restating",
    ),
    Bad(
        78,
        Code.UNKNOWN_ACCOUNT,
        CommandKind.BALANCE_RESTORE,
        {"account": "A9", "balance": 1, "checked": 0},
        "restating",
    ),
    Bad(73, Code.UNKNOWN_ACCOUNT, CommandKind.COLLATERAL_SET, {"account": "A9", "amount": 1}),
    *many(77, Code.UNKNOWN_ACCOUNT, CommandKind.KILL_SET, {"account": "A9", "on": 1}, {"member": "M9", "on": 0}),
]
