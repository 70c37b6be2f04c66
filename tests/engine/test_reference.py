"""The readable matcher: rows to the byte, restatement, and what must not depend on how commands are cut into blocks.

What each rule means is in the scenario tables; here are the things that a table does not say.
"""

from __future__ import annotations

import json
import random
import struct
from typing import Any

import numpy as np
import pytest

from engine.reference import Reference
from engine.schema import (
    DUP,
    EVENT,
    INACTIVE,
    LAST,
    OVERRIDE,
    PRIORITY_KEPT,
    TRADE,
    Code,
    CommandKind,
    EventKind,
    Limits,
    Phase,
    Reason,
    Smp,
)
from tests.scenarios.table import Commands, Rows, world

# The layouts written down a second time: a slip in the schema's offsets would otherwise agree with itself.
EVENT_BYTES = struct.Struct("<qqiiiBBHHBBBBBBqqqqq32sqq")
TRADE_BYTES = struct.Struct("<qqiiiBBHHBBBBBBqqqqqqqiiqqq")
CONTINUOUS = 3


class Venue:
    """A reference in the tables' world, spoken to in the tables' words; commands 1 to 10 make the world."""

    def __init__(self, *options: str) -> None:
        limits, acts = world(list(options))
        self.reference = Reference(limits)
        self.commands = Commands()
        for act in acts:
            self.say("venue", act)

    def say(self, who: str, text: str) -> Rows:
        row = self.commands.write(who, text)
        return self.reference.run_block(row, self.commands.payload)

    def rows(self, who: str, text: str) -> list[bytes]:
        return [event.tobytes() for event in self.say(who, text)]


def event(seq: int, op: CommandKind, kind: EventKind, *, flags: int = LAST, index: int = 0, cl_ord_id: bytes = b"",
          **fields: int) -> bytes:  # fmt: skip
    f = {name: fields.pop(name, 0) for name in EVENT.names}  # type: ignore[union-attr]
    assert not fields
    f |= {"seq": seq, "time": 1000 * seq, "index": index, "kind": kind, "op": op, "flags": flags}
    return EVENT_BYTES.pack(*(cl_ord_id if name == "cl_ord_id" else f[name] for name in EVENT.names))  # type: ignore[union-attr]


def two_sided(seq: int, op: CommandKind, kind: EventKind, *, flags: int = 0, index: int, **fields: int) -> bytes:
    f = {name: fields.pop(name, 0) for name in TRADE.names}  # type: ignore[union-attr]
    assert not fields
    f |= {"seq": seq, "time": 1000 * seq, "index": index, "kind": kind, "op": op, "flags": flags}
    return TRADE_BYTES.pack(*f.values())


def test_place_and_trade_rows() -> None:
    venue = Venue()
    place = CommandKind.ORDER_PLACE
    sell = {"instrument": 1, "account": 1, "phase": CONTINUOUS, "side": 2, "ord_type": 1, "time_in_force": 2}
    buy = {"instrument": 1, "account": 2, "phase": CONTINUOUS, "side": 1, "ord_type": 1, "time_in_force": 3}
    assert venue.rows("A1", "sell 5 @ 100 as s1 gtc") == [
        event(11, place, EventKind.ORDER_ACCEPTED, **sell, order_id=11, price=100, qty=5, leaves_qty=5, cl_ord_id=b"s1")
    ]
    assert venue.rows("A2", "buy 8 @ 101 as b1 ioc") == [
        event(12, place, EventKind.ORDER_ACCEPTED, **buy, flags=0, order_id=12, price=101, qty=8, leaves_qty=8,
              cl_ord_id=b"b1"),
        two_sided(12, place, EventKind.TRADE, index=1, **buy, order_id=12, price=100, qty=5, leaves_qty=3, cum_qty=5,
                  trade_id=1, resting_order_id=11, resting_account=1),
        event(12, place, EventKind.ORDER_CANCELED, index=2, **buy, order_id=12, price=101, qty=8, cum_qty=5,
              delta_qty=3, reason=Reason.IOC),
    ]  # fmt: skip


def test_market_order_rows() -> None:
    venue = Venue()
    buy = {"instrument": 2, "account": 2, "phase": CONTINUOUS, "side": 1, "ord_type": 2, "time_in_force": 1}
    place = CommandKind.ORDER_PLACE
    assert venue.rows("A2", "buy 8 market as m1 in V") == [
        event(11, place, EventKind.ORDER_ACCEPTED, flags=0, **buy, order_id=11, qty=8, leaves_qty=8, cl_ord_id=b"m1"),
        event(11, place, EventKind.ORDER_CANCELED, index=1, **buy, order_id=11, qty=8, delta_qty=8,
              reason=Reason.PROTECTION),
    ]  # fmt: skip


def test_prevention_rows() -> None:
    venue = Venue()
    venue.say("A1", "sell 5 @ 100 as s1")
    place = CommandKind.ORDER_PLACE
    sell = {"instrument": 1, "account": 1, "phase": CONTINUOUS, "side": 2, "ord_type": 1, "time_in_force": 1}
    buy = {"instrument": 1, "account": 4, "phase": CONTINUOUS, "side": 1, "ord_type": 1, "time_in_force": 1}
    assert venue.rows("A4", "buy 8 @ 101 as b1 smp cancel_both") == [
        event(12, place, EventKind.ORDER_ACCEPTED, flags=0, **buy, order_id=12, price=101, qty=8, leaves_qty=8,
              cl_ord_id=b"b1"),
        two_sided(12, place, EventKind.ORDER_PREVENTED, index=1, **buy, order_id=12, price=100, qty=5,
                  resting_order_id=11, resting_account=1, smp=Smp.CANCEL_BOTH),
        event(12, place, EventKind.ORDER_CANCELED, flags=0, index=2, **sell, order_id=11, price=100, qty=5,
              delta_qty=5, reason=Reason.SELF_MATCH),
        event(12, place, EventKind.ORDER_CANCELED, index=3, **buy, order_id=12, price=101, qty=8, delta_qty=8,
              reason=Reason.SELF_MATCH),
    ]  # fmt: skip


def test_amend_cancel_and_status_rows() -> None:
    venue = Venue()
    venue.say("A1", "buy 5 @ 100 as b1")
    order = {"instrument": 1, "account": 1, "phase": CONTINUOUS, "side": 1, "ord_type": 1, "time_in_force": 1,
             "order_id": 11}  # fmt: skip
    assert venue.rows("A1", "amend b1 qty 4 as b2") == [
        event(12, CommandKind.ORDER_AMEND, EventKind.ORDER_AMENDED, flags=LAST | PRIORITY_KEPT, **order, price=100,
              qty=4, leaves_qty=4, delta_qty=5, old_price=100, cl_ord_id=b"b2")
    ]  # fmt: skip
    assert venue.rows("A1", "buy 9 @ 900 as b1") == [
        event(13, CommandKind.ORDER_PLACE, EventKind.ORDER_STATUS, flags=LAST | DUP, **order, code=Code.DUPLICATE,
              rule=6, reason=1, price=100, qty=4, leaves_qty=4, cl_ord_id=b"b1")
    ]  # fmt: skip
    assert venue.rows("A1", "cancel order:b1") == [
        event(14, CommandKind.ORDER_CANCEL, EventKind.ORDER_CANCELED, **order, price=100, qty=4, delta_qty=4,
              reason=Reason.REQUESTED, cl_ord_id=b"b2")
    ]  # fmt: skip
    assert venue.rows("A1", "buy 9 @ 900 as b2") == [
        event(15, CommandKind.ORDER_PLACE, EventKind.ORDER_STATUS, flags=LAST | DUP, instrument=1, account=1,
              phase=CONTINUOUS, order_id=11, code=Code.DUPLICATE, rule=6, reason=4, qty=4, cl_ord_id=b"b2")
    ]  # fmt: skip


def test_rejected_rows_repeat_the_request_and_name_what_was_found() -> None:
    venue = Venue()
    venue.say("A1", "buy 5 @ 100 as b1")
    rejected = EventKind.ORDER_REJECTED
    assert venue.rows("A1", "sell 501 @ -7 as s1 fok in V") == [
        event(12, CommandKind.ORDER_PLACE, rejected, code=Code.MAX_ORDER_QTY, rule=10, instrument=2, account=1,
              phase=CONTINUOUS, side=2, ord_type=1, time_in_force=4, price=-7, qty=501, cl_ord_id=b"s1")
    ]  # fmt: skip
    assert venue.rows("A1", "sell 1 @ 5 as s1 in 77 ! side=250 ord_type=9") == [
        event(13, CommandKind.ORDER_PLACE, rejected, code=Code.MALFORMED, rule=2, instrument=77, account=1, side=250,
              ord_type=9, time_in_force=1, price=5, qty=1, cl_ord_id=b"s1")
    ]  # fmt: skip
    assert venue.rows("A2", "amend order:b1 qty 7 price 9 as x") == [
        event(14, CommandKind.ORDER_AMEND, rejected, code=Code.NOT_OWNER, rule=8, instrument=1, account=2,
              phase=CONTINUOUS, order_id=11, price=9, qty=7, cl_ord_id=b"x")
    ]  # fmt: skip
    assert venue.rows("A2", "cancel b1 ! instrument=1 ord_type=1") == [
        event(15, CommandKind.ORDER_CANCEL, rejected, code=Code.UNKNOWN_ORDER, rule=7, account=2, cl_ord_id=b"b1")
    ]
    assert venue.rows("A1", "mass_cancel ! side=9 instrument=2") == [
        event(16, CommandKind.ORDER_MASS_CANCEL, rejected, code=Code.MALFORMED, rule=2, instrument=2, account=1,
              phase=CONTINUOUS, side=9)
    ]  # fmt: skip
    malformed = bytes(range(200, 232))
    row = venue.commands.write("A1", "sell 1 @ 5 as s1")
    row["cl_ord_id"] = malformed
    assert [r.tobytes() for r in venue.reference.run_block(row)] == [
        event(17, CommandKind.ORDER_PLACE, rejected, code=Code.MALFORMED, rule=2, instrument=1, account=1,
              phase=CONTINUOUS, side=2, ord_type=1, time_in_force=1, price=5, qty=1, cl_ord_id=malformed)
    ]  # fmt: skip


def test_an_id_with_a_hole_is_malformed_and_repeated_as_it_is() -> None:
    venue = Venue()
    for seq, cl_ord_id in enumerate((b"a\0b", b"\0b"), 11):
        row = venue.commands.write("A1", "sell 1 @ 5 as s1")
        row["cl_ord_id"] = cl_ord_id
        (told,) = venue.reference.run_block(row)
        assert (told["code"], told["cl_ord_id"], told["seq"]) == (Code.MALFORMED, cl_ord_id, seq)


def test_rows_of_commands_about_many_and_of_acts() -> None:
    venue = Venue()
    venue.say("A1", "sell 5 @ 100 as s1 session 4")
    assert venue.rows("A1", "mass_cancel buy in W") == [
        event(12, CommandKind.ORDER_MASS_CANCEL, EventKind.MASS_CANCELED, account=1, instrument=1, side=1)
    ]
    sell = {"instrument": 1, "account": 1, "side": 2, "ord_type": 1, "time_in_force": 1, "order_id": 11, "price": 100}
    gone = sell | {"phase": CONTINUOUS, "qty": 5, "delta_qty": 5}
    assert venue.rows("A2", "disconnect session 4") == [
        event(13, CommandKind.DISCONNECT, EventKind.ORDER_CANCELED, flags=0, **gone, reason=Reason.DISCONNECT),
        event(13, CommandKind.DISCONNECT, EventKind.DISCONNECTED, index=1, account=2, qty=1),
    ]
    assert venue.rows("A9", "tick") == [event(14, CommandKind.CLOCK_TICK, EventKind.CLOCK_TICKED)]
    venue.say("A1", "sell 5 @ 100 as s2")
    expired = sell | {"order_id": 15, "phase": 1, "qty": 5, "delta_qty": 5}
    assert venue.rows("venue", "phase ALL closed") == [
        event(16, CommandKind.PHASE_SET, EventKind.PHASE_CHANGED, flags=0, instrument=1, phase=1, reason=CONTINUOUS),
        event(16, CommandKind.PHASE_SET, EventKind.PHASE_CHANGED, flags=0, index=1, instrument=2, phase=1,
              reason=CONTINUOUS),
        event(16, CommandKind.PHASE_SET, EventKind.ORDER_EXPIRED, index=2, **expired),
    ]  # fmt: skip
    assert venue.rows("A3", "phase W halted") == [
        event(17, CommandKind.PHASE_SET, EventKind.ACT_REJECTED, code=Code.PHASE_TRANSITION, rule=42)
    ]
    assert venue.rows("venue", "define U") == [
        event(18, CommandKind.INSTRUMENT_DEFINE, EventKind.INSTRUMENT_DEFINED, instrument=3, phase=1)
    ]
    assert venue.rows("venue", "account A7 M7 B7") == [
        event(19, CommandKind.ACCOUNT_DEFINE, EventKind.ACCOUNT_DEFINED, account=7)
    ]


def test_rows_of_an_opening_day() -> None:
    venue = Venue("empty")
    assert venue.rows("venue", "day.open 2026-11-23 next 5") == [
        event(1, CommandKind.DAY_OPEN, EventKind.DAY_OPENED, qty=20261123)
    ]
    venue.say("venue", "account A1 M1 B1")
    venue.say("venue", "define W")
    assert venue.rows("A1", "restore buy 9 leaves 4 @ 70 as g1 order 2") == [
        event(4, CommandKind.ORDER_RESTORE, EventKind.ORDER_RESTORED, instrument=1, account=1, phase=1, side=1,
              ord_type=1, time_in_force=2, order_id=2, price=70, qty=9, leaves_qty=4, cum_qty=5, cl_ord_id=b"g1")
    ]  # fmt: skip
    assert venue.rows("A1", "restore sell 9 leaves 4 @ 1070 as g2 order 3") == [
        event(5, CommandKind.ORDER_RESTORE, EventKind.ORDER_REJECTED, code=Code.PRICE_BAND, rule=12, instrument=1,
              account=1, phase=1, side=2, ord_type=1, time_in_force=2, price=1070, qty=9, cl_ord_id=b"g2")
    ]  # fmt: skip
    assert venue.rows("A1", "restore sell 9 leaves 4 @ 70 as i1 order 3 gtd until 5 display 2 shows 1") == [
        event(6, CommandKind.ORDER_RESTORE, EventKind.ORDER_RESTORED, instrument=1, account=1, phase=1, side=2,
              ord_type=1, time_in_force=5, order_id=3, price=70, qty=9, leaves_qty=4, cum_qty=5, cl_ord_id=b"i1",
              delta_qty=2)
    ]  # fmt: skip
    assert venue.rows("A1", "restore sell 9 leaves 9 stop 70 as t1 order 4 ! price=6") == [
        event(7, CommandKind.ORDER_RESTORE, EventKind.ORDER_RESTORED, flags=LAST | INACTIVE, instrument=1, account=1,
              phase=1, side=2, ord_type=3, time_in_force=2, order_id=4, qty=9, leaves_qty=9, cl_ord_id=b"t1",
              old_price=70)
    ]  # fmt: skip
    assert venue.rows("A1", "mass_cancel in W ! cl_ord_id='a-b' price=4 order_qty=2") == [
        event(8, CommandKind.ORDER_MASS_CANCEL, EventKind.ORDER_REJECTED, code=Code.DAY_ORDER, rule=44, instrument=1,
              account=1, phase=1, price=4, qty=2, cl_ord_id=b"a-b")
    ]  # fmt: skip
    assert venue.rows("venue", "uncross W") == [
        event(9, CommandKind.AUCTION_UNCROSS, EventKind.ACT_REJECTED, code=Code.DAY_ORDER, rule=44)
    ]
    assert venue.rows("venue", "day.start") == [event(10, CommandKind.DAY_START, EventKind.DAY_STARTED, qty=3)]


def test_rows_of_a_phase_that_is_the_instruments_own() -> None:
    venue = Venue()
    venue.say("A1", "sell 5 @ 100 as s1")
    venue.say("A2", "buy 5 @ 100 as b1")
    changed = EventKind.PHASE_CHANGED
    assert venue.rows("venue", "phase W break override draw 250") == [
        event(13, CommandKind.PHASE_SET, changed, flags=LAST | OVERRIDE, instrument=1, phase=7, reason=3, qty=250)
    ]
    assert venue.rows("venue", "phase ALL halted") == [
        event(14, CommandKind.PHASE_SET, changed, instrument=2, phase=4, reason=3)
    ]
    assert venue.rows("venue", "phase W closed override at_last_match") == [
        event(15, CommandKind.PHASE_SET, changed, instrument=1, phase=1, reason=7, order_id=1, price=100)
    ]
    assert venue.rows("venue", "uncross V") == [
        event(16, CommandKind.AUCTION_UNCROSS, EventKind.ACT_REJECTED, code=Code.NOT_IN_CALL, rule=54)
    ]


def test_an_empty_block_has_no_events() -> None:
    venue = Venue()
    events = venue.reference.run_block(venue.commands.write("venue", "tick")[:0])
    assert events.dtype == EVENT and events.shape == (0,)


def test_default_limits_are_the_venues() -> None:
    assert Reference().limits == Limits()


def test_of_two_ids_with_one_key_the_key_names_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.reference_world.cl_ord_id_key", lambda _: (1, 1))
    monkeypatch.setattr("tests.scenarios.table.cl_ord_id_key", lambda _: (1, 1))
    venue = Venue()
    venue.say("A2", "buy 5 @ 99 as x")
    venue.say("A1", "buy 5 @ 99 as x")
    venue.say("A1", "buy 5 @ 100 as y")
    (canceled,) = venue.say("A1", "cancel key:y")
    assert (canceled["kind"], canceled["order_id"]) == (EventKind.ORDER_CANCELED, 12)
    venue.say("A1", "buy 5 @ 100 as z")
    (refused,) = venue.say("A1", "cancel key:z")
    assert refused["code"] == Code.TOO_LATE


def act(kind: CommandKind, **said: int | str) -> str:
    """An act in the tables' words, with this payload."""
    return f"payload {kind} {json.dumps(said)}"


PHASE_WORDS = tuple(phase.name.lower() for phase in Phase)
CONTROLLED = act(CommandKind.CONTROL_SET, group="G", limit_steps="300,600", band_ticks=40, short_ticks=1)


def random_words(dice: random.Random, number: int) -> tuple[str, str]:
    """A random command of the tables' language, of which about half are refused."""
    named = dice.randint(max(0, number - 30), number)
    new_id, some_id = (f"{'xyz'[n % 3]}{n}" for n in (number, named))
    price, qty, stop = dice.randint(95, 105), dice.randint(1, 9), dice.randint(95, 105)
    side, symbol = dice.choice(("buy", "sell")), dice.choice("WWWV")
    until = f"gtd until {1000 * (number + dice.randint(20, 90))}"
    tif = dice.choice(("day", "day", "gtc", "gtc", "ioc", "fok", "gtc post", "at_close", "at_open", until))
    waits = dice.choice(("day", "gtc", until))
    smp = dice.choice(("none", "cancel_resting", "cancel_incoming", "cancel_both", "decrement"))
    if number % 10 == 0:
        phase = dice.choice(
            (*PHASE_WORDS, *("pre_open", "continuous", "continuous", "pre_close", "closing_auction") * 6)
        )
        how = dice.choice(("", "", "", " override", f" draw {qty}", " at_last_match"))
        return "venue", f"phase {dice.choice((symbol, 'W', 'ALL', 'group:G'))} {phase}{how}"
    if number % 31 == 0:
        return "venue", dice.choice(
            (
                act(CommandKind.LIMIT_SET, symbol="W", settlement="100", step=dice.randint(0, 2)),
                act(CommandKind.LIMIT_SET, group="G"),
                act(CommandKind.CONTROL_SET, symbol="W", short_ticks=qty // 4, max_order_value=f"{number + 2500}000"),
                act(CommandKind.PHASE_SET, symbol="W", phase="continuous", auto=1),
            )
        )
    if number % 3 == 0:
        text = dice.choice(
            (
                *[f"amend {some_id} qty {dice.randint(1, 12)} price {price}"] * 2,
                f"amend {some_id} {dice.choice((f'stop {stop}', f'qty {qty}', f'expire {1000 * (number + 50)}'))}",
                f"amend key:{some_id} qty {dice.randint(1, 12)} as {new_id}",
                f"cancel {some_id}",
                f"mass_cancel {side} in {symbol}" if number % 9 == 0 else "tick",
                f"uncross {symbol}",
            )
        )
        return f"A{named % 6 + 1}", text
    text = dice.choice(
        (
            *[f"{side} {qty} @ {price} as {new_id} {tif} smp {smp} in {symbol}"] * 8,
            *[f"{side} {qty} @ {price} as {new_id} {waits} display {min(qty, 2)} smp {smp} in {symbol}"] * 2,
            f"{side} {qty} @ {price} as {new_id} min {min(qty, 4)} smp {smp} in {symbol}",
            f"{side} {qty} market as {some_id} {dice.choice(('', 'gtc', 'at_close', 'fok'))} in {symbol}",
            f"{side} {qty} market_to_limit as {new_id} smp_id {dice.randint(0, 2)} {waits} in {symbol}",
            f"{side} {qty} stop {stop} as {new_id} {waits} in {symbol}",
            f"{side} {qty} stop {stop} @ {price} as {new_id} {waits} in {symbol}",
        )
    )
    return f"A{number % 6 + 1}", text


@pytest.mark.parametrize("seed", [0, 3, 5])
def test_events_do_not_depend_on_the_cut_into_blocks(seed: int) -> None:
    """The same commands in blocks of 1 and of 50 give the same bytes, books and worlds; invariants hold all the way."""
    dice = random.Random(seed)
    one, fifty = Venue("group=G"), Venue("group=G")
    words = [("venue", CONTROLLED), *(random_words(dice, number) for number in range(1200))]
    rows = [one.commands.write(who, text) for who, text in words]
    commands, payload = np.concatenate(rows), one.commands.payload
    singles = []
    for row in rows:
        singles.append(one.reference.run_block(row, payload))
        one.reference.check()
    blocks = [fifty.reference.run_block(commands[at : at + 50], payload) for at in range(0, len(rows), 50)]
    events = np.concatenate(singles)
    assert events.tobytes() == np.concatenate(blocks).tobytes()
    assert len(set(events["kind"].tolist())) >= 20, "the flow is rich enough to prove something"
    by_themselves = events[(events["kind"] == EventKind.PHASE_CHANGED) & (events["op"] == CommandKind.ORDER_PLACE)]
    assert len(by_themselves) and EventKind.ORDER_SUSPENDED in events["kind"], "and its prices are controlled"
    assert one.reference.dump() == fifty.reference.dump()
    assert [one.reference.book(number) for number in (1, 2)] == [fifty.reference.book(number) for number in (1, 2)]


@pytest.mark.parametrize("seed", range(3))
def test_the_dump_at_the_close_is_the_dump_after_the_next_days_start(seed: int) -> None:
    """R44, R45: restating a world by its dump gives that world again, its orders in their queues."""
    dice = random.Random(seed)
    venue = Venue("group=G")
    venue.say("venue", CONTROLLED)
    for number in range(400):
        venue.say(*random_words(dice, number))
    venue.say("venue", "phase W closed")
    venue.say("venue", "phase V closed")
    venue.say("venue", act(CommandKind.LIMIT_SET, symbol="W", settlement="100"))
    before = venue.reference.dump()
    assert len(before["orders"]) > 5 and any(order["price"] for order in before["orders"] if order["inactive"])
    assert before["instruments"][0]["limits"]["step"] > 0 and before["instruments"][1]["controls"] == {}

    after = Venue("empty")
    after.commands.seq = venue.commands.seq
    after.say("venue", f"day.open 2026-11-24 next {before['next_trade_id']}")
    for account in before["accounts"]:
        after.say("venue", f"account {account['account']} {account['member']} {account['owner']}")
    no_terms = {"phase", "override", "last_price", "close_price", "controls", "limits"}
    for terms in before["instruments"]:
        symbol, limits = terms["symbol"], terms["limits"]
        said = {key: value for key, value in terms.items() if key not in no_terms}
        after.say("venue", act(CommandKind.INSTRUMENT_DEFINE, **said))
        if terms["controls"]:
            after.say("venue", act(CommandKind.CONTROL_SET, symbol=symbol, **terms["controls"]))
        restated = {key: limits[key] for key in ("step", "side", "locked")}
        after.say("venue", act(CommandKind.LIMIT_SET, symbol=symbol, settlement=str(limits["settlement"]), **restated))
    for held in before["positions"]:
        if held["lots"]:
            words = {key: held[key] for key in ("account", "symbol", "lots")}
            after.say("venue", act(CommandKind.POSITION_RESTORE, **words))
    for order in before["orders"]:
        (restored,) = after.say(order["account"], restore_words(order))
        assert restored["kind"] == EventKind.ORDER_RESTORED
    after.say("venue", "day.start")
    after.reference.check()
    assert any(held["lots"] for held in before["positions"])
    differing = {"seq", "time", "trading_day"}
    told = after.reference.dump()
    assert {k: v for k, v in told.items() if k not in differing} == {
        k: v for k, v in before.items() if k not in differing
    }
    assert told["trading_day"] == "2026-11-24"
    assert [after.reference.book(n) for n in (1, 2)] == [venue.reference.book(n) for n in (1, 2)]


def restore_words(order: dict[str, Any]) -> str:
    """The restore of an order of a dump."""
    prices = {
        "limit": f"@ {order['price']}",
        "stop": f"stop {order['stop_price']}",
        "stop_limit": f"stop {order['stop_price']} @ {order['price']}",
    }
    shows = order["shown_qty"] or min(order["display_qty"], order["leaves_qty"])  # a suspended iceberg shows nothing
    return (
        f"restore {order['side']} {order['order_qty']} leaves {order['leaves_qty']} {prices[order['ord_type']]} "
        f"as {order['cl_ord_id']} order {order['order_id']} {order['time_in_force']} until {order['expire_time']} "
        f"display {order['display_qty']} shows {shows} smp {order['smp']} smp_id {order['smp_id']} "
        f"in {order['symbol']} ! flags={order['flags']}"
    )
