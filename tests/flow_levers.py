"""The levers of the order flow: price controls, daily limits, margin, fees, caps, collateral, fixings, kill switches.

Values are drawn so that they bind: bands and windows of a few ticks, limits not far from the prices of the flow,
collateral for a handful of lots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.phases import PHASES, Mode
from engine.schema import CommandKind, Phase, Tick
from tests.flow_mix import Mix, Terms

Ints = npt.NDArray[np.int64]
Lever = tuple[CommandKind, dict[str, Any]]

DATES: Final = ("2026-11-20", "2026-11-23", "2026-11-30", "")
CURRENCIES: Final = ("VND", "USD", "EUR")
RATES: Final = {"VND": "25400", "USD": "100", "EUR": "92.5"}


class Levers:
    """Draws acts of one seed; the instruments and phases are handed in, as they are believed to be."""

    def __init__(self, rng: np.random.Generator, mix: Mix) -> None:
        self.rng, self.mix = rng, mix

    def draw(self, terms: Sequence[Terms], phases: Ints) -> Lever:
        """An act about instruments in these phases (place 0 is nobody's)."""
        if self.mix.money and (not self.mix.controls or self.rng.random() < 0.6):
            return self.money(terms)
        return self.control(terms, phases)

    def opening(self, terms: Sequence[Terms]) -> list[Lever]:
        """What a venue with margin begins with."""
        acts: list[Lever] = []
        if self.mix.money and terms:
            acts += [self._fixing(per) for per in CURRENCIES if self.rng.random() < 0.8]
            for one in terms:
                for ccy in CURRENCIES:
                    acts += [make([one], ccy) for make in (self._margin, self._fee) if self.rng.random() < 0.6]
            for account, *_ in self.mix.accounts:
                if self.rng.random() < 0.5:
                    acts.append(self._collateral(account))
        if self.mix.controls and terms:
            for one in terms:
                acts += [self._controls([one]) for _ in range(int(self.rng.integers(0, 3)))]
                acts += [self.limits([one], []) for _ in range(int(self.rng.integers(0, 2)))]
        return acts

    def restated(self, terms: Sequence[Terms]) -> list[Lever]:
        """Positions that sum to zero, and balances."""
        rng, acts = self.rng, []
        if not self.mix.money or not terms:
            return []
        names = [account for account, *_ in self.mix.accounts]
        for one in terms:
            if len(names) > 1 and rng.random() < 0.6:
                first, second = rng.choice(names, 2, replace=False)
                lots = int(rng.integers(1, 30)) * (1 if rng.random() < 0.5 else -1)
                symbol = one.payload["symbol"]
                for name, held in ((first, lots), (second, -lots)):
                    acts.append((CommandKind.POSITION_RESTORE, {"account": str(name), "symbol": symbol, "lots": held}))
        for name in names:
            if rng.random() < 0.4:
                balance = int(rng.integers(-(10**6), 10**9))
                checked = int(rng.random() < 0.7)
                terms_ = {"account": name, "balance": balance, "checked": checked}
                acts.append((CommandKind.BALANCE_RESTORE, terms_))
        return acts

    # --- controls ---------------------------------------------------------------------------------

    def control(self, terms: Sequence[Terms], phases: Ints) -> Lever:
        """Controls of an instrument, or its daily limits, mostly where they can be set."""
        still = [n for n in range(1, len(phases)) if PHASES[Phase(int(phases[n]))].mode == Mode.NONE]
        if still and self.rng.random() < 0.6:
            return self.limits(terms, still)
        return self._controls(terms)

    def _controls(self, terms: Sequence[Terms]) -> Lever:
        rng, width = self.rng, self.mix.width
        one = self._one(terms)
        near = abs(one.centre) + 1
        values: dict[str, Any] = {
            "max_order_value": self._value(one, near),
            "band_ticks": int(rng.choice([0, 1, width, 2 * width + 2, 10**9])),
            "short_ticks": int(rng.choice([0, 0, 1, max(1, width // 2), width + 2])),
            "long_ticks": int(rng.choice([0, 0, 1, width, 2 * width + 2])),
            "short_ms": int(rng.choice([8, 9, 100, 86_400_000])),
            "long_ms": int(rng.choice([8, 40, 1000])),
            "limit_steps": "" if rng.random() < 0.2 else self._steps(near),
            "limit_free_from": DATES[rng.integers(len(DATES))],
        }
        named = {key: value for key, value in values.items() if rng.random() < 0.35}
        if not named:
            keys = ("short_ticks", "limit_steps") if rng.random() < 0.5 else ("short_ticks",)
            named = {key: values[key] for key in keys}
        return CommandKind.CONTROL_SET, {**self._subject(one), **named}

    def _value(self, one: Terms, near: int) -> str:
        """A value that some orders are above."""
        if self.rng.random() < 0.3:
            return "0"
        tick = Tick.parse(one.payload["tick"])
        lots = int(self.rng.integers(1, self.mix.qty_max + 2))
        worth = near * lots * one.payload["contract_size"] * tick.units + int(self.rng.integers(-1, 2))
        if tick.scale == 0 or worth <= 0:
            return str(max(0, worth))
        whole, fraction = divmod(worth, 10**tick.scale)
        return f"{whole}.{fraction:0{tick.scale}d}"

    def _steps(self, near: int) -> str:
        widths = sorted(
            {int(self.rng.integers(1, 3 * self.mix.width + 3)) for _ in range(int(self.rng.integers(1, 4)))}
        )
        steps = sorted({min(10_000, max(1, -(-width * 10_000 // near))) for width in widths})
        return ",".join(str(step) for step in steps)

    def limits(self, terms: Sequence[Terms], among: Sequence[int]) -> Lever:
        """Daily limits of an instrument `among` these numbers (any, if there are none), near the prices of the flow."""
        one = terms[int(self.rng.choice(list(among))) - 1] if len(among) else self._one(terms)
        act = self._subject(one)
        if "symbol" in act and self.rng.random() < 0.6:
            ticks = int(np.clip(one.centre + self.rng.integers(-3, 4), one.low, one.high))
            act["settlement"] = Tick.parse(one.payload["tick"]).text(ticks)
        if self.rng.random() < 0.5:
            act["step"] = int(self.rng.choice([0, 1, 1, 1, 2, 3]))
        return CommandKind.LIMIT_SET, act

    # --- money ------------------------------------------------------------------------------------

    def money(self, terms: Sequence[Terms]) -> Lever:
        """Something about accounts."""
        draw = self.rng.random()
        if draw < 0.12:
            return self._fixing(str(self.rng.choice(CURRENCIES)))
        if draw < 0.3:
            return self._margin(terms, str(self.rng.choice(CURRENCIES)))
        if draw < 0.45:
            return self._fee(terms, str(self.rng.choice(CURRENCIES)))
        if draw < 0.65:
            return self._collateral(self.mix.accounts[self.rng.integers(len(self.mix.accounts))][0])
        if draw < 0.8:
            return self._cap(terms)
        if draw < 0.82:  # out of its time (R78), mostly
            account = self.mix.accounts[self.rng.integers(len(self.mix.accounts))][0]
            return CommandKind.POSITION_RESTORE, {**self._subject(self._one(terms)), "account": account, "lots": 1}
        return self._kill()

    def _fixing(self, per: str) -> Lever:
        rate = RATES[per] if self.rng.random() < 0.7 else ("3", "0.5", "99999", "33.333333")[self.rng.integers(4)]
        ccy = "USD" if self.rng.random() < 0.95 else "GHS"
        return CommandKind.FIXING_SET, {"date": DATES[self.rng.integers(3)], "ccy": ccy, "per": per, "rate": rate}

    def _margin(self, terms: Sequence[Terms], ccy: str) -> Lever:
        per_lot = int(self.rng.choice([0, 1, 1000, 84_000, 10**9]))
        return CommandKind.MARGIN_SET, {**self._subject(self._one(terms)), "ccy": ccy, "per_lot": per_lot}

    def _fee(self, terms: Sequence[Terms], ccy: str) -> Lever:
        basis = ("lot", "bps")[self.rng.integers(2)]
        most = 300 if basis == "lot" else 40
        fees = {name: int(self.rng.integers(-most // 3, most + 1)) for name in ("taker", "maker", "auction")}
        return CommandKind.FEE_SET, {**self._subject(self._one(terms)), "ccy": ccy, "basis": basis, **fees}

    def _collateral(self, account: str) -> Lever:
        amount = int(self.rng.choice([0, 1000, 10**6, 10**9, 10**12, 10**15]))
        return CommandKind.COLLATERAL_SET, {"account": account, "amount": amount}

    def _cap(self, terms: Sequence[Terms]) -> Lever:
        payload = self._one(terms).payload
        commodity = payload.get("commodity") or payload.get("group") or payload["symbol"]
        act = {"commodity": commodity, "lots": int(self.rng.choice([0, 1, 10, 60, 10**12]))}
        if self.rng.random() < 0.4:
            act["owner"] = f"B{int(self.rng.integers(1, 6))}"
        return CommandKind.CAP_SET, act

    def _kill(self) -> Lever:
        on = int(self.rng.random() < 0.45)
        account, member, *_ = self.mix.accounts[self.rng.integers(len(self.mix.accounts))]
        draw = self.rng.random()
        if draw < 0.5:
            return CommandKind.KILL_SET, {"account": account, "on": on}
        if draw < 0.8:
            return CommandKind.KILL_SET, {"member": member, "on": on}
        return CommandKind.KILL_SET, {"exchange": 1, "on": on}

    # --- whom -------------------------------------------------------------------------------------

    def _one(self, terms: Sequence[Terms]) -> Terms:
        return terms[int(self.rng.integers(len(terms)))]

    def _subject(self, one: Terms) -> dict[str, Any]:
        group = one.payload.get("group")
        if group and self.rng.random() < 0.25:
            return {"group": group}
        return {"symbol": one.payload["symbol"] if self.rng.random() < 0.98 else "NOBODY"}
