"""What commands say that no event repeats: stop prices and expiries of amends, self-match ids, terms of instruments.

The ledger works without it, and then leaves out the laws that need it. And the auction price, once more, by rule R52.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.schema import (
    ACT_FIRST,
    DEFAULT_PROTECTION_TICKS,
    HAS_EXPIRE,
    HAS_STOP,
    AuctionStep,
    CommandKind,
    Smp,
    Tick,
)

Rows = npt.NDArray[np.void]


class Wish(NamedTuple):
    """The part of a place, restore or amend that its events leave out; None where the command does not say."""

    stop_price: int | None
    expire_time: int | None
    smp: int
    smp_id: int
    min_qty: int
    shows: int
    flags: int


class Listed(NamedTuple):
    """What the definition of an instrument says; prices in ticks."""

    symbol: str
    group: str
    commodity: str
    ccy: str
    tick: Tick
    size: int
    low: int
    high: int
    reference: int
    protection: int

    @property
    def lot(self) -> Fraction:
        """What one tick of one lot is worth, in ccy."""
        return Fraction(self.tick.units, 10**self.tick.scale) * self.size

    @classmethod
    def read(cls, terms: dict[str, Any]) -> Listed:
        """Read the terms of an instrument that came to be, so they are well formed (R40, R76)."""
        tick, symbol, group = Tick.parse(terms["tick"]), terms["symbol"], terms.get("group", "")
        low, high = tick.ticks(terms["min_price"]), tick.ticks(terms["max_price"])
        assert low is not None and high is not None
        named = tick.ticks(terms["reference_price"]) if "reference_price" in terms else None
        return cls(
            *(symbol, group, terms.get("commodity") or group or symbol, terms["ccy"], tick, terms["contract_size"]),
            *(low, high, (low + high) // 2 if named is None else named),
            terms.get("protection_ticks", DEFAULT_PROTECTION_TICKS),
        )


@dataclass
class Asked:
    """Commands by their seq, in as far as the ledger has a use for them."""

    wishes: dict[int, Wish] = field(default_factory=dict)
    terms: dict[int, dict[str, Any]] = field(default_factory=dict)
    listed: dict[int, Listed] = field(default_factory=dict)  # by instrument
    references: dict[int, int] = field(default_factory=dict)  # by instrument (R64)
    parties: dict[int, tuple[str, str]] = field(default_factory=dict)  # by account: member, owner

    def learn(self, rows: Rows, payload: bytes) -> None:
        """Read the commands of a block, before its events."""
        for row in rows:
            kind, seq = int(row["kind"]), int(row["seq"])
            if kind in (CommandKind.ORDER_PLACE, CommandKind.ORDER_RESTORE):
                restore = kind == CommandKind.ORDER_RESTORE
                stop_price, expire_time, smp, smp_id, min_qty, target_hi = (
                    int(row[name]) for name in ("stop_price", "expire_time", "smp", "smp_id", "min_qty", "target_hi")
                )
                min_qty, shows = (0, target_hi) if restore else (min_qty, 0)
                self.wishes[seq] = Wish(stop_price, expire_time, smp, smp_id, min_qty, shows, int(row["flags"]))
            elif kind == CommandKind.ORDER_AMEND:
                stop = int(row["stop_price"]) if row["flags"] & HAS_STOP else None
                expire = int(row["expire_time"]) if row["flags"] & HAS_EXPIRE else None
                self.wishes[seq] = Wish(stop, expire, 0, 0, 0, 0, int(row["flags"]))
            elif kind >= ACT_FIRST:
                low, size = int(row["target_lo"]), int(row["target_hi"])
                try:
                    terms = json.loads(payload[low : low + size]) if 0 <= low <= low + size else None
                except (ValueError, RecursionError):
                    continue
                if isinstance(terms, dict):
                    self.terms[seq] = terms

    def defined_instrument(self, seq: int, instrument: int) -> None:
        """Note the terms of an instrument that came to be."""
        if seq in self.terms:
            self.listed[instrument] = Listed.read(self.terms[seq])
            self.references[instrument] = self.listed[instrument].reference

    def defined_account(self, seq: int, account: int) -> None:
        """Note whose an account is."""
        if seq in self.terms:
            self.parties[account] = self.terms[seq]["member"], self.terms[seq]["owner"]

    def self_match_id(self, seq: int, account: int) -> tuple[Any, ...] | None:
        """R27: the self-match id of the order that a command brought; None if nobody knows."""
        if seq not in self.wishes or account not in self.parties:
            return None
        member, owner = self.parties[account]
        return ("smp_id", member, self.wishes[seq].smp_id) if self.wishes[seq].smp_id else ("owner", owner)

    def instruction(self, seq: int) -> int:
        """R27: what the order wants instead of a trade with itself."""
        return self.wishes[seq].smp or Smp.CANCEL_RESTING if seq in self.wishes else 0


class Told(NamedTuple):
    """An auction as events tell it (R52): price, volume, surplus with + for buys, step."""

    price: int
    volume: int
    surplus: int
    step: int


NO_CROSS = Told(0, 0, 0, AuctionStep.NO_CROSS)
Side = dict[int, tuple[int, bool]]  # price to lots, and whether an order there has a price of its own


def auction(buys: Side, sells: Side, reference: int | None, limits: tuple[int, int] | None) -> Told | None:
    """The auction price by the letter of R52, candidate by candidate; None where only the reference price would say.

    Without a word about daily limits the reference price lies within them.
    """

    def at(price: int) -> tuple[int, int]:
        demand = sum(lots for limit, (lots, _) in buys.items() if limit >= price)
        supply = sum(lots for limit, (lots, _) in sells.items() if limit <= price)
        return min(demand, supply), demand - supply

    def told(price: int | None, step: AuctionStep) -> Told | None:
        return None if price is None else Told(price, *at(price), step)

    candidates = sorted({price for side in (buys, sells) for price, (_, priced) in side.items() if priced})
    if not candidates:
        if reference is not None and limits is not None:
            reference = min(max(reference, limits[0]), limits[1])
        return told(reference, AuctionStep.UNPRICED) if buys and sells else NO_CROSS
    found = {price: at(price) for price in candidates}
    most = max(volume for volume, _ in found.values())
    if not most:
        return NO_CROSS
    left = [price for price in candidates if found[price][0] == most]
    if len(left) == 1:
        return told(left[0], AuctionStep.VOLUME)
    least = min(abs(found[price][1]) for price in left)
    left = [price for price in left if abs(found[price][1]) == least]
    if len(left) == 1:
        return told(left[0], AuctionStep.SURPLUS)
    bought = [price for price in left if found[price][1] > 0]
    sold = [price for price in left if found[price][1] < 0]
    if least and (not sold or not bought):
        return told(max(left) if bought else min(left), AuctionStep.PRESSURE)
    low, high = (max(bought), min(sold)) if least else (min(left), max(left))
    return told(None if reference is None else min(max(reference, low), high), AuctionStep.REFERENCE)
