"""Every mix of orders that the core is measured on, by name: the three workloads and other people's flows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from benchmarks import workloads
from benchmarks.flows import melin, xcore
from benchmarks.workloads import WORKLOADS, Stream

SYMBOLS: Final = 32  # of the wider form of exchange-core's mix: the sum of their price windows is some 2 million


@dataclass(frozen=True)
class Mix:
    """A mix: what it says, and the stream of (commands, most resident orders or 0, self-match prevention)."""

    says: str
    make: Callable[[int, int, bool], Stream]


def _workload(name: str, count: int, most: int, smp: bool) -> Stream:
    resident = WORKLOADS[name].resident
    return workloads.generate(name, count, smp=smp, resident=min(resident, most) if most else resident)


def _xcore(symbols: int, count: int, most: int, smp: bool) -> Stream:
    resident = min(xcore.RESIDENT, max(2, most // symbols)) if most else xcore.RESIDENT
    return xcore.generate(count, symbols=symbols, smp=smp, resident=resident)


def _melin(count: int, most: int, smp: bool) -> Stream:
    accounts = min(melin.ACCOUNTS, most * melin.EVERY) if most else melin.ACCOUNTS
    return melin.generate(count, plain=not smp, accounts=accounts)


MIXES: Final[dict[str, Mix]] = {
    **{name: Mix(workload.says, partial(_workload, name)) for name, workload in WORKLOADS.items()},
    "xcore": Mix("exchange-core's mix on one symbol with 1,000 resident orders; 82 % moves and reduces, 9 % new, 6 %"
                 " cancels, 3 % IOC", partial(_xcore, 1)),
    f"xcore-{SYMBOLS}": Mix(f"the same on {SYMBOLS} symbols of 1,000 resident orders each", partial(_xcore, SYMBOLS)),
    "melin": Mix("Melin's mix: 100 instruments, 10,000 accounts, 2,000 resident orders; 52 % new, 32 % cancels, 16 %"
                 " amends (without self-match prevention also without market, stop and post-only orders)", _melin),
}  # fmt: skip


def gated(name: str, count: int, most: int = 0) -> Stream:
    """A mix with everything it has, self-match prevention included."""
    return MIXES[name].make(count, most, True)


def plain(name: str, count: int, most: int = 0) -> Stream:
    """A mix without self-match prevention, of plain limit orders."""
    return MIXES[name].make(count, most, False)
