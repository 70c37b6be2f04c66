"""Seeded order flow for the property tests: COMMAND rows that reach every rule, made fast enough for millions.

A `Flow` looks at its own random state, at the commands it made and at the events it is shown; never into a matcher.
Each seed first draws its `Mix` (swarm testing): which features are on, how often, which instruments, accounts and
limits the venue has. The domains are tiny, so that prices, client ids, owners and sessions collide all the time. Rows
are made in chunks by array operations; acts and damaged rows, being rare, one by one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.schema import (
    COMMAND,
    HAS_PRICE,
    HAS_QTY,
    KEY_FACTORS,
    KEY_FINISH,
    OFF_TICK,
    POST_ONLY,
    TRADE,
    CommandKind,
    EventKind,
    OrdType,
    Phase,
    TimeInForce,
    word,
)
from tests.flow_mix import KINDS, Mix, Terms, draw_mix, draw_terms
from tests.flow_odd import DAMAGE, ODD_ENDS, ODD_VALUES

Rows = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]
Act = tuple[CommandKind, bytes]

ID_LETTERS: Final = np.frombuffer(b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._", np.uint8)
FIRST_TIME: Final = 1_764_208_800_000_000_000

# An order as the flow remembers it: whose it is, and the client ids it was placed under and bears now.
KNOWN: Final = np.dtype(
    [("order_id", "<i8"), ("account", "<i4"), ("instrument", "<i4"), ("first", "S32"), ("now", "S32")]
)
ENDED_KEPT: Final = 256
REMEMBERED: Final = 1 << 15

DAMAGED_FIELDS: Final = tuple(DAMAGE)


def client_ids(numbers: Ints) -> npt.NDArray[np.bytes_]:
    """Write client order ids (S32) for numbers in [0, 2**30), one to one: of 1 letter below 64, else of 5 to 32."""
    text = np.zeros((len(numbers), 32), np.uint8)
    for place in range(5):
        text[:, place] = ID_LETTERS[(numbers >> (6 * place)) & 63]
    text[numbers < 64, 1:] = 0
    # Lengths on both sides of every 8 bytes; which one follows from the number, so that no two ids are equal.
    for turn, length in enumerate((6, 7, 8, 9, 15, 16, 17, 23, 24, 25, 31, 32)):
        text[(numbers >= 64) & (numbers % 31 == turn), 5:length] = ord("-")
    return text.view("S32").ravel()


def client_id_keys(ids: npt.NDArray[np.bytes_]) -> tuple[Ints, Ints]:
    """`engine.schema.cl_ord_id_key` of every id at once: the two halves, int64."""
    words = np.ascontiguousarray(ids).view("<u8").reshape(-1, 4)
    halves = []
    for turn in (0, 1):
        mixed = np.zeros(len(words), np.uint64)
        for place in range(4):
            mixed ^= words[:, place] * np.uint64(KEY_FACTORS[(place + turn) % 4])
        mixed ^= mixed >> np.uint64(32)
        mixed *= np.uint64(KEY_FINISH)
        mixed ^= mixed >> np.uint64(29)
        halves.append((mixed >> np.uint64(2)).view(np.int64))
    return halves[0], halves[1] | 1


def encode(act: dict[str, Any]) -> bytes:
    """Write the payload of an act as canonical JSON."""
    return json.dumps(act, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def act_rows(acts: Sequence[Act], first_seq: int, time: int = FIRST_TIME) -> tuple[Rows, bytes]:
    """Make one block of acts: COMMAND rows with consecutive seqs, and its payload section."""
    rows = np.zeros(len(acts), COMMAND)
    payload = bytearray()
    for place, (kind, text) in enumerate(acts):
        rows[place]["kind"] = kind
        rows[place]["target_lo"] = len(payload)
        rows[place]["target_hi"] = len(text)
        rows[place]["client_session"] = 1
        payload += text
    rows["seq"] = np.arange(first_seq, first_seq + len(acts))
    rows["time"] = time
    return rows, bytes(payload)


class Flow:
    """One seed's endless stream of commands; `take` makes the next ones, `observe` shows it what came of them.

    The caller may leave `observe` out: the flow then aims at the orders of the chunk at hand only. `fixed` overrides
    drawn fields of the mix.
    """

    def __init__(self, seed: int, **fixed: Any) -> None:
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.mix: Mix = draw_mix(self.rng, fixed)
        self.seq = 1000 if self.mix.day else 1
        self.time = FIRST_TIME
        self.terms: list[Terms] = []
        self.accounts = 0
        self.live = np.zeros(0, KNOWN)
        self.ended = np.zeros(0, KNOWN)
        self.next_number = 0
        self.far_steps = 0
        self.extra_names = 0
        self._pending: dict[int, Terms] = {}
        self._reopen: list[tuple[int, str]] = []
        self._set_terms([])

    # --- the opening ------------------------------------------------------------------------------

    def prologue(self) -> tuple[Rows, bytes]:
        """Make the commands that define the venue, with a restatement of live orders in a seed that opens a day."""
        mix = self.mix
        acts: list[Act] = []
        if mix.day:
            day = {"trading_day": "2026-11-23", "next_trade_id": 77}
            acts.append((CommandKind.DAY_OPEN, self._spoiled(day) if self.rng.random() < 0.2 else encode(day)))
        for terms in mix.instruments:
            acts.append((CommandKind.INSTRUMENT_DEFINE, encode(terms.payload)))
        for account, member, owner in mix.accounts:
            acts.append((CommandKind.ACCOUNT_DEFINE, encode({"account": account, "member": member, "owner": owner})))
        self._set_terms(mix.instruments)
        self.accounts = len(mix.accounts)
        opening = [(CommandKind.PHASE_SET, encode({"symbol": "ALL", "phase": "continuous"}))]
        if not mix.day:
            return self._emit(*act_rows(acts + opening, self.seq))
        rows, payload = act_rows(acts, self.seq)
        restored = self._restores(self.seq + len(rows))
        closing, more = act_rows([(CommandKind.DAY_START, b"{}"), *opening], self.seq + len(rows) + len(restored))
        closing["target_lo"] += len(payload)
        return self._emit(np.concatenate([rows, restored, closing]), payload + more)

    def _restores(self, first_seq: int) -> Rows:
        """Restate gtc orders of an earlier day that do not cross, with a few rows that must be refused."""
        rng, count = self.rng, int(self.rng.integers(0, 120))
        rows = np.zeros(count, COMMAND)
        rows["seq"] = np.arange(first_seq, first_seq + count)
        self._fill_places(rows, np.arange(count))
        rows["kind"] = CommandKind.ORDER_RESTORE
        rows["ord_type"] = OrdType.LIMIT
        rows["time_in_force"] = TimeInForce.GTC
        rows["flags"] = HAS_PRICE | (rows["flags"] & POST_ONLY)
        instrument = np.clip(rows["instrument"], 1, len(self.terms))
        distance = np.abs(rows["price"] - self.centre[instrument]) % (3 * self.mix.width)
        apart = np.where(rng.random(count) < 0.9, 1, -1)  # the others may cross and are refused
        rows["price"] = self.centre[instrument] + np.where(rows["side"] == 1, -distance, distance + 1) * apart
        rows["min_qty"] = 1 + (rows["order_qty"] * rng.random(count)).astype(np.int64)
        rows["min_qty"] = np.minimum(rows["min_qty"], rows["order_qty"])
        rows["target_lo"] = rng.permutation(np.arange(1, 999))[:count]
        self._damage(rows, 0.1)
        stray = rng.random(count) < 0.03
        rows["kind"][stray] = rng.integers(0, 22, int(stray.sum()))
        return rows

    # --- the stream -------------------------------------------------------------------------------

    def take(self, count: int) -> tuple[Rows, bytes]:
        """Make the next `count` commands and the payload section that their acts refer to."""
        mix, rng = self.mix, self.rng
        rows = np.zeros(count, COMMAND)
        rows["seq"] = np.arange(self.seq, self.seq + count)
        kinds = np.searchsorted(mix.kind_steps, rng.random(count), side="right")
        self.centre[1:] = np.clip(
            self.centre[1:] + rng.integers(-mix.drift, mix.drift + 1, len(self.terms)), self.low[1:], self.high[1:]
        )
        places = np.flatnonzero(kinds == KINDS.index("place"))
        made = self._fill_places(rows, places)
        for kind, name in ((CommandKind.ORDER_CANCEL, "cancel"), (CommandKind.ORDER_AMEND, "amend")):
            self._fill_named(rows, np.flatnonzero(kinds == KINDS.index(name)), kind, places, made)
        self._fill_rare(rows, kinds)
        payload = self._fill_acts(rows, np.flatnonzero(kinds == KINDS.index("act")))
        self._damage(rows, mix.p_damage)
        return self._emit(rows, payload)

    def _emit(self, rows: Rows, payload: bytes) -> tuple[Rows, bytes]:
        count = len(rows)
        steps = self.rng.integers(0, 1000, count)
        times = self.time + np.cumsum(steps)
        self.time = int(times[-1]) if count else self.time
        back = self.rng.random(count) < self.mix.p_time_back
        rows["time"] = np.where(back, times - self.rng.integers(1, 5000, count), times)
        self.seq += count
        return rows, payload

    def _numbers(self, count: int) -> Ints:
        """Draw numbers of client ids: mostly fresh ones, the others repeated from the near past."""
        fresh = self.next_number + np.arange(count)
        self.next_number += count
        again = self.rng.random(count) < self.mix.p_repeat_id
        old = np.maximum(0, fresh - self.rng.integers(1, 60, count))
        numbers: Ints = np.where(again, old, fresh)
        return numbers

    def _account_of(self, numbers: Ints) -> Ints:
        # A number belongs to one account, so that a repeated one is often a duplicate and not merely an equal text.
        account = 1 + numbers % max(1, self.accounts)
        stray = self.rng.random(len(numbers)) < 0.05
        return np.where(stray, self.rng.integers(1, self.accounts + 1, len(numbers)), account)

    def _prices(self, instrument: Ints, side: Ints) -> Ints:
        """Draw limit prices: around the centre, leaning away from the touch, some anywhere in the band or beyond it."""
        mix, rng, count = self.mix, self.rng, len(instrument)
        low, high, sign = self.low[instrument], self.high[instrument], 3 - 2 * side
        price = self.centre[instrument] + rng.integers(-mix.width, mix.width + 1, count) - sign * mix.lean
        anywhere = rng.random(count) < mix.p_anywhere
        price = np.where(anywhere, rng.integers(low, high + 1), price)
        if mix.p_far_step:
            # Each of these takes a price level of its own, beyond any window and away from the other side.
            far = rng.random(count) < mix.p_far_step
            steps = self.far_steps + np.cumsum(far)
            self.far_steps = int(steps[-1]) % 12_000 if count else self.far_steps
            price = np.where(far, self.centre[instrument] - sign * (mix.width + 40 + steps), price)
        price = np.clip(price, low, high)
        beyond = rng.random(count) < mix.p_beyond
        outside = np.where(rng.random(count) < 0.5, low - 1, high + 1) + rng.integers(-3, 4, count)
        prices: Ints = np.where(beyond, outside, price)
        return prices

    def _quantities(self, instrument: Ints) -> Ints:
        mix, rng, count = self.mix, self.rng, len(instrument)
        quantity = rng.integers(1, mix.qty_max + 1, count)
        big = rng.random(count) < mix.p_big
        quantities: Ints = np.where(big, self.max_qty[instrument] + rng.integers(-2, 2, count), quantity)
        return np.maximum(1, quantities)

    def _fill_places(self, rows: Rows, at: Ints) -> Rows:
        """Fill placing rows at the given indices; return them as KNOWN orders."""
        mix, rng, count = self.mix, self.rng, len(at)
        made = np.zeros(count, KNOWN)
        part = np.zeros(count, COMMAND)
        numbers = self._numbers(count)
        instrument = np.where(rng.random(count) < mix.p_hot, 1, rng.integers(1, len(self.terms) + 1, count))
        side = 1 + (rng.random(count) < mix.p_sell).astype(np.int64)
        market = rng.random(count) < mix.p_market
        part["kind"] = CommandKind.ORDER_PLACE
        part["side"] = side
        part["ord_type"] = np.where(market, OrdType.MARKET, OrdType.LIMIT)
        part["time_in_force"] = 1 + np.searchsorted(mix.tif_steps, rng.random(count), side="right")
        part["smp"] = np.searchsorted(mix.smp_steps, rng.random(count), side="right")
        part["smp_id"] = np.where(rng.random(count) < mix.p_smp_id, rng.integers(1, 4, count), 0)
        resting = ~market & (part["time_in_force"] <= TimeInForce.GTC)
        post = (rng.random(count) < mix.p_post_only) & (resting | (rng.random(count) < 0.1))
        flags = np.where(market, 0, HAS_PRICE) | np.where(post, POST_ONLY, 0)
        part["flags"] = flags | np.where(rng.random(count) < mix.p_off_tick, OFF_TICK, 0)
        part["instrument"] = np.where(rng.random(count) < 0.003, len(self.terms) + 1, instrument)
        part["price"] = np.where(market & (rng.random(count) < 0.9), 0, self._prices(instrument, side))
        part["order_qty"] = self._quantities(instrument)
        part["cl_ord_id"] = client_ids(numbers)
        part["account"] = self._account_of(numbers)
        part["client_session"] = rng.integers(0, mix.sessions + 1, count)
        part["seq"] = rows["seq"][at]
        rows[at] = part
        made["order_id"] = part["seq"]
        for field in ("account", "instrument"):
            made[field] = part[field]
        made["first"] = made["now"] = part["cl_ord_id"]
        return made

    def _targets(self, at: Ints, places: Ints, made: Rows) -> Rows:
        """Draw whom cancels and amends mean: live orders, orders of this chunk, ended ones, and nobody's ids."""
        mix, rng, count = self.mix, self.rng, len(at)
        meant = np.zeros(count, KNOWN)
        meant["order_id"] = rng.integers(0, self.seq + 20, count)
        meant["account"] = rng.integers(1, self.accounts + 1, count)
        meant["instrument"] = rng.integers(1, len(self.terms) + 1, count)
        meant["first"] = meant["now"] = client_ids(rng.integers(0, self.next_number + 5, count))
        source = np.searchsorted(mix.target_steps, rng.random(count), side="right")
        before = np.searchsorted(places, at)
        chunk = (source == 1) & (before > 0)
        meant[chunk] = made[(rng.random(count) * before).astype(np.int64)[chunk]]
        if len(self.live):
            live = (source == 0) | ((source == 1) & (before == 0))
            size = len(self.live)
            near = np.maximum(0, size - rng.integers(1, 24, count))
            pick = np.where(rng.random(count) < mix.p_near, near, rng.integers(0, size, count))
            meant[live] = self.live[pick[live]]
        if len(self.ended):
            ended = source == 2
            meant[ended] = self.ended[rng.integers(0, len(self.ended), count)[ended]]
        return meant

    def _fill_named(self, rows: Rows, at: Ints, kind: CommandKind, places: Ints, made: Rows) -> None:
        """Fill cancels or amends: each names an order by its id, by the key of a client id, or by a client id."""
        mix, rng, count = self.mix, self.rng, len(at)
        part = np.zeros(count, COMMAND)
        meant = self._targets(at, places, made)
        way = np.searchsorted(mix.naming_steps, rng.random(count), side="right")
        name = np.where(rng.random(count) < 0.5, meant["first"], meant["now"])
        low, high = client_id_keys(name)
        part["kind"] = kind
        part["target_lo"] = np.where(way == 0, meant["order_id"], np.where(way == 1, low, 0))
        part["target_hi"] = np.where(way == 1, high, 0)
        part["cl_ord_id"] = np.where(way == 2, name, b"")
        part["account"] = np.where(
            rng.random(count) < mix.p_foreign, rng.integers(1, self.accounts + 1, count), meant["account"]
        )
        part["client_session"] = rng.integers(0, mix.sessions + 1, count)
        part["seq"] = rows["seq"][at]
        if kind == CommandKind.ORDER_AMEND:
            self._fill_amend(part, meant, way)
        rows[at] = part

    def _fill_amend(self, part: Rows, meant: Rows, way: Ints) -> None:
        mix, rng, count = self.mix, self.rng, len(part)
        instrument = np.clip(meant["instrument"], 1, len(self.terms)).astype(np.int64)
        price, quantity = rng.random(count) < mix.p_amend_price, rng.random(count) < mix.p_amend_qty
        renamed = (rng.random(count) < mix.p_amend_id) & (way < 2)
        ids = client_ids(self._numbers(count))
        part["cl_ord_id"] = np.where(renamed, ids, part["cl_ord_id"])
        off = rng.random(count) < mix.p_off_tick
        part["flags"] = np.where(price, HAS_PRICE, 0) | np.where(quantity, HAS_QTY, 0) | np.where(off, OFF_TICK, 0)
        part["price"] = self._prices(instrument, rng.integers(1, 3, count))
        part["order_qty"] = self._quantities(instrument)

    def _fill_rare(self, rows: Rows, kinds: Ints) -> None:
        """Fill mass cancels, disconnects, ticks, and restores at the wrong time."""
        mix, rng = self.mix, self.rng
        for name, kind in (
            ("mass_cancel", CommandKind.ORDER_MASS_CANCEL),
            ("disconnect", CommandKind.DISCONNECT),
            ("tick", CommandKind.CLOCK_TICK),
            ("restore", CommandKind.ORDER_RESTORE),
        ):
            for at in np.flatnonzero(kinds == KINDS.index(name)):
                row = rows[at]
                row["kind"] = kind
                row["account"] = rng.integers(1, self.accounts + 1)
                row["client_session"] = rng.integers(0, mix.sessions + 1)
                if name == "mass_cancel":
                    row["instrument"] = rng.integers(0, len(self.terms) + 1)
                    row["side"] = rng.integers(0, 3)

    # --- acts and damage --------------------------------------------------------------------------

    def _fill_acts(self, rows: Rows, at: Ints) -> bytes:
        payload = bytearray()
        due = [(max(0, seq - self.seq), symbol) for seq, symbol in self._reopen if seq - self.seq < len(rows)]
        self._reopen = [(seq, symbol) for seq, symbol in self._reopen if seq - self.seq >= len(rows)]
        acts = {int(place): self._act(int(rows["seq"][place])) for place in at}
        for place, symbol in due:
            acts[place] = (CommandKind.PHASE_SET, encode({"symbol": symbol, "phase": "continuous"}))
        for place, (kind, text) in sorted(acts.items()):
            rows[place] = np.zeros((), COMMAND)
            rows[place]["kind"], rows[place]["seq"] = kind, self.seq + place
            rows[place]["target_lo"], rows[place]["target_hi"] = len(payload), len(text)
            rows[place]["client_session"] = 1
            payload += text
        return bytes(payload)

    def _act(self, seq: int) -> Act:
        mix, rng = self.mix, self.rng
        draw = rng.random()
        if draw < mix.p_define:
            return self._definition(seq)
        if draw < mix.p_define + 0.03:
            return CommandKind.DAY_START, self._spoiled({})
        if draw < mix.p_define + 0.06:
            return CommandKind.DAY_OPEN, self._spoiled({"trading_day": "2026-11-24", "next_trade_id": 1})
        symbols = [terms.payload["symbol"] for terms in self.terms]
        symbol = "ALL" if rng.random() < 0.25 else symbols[rng.integers(len(symbols))]
        phase = Phase(1 + int(np.searchsorted(mix.phase_steps, rng.random(), side="right")))
        act: dict[str, Any] = {"symbol": symbol, "phase": word(phase)}
        if phase != Phase.CONTINUOUS:
            self._reopen.append((seq + 1 + int(rng.geometric(1 / mix.away)), symbol))
        if rng.random() < 0.2:
            act["why"] = 'Điều 12 "tạm ngừng"'
        if rng.random() < 0.1:
            act["by"] = "op-1"
        return CommandKind.PHASE_SET, self._spoiled(act)

    def _definition(self, seq: int) -> Act:
        self.extra_names += 1
        if self.rng.random() < 0.5:
            account = f"X{self.extra_names if self.rng.random() < 0.8 else 1}"
            number = int(self.rng.integers(1, 5))
            return CommandKind.ACCOUNT_DEFINE, self._spoiled(
                {"account": account, "member": f"M{number}", "owner": f"B{int(self.rng.integers(1, 5))}"}
            )
        terms = draw_terms(self.rng, f"N{self.extra_names if self.rng.random() < 0.8 else 1}")
        self._pending[seq] = terms
        return CommandKind.INSTRUMENT_DEFINE, self._spoiled(terms.payload)

    def _spoiled(self, act: dict[str, Any]) -> bytes:
        """Write an act's payload, now and then with something wrong in it."""
        rng = self.rng
        if rng.random() >= self.mix.p_bad_terms:
            return encode(act)
        act = dict(act)
        names = sorted(act) or ["none"]
        name = names[rng.integers(len(names))]
        way = (0, 1, 2, 2, 2, 3, 4, 5, 6, 6)[rng.integers(10)]
        if way == 0:
            act.pop(name, None)
        elif way == 1:
            act["colour"] = "green"
        elif way == 2:
            act[name] = ODD_VALUES[rng.integers(len(ODD_VALUES))]
        elif way == 3:
            whole = (b"", b"[]", b"null", b"{", b"\xff\xfe", b'"a"', b"{}", b"1", encode(act)[:-1], encode(act) + b"}")
            return whole[rng.integers(len(whole))]
        elif way == 4:
            return b'{"symbol":"NOBODY","phase":"continuous"}'
        elif way == 5:
            # Spacing, order and escapes decide nothing.
            return json.dumps(act, indent=int(rng.integers(0, 3))).encode()
        elif way == 6:
            text = encode(act)
            return text[:-1] + ODD_ENDS[rng.integers(len(ODD_ENDS))]
        return encode(act)

    def _damage(self, rows: Rows, rate: float) -> None:
        """Set a field of a few rows to a value that is mostly out of its range."""
        for at in np.flatnonzero(self.rng.random(len(rows)) < rate):
            field = DAMAGED_FIELDS[self.rng.integers(len(DAMAGED_FIELDS))]
            values = DAMAGE[field]
            rows[field][at] = values[self.rng.integers(len(values))]

    # --- what came of it --------------------------------------------------------------------------

    def observe(self, events: Rows) -> None:
        """Learn from EVENT rows which orders live, which ended, which instruments and accounts there are."""
        kinds = events["kind"]
        born = events[(kinds == EventKind.ORDER_ACCEPTED) | (kinds == EventKind.ORDER_RESTORED)]
        fresh = np.zeros(len(born), KNOWN)
        for field in ("order_id", "account", "instrument"):
            fresh[field] = born[field]
        fresh["first"] = fresh["now"] = born["cl_ord_id"]
        known = np.concatenate([self.live, fresh])
        known = known[np.argsort(known["order_id"], kind="stable")]
        amended = events[(kinds == EventKind.ORDER_AMENDED)]
        if len(amended) and len(known):
            at = np.searchsorted(known["order_id"], amended["order_id"]).clip(0, len(known) - 1)
            found = known["order_id"][at] == amended["order_id"]
            known["now"][at[found]] = amended["cl_ord_id"][found]
        trades = events[kinds == EventKind.TRADE].view(TRADE)
        gone = np.concatenate(
            [
                events["order_id"][(kinds == EventKind.ORDER_CANCELED) | (kinds == EventKind.ORDER_EXPIRED)],
                trades["order_id"][trades["leaves_qty"] == 0],
                trades["resting_order_id"][trades["resting_leaves_qty"] == 0],
            ]
        )
        over = np.isin(known["order_id"], gone)
        self.ended = np.concatenate([self.ended, known[over]])[-ENDED_KEPT:]
        self.live = known[~over][-REMEMBERED:]
        self.accounts = max(self.accounts, int(events["account"][kinds == EventKind.ACCOUNT_DEFINED].max(initial=0)))
        for row in events[kinds == EventKind.INSTRUMENT_DEFINED]:
            terms = self._pending.pop(int(row["seq"]), None)
            if terms is not None and int(row["instrument"]) == len(self.terms) + 1:
                self._set_terms([*self.terms, terms])

    def _set_terms(self, terms: Iterable[Terms]) -> None:
        # Instruments are numbered from 1; place 0 of the arrays belongs to none.
        kept = getattr(self, "centre", np.zeros(1, np.int64))
        self.terms = list(terms)
        self.low = np.array([0, *(t.low for t in self.terms)], np.int64)
        self.high = np.array([0, *(t.high for t in self.terms)], np.int64)
        self.max_qty = np.array([1, *(t.max_qty for t in self.terms)], np.int64)
        self.centre = np.array([0, *(t.centre for t in self.terms)], np.int64)
        self.centre[: len(kept)] = kept
