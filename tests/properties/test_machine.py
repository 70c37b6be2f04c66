"""A state machine that hypothesis drives through both programs at once, one command at a time.

Where the seeded flow is wide, this is deep: hypothesis picks every field, remembers live orders in a bundle, and cuts a
failure down to its shortest run. Each step compares the events byte for byte and the books with those that the ledger
rebuilt from the events; the teardown replays the whole run in one block and checks the invariants.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)

from engine.core.lane import CHECKED, PLAIN
from engine.phases import PHASES
from engine.schema import (
    COMMAND,
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    OF_SESSION,
    POST_ONLY,
    CommandKind,
    EventKind,
    Limits,
    OrdType,
    Phase,
    TimeInForce,
    cl_ord_id_key,
    word,
)
from tests.flow import act_rows, encode
from tests.flow_mix import terms_of
from tests.properties.ledger import Ledger
from tests.properties.pair import Block, Core, Pair, Rows

LIMITS = Limits(instruments=3, accounts=5, orders=24, levels=1 << 15, day_ids=90)
STEPS = 50
# 7,500 steps in the ordinary run; 100,000 at night, where every night looks elsewhere.
EXAMPLES = 4 if PLAIN else 40 if CHECKED else 150
NIGHTLY_EXAMPLES = 2000

ACCOUNTS = (("A1", "M1", "B1"), ("A2", "M1", "B2"), ("A3", "M2", "B1"), ("A4", "M2", "B3"))
INSTRUMENTS = (
    terms_of("S1", "1", "-6", "6", centre="0", protection=2, max_qty=9, window=5, group="G1"),
    terms_of("S2", "0.05", "1.00", "1.20", protection=0, max_qty=9, group="G1"),
)

accounts = st.integers(1, 4)
instruments = st.integers(1, 2)
sides = st.integers(1, 2)
prices = st.integers(-7, 7)
quantities = st.integers(1, 10)
sessions = st.integers(0, 2)
names = st.sampled_from([f"c{n}".encode() for n in range(12)])
# Mostly plain: what is drawn first is what a failure is cut down to.
ord_types = st.sampled_from([1, 1, 1, 2, 3, 4, 5])
times_in_force = st.sampled_from([1, 1, 2, 3, 4, 5, 6, 7])
lots = st.sampled_from([0, 0, 0, 1, 2, 3, 10, -1])
lives = st.sampled_from([5, 20, 100, 400, 0])  # how long until a gtd order expires
STOPS = (OrdType.STOP, OrdType.STOP_LIMIT)
ON_THE_WAY = tuple(phase for phase in Phase if phase not in (Phase.HALTED, Phase.CLOSED))


class Venue(RuleBasedStateMachine):
    """Both programs, and everything that was sent to them."""

    orders = Bundle("orders")
    deepest: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(LIMITS)
        self.ledger = Ledger()
        self.seq = 1
        self.events: list[Rows] = []

    def send(self, kind: CommandKind, **words: Any) -> Rows:
        """Send one command to both, and hold the events against the laws."""
        row = np.zeros(1, COMMAND)
        row["kind"], row["seq"], row["time"] = kind, self.seq, self.seq * 10
        for name, value in words.items():
            row[name] = value
        return self.block(row, b"")

    def act(self, kind: CommandKind, **terms: Any) -> Rows:
        return self.block(*act_rows([(kind, encode(terms))], self.seq, self.seq * 10))

    def block(self, rows: Rows, payload: bytes) -> Rows:
        self.ledger.asked.learn(rows, payload)
        events = self.pair.run(Block(rows, payload, 16 if self.seq % 2 else 0))
        self.seq += len(rows)
        self.events.append(events)
        self.ledger.feed(events)
        for number in range(1, len(INSTRUMENTS) + 1):
            assert self.pair.actual.book(number) == self.ledger.book(number), f"book {number} is what the events say"
        return events

    @initialize(day=st.booleans(), call=st.booleans())
    def open(self, day: bool, call: bool) -> None:
        if day:
            self.seq = 100
            self.act(CommandKind.DAY_OPEN, trading_day="2026-11-23", next_trade_id=9)
        for terms in INSTRUMENTS:
            self.act(CommandKind.INSTRUMENT_DEFINE, **terms.payload)
        for account, member, owner in ACCOUNTS:
            self.act(CommandKind.ACCOUNT_DEFINE, account=account, member=member, owner=owner)
        if day:
            for order_id, price, leaves in ((7, -1, 2), (3, -1, 5), (50, 2, 1)):
                self.send(
                    CommandKind.ORDER_RESTORE, account=1 + order_id % 4, instrument=1, side=1 if price < 0 else 2,
                    ord_type=1, time_in_force=2, price=price, order_qty=5, min_qty=leaves, target_lo=order_id,
                    cl_ord_id=f"r{order_id}", client_session=1, display_qty=1, target_hi=1,
                )  # fmt: skip
            self.send(
                CommandKind.ORDER_RESTORE, account=1, instrument=1, side=1, ord_type=3, time_in_force=5, stop_price=1,
                expire_time=5000, order_qty=5, min_qty=2, target_lo=60, cl_ord_id="r60",
            )  # fmt: skip
            self.act(CommandKind.DAY_START)
        self.act(CommandKind.PHASE_SET, symbol="ALL", phase="pre_open" if call else "continuous")

    @rule(
        target=orders, account=accounts, instrument=instruments, side=sides, ord_type=st.integers(1, 2),
        tif=st.sampled_from([1, 1, 2, 3, 4]), smp=st.integers(0, 5), smp_id=st.integers(0, 2), post=st.booleans(),
        price=prices, quantity=quantities, session=sessions, name=st.one_of(st.none(), names),
    )  # fmt: skip
    def place_plain(self, **words: Any) -> Any:
        """Place an order without much that is special, which trades the more often."""
        return self.place_one(**words)

    @rule(
        target=orders, side=sides, price=prices, quantity=quantities, display=st.integers(0, 2),
    )  # fmt: skip
    def place_iceberg(self, **words: Any) -> Any:
        """Place a plain order of the first instrument, mostly an iceberg."""
        return self.place_one(account=1 + self.seq % 4, instrument=1, **words)

    @rule(target=orders, side=sides, price=prices, stop=prices, quantity=quantities, ord_type=st.integers(3, 4))
    def place_stop(self, **words: Any) -> Any:
        return self.place_one(account=1 + self.seq % 4, instrument=1, **words)

    @rule(
        target=orders, account=accounts, instrument=instruments, side=sides, ord_type=ord_types, tif=times_in_force,
        smp=st.integers(0, 5), smp_id=st.integers(0, 2), post=st.booleans(), price=prices, stop=prices,
        quantity=quantities, display=lots, minimum=lots, life=lives, session=sessions, name=st.one_of(st.none(), names),
    )  # fmt: skip
    def place(self, **words: Any) -> Any:
        """Place an order of whatever kind."""
        return self.place_one(**words)

    def place_one(
        self, *, account: int, instrument: int, side: int, price: int, quantity: int, ord_type: int = 1, tif: int = 1,
        smp: int = 0, smp_id: int = 0, post: bool = False, stop: int = 0, display: int = 0, minimum: int = 0,
        life: int = 0, session: int = 0, name: bytes | None = None,
    ) -> Any:  # fmt: skip
        """Place an order; the caller lets one that rests or waits join the bundle."""
        cl_ord_id = name or f"n{self.seq}".encode()
        resting = ord_type == OrdType.LIMIT and tif in (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD)
        is_priced, is_stop = (
            ord_type in (OrdType.LIMIT, OrdType.STOP_LIMIT),
            ord_type in (OrdType.STOP, OrdType.STOP_LIMIT),
        )
        flags = (HAS_PRICE if is_priced else 0) | (POST_ONLY if post and resting else 0) | (HAS_STOP if is_stop else 0)
        shift = 22 if instrument == 2 else 0
        events = self.send(
            CommandKind.ORDER_PLACE, account=account, instrument=instrument, side=side, ord_type=ord_type,
            time_in_force=tif, smp=smp, smp_id=smp_id, flags=flags, price=price + shift if is_priced else 0,
            stop_price=stop + shift if is_stop else 0, order_qty=quantity,
            display_qty=display if resting else 0, min_qty=minimum if not (is_stop or post) else 0,
            expire_time=self.seq * 10 + life if tif == TimeInForce.GTD else 0, cl_ord_id=cl_ord_id,
            client_session=session,
        )  # fmt: skip
        order_id = int(events["seq"][0])
        known = self.ledger.orders.get(order_id)
        return (order_id, account, cl_ord_id) if known is not None and known.live else multiple()

    @rule(order=consumes(orders), way=st.integers(0, 2), foreign=st.sampled_from([0, 0, 0, 1]))
    def cancel(self, order: tuple[int, int, bytes], way: int, foreign: int) -> None:
        """Cancel an order, by one of the three ways to name it, now and then somebody else's."""
        self.send(CommandKind.ORDER_CANCEL, account=(order[1] + foreign - 1) % 4 + 1, **naming(order, way))

    @rule(
        order=orders, way=st.integers(0, 2), price=st.one_of(st.none(), prices), stop=st.one_of(st.none(), prices),
        quantity=st.one_of(st.none(), quantities), life=st.one_of(st.none(), lives),
        rename=st.one_of(st.none(), st.none(), names),
    )  # fmt: skip
    def amend(
        self, order: tuple[int, int, bytes], way: int, price: int | None, stop: int | None, quantity: int | None,
        life: int | None, rename: bytes | None,
    ) -> None:  # fmt: skip
        """Amend an order that was live once: price, stop price, total, expiry, client id, or nothing at all."""
        known = self.ledger.orders[order[0]]
        words = naming(order, way)
        if rename is not None and way < 2:
            words["cl_ord_id"] = rename
        flags, shift = 0, 22 if known.instrument == 2 else 0
        if price is not None:
            flags |= HAS_PRICE
            words["price"] = price + shift
        if stop is not None and known.ord_type in STOPS:
            flags |= HAS_STOP
            words["stop_price"] = stop + shift
        if quantity is not None:
            flags |= HAS_QTY
            words["order_qty"] = quantity
        if life is not None and known.time_in_force == TimeInForce.GTD:
            flags |= HAS_EXPIRE
            words["expire_time"] = self.seq * 10 + life
        self.send(CommandKind.ORDER_AMEND, account=order[1], flags=flags, **words)

    @rule(
        account=accounts, instrument=st.integers(0, 3), side=st.integers(0, 3), session=st.one_of(st.none(), sessions)
    )
    def mass_cancel(self, account: int, instrument: int, side: int, session: int | None) -> None:
        self.send(
            CommandKind.ORDER_MASS_CANCEL, account=account, instrument=instrument, side=side,
            flags=0 if session is None else OF_SESSION, client_session=session or 0,
        )  # fmt: skip

    @rule(account=accounts, session=sessions)
    def disconnect(self, account: int, session: int) -> None:
        self.send(CommandKind.DISCONNECT, account=account, client_session=session)

    @rule(back=st.integers(0, 100))
    def tick(self, back: int) -> None:
        self.send(CommandKind.CLOCK_TICK, time=self.seq * 10 - back)

    @rule(
        scope=st.sampled_from(["S1", "S2", "ALL", "S3", "G1"]), last=st.booleans(),
        phase=st.sampled_from([*[Phase.CONTINUOUS] * 20, *[Phase.PRE_OPEN] * 6, *Phase]),
    )  # fmt: skip
    def set_phase(self, scope: str, phase: Phase, last: bool) -> None:
        """Try a step of the table, or none."""
        words = {"at_last_match": 1} if last and phase in (Phase.SETTLEMENT, Phase.POST_CLOSE, Phase.CLOSED) else {}
        key = "group" if scope == "G1" else "symbol"
        self.act(CommandKind.PHASE_SET, phase=word(phase), **{key: scope}, **words)

    @rule(number=instruments, choice=st.integers(0, 60), own=st.sampled_from([None, None, 0, 1]))
    def go_on(self, number: int, choice: int, own: int | None) -> None:
        """Go one step of the table, not often to a halt or the close."""
        followers = sorted(PHASES[self.ledger.phases[number]].next)
        likely = [phase for phase in followers if phase in ON_THE_WAY] * 3 + followers
        likely += [Phase.CONTINUOUS] * 20 if Phase.CONTINUOUS in followers else []
        words = {} if own is None else {"override": own}
        self.act(
            CommandKind.PHASE_SET, symbol=f"S{number}", phase=word(likely[choice % len(likely)]), **words
        )  # fmt: skip

    @rule(symbol=st.sampled_from(["S1", "S2", "S3"]))
    def uncross(self, symbol: str) -> None:
        self.act(CommandKind.AUCTION_UNCROSS, symbol=symbol)

    @rule(field=st.sampled_from(sorted(set(COMMAND.names or ()) - {"seq", "time", "cl_ord_id"})), value=st.integers())
    def send_nonsense(self, field: str, value: int) -> None:
        """A place with one field set to anything that fits into it."""
        bits = COMMAND[field].itemsize * 8
        low = 0 if COMMAND[field].kind == "u" else -(1 << (bits - 1))
        words: dict[str, Any] = {
            "account": 1, "instrument": 1, "side": 1, "ord_type": 1, "time_in_force": 1, "flags": HAS_PRICE,
            "order_qty": 1, "cl_ord_id": f"n{self.seq}",
        }  # fmt: skip
        words[field] = (value - low) % (1 << bits) + low
        kind = CommandKind.ORDER_PLACE if field != "kind" else words.pop("kind")
        self.send(kind, **words)

    def teardown(self) -> None:
        """The whole run again, in one block and in a fresh core, gives the same events; both worlds are equal."""
        if not self.events:
            return
        self.pair.compare()
        self.pair.check()
        type(self).deepest = max(type(self).deepest, self.ledger.trades)
        rows = self.pair.script.rows()
        payload = bytearray()
        start = 0
        for block in self.pair.script.blocks:
            stop = start + len(block.rows)
            rows["target_lo"][start:stop] += np.where(block.rows["kind"] >= 16, len(payload), 0)
            payload += block.payload
            start = stop
        again = Core(LIMITS).run(Block(rows, bytes(payload)))
        assert again.tobytes() == np.concatenate(self.events).tobytes(), "replay gives the same bytes"
        counts = np.bincount(again["kind"], minlength=32)
        assert counts[EventKind.TRADE] == self.ledger.trades


def naming(order: tuple[int, int, bytes], way: int) -> dict[str, Any]:
    """Name an order by its id, by the key of its client id, or by the client id itself."""
    if way == 0:
        return {"target_lo": order[0]}
    if way == 1:
        low, high = cl_ord_id_key(order[2])
        return {"target_lo": low, "target_hi": high}
    return {"cl_ord_id": order[2]}


def explore(examples: int, derandomize: bool) -> None:
    run_state_machine_as_test(
        Venue,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            derandomize=derandomize,
            database=None,
            deadline=None,
            print_blob=not derandomize,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.jit_off
@pytest.mark.bounds
def test_core_equals_reference_step_by_step() -> None:
    Venue.deepest = 0
    explore(EXAMPLES, derandomize=True)
    assert Venue.deepest > 3, "the machine trades"


@pytest.mark.nightly
def test_core_equals_reference_for_a_hundred_thousand_steps() -> None:
    explore(NIGHTLY_EXAMPLES, derandomize=False)
