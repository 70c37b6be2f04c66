"""Seeded order flow for the property tests: COMMAND rows that reach every rule, made fast enough for millions.

A `Flow` looks at its own random state, at the commands it made and at the events it is shown; never into a matcher.
Each seed first draws its `Mix` (swarm testing): which features are on, how often, which instruments, accounts and
limits the venue has. The domains are tiny, so that prices, client ids, owners and sessions collide all the time. Rows
are made in chunks by array operations; acts and damaged rows, being rare, one by one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.phases import Mode, Permit
from engine.schema import (
    COMMAND,
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    OF_SESSION,
    OFF_TICK,
    POST_ONLY,
    CommandKind,
    EventKind,
    OrdType,
    Phase,
    TimeInForce,
)
from tests.flow_days import FIRST_TIME, MODES, PERMITS, Act, Days, Plan, act_rows, encode
from tests.flow_ids import client_id_keys, client_ids
from tests.flow_known import KNOWN, Known
from tests.flow_mix import KINDS, Mix, Terms, draw_mix
from tests.flow_odd import DAMAGE

__all__ = ["FIRST_TIME", "Flow", "act_rows", "client_id_keys", "client_ids", "encode"]

Rows = npt.NDArray[np.void]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

STOPS: Final = (OrdType.STOP, OrdType.STOP_LIMIT)
MOST_ROUNDS: Final = 200  # how often an iceberg may show lots again: each time is two events (R47)
AT_ONCE: Final = (TimeInForce.IOC, TimeInForce.FOK)
DAMAGED_FIELDS: Final = tuple(DAMAGE)


class Flow:
    """One seed's endless stream of commands; `take` makes the next ones, `observe` shows it what came of them.

    The caller may leave `observe` out: the flow then aims at the orders of the chunk at hand only, and at the phases
    that its acts should have brought. `fixed` overrides drawn fields of the mix.
    """

    def __init__(self, seed: int | tuple[int, int], **fixed: Any) -> None:
        self.rng = np.random.Generator(np.random.PCG64(seed))
        self.mix: Mix = draw_mix(self.rng, fixed)
        self.days = Days(self.rng, self.mix)
        self.seq = 1000 if self.mix.day else 1
        self.time = FIRST_TIME
        self.terms: list[Terms] = []
        self.accounts = 0
        self.known = Known()
        self.next_number = 0
        self.far_steps = 0
        self.stop_steps = 0
        self.plan = Plan(self.days.phase)
        rest = 1 - self.mix.p_market - self.mix.p_stop - self.mix.p_stop_limit - self.mix.p_to_limit
        types = (max(0.0, rest), self.mix.p_market, self.mix.p_stop, self.mix.p_stop_limit, self.mix.p_to_limit)
        self.type_steps = np.cumsum(types)[:-1]
        self._set_terms([])

    # --- the opening ------------------------------------------------------------------------------

    def prologue(self) -> tuple[Rows, bytes]:
        """Make the commands that define the venue, with a restatement of live orders in a seed that opens a day."""
        mix = self.mix
        acts: list[Act] = []
        if mix.day:
            day = {"trading_day": "2026-11-23", "next_trade_id": 77}
            if mix.money and self.rng.random() < 0.5:
                day["margined"] = int(self.rng.random() < 0.9)
            acts.append((CommandKind.DAY_OPEN, self.days.spoiled(day) if self.rng.random() < 0.2 else encode(day)))
        for terms in mix.instruments:
            acts.append((CommandKind.INSTRUMENT_DEFINE, encode(terms.payload)))
        for (account, member, owner), ccy in zip(mix.accounts, mix.ccys, strict=True):
            settles = {"ccy": ccy} if ccy else {}
            terms_ = {"account": account, "member": member, "owner": owner, **settles}
            acts.append((CommandKind.ACCOUNT_DEFINE, encode(terms_)))
        self._set_terms(mix.instruments)
        levers = self.days.levers
        pulled = [*levers.opening(self.terms), *(levers.restated(self.terms) if mix.day else [])]
        # With one leg of a position missing the day never starts (R78): a whole seed of refusals.
        whole = CommandKind.POSITION_RESTORE
        acts += [(kind, encode(act) if kind == whole else self.days.spoiled(act)) for kind, act in pulled]
        self.accounts = len(mix.accounts)
        opening = [self.days.opening(self.seq + len(acts))]
        if not mix.day:
            rows, payload = act_rows(acts + opening, self.seq)
        else:
            rows, payload = act_rows(acts, self.seq)
            restored = self._restores(self.seq + len(rows))
            closing, more = act_rows([(CommandKind.DAY_START, b"{}"), *opening], self.seq + len(rows) + len(restored))
            closing["target_lo"] += len(payload)
            rows, payload = np.concatenate([rows, restored, closing]), payload + more
        self._stamp(rows)
        return rows, payload

    def _restores(self, first_seq: int) -> Rows:
        """Restate gtc and gtd orders of an earlier day, a few of them crossing, with some rows that must be refused."""
        rng, count = self.rng, int(self.rng.integers(0, 120))
        rows = np.zeros(count, COMMAND)
        rows["seq"] = np.arange(first_seq, first_seq + count)
        rows["time"] = self.time
        self._fill_places(rows, np.arange(count))
        rows["kind"] = CommandKind.ORDER_RESTORE
        stop = np.isin(rows["ord_type"], STOPS)
        rows["ord_type"] = np.where(stop, rows["ord_type"], OrdType.LIMIT)
        gtd = (rows["time_in_force"] == TimeInForce.GTD) | (rng.random(count) < 0.2)
        rows["time_in_force"] = np.where(gtd, TimeInForce.GTD, TimeInForce.GTC)
        away = rng.integers(-50_000, 500_000, count)
        expiry = np.where(away < -40_000, 1, self.time + away)  # some are of the first moment there is
        rows["expire_time"] = np.where(gtd, expiry, np.where(rng.random(count) < 0.01, expiry, 0))
        rows["flags"] &= POST_ONLY | HAS_PRICE | HAS_STOP
        instrument = np.clip(rows["instrument"], 1, len(self.terms))
        distance = np.abs(rows["price"] - self.centre[instrument]) % (3 * self.mix.width)
        apart = np.where(rng.random(count) < 0.9, 1, -1)
        price = self.centre[instrument] + np.where(rows["side"] == 1, -distance, distance + 1) * apart
        rows["price"] = np.where(stop, rows["price"], price)
        leaves = 1 + (rows["order_qty"] * rng.random(count)).astype(np.int64)
        leaves = np.minimum(leaves, rows["order_qty"])
        iceberg = (rng.random(count) < self.mix.p_display) & ~stop
        least = -(-rows["order_qty"] // MOST_ROUNDS)
        display = np.where(iceberg, np.maximum(rng.integers(1, self.mix.show_max + 1, count), least), 0)
        wrong = rng.random(count) < 0.02
        display[wrong] = rng.integers(-1, 3, int(wrong.sum()))
        rows["min_qty"], rows["display_qty"] = leaves, display
        most = np.maximum(0, np.minimum(display, leaves))
        shows = np.where(most > 0, 1 + (most * rng.random(count)).astype(np.int64), 0)
        shows[wrong] += rng.integers(-1, 2, int(wrong.sum()))
        rows["target_hi"] = np.minimum(shows, np.maximum(most, 1))
        rows["target_lo"] = rng.permutation(np.arange(1, 999))[:count]
        self._damage(rows, 0.1)
        stray = rng.random(count) < 0.03
        rows["kind"][stray] = rng.integers(0, 23, int(stray.sum()))
        return rows

    # --- the stream -------------------------------------------------------------------------------

    def take(self, count: int) -> tuple[Rows, bytes]:
        """Make the next `count` commands and the payload section that their acts refer to."""
        mix, rng = self.mix, self.rng
        rows = np.zeros(count, COMMAND)
        rows["seq"] = np.arange(self.seq, self.seq + count)
        self._stamp(rows)
        kinds = np.searchsorted(mix.kind_steps, rng.random(count), side="right")
        self.centre[1:] = np.clip(
            self.centre[1:] + rng.integers(-mix.drift, mix.drift + 1, len(self.terms)), self.low[1:], self.high[1:]
        )
        first = self.seq - count
        self.plan = self.days.plan(first, count, np.flatnonzero(kinds == KINDS.index("act")))
        places = np.flatnonzero(kinds == KINDS.index("place"))
        made = self._fill_places(rows, places)
        for kind, name in ((CommandKind.ORDER_CANCEL, "cancel"), (CommandKind.ORDER_AMEND, "amend")):
            self._fill_named(rows, np.flatnonzero(kinds == KINDS.index(name)), kind, places, made)
        self._fill_rare(rows, kinds)
        payload = self._fill_acts(rows)
        self._damage(rows, mix.p_damage)
        return rows, payload

    def ahead(self, most: int) -> int:
        """How many commands are worth taking at once: few where little lives, or where a closing price is due."""
        closing = np.isin(self.days.phase, (Phase.PRE_CLOSE, Phase.CLOSE_NO_CANCEL, Phase.CLOSING_AUCTION))
        return min(most, 64 if closing.any() else 64 + 2 * len(self.known.live))

    def _stamp(self, rows: Rows) -> None:
        """Give rows their times, some of which run backwards, and go on."""
        count = len(rows)
        times = self.time + np.cumsum(self.rng.integers(0, 2 * self.mix.pace, count))
        self.time = int(times[-1]) if count else self.time
        back = self.rng.random(count) < self.mix.p_time_back
        rows["time"] = np.where(back, times - self.rng.integers(1, 5000, count), times)
        self.seq += count

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

    def _prices(self, instrument: Ints, side: Ints, phase: Ints) -> Ints:
        """Draw limit prices: around the centre, leaning away from the touch, some anywhere in the band or beyond it.

        In a call they lean otherwise, and in trade_at_close most are the closing price.
        """
        mix, rng, count = self.mix, self.rng, len(instrument)
        low, high, sign = self.low[instrument], self.high[instrument], 3 - 2 * side
        lean = np.where(MODES[phase] == Mode.CALL, mix.lean_call, mix.lean)
        price = self.centre[instrument] + rng.integers(-mix.width, mix.width + 1, count) - sign * lean
        anywhere = rng.random(count) < mix.p_anywhere
        price = np.where(anywhere, rng.integers(low, high + 1), price)
        if mix.p_far_step:
            # Each of these takes a price level of its own, beyond any window and away from the other side.
            far = rng.random(count) < mix.p_far_step
            steps = self.far_steps + np.cumsum(far)
            self.far_steps = int(steps[-1]) % 12_000 if count else self.far_steps
            price = np.where(far, self.centre[instrument] - sign * (mix.width + 40 + steps), price)
        price = np.clip(price, low, high)
        at_close = (phase == Phase.TRADE_AT_CLOSE) & self.days.has_closing[instrument] & (rng.random(count) < 0.9)
        price = np.where(at_close, self.days.closing[instrument], price)
        return self._beyond(price, low, high)

    def _beyond(self, price: Ints, low: Ints, high: Ints) -> Ints:
        """Move a few prices out of the band, or to its edges."""
        count = len(price)
        beyond = self.rng.random(count) < self.mix.p_beyond
        outside = np.where(self.rng.random(count) < 0.5, low - 1, high + 1) + self.rng.integers(-3, 4, count)
        prices: Ints = np.where(beyond, outside, price)
        return prices

    def _stop_prices(self, instrument: Ints, side: Ints) -> Ints:
        """Draw stop prices: a buy's above the centre, a sell's below, some where the market has been already."""
        mix, rng, count = self.mix, self.rng, len(instrument)
        low, high, sign = self.low[instrument], self.high[instrument], 3 - 2 * side
        reached = np.where(rng.random(count) < mix.p_reached, -1, 1)
        price = self.centre[instrument] + sign * reached * rng.integers(0, mix.width + 2, count)
        if mix.p_stop_step:
            own = rng.random(count) < mix.p_stop_step
            steps = self.stop_steps + np.cumsum(own)
            self.stop_steps = int(steps[-1]) % 3000 if count else self.stop_steps
            price = np.where(own, self.centre[instrument] + sign * (mix.width + steps), price)
        return self._beyond(np.clip(price, low, high), low, high)

    def _quantities(self, instrument: Ints) -> Ints:
        mix, rng, count = self.mix, self.rng, len(instrument)
        quantity = rng.integers(1, mix.qty_max + 1, count)
        big = rng.random(count) < mix.p_big
        quantities: Ints = np.where(big, self.max_qty[instrument] + rng.integers(-2, 2, count), quantity)
        return np.maximum(1, quantities)

    def _expiries(self, times: Ints) -> Ints:
        expiries: Ints = times + 1 + self.rng.exponential(self.mix.lifetime, len(times)).astype(np.int64)
        return expiries

    def _fill_places(self, rows: Rows, at: Ints) -> Rows:
        """Fill placing rows at the given indices; return them as KNOWN orders."""
        mix, rng, count = self.mix, self.rng, len(at)
        made = np.zeros(count, KNOWN)
        part = np.zeros(count, COMMAND)
        part["seq"], part["time"] = rows["seq"][at], rows["time"][at]
        numbers = self._numbers(count)
        instrument = np.where(rng.random(count) < mix.p_hot, 1, rng.integers(1, len(self.terms) + 1, count))
        phase = self.plan.phases(at, instrument)
        side = 1 + (rng.random(count) < mix.p_sell).astype(np.int64)
        part["kind"] = CommandKind.ORDER_PLACE
        part["side"] = side
        part["smp"] = np.searchsorted(mix.smp_steps, rng.random(count), side="right")
        part["smp_id"] = np.where(rng.random(count) < mix.p_smp_id, rng.integers(1, 4, count), 0)
        part["instrument"] = np.where(rng.random(count) < 0.003, len(self.terms) + 1, instrument)
        part["order_qty"] = self._quantities(instrument)
        part["cl_ord_id"] = client_ids(numbers)
        part["account"] = self._account_of(numbers)
        part["client_session"] = rng.integers(0, mix.sessions + 1, count)
        self._fill_kind(part, instrument, phase)
        self._spoil_places(part)
        rows[at] = part
        made["order_id"], made["display"] = part["seq"], part["display_qty"]
        for field in ("account", "instrument", "side", "ord_type", "time_in_force"):
            made[field] = part[field]
        made["first"] = made["now"] = part["cl_ord_id"]
        return made

    def _fill_kind(self, part: Rows, instrument: Ints, phase: Ints) -> None:
        """Draw type and time in force, mostly ones that the phase lets in, and what belongs to them."""
        mix, rng, count = self.mix, self.rng, len(part)
        side, permits = part["side"].astype(np.int64), PERMITS[phase]
        ord_type = 1 + np.searchsorted(self.type_steps, rng.random(count), side="right")
        tif = 1 + np.searchsorted(mix.tif_steps, rng.random(count), side="right")
        heed = rng.random(count) >= mix.p_heedless
        stop, limit = np.isin(ord_type, STOPS), ord_type == OrdType.LIMIT
        unpriced = (ord_type == OrdType.MARKET) | (ord_type == OrdType.MARKET_TO_LIMIT)
        barred = (stop & (permits & Permit.STOPS == 0)) | (unpriced & (permits & Permit.UNPRICED == 0))
        ord_type = np.where(heed & barred, OrdType.LIMIT, ord_type)
        stop, limit, market = np.isin(ord_type, STOPS), ord_type == OrdType.LIMIT, ord_type == OrdType.MARKET
        plain = limit | market
        at_once, at_open, at_close = np.isin(tif, AT_ONCE), tif == TimeInForce.AT_OPEN, tif == TimeInForce.AT_CLOSE
        barred = (at_once & ((permits & Permit.AT_ONCE == 0) | ~plain)) | (
            (at_open & ((permits & Permit.AT_OPEN == 0) | ~plain))
            | (at_close & ((permits & Permit.AT_CLOSE == 0) | ~plain))
        )
        tif = np.where(heed & barred, TimeInForce.DAY, tif)
        lasting = heed & (permits & Permit.LASTING_ONLY != 0) & (tif != TimeInForce.GTD)
        tif = np.where(lasting, TimeInForce.GTC, tif)
        at_once, resting = np.isin(tif, AT_ONCE), np.isin(tif, (TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD))
        post = (rng.random(count) < mix.p_post_only) & ((limit & resting) | ~heed)
        iceberg = (rng.random(count) < mix.p_display) & ((limit & ~at_once) | ~heed)
        fits = ~stop & ~post & (resting | (tif == TimeInForce.IOC)) & (permits & Permit.AT_ONCE != 0)
        least = (rng.random(count) < mix.p_min_qty) & (fits | ~heed)
        price, stop_price = self._prices(instrument, side, phase), self._stop_prices(instrument, side)
        triggered = stop_price + (3 - 2 * side) * rng.integers(-1, mix.width + 1, count)
        priced = limit | (ord_type == OrdType.STOP_LIMIT)
        price = np.where(stop & (rng.random(count) < 0.8), triggered, price)
        part["price"] = np.where(priced | (rng.random(count) < 0.05), price, 0)
        part["stop_price"] = np.where(stop | (rng.random(count) < 0.01), stop_price, 0)
        part["expire_time"] = np.where(tif == TimeInForce.GTD, self._expiries(part["time"]), 0)
        quantity = part["order_qty"]
        shown = np.maximum(rng.integers(1, mix.show_max + 1, count), -(-quantity // MOST_ROUNDS))
        part["display_qty"] = np.where(iceberg, np.minimum(quantity, shown), 0)
        part["min_qty"] = np.where(least, 1 + (quantity * rng.random(count)).astype(np.int64) % quantity, 0)
        part["ord_type"], part["time_in_force"] = ord_type, tif
        off = rng.random(count) < mix.p_off_tick
        part["flags"] = (
            np.where(priced, HAS_PRICE, 0) | np.where(post, POST_ONLY, 0)
            | np.where(stop, HAS_STOP, 0) | np.where(off, OFF_TICK, 0)
        )  # fmt: skip

    def _spoil_places(self, part: Rows) -> None:
        """Make a few places wrong in one of the ways of R16 to R19."""
        rng = self.rng
        for at in np.flatnonzero(rng.random(len(part)) < self.mix.p_wrong):
            row = part[at]
            quantity = int(row["order_qty"])
            match int(rng.integers(8)):
                case 0:
                    row["display_qty"] = -int(rng.integers(1, 4))
                case 1:
                    row["display_qty"] = quantity + int(rng.integers(0, 3) > 0)
                case 2:
                    row["min_qty"] = -int(rng.integers(1, 4))
                case 3:
                    row["min_qty"] = quantity + int(rng.integers(0, 3) > 0)
                case 4:
                    row["flags"] ^= HAS_STOP
                case 5:
                    row["expire_time"] = row["time"] - rng.integers(0, 3)
                case 6:
                    row["expire_time"] = 0
                case _:
                    row["flags"] |= rng.choice((HAS_QTY, HAS_EXPIRE, OF_SESSION))

    def _targets(self, at: Ints, places: Ints, made: Rows) -> Rows:
        """Draw whom cancels and amends mean: live orders, orders of this chunk, ended ones, and nobody's ids."""
        mix, rng, count = self.mix, self.rng, len(at)
        meant = np.zeros(count, KNOWN)
        meant["order_id"] = rng.integers(0, self.seq + 20, count)
        meant["account"] = rng.integers(1, self.accounts + 1, count)
        meant["instrument"] = rng.integers(1, len(self.terms) + 1, count)
        meant["display"] = -1  # whatever it is
        for field, most in (("side", 2), ("ord_type", 5), ("time_in_force", 7)):
            meant[field] = rng.integers(1, most + 1, count)
        meant["first"] = meant["now"] = client_ids(rng.integers(0, self.next_number + 5, count))
        source = np.searchsorted(mix.target_steps, rng.random(count), side="right")
        before = np.searchsorted(places, at)
        chunk = (source == 1) & (before > 0)
        meant[chunk] = made[(rng.random(count) * before).astype(np.int64)[chunk]]
        if len(self.known.live):
            live = (source == 0) | ((source == 1) & (before == 0))
            size = len(self.known.live)
            near = np.maximum(0, size - rng.integers(1, 24, count))
            pick = np.where(rng.random(count) < mix.p_near, near, rng.integers(0, size, count))
            meant[live] = self.known.live[pick[live]]
        if len(self.known.ended):
            ended = source == 2
            meant[ended] = self.known.ended[rng.integers(0, len(self.known.ended), count)[ended]]
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
        part["seq"], part["time"] = rows["seq"][at], rows["time"][at]
        if kind == CommandKind.ORDER_AMEND:
            self._fill_amend(part, meant, way, at)
        rows[at] = part

    def _fill_amend(self, part: Rows, meant: Rows, way: Ints, at: Ints) -> None:
        mix, rng, count = self.mix, self.rng, len(part)
        instrument = np.clip(meant["instrument"], 1, len(self.terms)).astype(np.int64)
        side = np.clip(meant["side"], 1, 2).astype(np.int64)

        def chosen(rate: float, fits: Flags) -> Flags:
            return rng.random(count) < np.where(fits, rate, 0.03 * rate)

        price = chosen(mix.p_amend_price, np.isin(meant["ord_type"], (OrdType.LIMIT, OrdType.STOP_LIMIT)))
        quantity = rng.random(count) < mix.p_amend_qty
        stop = chosen(mix.p_amend_stop, np.isin(meant["ord_type"], STOPS))
        expire = chosen(mix.p_amend_expire, meant["time_in_force"] == TimeInForce.GTD)
        renamed = (rng.random(count) < mix.p_amend_id) & (way < 2)
        ids = client_ids(self._numbers(count))
        part["cl_ord_id"] = np.where(renamed, ids, part["cl_ord_id"])
        off = rng.random(count) < mix.p_off_tick
        part["flags"] = (
            np.where(price, HAS_PRICE, 0) | np.where(quantity, HAS_QTY, 0) | np.where(stop, HAS_STOP, 0)
            | np.where(expire, HAS_EXPIRE, 0) | np.where(off, OFF_TICK, 0)
        )  # fmt: skip
        some_side = np.where(rng.random(count) < 0.5, side, rng.integers(1, 3, count))
        part["price"] = self._prices(instrument, some_side, self.plan.phases(at, instrument))
        most = np.where(meant["display"] >= 0, MOST_ROUNDS * meant["display"], mix.qty_max)
        quantities = self._quantities(instrument)
        part["order_qty"] = np.where(meant["display"] == 0, quantities, np.minimum(quantities, most))
        part["stop_price"] = self._stop_prices(instrument, side)
        late = np.where(rng.random(count) < 0.05, -10_000, 0)
        part["expire_time"] = np.where(expire | (rng.random(count) < 0.02), self._expiries(part["time"]) + late, 0)

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
                    row["flags"] = OF_SESSION if rng.random() < 0.4 else 0
                # Now and then for an account, an instrument or a side that there is not.
                if rng.random() < 0.04:
                    wrong = ("account", "instrument", "side")[rng.integers(3)]
                    row[wrong] = {"account": self.accounts, "instrument": len(self.terms), "side": 2}[wrong] + 1

    # --- acts and damage --------------------------------------------------------------------------

    def _fill_acts(self, rows: Rows) -> bytes:
        payload = bytearray()
        for place, (kind, text) in sorted(self.plan.acts.items()):
            stamped = rows["seq"][place], rows["time"][place]
            rows[place] = np.zeros((), COMMAND)
            rows[place]["kind"], (rows[place]["seq"], rows[place]["time"]) = kind, stamped
            rows[place]["target_lo"], rows[place]["target_hi"] = len(payload), len(text)
            rows[place]["client_session"] = 1
            payload += text
        return bytes(payload)

    def _damage(self, rows: Rows, rate: float) -> None:
        """Set a field of a few rows to a value that is mostly out of its range."""
        for at in np.flatnonzero(self.rng.random(len(rows)) < rate):
            field = DAMAGED_FIELDS[self.rng.integers(len(DAMAGED_FIELDS))]
            values = DAMAGE[field]
            rows[field][at] = values[self.rng.integers(len(values))]
            row = rows[at]
            if field == "order_qty" and row["kind"] == CommandKind.ORDER_AMEND and self.mix.p_display:
                row["order_qty"] = min(row["order_qty"], MOST_ROUNDS)
            elif 0 < row["display_qty"] < row["order_qty"] // MOST_ROUNDS:
                row["order_qty"] = MOST_ROUNDS * row["display_qty"]

    # --- what came of it --------------------------------------------------------------------------

    def observe(self, events: Rows) -> None:
        """Learn from EVENT rows which orders live, which ended, which instruments and accounts there are."""
        self.known.learn(events)
        kinds = events["kind"]
        self.accounts = max(self.accounts, int(events["account"][kinds == EventKind.ACCOUNT_DEFINED].max(initial=0)))
        for row in events[kinds == EventKind.INSTRUMENT_DEFINED]:
            terms = self.days.pending.pop(int(row["seq"]), None)
            if terms is not None and int(row["instrument"]) == len(self.terms) + 1:
                self._set_terms([*self.terms, terms])
        self.days.learn(events)

    def _set_terms(self, terms: Iterable[Terms]) -> None:
        # Instruments are numbered from 1; place 0 of the arrays belongs to none.
        kept = getattr(self, "centre", np.zeros(1, np.int64))
        self.terms = list(terms)
        self.low = np.array([0, *(t.low for t in self.terms)], np.int64)
        self.high = np.array([0, *(t.high for t in self.terms)], np.int64)
        self.max_qty = np.array([1, *(t.max_qty for t in self.terms)], np.int64)
        self.centre = np.array([0, *(t.centre for t in self.terms)], np.int64)
        self.centre[: len(kept)] = kept
        self.days.define(self.terms)
