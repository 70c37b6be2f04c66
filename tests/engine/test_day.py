from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from engine.apply import State, new_state, run_block
from engine.core.invariants import check
from engine.day import (
    PASSING,
    act_row,
    canonical,
    difference,
    genesis,
    is_complete,
    restatement,
    trading_day_of,
)  # fmt: skip
from engine.dump import dump
from engine.reference import Reference
from engine.schema import (
    COMMAND,
    MAX_BLOCK_ROWS,
    MAX_PAYLOAD_BYTES,
    POST_ONLY,
    Code,
    CommandKind,
    EventKind,
    Limits,
    Phase,
    Side,
    TimeInForce,
)
from tests.engine.world import World
from tests.logs import ACCOUNTS, INSTRUMENTS, MONDAY, OPENING_NS, SMALL, TUESDAY, order, without

A = CommandKind


def load(
    world: Any, trading_day: str, first_seq: int, limits: Limits = SMALL, **options: Any
) -> tuple[Reference, list[Any]]:
    """A fresh matcher that was told the world; all its events."""
    matcher, events = Reference(limits), []
    for _, rows, payload in restatement(world, trading_day, first_seq=first_seq, time_ns=OPENING_NS, **options):
        events.append(matcher.run_block(rows, payload))
    return matcher, events


def traded(seed: int, orders: int = 400) -> Reference:
    """A venue after a day's trading: closed, with gtc orders in its books."""
    matcher, _ = load(genesis(INSTRUMENTS, ACCOUNTS), MONDAY, 1)
    rng = random.Random(seed)
    raw = [order(number, rng) for number in range(orders)]
    phases = [canonical({"symbol": "ALL", "phase": phase}) for phase in ("continuous", "closed")]
    seq = matcher.dump()["seq"]
    for row, payload in [
        (act_row(CommandKind.PHASE_SET), phases[0]),
        *((row, b"") for row in raw),
        (act_row(CommandKind.PHASE_SET), phases[1]),
    ]:
        seq += 1
        command = np.frombuffer(bytearray(row), COMMAND)
        command["seq"], command["time"] = seq, OPENING_NS + seq
        if payload:
            command["target_hi"] = len(payload)
        matcher.run_block(command, payload)
    return matcher


@pytest.mark.parametrize("seed", range(8))
def test_a_new_day_starts_with_the_world_the_old_one_ended_with(seed: int) -> None:
    """The law of DESIGN 8, `trading_day`, `seq` and `time` excepted; queue order is part of the picture."""
    closed = traded(seed).dump()
    assert closed["orders"] and closed["next_trade_id"] > 1
    opened, events = load(closed, TUESDAY, closed["seq"] + 1)
    assert without(opened.dump(), PASSING) == without(closed, PASSING)
    assert difference(closed, opened.dump()) is None
    assert opened.dump()["trading_day"] == TUESDAY
    kinds = [int(kind) for block in events for kind in block["kind"]]
    assert kinds[0] == EventKind.DAY_OPENED and kinds[-1] == EventKind.DAY_STARTED
    assert kinds.count(EventKind.ORDER_RESTORED) == len(closed["orders"]) == int(events[-1][-1]["qty"])


def a_day_of_everything() -> World:
    """A closed venue of the core: icebergs that show a part, stops and stop-limits of both sides, gtd orders, some
    filled in part, and an instrument whose reference price is that of the day's last trade."""
    venue = World(SMALL, terms=({"group": "G"}, {"symbol": "W240", "window_ticks": 8}))
    gtd = {"time_in_force": TimeInForce.GTD, "expire_time": 1 << 60}
    gtc = {"time_in_force": TimeInForce.GTC}
    for number in (1, 2):
        for account in (1, 3):
            venue.place(account, Side.BUY, 9, 480 + account, display_qty=4, instrument=number, **gtc)
            maker = {"smp": 3, "smp_id": 7, "flags": POST_ONLY, **gtd}
            venue.place(account, Side.SELL, 7, 520 + account, instrument=number, **maker)
            for side, at in ((Side.BUY, 700), (Side.BUY, 650), (Side.SELL, 300), (Side.SELL, 650)):
                venue.stop(account, side, 5, at, instrument=number, **gtd)
                venue.stop(account, side, 5, at, at - 100, instrument=number, client_session=9, **gtc)
        venue.place(1, Side.BUY, 2, None, instrument=number, time_in_force=TimeInForce.AT_CLOSE)
    venue.place(2, Side.SELL, 3, 483)
    venue.place(4, Side.BUY, 2, 521, smp=1)
    venue.phase("ALL", Phase.POST_CLOSE)
    venue.place(2, Side.BUY, 1, 900, instrument=2, **gtc)
    venue.place(3, Side.SELL, 1, 100, instrument=2, **gtc)
    venue.phase("ALL", Phase.CLOSED)
    return venue


def test_orders_of_every_kind_live_on_in_both_matchers() -> None:
    venue = a_day_of_everything()
    closed = dump(venue.state)
    kinds = {(order["ord_type"], order["time_in_force"], order["display_qty"]) for order in closed["orders"]}
    assert kinds == {("limit", "gtc", 4), ("limit", "gtd", 0), ("limit", "gtc", 0), ("stop", "gtd", 0),
                     ("stop_limit", "gtc", 0)}  # fmt: skip
    assert any(order["cum_qty"] for order in closed["orders"]) and closed["instruments"][0]["reference_price"]
    assert {order["shown_qty"] for order in closed["orders"]} > {0, 4}, "an iceberg showed a part"
    reference, _ = load(closed, TUESDAY, closed["seq"] + 1)
    state = new_state(SMALL)
    for _, rows, payload in restatement(closed, TUESDAY, first_seq=closed["seq"] + 1, time_ns=OPENING_NS):
        run_block(state, rows, payload)
    check(state)
    for opened in (reference.dump(), dump(state)):
        assert difference(closed, opened) is None and opened["trading_day"] == TUESDAY


def test_the_world_goes_on_after_the_night_as_if_there_had_been_none() -> None:
    """The stops of the new day are elected and the crossed book uncrossed as they would have been."""
    venue = a_day_of_everything()
    closed = dump(venue.state)
    state = new_state(SMALL)
    for _, rows, payload in restatement(closed, TUESDAY, first_seq=closed["seq"] + 1, time_ns=venue.time):
        run_block(state, rows, payload)
    venue.seq, venue.time = state.seq, state.time
    told = []
    for phase in ("pre_open", "continuous"):
        row, payload = venue.act_row(CommandKind.PHASE_SET, symbol="ALL", phase=phase)
        told.append((row, payload))
    told += [(venue.order(2, Side.BUY, 9, 600), b""), (venue.order(4, Side.SELL, 30, 400), b"")]
    told.append((venue.row(CommandKind.CLOCK_TICK, time=1 << 60), b""))
    kinds = set()
    for row, payload in told:
        events = run_block(venue.state, row, payload)
        assert run_block(state, row, payload).tobytes() == events.tobytes()
        kinds |= set(events["kind"].tolist())
    assert {EventKind.ORDER_TRIGGERED, EventKind.ORDER_REFRESHED, EventKind.AUCTION_UNCROSSED,
            EventKind.ORDER_EXPIRED} <= kinds  # fmt: skip
    assert difference(dump(venue.state), dump(state)) is None


def a_day_of_levers() -> World:
    """A closed venue of the core with all that R66 to R77 keep: limits that have locked and suspended orders, icebergs
    among them, controls changed since, positions, balances of checked and other accounts, costs in two currencies,
    caps and kill switches."""
    lot: dict[str, Any] = {
        "contract_size": 1, "tick": "0.5", "min_price": "-500.0", "max_price": "500.0", "window_ticks": 64,
        "reference_price": "100.0",
    }  # fmt: skip
    venue = World(
        SMALL, accounts=(), terms=({**lot, "group": "G"}, {**lot, "symbol": "W240", "commodity": "C"}), phase=None
    )
    for number, (member, owner) in enumerate((("M1", "B1"), ("M2", "B1"), ("M1", "B2"), ("M2", "B3")), 1):
        ccy: dict[str, Any] = {} if number == 4 else {"ccy": "VND" if number == 3 else "USD"}
        venue.act(A.ACCOUNT_DEFINE, account=f"A{number}", member=member, owner=owner, **ccy)
    for per, rate in (("USD", "100"), ("VND", "24567.5")):
        venue.act(A.FIXING_SET, date=MONDAY, ccy="USD", per=per, rate=rate)
        venue.act(A.MARGIN_SET, group="G", ccy=per, per_lot=7)
        venue.act(A.FEE_SET, symbol="W240", ccy=per, basis="bps", taker=5, maker=-2, auction=1)
    venue.act(A.FEE_SET, symbol="W320", ccy="USD", basis="lot", taker=3, maker=-1, auction=0)
    venue.act(A.CONTROL_SET, symbol="W320", limit_steps="500,1000", band_ticks=10, max_order_value="900.01")
    venue.act(A.CONTROL_SET, symbol="W240", short_ticks=9, long_ms=8, limit_free_from="2026-12-01")
    venue.act(A.LIMIT_SET, symbol="W320", settlement="100.0")
    for step in (Phase.PRE_OPEN, Phase.CONTINUOUS):
        venue.phase("ALL", step)
    gtc, gtd = {"time_in_force": TimeInForce.GTC}, {"time_in_force": TimeInForce.GTD, "expire_time": 1 << 60}
    for number in (1, 2):
        venue.place(1, Side.SELL, 9, 200, instrument=number, display_qty=4, **gtc)
        venue.place(3, Side.BUY, 2, 200, instrument=number)
        venue.place(4, Side.BUY, 5, 200, instrument=number)
    venue.mass_cancel(1)
    venue.act(A.COLLATERAL_SET, account="A1", amount=10**6)
    venue.place(1, Side.BUY, 6, 205, display_qty=2, **gtc)
    venue.place(2, Side.BUY, 1, 211, **gtc)  # suspended, as the next two
    venue.place(4, Side.SELL, 5, 300, display_qty=3, **gtd)
    venue.place(3, Side.SELL, 5, 212, **gtd)
    venue.stop(3, Side.SELL, 5, 195, 188, **gtc)
    venue.stop(4, Side.BUY, 5, 400, **gtd)
    venue.place(4, Side.BUY, 3, 210, **gtc)
    venue.act(A.CAP_SET, commodity="C", lots=12)
    venue.act(A.CAP_SET, commodity="G", lots=50, owner="B9")
    venue.phase("ALL", Phase.CLOSED)
    venue.act(A.KILL_SET, on=1, account="A3")
    venue.act(A.KILL_SET, on=1, member="M2")
    venue.act(A.KILL_SET, on=1, exchange=1)
    return venue


def restate(closed: dict[str, Any], **options: Any) -> State:
    state = new_state(SMALL)
    for _, rows, payload in restatement(
        closed, TUESDAY, first_seq=closed["seq"] + 1, time_ns=closed["time"], **options
    ):
        assert not run_block(state, rows, payload)["code"].any(), "nothing of a restatement is refused"
    check(state)
    return state


def test_controls_limits_accounts_and_levers_live_on() -> None:
    venue = a_day_of_levers()
    closed = dump(venue.state)
    limits = closed["instruments"][0]["limits"]
    assert limits == {"settlement": 200, "step": 1, "side": 0, "locked": Side.BUY, "low": 190, "high": 210}
    suspended = [order for order in closed["orders"] if order["inactive"] and not order["stop_price"]]
    assert [(order["price"], order["display_qty"], order["shown_qty"]) for order in suspended] == [
        (211, 0, 0), (300, 3, 3), (212, 0, 0),
    ]  # fmt: skip
    assert {one["held"] > 0 for one in closed["positions"]} == {True, False}
    assert all(closed[key] for key in ("fixings", "margins", "fees", "caps")) and len(closed["kills"]) == 3
    assert any(account["balance"] < 0 for account in closed["accounts"]) and any(closed["income"].values())
    reference, _ = load(closed, TUESDAY, closed["seq"] + 1)
    for opened in (dump(restate(closed)), reference.dump()):
        assert difference(closed, opened) is None and opened["trading_day"] == TUESDAY
        assert not any(opened["income"].values()), "the exchange's income is the day's"


def test_the_levers_are_in_force_after_the_night_as_before() -> None:
    venue = a_day_of_levers()
    state = restate(dump(venue.state))
    venue.seq, venue.time = state.seq, state.time + 1_000_000_000
    told = [venue.act_row(A.LIMIT_SET, symbol="W320"), venue.act_row(A.KILL_SET, exchange=1, on=0)]
    for phase in ("pre_open", "continuous"):
        told.append(venue.act_row(A.PHASE_SET, symbol="ALL", phase=phase))
    rng = random.Random(7)
    for _ in range(150):
        price = rng.choice((None, *range(171, 231, 3)))
        said = {"instrument": rng.randint(1, 2), "time_in_force": rng.choice((1, 2))}
        told.append((venue.order(rng.randint(1, 4), rng.randint(1, 2), rng.randint(1, 12), price, **said), b""))
    told.append(venue.act_row(A.KILL_SET, member="M2", on=0))
    told += [(venue.order(rng.randint(1, 4), rng.randint(1, 2), 5, 200, instrument=2), b"") for _ in range(40)]
    codes, kinds = set(), set()
    for row, payload in told:
        events = run_block(venue.state, row, payload)
        assert run_block(state, row, payload).tobytes() == events.tobytes()
        codes |= set(events["code"].tolist())
        kinds |= set(events["kind"].tolist())
    assert {Code.KILLED_ACCOUNT, Code.KILLED_MEMBER, Code.PRICE_LIMIT, Code.MAX_ORDER_VALUE, Code.POSITION_CAP,
            Code.MARGIN, Code.MOVING_BAND} < codes  # fmt: skip
    assert {EventKind.ORDER_ACTIVATED, EventKind.TRADE} <= kinds
    assert difference(dump(venue.state), dump(state)) is None


@pytest.mark.parametrize("steps", ["", "300", "1,2,3", "500,9999"])
@pytest.mark.parametrize("settlement", ["100.0", "-100.0", "0.0", "480.0", "0.5"])
@pytest.mark.parametrize("step", [0, 1, 2])
def test_limits_that_are_set_stay_as_they_are_whatever_has_become_of_the_steps(
    step: int, settlement: str, steps: str
) -> None:
    """R66 changes no limits that are set, so they may come from limit_steps that nobody remembers."""
    band = {"tick": "0.5", "min_price": "-500.0", "max_price": "500.0"}
    venue = World(SMALL, terms=(band,), phase=None)
    venue.act(A.CONTROL_SET, symbol="W320", limit_steps="500,1234", band_ticks=3)
    venue.act(A.LIMIT_SET, symbol="W320", settlement=settlement, step=step)
    venue.act(A.CONTROL_SET, symbol="W320", limit_steps=steps)
    closed = dump(venue.state)
    assert closed["instruments"][0]["limits"]["step"] == step
    reference, _ = load(closed, TUESDAY, closed["seq"] + 1)
    assert difference(closed, dump(restate(closed))) is None and difference(closed, reference.dump()) is None


def test_what_was_held_for_an_account_is_forgotten_with_its_check() -> None:
    """R78: a balance restored without a check, though collateral had been set before."""
    venue = World(SMALL, accounts=(), phase=None, day=MONDAY)
    venue.act(A.ACCOUNT_DEFINE, account="A1", member="M", owner="B", ccy="USD")
    venue.act(A.MARGIN_SET, symbol="W320", ccy="USD", per_lot=7)
    venue.act(A.COLLATERAL_SET, account="A1", amount=5)
    venue.act(A.POSITION_RESTORE, account="A1", symbol="W320", lots=3)
    assert dump(venue.state)["positions"][0]["held"] == 21
    venue.act(A.BALANCE_RESTORE, account="A1", balance=5, checked=0)
    assert dump(venue.state)["positions"][0]["held"] == 0


def test_a_margined_venue_stays_one_and_so_do_accounts_without_a_currency() -> None:
    """R73: who is checked because a margin exists is so after the night, whatever its balance."""
    first = restate(genesis(INSTRUMENTS, ACCOUNTS))
    venue = World(SMALL, accounts=(), terms=(), phase=None)
    venue.state, venue.seq, venue.time = first, first.seq, first.time
    (symbol, *_) = (terms["symbol"] for terms in INSTRUMENTS)
    assert {account["checked"] for account in dump(first)["accounts"]} == {0}
    venue.act(A.ACCOUNT_DEFINE, account="NEW", member="M", owner="B", ccy="USD")
    venue.act(A.MARGIN_SET, symbol=symbol, ccy="USD", per_lot=7)
    venue.act(A.COLLATERAL_SET, account="NEW", amount=5)
    closed = dump(venue.state)
    assert closed["margined"] == 1 and {account["checked"] for account in closed["accounts"]} == {1}
    reference, _ = load(closed, TUESDAY, closed["seq"] + 1)
    assert difference(closed, dump(restate(closed))) is None and difference(closed, reference.dump()) is None


def test_the_same_commands_give_the_same_events_before_and_after_the_night() -> None:
    """The picture leaves out nothing that decides: both worlds go on alike (self-match ids, owners, priorities)."""
    before = traded(3)
    after, _ = load(before.dump(), TUESDAY, before.dump()["seq"] + 1)
    seq = after.dump()["seq"]
    rng = random.Random(99)
    rows = [(act_row(CommandKind.PHASE_SET), canonical({"symbol": "ALL", "phase": "continuous"}))]
    rows += [(order(10_000 + number, rng), b"") for number in range(300)]
    for number, (row, payload) in enumerate(rows):
        command = np.frombuffer(bytearray(row), COMMAND)
        command["seq"], command["time"] = seq + 1 + number, OPENING_NS + 10**9
        if payload:
            command["target_hi"] = len(payload)
        assert before.run_block(command, payload).tobytes() == after.run_block(command, payload).tobytes()


def test_seqs_have_no_gap_and_the_blocks_keep_their_limits() -> None:
    world = traded(1).dump()
    many = [dict(account=f"X{number}", member="M", owner="O") for number in range(MAX_BLOCK_ROWS + 10)]
    blocks = list(restatement(world, TUESDAY, first_seq=500, time_ns=7, accounts=many))
    seqs = np.concatenate([rows["seq"] for _, rows, _ in blocks])
    assert seqs.tolist() == list(range(500, 500 + len(seqs))) and [first for first, _, _ in blocks] == [
        int(rows["seq"][0]) for _, rows, _ in blocks
    ]
    assert all(len(rows) <= MAX_BLOCK_ROWS and len(payload) <= MAX_PAYLOAD_BYTES for _, rows, payload in blocks)
    assert len(blocks) > 3 and all((rows["time"] == 7).all() for _, rows, _ in blocks)


def test_what_is_newly_listed_comes_behind_what_was_there() -> None:
    closed = traded(2).dump()
    new = {**INSTRUMENTS[0], "symbol": "W320F2704"}
    opened, _ = load(
        closed,
        TUESDAY,
        closed["seq"] + 1,
        instruments=[INSTRUMENTS[1], new],
        accounts=[*ACCOUNTS, ACCOUNTS[0] | {"account": "Z"}],
    )
    found = opened.dump()
    assert [terms["symbol"] for terms in found["instruments"]] == ["W320F2703", "W240F2703", "W320F2704"]
    assert [account["account"] for account in found["accounts"]] == ["A1", "A2", "A3", "Z"]
    assert difference(closed, found) is not None and difference(closed, found, added=True) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda world: world["orders"].reverse(), "orders[0]"),
        (lambda world: world["orders"].pop(), "orders: "),
        (lambda world: world["orders"][0].update(leaves_qty=1_000), "orders[0]"),
        (lambda world: world.update(next_trade_id=1), "next_trade_id"),
        (lambda world: world["accounts"][1].update(owner="B9"), "accounts[1]"),
        (lambda world: world["instruments"][0].update(max_price="3.000"), "instruments[0]"),
    ],
)
def test_a_difference_is_named(change: Any, said: str) -> None:
    closed, other = traded(4).dump(), traded(4).dump()
    assert difference(closed, other) is None
    change(other)
    told = difference(closed, other, added=True)
    assert told is not None and told.startswith(said)


def test_a_day_is_complete_when_every_instrument_is_closed() -> None:
    world = genesis(INSTRUMENTS)
    assert is_complete(world)
    world["instruments"][1]["phase"] = "halted"
    assert not is_complete(world)
    with pytest.raises(ValueError, match="every instrument is closed"):
        next(restatement(world, TUESDAY, first_seq=1, time_ns=1))


def test_a_day_order_cannot_be_restated() -> None:
    world = traded(5).dump()
    world["orders"][0]["time_in_force"] = "day"
    with pytest.raises(ValueError, match="gtc"):
        list(restatement(world, TUESDAY, first_seq=1, time_ns=1))


def test_the_trading_day_is_the_date_in_ho_chi_minh_city() -> None:
    midnight = 1_795_366_800_000_000_000  # 2026-11-23 00:00 there, 17:00 UTC the day before
    assert trading_day_of(midnight - 1) == "2026-11-22" and trading_day_of(midnight) == "2026-11-23"
    assert trading_day_of(OPENING_NS) == MONDAY


def test_payloads_are_canonical() -> None:
    assert canonical({"b": "Bình Phước", "a": 1}) == '{"a":1,"b":"Bình Phước"}'.encode()
