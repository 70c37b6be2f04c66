"""The worlds of the table of gates: for each way in and each gate one in which that gate fails, and no other would.

All worlds are alike. Instrument 1 has prices 1 to 1,000,000, daily limits of 10 % around 100,000 and a last trade
there. Account 3 bids at the centre, account 2 offers 10 lots 5 ticks beyond; account 1 is the one that wants something,
account 4 fills tables. A price is a distance from the centre in the direction of account 1's order, which may buy or
sell.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from engine.schema import (
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    MAX_FAR_LEVELS,
    MAX_STOP_LEVELS,
    OFF_TICK,
    POST_ONLY,
    Code,
    CommandKind,
    Limits,
    OrdType,
    Phase,
    TimeInForce,
    word,
    words,
)
from tests.properties.gates_table import Row
from tests.properties.pair import Rows
from tests.properties.seen import Venue

__all__ = ["GATES", "ME", "Gate", "Scene"]

CENTRE: Final = 100_000
TOUCH: Final = 5  # where the other side offers
BEYOND: Final = 20_000  # outside the daily limits
ABROAD: Final = 2_000_000  # outside the terms
ME, OTHER, BIDDER, FILLER = 1, 2, 3, 4
MAX_QTY: Final = 1_000_000
LATE: Final = 1 << 40
TERMS: Final[dict[str, Any]] = {
    **{"symbol": "S1", "ccy": "USD", "unit": "lb", "contract_size": 1, "tick": "1", "min_price": "1"},
    **{"max_price": "1000000", "max_order_qty": MAX_QTY, "window_ticks": 16, "reference_price": str(CENTRE)},
}
ROOM: Final = Limits(instruments=1, accounts=4, orders=64, levels=2 * (16 + MAX_FAR_LEVELS), day_ids=128)
ROOMY: Final = ROOM._replace(orders=1 << 13, day_ids=1 << 13)
FEW: Final = 24
STOPS: Final = (OrdType.STOP, OrdType.STOP_LIMIT)
PRICED: Final = (OrdType.LIMIT, OrdType.STOP_LIMIT)
ORD_TYPES: Final = words(OrdType)
TIMES_IN_FORCE: Final = words(TimeInForce)
Fields = dict[str, Any]

# The phase of each place in the table, and how to get there from the call in which everything is placed; kill switches
# and controls are set in no_cancel, where they cancel nothing.
OPENING: Final = (Phase.NO_CANCEL, Phase.CONTINUOUS)
WAYS: Final[dict[str, tuple[Phase, ...]]] = {
    "restating": (),
    "call": (Phase.NO_CANCEL, Phase.PRE_OPEN),
    "continuous": OPENING,
    "closing": (*OPENING, Phase.PRE_CLOSE),
    "none": (*OPENING, Phase.POST_CLOSE),
    "at_close": (*OPENING, Phase.PRE_CLOSE, Phase.CLOSING_AUCTION, Phase.TRADE_AT_CLOSE),
}
WAYS_OF_EVENTS: Final[dict[str, tuple[Phase, ...]]] = {
    "elect opening": (Phase.NO_CANCEL,),
    "elect trading": OPENING,
    "join closing": (*OPENING, Phase.BREAK),
    "return none": (*OPENING, Phase.BREAK),
    "uncross opening": (Phase.NO_CANCEL,),
}
SHUT: Final = (Phase.NO_CANCEL, Phase.OPENING_AUCTION)  # where nothing is let in


def order(ord_type: str = "limit", tif: str = "gtc", feature: str = "", *, qty: int = 5) -> Fields:
    """The fields of an order that buys, a price being a distance."""
    kind = ORD_TYPES[ord_type]
    fields: Fields = {"ord_type": kind, "time_in_force": TIMES_IN_FORCE[tif], "order_qty": qty, "flags": 0}
    if kind in PRICED:
        fields |= {"price": TOUCH, "flags": HAS_PRICE}
    if kind in STOPS:
        fields |= {"stop_price": 20, "flags": fields["flags"] | HAS_STOP}
    if tif == "gtd":
        fields["expire_time"] = LATE
    return (
        fields
        | {
            "": {},
            "iceberg": {"display_qty": 2},
            "min_qty": {"min_qty": 3},
            "suspended": {"price": BEYOND},
            "post_only": {"flags": fields["flags"] | POST_ONLY},
            "reached": {"stop_price": -3, "order_qty": 15},
        }[feature]
    )


def subject(what: str) -> Fields:
    """The order that an amend or an event is about."""
    plain = {"aside": ("limit", "at_close"), "aside_market": ("market", "at_close")}
    if what in ("market", "market_to_limit"):
        return order(what, "day")
    if what in ("stop", "stop_limit"):
        return order(what)
    if what in plain:
        return {**order(*plain[what]), "price": -6}
    fields = order("limit", "gtc", "" if what == "limit" else what)
    return fields if what == "suspended" else {**fields, "price": -6}


AMENDS: Final[dict[str, Fields]] = {
    "qty": {"flags": HAS_QTY, "order_qty": 8},
    "price": {"flags": HAS_PRICE, "price": TOUCH},
    "stop_price": {"flags": HAS_STOP, "stop_price": 30},
    "reached": {"flags": HAS_STOP, "stop_price": -3},
}
# The orders that come back by themselves.
WAITING: Final[dict[str, Fields]] = {
    "elect opening stop": {**order("stop", qty=15), "stop_price": -3},
    "elect opening stop_limit": {**order("stop_limit", qty=15), "stop_price": -3},
    "elect trading stop": {**order("stop", qty=15), "stop_price": TOUCH},
    "elect trading stop_limit": {**order("stop_limit", qty=15), "stop_price": TOUCH},
    "join closing limit": order("limit", "at_close"),
    "join closing market": order("market", "at_close"),
    "return none limit": {**order("limit", "gtc", "suspended"), "flags": HAS_PRICE | POST_ONLY},
    "uncross opening market_to_limit": order("market_to_limit", "day", qty=15),
}


class Scene:
    """A world that has been led to where a line's command comes; `command` sends it."""

    def __init__(self, row: Row, gate: str, *, sells: bool = False, paired: bool = False) -> None:
        self.row, self.gate, self.sign = row, GATES[gate] if gate else OPEN, -1 if sells else 1
        self.restates = row.way == "restore"
        self.venue = Venue(self.gate.limits, paired=paired, seq=20_000 if self.restates else 1)
        self.way = WAYS_OF_EVENTS.get(f"{row.way} {row.where}") or WAYS[row.where]
        if self.gate.shut and not self.restates:
            # What has no price would end in an auction; a call that only takes new orders lets no amend in either.
            self.way = SHUT[:1] if f"{row.way} {row.where}" == "amend call" else SHUT
        self.subject = self.subject_id = 0
        self.names = 0
        self.opposite = "post_only" not in row.what or self.gate.opposite
        self.define()
        self.fill_book()
        for phase in self.way:
            self.venue.must(CommandKind.PHASE_SET, symbol="S1", phase=word(phase))
            if phase == Phase.NO_CANCEL:
                self.gate.acts(self)
            if phase == Phase.BREAK:
                self.gate.midway(self)
            if phase == self.crowded_in:
                self.gate.late(self)

    @property
    def crowded_in(self) -> Phase | None:
        """The last phase of the way in which anybody may place."""
        return next((phase for phase in reversed(self.way) if phase not in (Phase.BREAK, Phase.OPENING_AUCTION)), None)

    # --- the opening ------------------------------------------------------------------------------------------------

    def define(self) -> None:
        must = self.venue.must
        if self.restates:
            must(CommandKind.DAY_OPEN, trading_day="2026-11-23", next_trade_id=1)
        must(CommandKind.INSTRUMENT_DEFINE, **{**TERMS, **self.gate.terms})
        for number in range(1, 5):
            names = {"account": f"A{number}", "member": f"M{number}", "owner": f"B{number}"}
            must(CommandKind.ACCOUNT_DEFINE, **names, ccy="USD")
        must(CommandKind.CONTROL_SET, symbol="S1", limit_steps="1000")
        must(CommandKind.LIMIT_SET, symbol="S1", settlement=str(CENTRE), step=1)
        if not self.restates:
            must(CommandKind.PHASE_SET, symbol="S1", phase="pre_open")

    def fill_book(self) -> None:
        """Place what stands open before the command: residents, the subject, what the gate needs."""
        self.gate.first(self)
        self.rest(BIDDER, order(qty=10) | {"price": 0})
        if self.opposite:
            self.rest(OTHER, order(qty=10), against=True)
        if Phase.CONTINUOUS in self.way or self.row.where == "opening":
            self.rest(OTHER, order("limit", "day", qty=1) | {"price": 0}, against=True)
        if self.row.where == "at_close":
            self.rest(OTHER, order("limit", "at_close", qty=3), against=True)
            self.rest(BIDDER, order("limit", "at_close", qty=3))
        if self.row.way == "amend":
            self.subject = self.rest(ME, subject(self.row.what.split()[0]), cl_ord_id=b"subject")
        if self.row.name in WAITING:
            bend = self.gate.bend(self, dict(WAITING[self.row.name]))
            self.subject = self.rest(ME, {**bend, "cl_ord_id": b"subject"})
        if self.restates:
            self.gate.acts(self)
            self.gate.late(self)
        self.gate.early(self)

    def rest(self, account: int, fields: Fields, *, against: bool = False, **more: Any) -> int:
        """Bring an order in before the command; its order_id."""
        self.names += 1
        row = self.order_row({"cl_ord_id": f"r{self.names}".encode(), **fields, **more}, against=against)
        row["account"] = account
        events = self.venue.run(row)
        assert not events["code"].any(), f"{self.row.name}: {fields} is refused: {Code(int(events['code'][0])).name}"
        return int(events["order_id"][0])

    def order_row(self, fields: Fields, *, against: bool = False) -> Rows:
        """A place, or while a day is restated the restoring, of an order."""
        row = self.venue.row(CommandKind.ORDER_PLACE, **{"instrument": 1, "account": ME, **self.mirrored(fields)})
        buys = (self.sign > 0) != against
        row["side"] = 1 if buys else 2
        if self.restates:
            row["kind"] = CommandKind.ORDER_RESTORE
            row["time_in_force"] = np.where(
                row["time_in_force"] == TimeInForce.DAY, TimeInForce.GTC, row["time_in_force"]
            )
            row["min_qty"] = np.minimum(row["order_qty"], 15)
            row["target_lo"] = row["seq"] - 19_000
            row["target_hi"] = row["display_qty"]
        return row

    def mirrored(self, fields: Fields) -> Fields:
        """Turn distances into prices."""
        turned: Fields = {name: CENTRE + self.sign * fields[name] for name in ("price", "stop_price") if name in fields}
        return {**fields, **turned}

    # --- the command ------------------------------------------------------------------------------------------------

    def command(self) -> Rows:
        """Send the command of the line; its events."""
        row, send = self.row, self.venue.send
        if row.way == "place" or row.way == "restore":
            self.subject = self.venue.seq if row.way == "place" else self.venue.seq - 19_000
            fields = (
                order(*row.what.split()) if row.way == "place" else subject(row.what) | {"price": self.restored_at()}
            )
            if row.what.startswith("market_to_limit"):
                fields["order_qty"] = 15  # so that some of it rests
            return self.venue.run(self.order_row(self.gate.bend(self, {"cl_ord_id": b"new", **fields})))
        if row.way == "amend":
            fields = {"account": ME, "target_lo": self.subject, **AMENDS[row.what.split()[1]]}
            return send(CommandKind.ORDER_AMEND, **self.mirrored(self.gate.bend(self, fields)))
        if f"{row.way} {row.where}" == "elect trading":
            buys = self.sign > 0
            market = {"ord_type": OrdType.MARKET, "time_in_force": TimeInForce.DAY, "order_qty": 1}
            return send(
                CommandKind.ORDER_PLACE, instrument=1, account=BIDDER, side=1 if buys else 2, cl_ord_id=b"new", **market
            )
        if row.way == "return":
            return self.venue.act(CommandKind.LIMIT_SET, symbol="S1", step=1 if self.gate is GATES["lim"] else 0)
        phase = Phase.PRE_CLOSE if row.way == "join" else Phase.CONTINUOUS
        return self.venue.act(CommandKind.PHASE_SET, symbol="S1", phase=word(phase))

    def restored_at(self) -> int:
        return BEYOND if self.row.what == "suspended" else TOUCH

    # --- what gates need --------------------------------------------------------------------------------------------

    def crowd(self, count: int, fields: Fields, step: int, *, against: bool = False) -> None:
        """Let account 4 place so many orders alike, each so many ticks from the one before."""
        block = np.repeat(self.order_row(fields, against=against), count)
        block["seq"] += np.arange(count)
        block["time"], block["account"] = block["seq"], FILLER
        if self.restates:
            block["target_lo"] += np.arange(count)
        block["price" if "price" in fields else "stop_price"] += self.sign * step * np.arange(count)
        block["cl_ord_id"] = [f"f{number}".encode() for number in range(count)]
        events = self.venue.run(block)
        assert not events["code"].any(), f"{self.row.name}: account {FILLER} is refused"

    def fill_far_levels(self) -> None:
        """Take every far level that account 1's side has left."""
        side = "bids" if self.sign > 0 else "asks"
        taken = len(self.venue.core.book(1)[side])
        if self.row.way == "uncross":
            self.rest(FILLER, order("market_to_limit", "day"))
        self.crowd(MAX_FAR_LEVELS - taken, order() | {"price": -100}, -1)

    def fill_stop_levels(self) -> None:
        """Take every stop price that account 1's side has left."""
        mine = any(one["stop_price"] for one in self.venue.core.dump()["orders"])
        self.crowd(MAX_STOP_LEVELS - mine, order("stop") | {"stop_price": 200}, 1)

    def fill_orders(self) -> None:
        """Fill the table that has FEW rows, of orders or of client ids."""
        world = self.venue.core.dump()
        taken = len(world["orders"]) if self.gate is GATES["ord"] else self.names
        if self.row.where == "at_close":
            self.crowd(FEW - taken, order(), 0, against=self.opposite)
        else:
            self.crowd(FEW - taken, order() | {"price": -100}, 0)

    def sell_first(self) -> None:
        """Let account 1 stand first where its own order would trade, in an uncross alone."""
        self.opposite &= self.row.way != "uncross"
        self.rest(ME, order(qty=10), against=True, cl_ord_id=b"mine")

    def repeat_id(self) -> None:
        """Let another account use the client id of a new order."""
        if self.row.way != "amend":
            self.rest(OTHER, order() | {"price": -6}, cl_ord_id=b"new")

    def kill(self, **scope: Any) -> None:
        self.venue.must(CommandKind.KILL_SET, on=1, **scope)

    def control(self, **controls: Any) -> None:
        self.venue.must(CommandKind.CONTROL_SET, symbol="S1", **controls)

    def cap(self) -> None:
        self.venue.must(CommandKind.CAP_SET, commodity="S1", owner="B1", lots=1)

    def leave_no_funds(self) -> None:
        must = self.venue.must
        must(CommandKind.FIXING_SET, date="2026-11-23", ccy="USD", per="USD", rate="100")
        must(CommandKind.MARGIN_SET, symbol="S1", ccy="USD", per_lot=100)
        must(CommandKind.COLLATERAL_SET, account="A1", amount=0)

    def move_limits(self) -> None:
        """Move the daily limits away from where everybody is, in a break."""
        settlement = CENTRE - self.sign * BEYOND
        self.venue.must(CommandKind.LIMIT_SET, symbol="S1", settlement=str(settlement), step=1)

    # --- how gates bend a command -----------------------------------------------------------------------------------

    def to_a_foreign_price(self, fields: Fields) -> Fields:
        """A price outside the daily limits, where the command has one and the limits do not move instead."""
        priced = fields.get("flags", 0) & HAS_PRICE
        moves = self.row.way in ("join", "return")
        return {**fields, "price": BEYOND} if priced and not moves else fields

    def beyond_the_band(self, fields: Fields) -> Fields:
        """The last price is the closing price: at the close no order is far from it, unless it is at another price."""
        return {**fields, "price": 50} if self.row.where == "at_close" else fields

    def off_the_close(self, fields: Fields) -> Fields:
        return {**fields, "price": 4} if self.row.where == "at_close" else fields

    def too_large(self, fields: Fields) -> Fields:
        return fields if self.row.name in WAITING else {**fields, "order_qty": MAX_QTY + 1}

    def renamed(self, fields: Fields) -> Fields:
        return {**fields, "cl_ord_id": b"fresh"} if self.row.way == "amend" else fields

    def by_another(self, fields: Fields) -> Fields:
        return {**fields, "account": OTHER} if self.row.way == "amend" else fields


def nothing(_scene: Scene) -> None:
    """What most gates need of most moments."""


def unbent(_scene: Scene, fields: Fields) -> Fields:
    return fields


def with_fields(**fields: Any) -> Callable[[Scene, Fields], Fields]:
    """Bend a command by setting fields; flags are added."""
    return lambda _scene, given: {**given, **fields, "flags": given.get("flags", 0) | fields.get("flags", 0)}


class Gate(NamedTuple):
    """A column: the code of its refusals (None if it never refuses), and what makes it fail.

    In this order: limits and terms; `first` before anybody is there, `early` when all are, `acts` in no_cancel,
    `midway` in a break, `late` where the command comes; `bend` changes the command.
    """

    code: Code | None = None
    bend: Callable[[Scene, Fields], Fields] = unbent
    first: Callable[[Scene], None] = nothing
    early: Callable[[Scene], None] = nothing
    acts: Callable[[Scene], None] = nothing
    midway: Callable[[Scene], None] = nothing
    late: Callable[[Scene], None] = nothing
    limits: Limits = ROOM
    terms: dict[str, Any] = {}  # noqa: RUF012
    shut: bool = False
    opposite: bool = False  # whether somebody offers where a post-only order comes


OPEN: Final = Gate()
ELSEWHERE: Final = {"reference_price": "50000"}  # the window of the book lies where nobody is
GATES: Final[dict[str, Gate]] = {
    "acc": Gate(Code.UNKNOWN_ACCOUNT, with_fields(account=99)),
    "own": Gate(Code.NOT_OWNER, Scene.by_another, early=Scene.repeat_id),
    "kil": Gate(Code.KILLED_ACCOUNT, acts=lambda scene: scene.kill(account="A1")),
    "kme": Gate(Code.KILLED_MEMBER, acts=lambda scene: scene.kill(member="M1")),
    "kex": Gate(Code.KILLED_EXCHANGE, acts=lambda scene: scene.kill(exchange=1)),
    "pha": Gate(Code.PHASE, shut=True),
    "max": Gate(Code.MAX_ORDER_QTY, Scene.too_large),
    "tik": Gate(Code.TICK_SIZE, with_fields(flags=OFF_TICK)),
    "bnd": Gate(Code.PRICE_BAND, with_fields(price=ABROAD)),
    "sbd": Gate(Code.PRICE_BAND, with_fields(stop_price=ABROAD)),
    "lim": Gate(Code.PRICE_LIMIT, Scene.to_a_foreign_price, midway=Scene.move_limits),
    "mov": Gate(Code.MOVING_BAND, Scene.beyond_the_band, acts=lambda scene: scene.control(band_ticks=2)),
    "val": Gate(Code.MAX_ORDER_VALUE, acts=lambda scene: scene.control(max_order_value="150000")),
    "cls": Gate(Code.CLOSE_PRICE, Scene.off_the_close),
    "pst": Gate(Code.POST_ONLY, opposite=True),
    "cap": Gate(Code.POSITION_CAP, acts=Scene.cap),
    "mrg": Gate(Code.MARGIN, acts=Scene.leave_no_funds),
    "ids": Gate(Code.DAY_ID_LIMIT, Scene.renamed, late=Scene.fill_orders, limits=ROOM._replace(day_ids=FEW)),
    "ord": Gate(Code.ORDERS_FULL, late=Scene.fill_orders, limits=ROOM._replace(orders=FEW)),
    "far": Gate(
        Code.FAR_LEVELS_FULL,
        early=Scene.fill_far_levels,
        limits=ROOMY,
        terms=ELSEWHERE,
    ),
    "stp": Gate(Code.STOP_LEVELS_FULL, early=Scene.fill_stop_levels, limits=ROOMY),
    "vol": Gate(None, acts=lambda scene: scene.control(short_ticks=2)),
    "smp": Gate(None, first=Scene.sell_first),
}
