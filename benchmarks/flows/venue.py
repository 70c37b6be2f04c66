"""What the flows share: a venue of several instruments and many accounts, and COMMAND rows made of a plain form.

A flow says what happens in numbers (one line of the plain form a command); this module turns them into rows and the
acts that come first, so that every flow is a benchmarks.workloads.Stream and runs wherever the workloads run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks.workloads import (
    ACCOUNT,
    AMEND,
    CANCEL,
    MAX_QTY,
    OP,
    ORDER,
    PLACE,
    PLACE_IOC,
    PRICE,
    SIDE,
    TIME,
    TOTAL,
    Ints,
    Rows,
    Stream,
    Workload,
    cl_ord_ids,
)
from engine.schema import (
    COMMAND,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    POST_ONLY,
    CommandKind,
    Limits,
    OrdType,
    Side,
    Tick,
    TimeInForce,
)

# Operations beside those of the workloads: AMEND sets price and quantity, REDUCE the quantity alone.
PLACE_FOK, PLACE_MARKET, PLACE_POST, PLACE_STOP, REDUCE = 5, 6, 7, 8, 9
OPERATIONS: Final = 10
# Columns beside those of the workloads: the instrument, the self-match instruction (0: none said).
INSTRUMENT, SMP = 7, 8
COLUMNS: Final = 9

Band = tuple[int, int]  # lowest and highest price, in ticks
_PLACES: Final = (PLACE, PLACE_IOC, PLACE_FOK, PLACE_MARKET, PLACE_POST, PLACE_STOP)
_TIMES: Final[dict[int, int]] = {PLACE_IOC: TimeInForce.IOC, PLACE_FOK: TimeInForce.FOK, PLACE_MARKET: TimeInForce.IOC}


def first_order(bands: int, accounts: int) -> int:
    """The seq of the first order command, which is the order_id of what it places."""
    return 2 * bands + accounts + 1


def stream(
    workload: Workload, bands: Sequence[Band], accounts: int, plain: Ints, resident: int, *,
    smp: bool, trades: int, volume: int, by_client_id: bool = False,
) -> Stream:  # fmt: skip
    """A stream of `plain` (n, COLUMNS), whose first `resident` lines fill the book, on instruments with these bands.

    by_client_id: cancels and amends name orders by the client id they were placed under, not by their order_id.
    """
    rows = _rows(plain, first_order(len(bands), accounts), by_client_id)
    payload, setup = _setup(workload, bands, accounts)
    limits = Limits(
        instruments=max(4, len(bands)),
        accounts=1 << accounts.bit_length(),
        orders=1 << max(12, (3 * max(resident, len(plain) // 10)).bit_length()),
        levels=1 << (2 * sum(high - low + 1 for low, high in bands)).bit_length(),
        day_ids=1 << len(plain).bit_length(),
    )
    prefill, commands = rows[:resident], rows[resident:]
    return Stream(workload, smp, limits, payload, setup, prefill, commands, plain, trades, volume, tuple(bands))


def _setup(workload: Workload, bands: Sequence[Band], accounts: int) -> tuple[bytes, Rows]:
    tick = Tick.parse(workload.tick)
    acts: list[tuple[CommandKind, dict[str, Any]]] = []
    symbols = [f"{workload.name.upper()}-{number}" for number in range(1, len(bands) + 1)]
    for symbol, (low, high) in zip(symbols, bands, strict=True):
        acts.append((CommandKind.INSTRUMENT_DEFINE, {
            "symbol": symbol, "ccy": "USD", "unit": "lb", "contract_size": 1, "tick": workload.tick,
            "min_price": tick.text(low), "max_price": tick.text(high), "max_order_qty": MAX_QTY,
            "window_ticks": high - low + 1,
        }))  # fmt: skip
    acts += [
        (CommandKind.ACCOUNT_DEFINE, {"account": f"A{n}", "member": f"M{n % 50}", "owner": f"O{n}"})
        for n in range(accounts)
    ]
    acts += [(CommandKind.PHASE_SET, {"phase": "continuous", "symbol": symbol}) for symbol in symbols]
    texts = [json.dumps(terms, sort_keys=True, separators=(",", ":")).encode() for _, terms in acts]
    lengths = np.array([len(text) for text in texts])
    rows = np.zeros(len(acts), COMMAND)
    rows["kind"] = [kind for kind, _ in acts]
    rows["target_lo"], rows["target_hi"] = np.cumsum(lengths) - lengths, lengths
    rows["seq"], rows["time"] = np.arange(1, len(acts) + 1), TIME
    return b"".join(texts), rows


def _by_operation(pairs: Mapping[int, int], otherwise: int) -> npt.NDArray[np.uint8]:
    table = np.full(OPERATIONS, otherwise, np.uint8)
    for operation, value in pairs.items():
        table[operation] = value
    return table


def _rows(plain: Ints, first: int, by_client_id: bool) -> Rows:
    """COMMAND rows of the plain form; ORDER holds the number that an order has among all lines, from 0."""
    op, orders = plain[:, OP], plain[:, ORDER]
    rows = np.zeros(len(plain), COMMAND)
    rows["seq"] = np.arange(first, first + len(plain))
    rows["time"] = TIME + 1_000 * rows["seq"]
    rows["account"] = rows["client_session"] = plain[:, ACCOUNT]
    placed = _by_operation(dict.fromkeys(_PLACES, 1), 0)[op].astype(bool)
    kinds = {CANCEL: CommandKind.ORDER_CANCEL, AMEND: CommandKind.ORDER_AMEND, REDUCE: CommandKind.ORDER_AMEND}
    rows["kind"] = _by_operation(kinds, CommandKind.ORDER_PLACE)[op]
    flags = {PLACE_MARKET: 0, PLACE_POST: HAS_PRICE | POST_ONLY, PLACE_STOP: HAS_STOP, CANCEL: 0,
             AMEND: HAS_PRICE | HAS_QTY, REDUCE: HAS_QTY}  # fmt: skip
    rows["flags"] = _by_operation(flags, HAS_PRICE)[op]
    rows["ord_type"] = np.where(
        placed, _by_operation({PLACE_MARKET: OrdType.MARKET, PLACE_STOP: OrdType.STOP}, OrdType.LIMIT)[op], 0
    )
    rows["time_in_force"] = np.where(placed, _by_operation(_TIMES, TimeInForce.GTC)[op], 0)
    rows["side"] = np.where(placed, np.where(plain[:, SIDE] == 0, Side.BUY, Side.SELL), 0)
    rows["instrument"] = np.where(placed, plain[:, INSTRUMENT], 0)
    rows["smp"] = np.where(placed, plain[:, SMP], 0)
    rows["price"] = np.where(rows["flags"] & HAS_PRICE != 0, plain[:, PRICE], 0)
    rows["stop_price"] = np.where(op == PLACE_STOP, plain[:, PRICE], 0)
    rows["order_qty"] = np.where(op == CANCEL, 0, plain[:, TOTAL])
    if by_client_id:
        rows["cl_ord_id"] = cl_ord_ids(orders + 1)
    else:
        rows["cl_ord_id"][placed] = cl_ord_ids(orders[placed] + 1)
        rows["target_lo"] = np.where(placed, 0, first + orders)
    return rows


def table_of(weights: Sequence[float]) -> Ints:
    """Weights as rising sums of whole numbers, to be drawn from: the last is their total, some 10^7.

    That is little beside the 2^31 numbers that `draw` begins with, so its remainders favour none by more than 1 in 200.
    Rounding them makes a flow the same on machines whose powers differ in the last bit.
    """
    scale = 1e7 / sum(weights)
    return np.cumsum([max(1, round(weight * scale)) for weight in weights], dtype=np.int64)


def shares(plain: Ints) -> dict[int, float]:
    """Share of each operation among the lines of a plain form."""
    counts = np.bincount(plain[:, OP], minlength=OPERATIONS)
    return {operation: float(count / len(plain)) for operation, count in enumerate(counts) if count}
