"""The table of phases, tried out whole: every phase with every command, order type, time in force and follower.

What must happen is worked out here from `engine.phases.PHASES` and the rules it names (R5, R9, R42, R54, R58), for a
small venue that is led into each phase; the reference and the compiled core must both do just that. Prices are such
that a new order meets a resting one: each phase also shows what it does with orders that could trade.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, Final

import numpy as np
import pytest

from engine.core.lane import PLAIN
from engine.phases import PHASES, Mode, Permit
from engine.schema import (
    COMMAND,
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    INACTIVE,
    Code,
    CommandKind,
    EventKind,
    Limits,
    OrdType,
    Phase,
    Side,
    TimeInForce,
    word,
)
from tests.flow import act_rows, encode
from tests.flow_mix import terms_of
from tests.properties.pair import Block, Pair, Rows

LIMITS = Limits(instruments=1, accounts=2, orders=32, levels=1 << 13, day_ids=64)
STEP = 3 if PLAIN else 1  # uncompiled, every third combination
LATE = 1 << 40  # when the gtd order of the venue expires
TOUCH, FAR_AWAY = 101, 150  # where the best sell rests, and where nothing does

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]

STOPS: Final = (OrdType.STOP, OrdType.STOP_LIMIT)
UNPRICED: Final = (OrdType.MARKET, OrdType.MARKET_TO_LIMIT)
AT_ONCE: Final = (TimeInForce.IOC, TimeInForce.FOK)
OF_A_CALL: Final = (TimeInForce.AT_OPEN, TimeInForce.AT_CLOSE)
LASTING: Final = (TimeInForce.GTC, TimeInForce.GTD)
CLOSING_CALLS: Final = (Phase.PRE_CLOSE, Phase.CLOSE_NO_CANCEL)
FEATURES: Final = ("plain", "iceberg", "min_qty")

# How to get into each phase from closed, by steps of the table; the orders of the venue are placed after the first.
WAYS: Final[dict[Phase, tuple[Phase, ...]]] = {
    Phase.CLOSED: (Phase.PRE_OPEN, Phase.CLOSED),
    Phase.PRE_OPEN: (Phase.PRE_OPEN,),
    Phase.NO_CANCEL: (Phase.PRE_OPEN, Phase.NO_CANCEL),
    Phase.OPENING_AUCTION: (Phase.PRE_OPEN, Phase.OPENING_AUCTION),
    Phase.CONTINUOUS: (Phase.PRE_OPEN, Phase.CONTINUOUS),
    Phase.BREAK: (Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.BREAK),
    Phase.VOLATILITY_AUCTION: (Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.VOLATILITY_AUCTION),
    Phase.HALTED: (Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.HALTED),
    Phase.PRE_CLOSE: (Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.PRE_CLOSE),
    Phase.CLOSE_NO_CANCEL: (Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.PRE_CLOSE, Phase.CLOSE_NO_CANCEL),
    Phase.CLOSING_AUCTION: (Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.PRE_CLOSE, Phase.CLOSING_AUCTION),
    Phase.TRADE_AT_CLOSE: (
        *(Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.PRE_CLOSE, Phase.CLOSING_AUCTION, Phase.TRADE_AT_CLOSE),
    ),
    Phase.SETTLEMENT: (Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.SETTLEMENT),
    Phase.POST_CLOSE: (Phase.PRE_OPEN, Phase.CONTINUOUS, Phase.POST_CLOSE),
}

# The orders of account 2 in the venue, by client id. All are placed in pre_open, and none meets another.
RESIDENTS: Final[dict[bytes, dict[str, Any]]] = {
    b"day": {"side": Side.SELL, "price": TOUCH, "order_qty": 10, "client_session": 1},
    b"gtc": {"side": Side.BUY, "price": 99, "order_qty": 10, "time_in_force": TimeInForce.GTC, "client_session": 1},
    b"gtd": {
        **{"side": Side.BUY, "price": 98, "order_qty": 10, "time_in_force": TimeInForce.GTD},
        **{"expire_time": LATE, "client_session": 1},
    },
    b"stop": {"side": Side.BUY, "ord_type": OrdType.STOP, "stop_price": 110, "order_qty": 10, "client_session": 1},
    b"stop_limit": {
        **{"side": Side.SELL, "ord_type": OrdType.STOP_LIMIT, "stop_price": 90, "price": 90, "order_qty": 10},
        "time_in_force": TimeInForce.GTC,
    },
    b"close": {"side": Side.SELL, "price": 120, "order_qty": 10, "time_in_force": TimeInForce.AT_CLOSE},
}


class Venue:
    """A pair with one instrument, led into a phase; `seq` is that of the next command."""

    def __init__(self, phase: Phase) -> None:
        self.pair, self.seq = Pair(LIMITS), 1
        first, *others = WAYS[phase]
        self.act(CommandKind.INSTRUMENT_DEFINE, **terms_of("S1", "1", "1", "200", group="G1").payload)
        for account in ("A1", "A2"):
            self.act(CommandKind.ACCOUNT_DEFINE, account=account, member=account, owner=account)
        self.move(first)
        for name, words in RESIDENTS.items():
            self.place(account=2, cl_ord_id=name, **words)
        for follower in others:
            if follower == Phase.CLOSING_AUCTION:
                # The best sell trades a lot at the close, so that there is a closing price.
                self.place(side=Side.BUY, price=TOUCH, order_qty=1, cl_ord_id=b"cross")
            self.move(follower)

    def move(self, phase: Phase) -> None:
        events = self.act(CommandKind.PHASE_SET, symbol="S1", phase=word(phase))
        assert events["kind"][0] == EventKind.PHASE_CHANGED, f"the way leads through {phase.name}"

    def act(self, kind: CommandKind, **terms: Any) -> Rows:
        return self.run(*act_rows([(kind, encode(terms))], self.seq, self.seq))

    def place(self, **words: Any) -> Rows:
        return self.send(CommandKind.ORDER_PLACE, **placing(**words))

    def send(self, kind: CommandKind, **words: Any) -> Rows:
        row = np.zeros(1, COMMAND)
        row["kind"], row["seq"], row["time"], row["account"] = kind, self.seq, self.seq, 1
        for name, value in words.items():
            row[name] = value
        return self.run(row)

    def run(self, rows: Rows, payload: bytes = b"") -> Rows:
        self.seq += len(rows)
        return self.pair.run(Block(rows, payload))

    def live(self) -> dict[bytes, dict[str, Any]]:
        """The live orders by client id."""
        return {order["cl_ord_id"].encode(): order for order in self.pair.expected.dump()["orders"]}


def placing(**words: Any) -> dict[str, Any]:
    """The fields of a place: a buy limit order of the day that meets the best sell, unless said otherwise."""
    fields = {
        **{"instrument": 1, "side": Side.BUY, "ord_type": OrdType.LIMIT, "time_in_force": TimeInForce.DAY},
        **{"price": TOUCH, "order_qty": 4, "cl_ord_id": b"new"},
        **words,
    }
    priced, stop = fields["ord_type"] in (OrdType.LIMIT, OrdType.STOP_LIMIT), fields["ord_type"] in STOPS
    fields["flags"] = (HAS_PRICE if priced else 0) | (HAS_STOP if stop else 0)
    if not priced:
        fields["price"] = 0
    return fields


def told(events: Rows) -> list[EventKind]:
    return [EventKind(kind) for kind in events["kind"].tolist()]


def lets_in(phase: Phase, permit: Permit, time_in_force: int) -> bool:
    """R9: the phase has the permit, and is not for orders of another kind only."""
    permits = PHASES[phase].permits
    return permit in permits and (Permit.LASTING_ONLY not in permits or time_in_force in LASTING)


# --- places ---------------------------------------------------------------------------------------


def combinations() -> Iterator[tuple[OrdType, TimeInForce, str]]:
    """Every order type, time in force and feature."""
    yield from product(OrdType, TimeInForce, FEATURES)


def cannot_be_combined(ord_type: OrdType, tif: TimeInForce, feature: str) -> bool:
    """R5, for orders that are not post-only."""
    if ord_type in STOPS and tif in (*AT_ONCE, *OF_A_CALL):
        return True
    if tif in OF_A_CALL and ord_type not in (OrdType.LIMIT, OrdType.MARKET):
        return True
    if ord_type == OrdType.MARKET_TO_LIMIT and tif in AT_ONCE:
        return True
    if feature == "iceberg":
        return ord_type != OrdType.LIMIT or tif in AT_ONCE
    if feature == "min_qty":
        return ord_type in STOPS or tif == TimeInForce.FOK or tif in OF_A_CALL
    return False


def permits_needed(ord_type: OrdType, tif: TimeInForce, feature: str) -> Permit:
    """R9: what the phase must let in."""
    needed = Permit.STOPS if ord_type in STOPS else Permit.UNPRICED if ord_type in UNPRICED else Permit.ENTER
    if tif in AT_ONCE or feature == "min_qty":
        needed |= Permit.AT_ONCE
    if tif == TimeInForce.AT_OPEN:
        needed |= Permit.AT_OPEN
    return needed | Permit.AT_CLOSE if tif == TimeInForce.AT_CLOSE else needed


def what_follows(phase: Phase, ord_type: OrdType, tif: TimeInForce) -> list[EventKind]:
    """The events of an order that is accepted and would meet the best sell (R9, R20, R53, R58, R60)."""
    aside = tif == TimeInForce.AT_CLOSE and phase not in CLOSING_CALLS
    if ord_type in STOPS or aside:
        return [EventKind.ORDER_ACCEPTED]
    after = {
        Mode.CALL: [EventKind.AUCTION_INDICATIVE],
        Mode.CONTINUOUS: [EventKind.TRADE],
        Mode.AT_CLOSE: [EventKind.TRADE],
        Mode.NONE: [],
    }
    return [EventKind.ORDER_ACCEPTED, *after[PHASES[phase].mode]]


def variant(ord_type: OrdType, tif: TimeInForce, feature: str) -> dict[str, Any]:
    """The fields that make a place one of its kind."""
    words: dict[str, Any] = {"ord_type": ord_type, "time_in_force": tif}
    if ord_type in STOPS:
        words["stop_price"] = FAR_AWAY
    if tif == TimeInForce.GTD:
        words["expire_time"] = LATE
    if feature == "iceberg":
        words["display_qty"] = 2
    if feature == "min_qty":
        words["min_qty"] = 3
    return words


@pytest.mark.parametrize("phase", Phase, ids=word)
def test_a_place_is_let_in_or_refused_as_the_table_says(phase: Phase) -> None:
    """R5, R9: type, time in force and feature decide; what is let in does what the phase's mode says."""
    for number, (ord_type, tif, feature) in enumerate(combinations()):
        if (number + phase) % STEP:
            continue
        venue = Venue(phase)
        events = venue.place(**variant(ord_type, tif, feature))
        case = f"{word(ord_type)} {word(tif)} {feature} in {word(phase)}"
        needed = permits_needed(ord_type, tif, feature)
        if cannot_be_combined(ord_type, tif, feature):
            assert (told(events), events["code"][0]) == ([EventKind.ORDER_REJECTED], Code.INVALID_COMBINATION), case
        elif not lets_in(phase, needed, tif):
            assert (told(events), events["code"][0]) == ([EventKind.ORDER_REJECTED], Code.PHASE), case
        else:
            assert told(events) == what_follows(phase, ord_type, tif), case
            outside = ord_type in STOPS or (tif == TimeInForce.AT_CLOSE and phase not in CLOSING_CALLS)
            assert bool(events["flags"][0] & INACTIVE) == outside, case
        assert (events["phase"] == phase).all(), case
        venue.pair.compare()
    venue.pair.check()


@pytest.mark.parametrize("price", [TOUCH - 1, TOUCH + 1])
def test_only_the_closing_price_trades_at_the_close(price: int) -> None:
    """R59: any other price is refused, and without a closing price all are."""
    events = Venue(Phase.TRADE_AT_CLOSE).place(price=price)
    assert (told(events), events["code"][0]) == ([EventKind.ORDER_REJECTED], Code.CLOSE_PRICE)


# --- amends and cancels ---------------------------------------------------------------------------


def expired_orders(phase: Phase) -> set[bytes]:
    """Which orders of the venue have ended on the way into a phase (R43, R56)."""
    if phase == Phase.CLOSED:
        return {b"day", b"stop", b"close"}
    return {b"close"} if Phase.CLOSING_AUCTION in WAYS[phase] else set()


AMENDS: Final[tuple[tuple[bytes, dict[str, Any]], ...]] = (
    *((name, {"flags": HAS_QTY, "order_qty": 5}) for name in RESIDENTS),
    (b"gtd", {"flags": HAS_EXPIRE, "expire_time": LATE + 1}),
    (b"stop", {"flags": HAS_STOP, "stop_price": 111}),
    (b"gtc", {"flags": HAS_PRICE, "price": 97}),
    *((name, {"cl_ord_id": b"renamed", "flags": 0}) for name in RESIDENTS),
)


@pytest.mark.parametrize("phase", Phase, ids=word)
def test_an_amend_or_a_cancel_is_let_through_as_the_table_says(phase: Phase) -> None:
    """R9 for every order of the venue; an order that ended on the way is too late."""
    order_ids = {name: order["order_id"] for name, order in Venue(Phase.PRE_OPEN).live().items()}
    requests = [(name, CommandKind.ORDER_AMEND, Permit.AMEND, words) for name, words in AMENDS]
    requests += [(name, CommandKind.ORDER_CANCEL, Permit.CANCEL, {}) for name in RESIDENTS]
    for number, (name, kind, permit, words) in enumerate(requests):
        if number % min(STEP, 3):
            continue
        venue = Venue(phase)
        was_live = name in venue.live()
        assert was_live == (name not in expired_orders(phase))
        events = venue.send(kind, account=2, target_lo=order_ids[name], **words)
        case = f"{kind.name} of {name!r} with {words} in {word(phase)}"
        tif = RESIDENTS[name].get("time_in_force", TimeInForce.DAY)
        allowed = Code.OK if lets_in(phase, permit, tif) else Code.PHASE
        code = allowed if was_live else Code.UNKNOWN_ORDER
        assert events["code"][0] == code, case
        done = EventKind.ORDER_AMENDED if kind == CommandKind.ORDER_AMEND else EventKind.ORDER_CANCELED
        assert events["kind"][0] == (EventKind.ORDER_REJECTED if code else done), case
        venue.pair.compare()


@pytest.mark.parametrize("phase", Phase, ids=word)
def test_an_amended_price_that_meets_another_does_what_the_mode_says(phase: Phase) -> None:
    """R9, R31: the order trades, makes the call tell another price, or merely rests."""
    if not lets_in(phase, Permit.AMEND, TimeInForce.GTC):
        return
    venue = Venue(phase)
    target = venue.live()[b"gtc"]["order_id"]
    events = venue.send(CommandKind.ORDER_AMEND, account=2, target_lo=target, flags=HAS_PRICE, price=TOUCH)
    after = {
        # Account 2 meets itself.
        Mode.CONTINUOUS: [EventKind.ORDER_PREVENTED, EventKind.ORDER_CANCELED],
        Mode.CALL: [EventKind.AUCTION_INDICATIVE],
        Mode.NONE: [],
    }
    assert told(events) == [EventKind.ORDER_AMENDED, *after[PHASES[phase].mode]]


@pytest.mark.parametrize("phase", Phase, ids=word)
def test_mass_cancel_and_disconnect_spare_what_the_phase_keeps(phase: Phase) -> None:
    """R33, R34: of the orders meant, those go that a cancel could take."""
    ended = expired_orders(phase)
    goes = {
        name: lets_in(phase, Permit.CANCEL, words.get("time_in_force", TimeInForce.DAY)) and name not in ended
        for name, words in RESIDENTS.items()
    }
    venue = Venue(phase)
    events = venue.send(CommandKind.ORDER_MASS_CANCEL, account=2)
    assert told(events)[-1] == EventKind.MASS_CANCELED and events["qty"][-1] == sum(goes.values())
    assert set(venue.live()) & set(RESIDENTS) == {name for name in RESIDENTS if not goes[name]} - ended
    venue = Venue(phase)
    events = venue.send(CommandKind.DISCONNECT, account=2, client_session=1)
    assert told(events)[-1] == EventKind.DISCONNECTED
    assert events["qty"][-1] == sum(goes[name] for name in (b"day", b"stop"))
    venue.pair.compare()


@pytest.mark.parametrize("phase", Phase, ids=word)
def test_a_tick_expires_in_every_phase(phase: Phase) -> None:
    """R35, R49: the clock asks no phase."""
    venue = Venue(phase)
    assert told(venue.send(CommandKind.CLOCK_TICK, time=LATE - 1)) == [EventKind.CLOCK_TICKED]
    events = venue.send(CommandKind.CLOCK_TICK, time=LATE)
    assert told(events) == [EventKind.ORDER_EXPIRED, EventKind.CLOCK_TICKED]
    assert b"gtd" not in venue.live()
    venue.pair.compare()


# --- acts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", Phase, ids=word)
@pytest.mark.parametrize("scope", [{"symbol": "S1"}, {"symbol": "ALL"}, {"group": "G1"}], ids=["one", "all", "group"])
def test_every_documented_step_and_no_other_is_possible(phase: Phase, scope: dict[str, str]) -> None:
    """R42: the table's followers may follow, whether one, a group or all are meant; anything else is refused."""
    for follower in Phase:
        venue = Venue(phase)
        events = venue.act(CommandKind.PHASE_SET, phase=word(follower), **scope)
        case = f"{word(phase)} to {word(follower)}"
        if follower in PHASES[phase].next:
            assert told(events)[0] == EventKind.PHASE_CHANGED, case
            assert (events["phase"][0], events["reason"][0]) == (follower, phase), case
            uncrossed = EventKind.AUCTION_UNCROSSED in told(events)
            called = follower == Phase.CONTINUOUS and PHASES[phase].mode == Mode.CALL
            assert uncrossed == (called or follower in (Phase.OPENING_AUCTION, Phase.CLOSING_AUCTION)), case
            # R58: who waited for the closing call is woken once, whichever of its phases comes first.
            woken = follower in CLOSING_CALLS and phase not in CLOSING_CALLS and b"close" not in expired_orders(phase)
            assert (EventKind.ORDER_ACTIVATED in told(events)) == woken, case
            assert (EventKind.ORDER_EXPIRED in told(events)) == (follower == Phase.CLOSED), case
        else:
            assert (told(events), events["code"][0]) == ([EventKind.ACT_REJECTED], Code.PHASE_TRANSITION), case
        assert venue.pair.expected.dump()["instruments"][0]["phase"] == word(
            follower if follower in PHASES[phase].next else phase
        ), case
        venue.pair.compare()


@pytest.mark.parametrize("lots", [0, 1, 2])
@pytest.mark.parametrize("way", [Phase.PRE_OPEN, Phase.POST_CLOSE], ids=word)
def test_a_book_that_was_left_crossed_is_uncrossed_before_it_trades(way: Phase, lots: int) -> None:
    """R54: into continuous from closed, there is an uncross if even one lot would trade, and none otherwise."""
    venue = Venue(way)
    if lots:
        sell = {"account": 2, "side": Side.SELL, "order_qty": 5, "cl_ord_id": b"sell"}
        venue.place(price=TOUCH - 1, time_in_force=TimeInForce.GTC, **sell)
        venue.place(price=TOUCH - 1, time_in_force=TimeInForce.GTC, order_qty=lots)
    venue.move(Phase.CLOSED)
    events = venue.act(CommandKind.PHASE_SET, symbol="S1", phase=word(Phase.CONTINUOUS))
    trade = [EventKind.AUCTION_UNCROSSED, EventKind.TRADE]
    assert told(events) == [EventKind.PHASE_CHANGED, *(trade if lots else [])]
    assert not lots or events["qty"].tolist()[1:] == [lots, lots]
    venue.pair.compare()


@pytest.mark.parametrize("phase", Phase, ids=word)
def test_only_a_call_can_be_uncrossed(phase: Phase) -> None:
    """R54: the act leaves the phase as it is."""
    venue = Venue(phase)
    events = venue.act(CommandKind.AUCTION_UNCROSS, symbol="S1", why="because", by="op-1")
    if PHASES[phase].mode == Mode.CALL:
        assert told(events)[0] == EventKind.AUCTION_UNCROSSED
        assert (events["phase"] == phase).all()
    else:
        assert (told(events), events["code"][0]) == ([EventKind.ACT_REJECTED], Code.NOT_IN_CALL)
    venue.pair.compare()


@pytest.mark.parametrize("phase", Phase, ids=word)
def test_an_end_at_the_last_match_names_it(phase: Phase) -> None:
    """R63: into settlement, post_close or closed only, and only where the table lets them follow."""
    for follower in Phase:
        venue = Venue(phase)
        last_trade = bool(venue.pair.expected.dump()["next_trade_id"] > 1)
        events = venue.act(CommandKind.PHASE_SET, symbol="S1", phase=word(follower), at_last_match=1)
        if follower not in (Phase.SETTLEMENT, Phase.POST_CLOSE, Phase.CLOSED):
            assert events["code"][0] == Code.BAD_TERMS
        elif follower not in PHASES[phase].next:
            assert events["code"][0] == Code.PHASE_TRANSITION
        else:
            assert (events["order_id"][0], events["price"][0]) == ((1, TOUCH) if last_trade else (0, 0))
        venue.pair.compare()


# --- the table itself -----------------------------------------------------------------------------


def test_the_table_has_a_row_for_every_phase_and_a_way_into_each() -> None:
    """The exhaustive tests above leave nothing out, and their ways are ways of the table."""
    assert set(PHASES) == set(WAYS) == set(Phase)
    for phase, way in WAYS.items():
        assert way[-1] == phase
        assert all(after in PHASES[before].next for before, after in zip((Phase.CLOSED, *way), way, strict=False))


def test_what_must_never_change_about_the_table() -> None:
    """Facts that the rules promise whatever else is put into the table."""
    for phase, rule in PHASES.items():
        assert phase not in rule.next, "a phase does not follow itself"
        assert phase == Phase.CLOSED or Phase.CLOSED in rule.next, "every phase can be closed"
        matches = rule.mode in (Mode.CONTINUOUS, Mode.AT_CLOSE)
        assert not matches or Permit.ENTER in rule.permits
        assert Permit.AT_ONCE not in rule.permits or rule.mode == Mode.CONTINUOUS, "at once is now"
    matching = {phase for phase, rule in PHASES.items() if rule.mode in (Mode.CONTINUOUS, Mode.AT_CLOSE)}
    assert not PHASES[Phase.HALTED].next & matching, "a halt is left through a call"
