"""What a call costs: entering orders with the indicative told, one update of it, and the uncross beside plain fills.

Calls of 10 to 100,000 orders on 2,000 price levels.  Each round has a venue of its own: the call is filled, a run of
single orders times the update, the uncross is timed with all its events, and then as many aggressive orders as it made
trades each fill one resting order.  Asserted: what the uncross traded is what was last told, to the lot.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.measure import back_memory, progress, quiet, save, summary
from engine.apply import State, apply, new_state
from engine.schema import COMMAND, EVENT, HAS_PRICE, MAX_EVENTS_PER_CALL, CommandKind, EventKind, Limits, Side, Smp

Rows = npt.NDArray[np.void]

SIZES: Final = (10, 100, 1_000, 10_000, 100_000)
QUICK_SIZES: Final = (10, 1_000, 10_000)
LEVELS: Final = 2_000
LOW: Final = 1_000
UPDATES: Final = 2_000
ROUNDS: Final = 9
QUICK_ROUNDS: Final = 3
SEED: Final = 20_261_125
ACCOUNTS: Final = 1_000
DEAR: Final = LOW + LEVELS + 500  # no order of the call has this price


class Call:
    """A venue with one instrument in pre_open, and what is done to it."""

    def __init__(self, size: int, seed: int) -> None:
        room = 4 * size + 4 * UPDATES + ACCOUNTS  # every trade of the uncross is followed by two plain orders
        self.rng = np.random.default_rng(seed)
        self.state: State = new_state(
            Limits(instruments=1, accounts=ACCOUNTS, orders=room, levels=1 << 13, day_ids=room)
        )
        self.events: Rows = np.zeros(MAX_EVENTS_PER_CALL, EVENT)
        self.seq = 0
        self.number = 0
        terms = {
            "symbol": "W", "ccy": "USD", "unit": "lb", "contract_size": 1, "tick": "1", "min_price": "1",
            "max_price": "4000", "max_order_qty": 1_000, "window_ticks": 4_000,
        }  # fmt: skip
        self.act(CommandKind.INSTRUMENT_DEFINE, terms)
        for n in range(ACCOUNTS):
            self.act(CommandKind.ACCOUNT_DEFINE, {"account": f"A{n}", "member": f"M{n % 50}", "owner": f"O{n}"})
        self.act(CommandKind.PHASE_SET, {"symbol": "W", "phase": "pre_open"})

    def act(self, kind: CommandKind, terms: Mapping[str, Any]) -> tuple[int, list[Rows]]:
        """Carry out an act; CPU time in ns, and its events."""
        payload = json.dumps(terms, sort_keys=True, separators=(",", ":")).encode()
        row = np.zeros(1, COMMAND)
        row["kind"], row["target_hi"] = kind, len(payload)
        return self.run(row, payload)

    def orders(self, sides: Any, prices: Any, lots: Any, count: int) -> Rows:
        """Day limit orders without self-match prevention."""
        rows = np.zeros(count, COMMAND)
        rows["kind"], rows["ord_type"], rows["time_in_force"] = CommandKind.ORDER_PLACE, 1, 1
        rows["flags"], rows["instrument"], rows["smp"] = HAS_PRICE, 1, Smp.NONE
        rows["side"], rows["price"], rows["order_qty"] = sides, prices, lots
        rows["account"] = self.rng.integers(1, ACCOUNTS + 1, count)
        rows["cl_ord_id"] = [b"o%d" % n for n in range(self.number, self.number + count)]
        self.number += count
        return rows

    def run(self, rows: Rows, payload: bytes = b"") -> tuple[int, list[Rows]]:
        """Carry out commands; CPU time in ns, and all events."""
        rows["seq"] = np.arange(self.seq + 1, self.seq + 1 + len(rows))
        rows["time"] = rows["seq"]
        self.seq += len(rows)
        done, spent, parts = 0, 0, []
        while done < len(rows) or self.state.pending:
            start = time.thread_time_ns()
            consumed, written = apply(self.state, rows[done:], payload, self.events)
            spent += time.thread_time_ns() - start
            done += consumed
            parts.append(self.events[:written].copy())
        return spent, parts


def one_round(size: int, seed: int) -> dict[str, float]:
    """ns per order entered, per update of the indicative, per trade of the uncross, and per plain fill."""
    call = Call(size, seed)
    rng = call.rng
    sides, prices = rng.integers(1, 3, size), rng.integers(LOW, LOW + LEVELS, size)
    entering, parts = call.run(call.orders(sides, prices, rng.integers(1, 100, size), size))
    updating, more = call.run(call.orders(Side.BUY, LOW + LEVELS - 1, 1, UPDATES))
    told = [event for part in (*parts, *more) for event in part[part["kind"] == EventKind.AUCTION_INDICATIVE]]
    uncrossing, made = call.act(CommandKind.PHASE_SET, {"symbol": "W", "phase": "continuous"})
    events = np.concatenate(made)
    trades = events[events["kind"] == EventKind.TRADE]
    if told:
        assert (trades["price"] == told[-1]["price"]).all() and trades["qty"].sum() == told[-1]["qty"], "as last told"
    count = max(len(trades), 1)
    call.run(call.orders(Side.SELL, DEAR, 1, count))
    filling, fills = call.run(call.orders(Side.BUY, DEAR, 1, count))
    assert sum(int((part["kind"] == EventKind.TRADE).sum()) for part in fills) == count, "each fills one"
    return {
        "enter_ns": entering / size,
        "update_ns": updating / UPDATES,
        "uncross_ns": uncrossing / count,
        "fill_ns": filling / count,
        "trades": count,
        "times_fill": uncrossing / filling,
    }


def run(*, quick: bool) -> dict[str, Any]:
    """All of it; the result is what benchmarks/results/auction.json holds."""
    back_memory()
    rounds = QUICK_ROUNDS if quick else ROUNDS
    sizes = QUICK_SIZES if quick else SIZES
    taken: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    with quiet():
        for number in range(rounds):
            progress(f"calls of {sizes[0]} to {sizes[-1]:,} orders, round {number + 1} of {rounds}")
            for size in sizes:
                taken[size].append(one_round(size, SEED + number))
    rows = []
    for size in sizes:
        found = taken[size]
        rows.append(
            {"orders": size, "trades": found[0]["trades"]}
            | {name: summary([one[name] for one in found]) for name in found[0] if name != "trades"}
        )
    return {"quick": quick, "levels": LEVELS, "rounds": rounds, "rows": rows}


def main() -> None:
    """The command line: `python -m benchmarks.bench_auction [--quick]`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds and smaller calls")
    print(save("auction", run(quick=parser.parse_args().quick)))


if __name__ == "__main__":
    main()
