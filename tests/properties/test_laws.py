"""Laws of the market and of the stream, each checked on what the compiled core does to generated flow.

A law is stated in the docstring of its test. None of them asks the reference: they hold the core (and with it, by the
differential test, the reference) to what the rules are for.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from engine.core.lane import CHECKED, PLAIN
from engine.day import difference, restatement
from engine.phases import PHASES, Mode, Permit
from engine.schema import (
    ACT_FIRST,
    COMMAND,
    SELF_MATCH,
    TRADE,
    UNCROSS,
    CommandKind,
    EventKind,
    Limits,
    OrdType,
    Phase,
    Reason,
    Tick,
    TimeInForce,
)
from tests.flow import Flow, act_rows, encode
from tests.flow_mix import terms_of
from tests.properties.ledger import Ledger
from tests.properties.ledger_asked import Asked
from tests.properties.ledger_book import OF_BOTH_SIDES, OUTSIDE
from tests.properties.ledger_flows import CONTROLLED, MONEYED
from tests.properties.ledger_money import Money
from tests.properties.pair import Block, Core, Rows, Script, cut

ROOMY = Limits(instruments=6, accounts=16, orders=1 << 13, levels=1 << 17, day_ids=1 << 16)
SEEDS = range(300, 306 if PLAIN else 310 if CHECKED else 318)
RUNS = {**{str(seed): (seed, {}) for seed in SEEDS}, **CONTROLLED}
COMMANDS = 2500

pytestmark = [pytest.mark.jit_off, pytest.mark.bounds]


def size() -> int:
    """Commands per seed: fewer where the kernels are not compiled."""
    return COMMANDS // 25 if PLAIN else COMMANDS


def record(seed: int, commands: int, **fixed: Any) -> tuple[Script, Rows]:
    """Run a flow through the core; return what was fed and all events."""
    flow = Flow(seed, **fixed)
    script, core = Script(flow.mix.limits), Core(flow.mix.limits)
    rows, payload = flow.prologue()
    events = []
    while True:
        script.blocks.append(Block(rows, payload))
        events.append(core.run(script.blocks[-1]))
        flow.observe(events[-1])
        if len(script) >= commands:
            return script, np.concatenate(events)
        rows, payload = flow.take(64)


def rerun(script: Script) -> Rows:
    """Run a script through a fresh core."""
    core = Core(script.limits)
    return np.concatenate([core.run(block) for block in script.blocks])


def informed(script: Script) -> Ledger:
    """A ledger that has seen all commands of a script."""
    ledger = Ledger()
    for block in script.blocks:
        ledger.asked.learn(block.rows, block.payload)
    return ledger


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("asked", [False, True], ids=["events alone", "commands too"])
def test_events_show_priority_one_auction_price_and_no_lot_lost_or_found(run: str, asked: bool) -> None:
    """Price, then time, icebergs included; one price in an uncross, the one last told and within both sides' limits;
    the right stops elected; nobody past its expiry or outside the daily limits; the trigger pulled where the bounds
    say; lots, positions and trade ids conserved."""
    seed, fixed = RUNS[run]
    # What a restored iceberg shows is in no event.
    script, events = record(seed, size(), **fixed) if asked else record(seed, size(), **fixed, day=False)
    ledger = informed(script) if asked else Ledger()
    ledger.feed(events)
    assert ledger.commands == len(script), "every command has exactly one event that says LAST"
    assert ledger.index == -1, "the last command is closed"
    ledger.audit()


@pytest.mark.parametrize("run", RUNS)
def test_the_events_tell_all_that_the_core_holds(run: str) -> None:
    """Whoever reads the events, and the commands' stop prices, knows every book, queue, stop, iceberg and limit."""
    seed, fixed = RUNS[run]
    flow = Flow(seed, **fixed)
    core, ledger = Core(flow.mix.limits), Ledger()
    rows, payload = flow.prologue()
    while ledger.commands < size():
        ledger.asked.learn(rows, payload)
        events = core.run(Block(rows, payload))
        ledger.feed(events)
        flow.observe(events)
        world = core.dump()
        for number, one in enumerate(world["instruments"], 1):
            assert core.book(number) == ledger.book(number)
            assert one["limits"] == ledger.limits_of(number)
        held = {order["order_id"]: order for order in world["orders"]}
        assert set(held) == {order.order_id for order in ledger.orders.values() if order.live}
        for order_id, one in held.items():
            order = ledger.orders[order_id]
            shown = {"book": order.shown, "suspended": min(order.display, order.leaves)}.get(order.where, 0)
            known = (shown, order.display, order.stop_price)
            assert (one["shown_qty"], one["display_qty"], one["stop_price"]) == known
            assert 0 <= one["shown_qty"] <= one["display_qty"], "an iceberg shows at most its display quantity (R47)"
            assert one["inactive"] == (order.where in OUTSIDE)
            assert one["expire_time"] == (order.expire_time if order.time_in_force == 5 else 0)
        rows, payload = flow.take(flow.ahead(128))


@pytest.mark.parametrize("seed", SEEDS)
def test_event_times_are_the_running_maximum_of_the_command_times(seed: int) -> None:
    """R1: the time of a command's events is the greatest time given so far."""
    script, events = record(seed, size())
    rows = script.rows()
    latest = dict(zip(rows["seq"].tolist(), np.maximum.accumulate(np.maximum(rows["time"], 0)).tolist(), strict=True))
    assert [latest[seq] for seq in events["seq"].tolist()] == events["time"].tolist()


@pytest.mark.parametrize("seed", SEEDS)
def test_rows_about_an_order_belong_to_those_who_may_see_them(seed: int) -> None:
    """Whoever asks is answered on the own account, and never with an order that is not his."""
    script, events = record(seed, size())
    asked = {int(row["seq"]): row for row in script.rows()}
    answers = (EventKind.ORDER_ACCEPTED, EventKind.ORDER_AMENDED, EventKind.ORDER_STATUS, EventKind.ORDER_REJECTED)
    mine = events[np.isin(events["kind"], [*answers, EventKind.ORDER_RESTORED, EventKind.MASS_CANCELED])]
    assert [int(asked[int(row["seq"])]["account"]) for row in mine] == mine["account"].tolist()
    told = events[(events["kind"] == EventKind.ORDER_CANCELED) & (events["reason"] == Reason.REQUESTED)]
    assert [int(asked[int(row["seq"])]["account"]) for row in told] == told["account"].tolist()


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_trades_or_enters_in_a_phase_that_forbids_it(seed: int) -> None:
    """R9: outside an uncross orders trade where they trade at once; they come, change and go where the table says."""
    _, events = record(seed, size())
    needed = {EventKind.ORDER_ACCEPTED: Permit.ENTER, EventKind.ORDER_AMENDED: Permit.AMEND}
    for row in events:
        # Events without an instrument have no phase, and are none of these.
        rule = PHASES[Phase(row["phase"])] if row["phase"] else None
        if row["kind"] in OF_BOTH_SIDES and not row["flags"] & UNCROSS:
            assert rule is not None and rule.mode in (Mode.CONTINUOUS, Mode.AT_CLOSE)
        elif row["kind"] in needed:
            assert rule is not None and needed[EventKind(row["kind"])] in rule.permits
            lasts = row["time_in_force"] in (TimeInForce.GTC, TimeInForce.GTD)
            assert lasts or Permit.LASTING_ONLY not in rule.permits
        elif row["kind"] == EventKind.ORDER_CANCELED and row["reason"] in (
            *(Reason.REQUESTED, Reason.MASS_CANCEL, Reason.DISCONNECT),
        ):
            assert rule is not None and Permit.CANCEL in rule.permits
        elif row["kind"] == EventKind.ORDER_EXPIRED:
            assert row["phase"] == Phase.CLOSED or row["op"] == CommandKind.CLOCK_TICK


@pytest.mark.parametrize("seed", SEEDS)
def test_replay_in_other_blocks_and_buffers_gives_the_same_bytes(seed: int) -> None:
    """Promise 1: the same commands give the same events, however they are cut."""
    script, events = record(seed, size())
    cuts = np.random.default_rng(seed)
    for buffer in (0, 16, 33):
        blocks = [
            Block(rows, block.payload, buffer)
            for block in script.blocks
            for rows in cut(block.rows, cuts.integers(1, 40, len(block.rows)).tolist())
        ]
        assert rerun(Script(script.limits, blocks)).tobytes() == events.tobytes()


# --- the night ----------------------------------------------------------------------------------


def close_all(core: Core, seq: int) -> int:
    """Close every instrument; return the next seq."""
    for terms in core.dump()["instruments"]:
        act = (CommandKind.PHASE_SET, encode({"symbol": terms["symbol"], "phase": "closed"}))
        core.run(Block(*act_rows([act], seq, 0)))
        seq += 1
    return seq


@pytest.mark.parametrize("seed", SEEDS)
def test_a_new_day_starts_with_the_world_the_old_one_closed_with(seed: int) -> None:
    """R45: the picture at the close is the picture after the next day's start; and both worlds go on alike."""
    script, _ = record(seed, size(), limits=ROOMY)
    before, after = Core(ROOMY), Core(ROOMY)
    for block in script.blocks:
        before.run(block)
    world = before.dump()
    seq = close_all(before, world["seq"] + 1)
    closed = before.dump()
    # The same date, for daily limits may go by it (R67); where no day was opened, one before any that matters.
    day = closed["trading_day"] or "2026-11-19"
    for _, rows, payload in restatement(closed, day, first_seq=seq, time_ns=closed["time"]):
        after.run(Block(rows, payload))
    opened = after.dump()
    assert difference(closed, opened) is None
    after.check()
    # What the picture left out would show now: the same commands, the same events.
    flow = Flow(seed + 1000, instruments=Flow(seed).mix.instruments, day=False, limits=ROOMY)
    flow.prologue()
    flow.accounts, flow.seq, flow.time = len(opened["accounts"]), opened["seq"] + 1, opened["time"]
    acts = act_rows([(CommandKind.PHASE_SET, encode({"symbol": "ALL", "phase": "pre_open"}))], flow.seq, flow.time)
    flow.seq += 1
    # Client ids of the day before are free again, which only the restated world knows: none is used twice.
    flow.next_number = 1 << 24
    parts = [acts, *(flow.take(100) for _ in range(5))]
    for rows, payload in parts:
        told = [core.run(Block(rows, payload)).tobytes() for core in (before, after)]
        assert told[0] == told[1]


def test_rows_without_a_command_are_not_made() -> None:
    """An empty block gives no events."""
    assert len(Core(ROOMY).run(Block(np.zeros(0, COMMAND), b""))) == 0


# --- mirror ---------------------------------------------------------------------------------------


def negated(text: Any) -> Any:
    """The decimal text of a price with the other sign."""
    if not isinstance(text, str):
        return text
    return text[1:] if text.startswith("-") else "-" + text


def middle_of(tick: str, low: str, high: str) -> str:
    """The reference price of terms that name none."""
    size = Tick.parse(tick)
    bottom, top = size.ticks(low), size.ticks(high)
    assert bottom is not None and top is not None
    return size.text((bottom + top) // 2)


def one_sided(script: Script) -> Script:
    """Put a tick in the place of every sell stop: of waiting stops R61 elects the buys first, which has no mirror."""
    blocks = []
    for block in script.blocks:
        rows = block.rows.copy()
        gone = np.isin(rows["ord_type"], (OrdType.STOP, OrdType.STOP_LIMIT)) & (rows["side"] == 2)
        ticks = np.zeros(int(gone.sum()), COMMAND)
        ticks["kind"] = CommandKind.CLOCK_TICK
        ticks["seq"], ticks["time"] = rows["seq"][gone], rows["time"][gone]
        rows[gone] = ticks
        blocks.append(block._replace(rows=rows))
    return Script(script.limits, blocks)


def of_either_side(events: Rows) -> Rows:
    """Blank what an uncross tells from the buyer's side only: whose type and instruction, and whose row it is (R55)."""
    blank = events.copy()
    view, at = blank.view(TRADE), (blank["kind"] == EventKind.TRADE) & (blank["flags"] & UNCROSS != 0)
    blank["flags"][at] &= ~np.uint8(SELF_MATCH)
    for field in ("side", "ord_type", "time_in_force", "cum_qty"):
        view[field][at] = 0
    for ours, theirs in (
        *(("order_id", "resting_order_id"), ("account", "resting_account"), ("leaves_qty", "resting_leaves_qty")),
        ("fee", "resting_fee"),
    ):
        low, high = np.minimum(view[ours], view[theirs]), np.maximum(view[ours], view[theirs])
        view[ours][at], view[theirs][at] = low[at], high[at]
    return blank


def mirror(script: Script) -> Script:
    """Swap buy and sell and negate every price, in the rows and in the terms of instruments."""
    blocks = []
    for block in script.blocks:
        rows, payload = block.rows.copy(), bytearray()
        rows["side"] = swapped(rows["side"])
        rows["price"], rows["stop_price"] = -rows["price"], -rows["stop_price"]
        for row in rows[(rows["kind"] >= ACT_FIRST)]:
            low, count = int(row["target_lo"]), int(row["target_hi"])
            text = block.payload[low : low + count] if low >= 0 <= count else b""
            try:
                terms = json.loads(text)
            except ValueError:
                text = b""
            else:
                if isinstance(terms, dict) and "tick" in terms:
                    low_price, high_price = terms.pop("min_price"), terms.pop("max_price")
                    terms |= {"min_price": negated(high_price), "max_price": negated(low_price)}
                    # The middle is rounded down on both sides of zero, so the mirror needs it spelt out (R15, R64).
                    middle = terms.get("reference_price") or middle_of(terms["tick"], low_price, high_price)
                    terms["reference_price"] = negated(middle)
                    text = encode(terms)
                elif isinstance(terms, dict) and row["kind"] == CommandKind.LIMIT_SET and "settlement" in terms:
                    text = encode({**terms, "settlement": negated(terms["settlement"])})
                elif isinstance(terms, dict) and row["kind"] == CommandKind.POSITION_RESTORE:
                    text = encode({**terms, "lots": -terms["lots"]})
            at = rows["seq"] == row["seq"]
            rows["target_lo"][at], rows["target_hi"][at] = len(payload), len(text)
            payload += text
        blocks.append(Block(rows, bytes(payload), block.buffer))
    return Script(script.limits, blocks)


def swapped(sides: Any) -> Any:
    """Buy for sell and sell for buy; what is neither stays."""
    return np.where((sides == 1) | (sides == 2), 3 - sides, sides)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_mirrored_market_gives_mirrored_events(seed: int) -> None:
    """Buy and sell are mirrored in every rule: swapped sides and negated prices give swapped and negated events."""
    script, _ = record(seed, size(), p_bad_terms=0.0, p_far_step=0.0)
    script = one_sided(script)
    events = rerun(script)
    found = rerun(mirror(script))
    wanted = events.copy()
    wanted["side"] = swapped(events["side"])
    priced = events["kind"] != EventKind.FEES_SET
    wanted["price"][priced] = -events["price"][priced]
    single = ~np.isin(events["kind"], OF_BOTH_SIDES) & priced
    wanted["old_price"][single] = -events["old_price"][single]
    limits = events["kind"] == EventKind.LIMITS_SET
    for low, high in (("price", "old_price"), ("old_price", "price")):
        wanted[low][limits] = -events[high][limits]
    signed = limits | (events["kind"] == EventKind.POSITION_RESTORED)
    wanted["qty"][signed] = -events["qty"][signed]
    assert of_either_side(found).tobytes() == of_either_side(wanted).tobytes()


# --- permutation ----------------------------------------------------------------------------------

STREAMS = 3
ACCOUNTS = 4


def common_prologue() -> tuple[Rows, bytes]:
    """Define every stream's instrument and accounts, and open all."""
    acts = [
        (CommandKind.INSTRUMENT_DEFINE, encode(terms_of(f"S{n}", "1", "-50", "50", window=9).payload))
        for n in range(1, STREAMS + 1)
    ]
    acts += [
        (CommandKind.ACCOUNT_DEFINE, encode({"account": f"A{n}", "member": f"M{n % 3}", "owner": f"B{n % 5}"}))
        for n in range(STREAMS * ACCOUNTS)
    ]
    acts += [(CommandKind.PHASE_SET, encode({"symbol": "ALL", "phase": "continuous"}))]
    return act_rows(acts, 1)


def stream_of(seed: int, number: int, commands: int) -> tuple[Rows, list[bytes]]:
    """Make the commands of one instrument that touch nothing else; acts with their payload each."""
    terms = terms_of(f"S{number}", "1", "-50", "50", window=9)
    names = tuple((f"A{n}", "M1", f"B{n % 2}") for n in range(ACCOUNTS))
    flow = Flow(
        seed, instruments=(terms,), accounts=names, day=False, limits=ROOMY, p_define=0.0, p_damage=0.0, p_bad_terms=0.0
    )
    core = Core(ROOMY)
    flow.observe(core.run(Block(*flow.prologue())))
    parts: list[Rows] = []
    texts: list[bytes] = []
    while len(texts) < commands:
        rows, payload = flow.take(50)
        flow.observe(core.run(Block(rows, payload)))
        # What names all instruments or none of the defined ones would reach beyond the stream.
        rows["instrument"] = np.where(np.isin(rows["kind"], (1, 4)), number, 0)
        acts = rows["kind"] >= ACT_FIRST
        rows["account"] += np.where(acts, 0, ACCOUNTS * (number - 1)).astype(np.int32)
        rows["client_session"] += np.where(rows["client_session"] > 0, 100 * number, 0).astype(np.int32)
        parts.append(rows)
        for row in rows:
            low, count = int(row["target_lo"]), int(row["target_hi"])
            text = payload[low : low + count] if row["kind"] >= ACT_FIRST else b""
            texts.append(text.replace(b'"ALL"', f'"S{number}"'.encode()))
    return np.concatenate(parts), texts


def weave(streams: dict[int, tuple[Rows, list[bytes]]], turns: list[int]) -> tuple[Script, dict[int, list[int]]]:
    """Interleave streams in the order of `turns`; return the script and, per stream, the seqs it was given."""
    opening, payload = common_prologue()
    first = len(opening) + 1
    script = Script(ROOMY, [Block(opening, payload)])
    seqs: dict[int, list[int]] = {number: [] for number in streams}
    for place, number in enumerate(turns):
        seqs[number].append(first + place)
    renamed = {
        number: dict(zip(rows["seq"].tolist(), seqs[number], strict=True)) for number, (rows, _) in streams.items()
    }
    taken = dict.fromkeys(streams, 0)
    for place, number in enumerate(turns):
        rows, texts = streams[number]
        at = taken[number]
        taken[number] += 1
        row, text = rows[at : at + 1].copy(), texts[at]
        row["seq"], row["time"] = first + place, 1
        if row["kind"][0] >= ACT_FIRST:
            row["target_lo"], row["target_hi"] = 0, len(text)
        elif row["target_hi"][0] == 0 and row["target_lo"][0] != 0:
            row["target_lo"] = renamed[number].get(int(row["target_lo"][0]), 1 << 50)
        script.blocks.append(Block(row, text))
    return script, seqs


def seen_by(events: Rows, seqs: list[int]) -> bytes:
    """The events of one stream, with its commands, orders and trades numbered as in a venue of its own."""
    place = {seq: number for number, seq in enumerate(seqs, 1)}
    own = events[np.isin(events["seq"], seqs)].copy()
    trades = own["kind"] == EventKind.TRADE
    both = np.isin(own["kind"], OF_BOTH_SIDES)
    view = own.view(TRADE)
    for rows, name, where in ((own, "seq", ...), (own, "order_id", ...), (view, "resting_order_id", both)):
        rows[name][where] = [place.get(value, value) for value in np.atleast_1d(rows[name][where]).tolist()]
    ends = (own["kind"] == EventKind.PHASE_CHANGED) & (own["order_id"] > 0)
    own["order_id"][ends] = 1  # the number of a trade (R63)
    trade_ids = view["trade_id"].copy()
    trade_ids[trades] = np.arange(int(trades.sum()))
    view["trade_id"] = np.where(both, trade_ids, view["trade_id"])
    return own.tobytes()


@pytest.mark.parametrize("seed", range(400, 404))
def test_instruments_do_not_feel_how_they_are_interleaved(seed: int) -> None:
    """Independent instruments: each gives the same events alone, and in whatever order they take turns."""
    count = size() // 5
    streams = {number: stream_of(seed + 10 * number, number, count) for number in range(1, STREAMS + 1)}
    turns = [number for number, (rows, _) in streams.items() for _ in range(len(rows))]
    alone = {}
    for number, (rows, texts) in streams.items():
        script, seqs = weave({number: (rows, texts)}, [number] * len(rows))
        alone[number] = seen_by(rerun(script), seqs[number])
    dice = np.random.default_rng(seed)
    for _ in range(3):
        script, seqs = weave(streams, dice.permutation(turns).tolist())
        events = rerun(script)
        for number in streams:
            assert seen_by(events, seqs[number]) == alone[number], f"instrument {number}"


# --- money ----------------------------------------------------------------------------------------

MONEY_RUNS = {**{str(seed): (seed, {}) for seed in SEEDS[::3]}, **MONEYED}


@pytest.mark.parametrize("run", MONEY_RUNS)
def test_no_lot_and_no_money_is_made_and_nobody_has_more_than_he_may(run: str) -> None:
    """R71 to R78: positions sum to zero, fees are exact and conserved; margin, caps and kill switches let in whom they
    should and refuse nobody else; and the core holds what the events tell."""
    seed, fixed = MONEY_RUNS[run]
    script, _ = record(seed, size(), **fixed)
    core, money = Core(script.limits), Money(Asked())
    for block in script.blocks:
        money.asked.learn(block.rows, block.payload)
        money.feed(core.run(block))
        money.audit(core.dump())
