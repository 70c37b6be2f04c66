"""The trading day: which one it is, and the commands that restate the world at its start (rule R44).

Owns how a picture of the world (`dump` of either matcher) becomes the first blocks of a day's log, and the law that
this loses nothing: dump at the close = dump after loading the next day's start, but for `PASSING`. Pure functions;
may import engine.schema only. Making the folder and writing the blocks is engine/recovery.py's work.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from engine.schema import (
    COMMAND,
    HAS_PRICE,
    MAX_BLOCK_ROWS,
    MAX_PAYLOAD_BYTES,
    CommandKind,
    OrdType,
    Phase,
    Side,
    Smp,
    Tick,
    TimeInForce,
    word,
    words,
)

__all__ = [
    "PASSING",
    "World",
    "act_row",
    "canonical",
    "difference",
    "genesis",
    "is_complete",
    "restatement",
    "trading_day_of",
]

World = Mapping[str, Any]

# Vietnam has had this one offset, without summer time, since 1975.
HO_CHI_MINH: Final = timezone(timedelta(hours=7), "Asia/Ho_Chi_Minh")

PASSING: Final = frozenset({"trading_day", "seq", "time", "income"})
"""The keys of a dump that a new day changes: its name, how many commands and how late it is by then, and what the
exchange has taken in."""


STATE: Final = frozenset({"phase", "override", "last_price", "close_price", "controls", "limits"})
"""What a dump says of an instrument besides its terms."""
ACCOUNT_STATE: Final = ("balance", "checked")
"""What a dump says of an account besides its terms."""


def trading_day_of(now_ns: int) -> str:
    """The calendar date in Asia/Ho_Chi_Minh at an instant (ns UTC).

    >>> trading_day_of(1_764_208_800_000_000_000), trading_day_of(1_764_179_000_000_000_000)
    ('2025-11-27', '2025-11-27')
    """
    return datetime.fromtimestamp(now_ns // 10**9, UTC).astimezone(HO_CHI_MINH).date().isoformat()


def canonical(payload: Mapping[str, Any]) -> bytes:
    """An act's payload as the rules want it: UTF-8, sorted keys, no spaces.

    >>> canonical({"symbol": "ALL", "phase": "closed"})
    b'{"phase":"closed","symbol":"ALL"}'
    """
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def act_row(kind: CommandKind, *, principal: int = 0) -> bytes:
    """The COMMAND row of an act, without seq, time and the place of its payload: those are stamped by the sequencer."""
    row = np.zeros(1, COMMAND)
    row["kind"], row["client_session"] = kind, principal
    return row.tobytes()


def genesis(instruments: Iterable[Mapping[str, Any]], accounts: Iterable[Mapping[str, str]] = ()) -> dict[str, Any]:
    """The world of a venue that has never traded, to be restated as its first day. Both as define payloads."""
    return {
        "trading_day": "",
        "margined": 1,
        "seq": 0,
        "time": 0,
        "next_trade_id": 1,
        "instruments": [
            {
                **terms,
                "phase": word(Phase.CLOSED),
                "override": 0,
                "last_price": None,
                "close_price": None,
                "controls": {},
                "limits": _unlimited(terms),
            }
            for terms in instruments
        ],
        "accounts": [{**account, "balance": 0, "checked": 0} for account in accounts],
        "orders": [],
        **{key: [] for key in ("positions", "fixings", "margins", "fees", "caps", "kills")},
        "income": {},
    }


def is_complete(world: World) -> bool:
    """Whether a day is over: every instrument is closed."""
    return all(instrument["phase"] == word(Phase.CLOSED) for instrument in world["instruments"])


def difference(closed: World, opened: World, *, added: bool = False) -> str | None:
    """What a new day's world has otherwise than the one before it closed with; None if nothing, as the law says.

    added: instruments and accounts that follow the old ones are no difference, as long as the new day wants some.
    """
    for key in sorted(closed.keys() | opened.keys()):
        old, new = closed.get(key), opened.get(key)
        if added and key in ("instruments", "accounts") and old is not None and new is not None:
            new = new[: len(old)]
        if key not in PASSING and old != new:
            if isinstance(old, list) and isinstance(new, list):
                for place, (before, after) in enumerate(zip(old, new, strict=False)):
                    if before != after:
                        return f"{key}[{place}] was {before} and is {after}"
                return f"{key}: {len(old)} before, {len(new)} after"
            return f"{key} was {old} and is {new}"
    return None


class _Act(NamedTuple):
    kind: CommandKind
    payload: bytes


def restatement(
    world: World,
    trading_day: str,
    *,
    first_seq: int,
    time_ns: int,
    instruments: Sequence[Mapping[str, Any]] = (),
    accounts: Sequence[Mapping[str, str]] = (),
) -> Iterator[tuple[int, npt.NDArray[np.void], bytes]]:
    """Blocks (first seq, COMMAND rows, payload) that open a day: day.open, instruments, accounts, orders, day.start.

    `instruments` and `accounts` are define payloads to add behind those of the world. Orders keep their ids and,
    level by level, their places in the queue. All rows bear `time_ns`. ValueError if an instrument is not closed or
    an order not gtc.
    """
    if not is_complete(world):
        raise ValueError("a new day starts when every instrument is closed")
    listed = [{key: value for key, value in terms.items() if key not in STATE} for terms in world["instruments"]]
    known = {terms["symbol"] for terms in listed}
    named = {account["account"] for account in world["accounts"]}
    margined = {"margined": 1} if world["margined"] else {}
    opening = {"trading_day": trading_day, "next_trade_id": world["next_trade_id"], **margined}
    acts = [_act(CommandKind.DAY_OPEN, opening)]
    acts += [_act(CommandKind.INSTRUMENT_DEFINE, terms) for terms in listed]
    acts += [_act(CommandKind.INSTRUMENT_DEFINE, terms) for terms in instruments if terms["symbol"] not in known]
    for terms in world["instruments"]:
        acts += _control_acts(terms)
    for account in world["accounts"]:
        terms = {key: value for key, value in account.items() if key not in ACCOUNT_STATE}
        acts.append(_act(CommandKind.ACCOUNT_DEFINE, terms))
    acts += _money_acts(world)
    acts += [_act(CommandKind.ACCOUNT_DEFINE, account) for account in accounts if account["account"] not in named]
    seq = first_seq
    for rows, payload in (*_act_blocks(acts), *_order_blocks(world), *_act_blocks([_act(CommandKind.DAY_START, {})])):
        rows["seq"] = np.arange(seq, seq + len(rows))
        rows["time"] = time_ns
        yield seq, rows, payload
        seq += len(rows)


def _unlimited(terms: Mapping[str, Any]) -> dict[str, int]:
    """The daily limits of a new instrument (R67): none."""
    tick = Tick.parse(terms["tick"])
    low, high = tick.ticks(terms["min_price"]), tick.ticks(terms["max_price"])
    assert low is not None and high is not None, "a band is on tick"
    reference = tick.ticks(terms["reference_price"]) if "reference_price" in terms else (low + high) // 2
    assert reference is not None, "a reference price is on tick"
    return {"settlement": reference, "step": 0, "side": 0, "locked": 0, "low": low, "high": high}


def _control_acts(terms: Mapping[str, Any]) -> list[_Act]:
    """What restates the price controls and daily limits of an instrument, if they are not those of a new one."""
    acts = []
    symbol, controls, limits = terms["symbol"], terms["controls"], terms["limits"]
    steps = _steps_then(terms)
    if controls:
        acts.append(_act(CommandKind.CONTROL_SET, {"symbol": symbol, **controls, **steps}))
    if limits != _unlimited(terms):
        said = {key: limits[key] for key in ("step", "side", "locked")}
        settlement = Tick.parse(terms["tick"]).text(limits["settlement"])
        acts.append(_act(CommandKind.LIMIT_SET, {"symbol": symbol, "settlement": settlement, **said}))
    if steps:
        acts.append(_act(CommandKind.CONTROL_SET, {"symbol": symbol, "limit_steps": controls["limit_steps"]}))
    return acts


def _steps_then(terms: Mapping[str, Any]) -> dict[str, str]:
    """Other limit_steps that give the daily limits as they are, if those of now do not.

    A control.set changes no limits that are set (R66), so they may come from steps of which only this much is known.
    """
    limits, band = terms["limits"], _unlimited(terms)
    step, settlement = limits["step"], limits["settlement"]

    def fits(points: int) -> bool:
        width = abs(settlement) * points // 10_000
        low, high = max(settlement - width, band["low"]), min(settlement + width, band["high"])
        return (low, high) == (limits["low"], limits["high"])

    now = terms["controls"].get("limit_steps", "")
    steps = [int(one) for one in now.split(",")] if now else []
    if not step or (step <= len(steps) and fits(steps[step - 1])):
        return {}
    points = next(points for points in range(step, 10_001) if fits(points))
    return {"limit_steps": ",".join(str(one) for one in (*range(1, step), points))}


def _money_acts(world: World) -> list[_Act]:
    """What restates fixings, margins, fees, caps, kill switches, positions and balances (R72-R78), in this order."""
    acts = [_act(CommandKind.FIXING_SET, fixing) for fixing in world["fixings"]]
    acts += [_act(CommandKind.MARGIN_SET, margin) for margin in world["margins"]]
    acts += [_act(CommandKind.FEE_SET, fee) for fee in world["fees"]]
    for cap in world["caps"]:
        acts.append(_act(CommandKind.CAP_SET, {key: value for key, value in cap.items() if value != ""}))
    for kill in world["kills"]:
        acts.append(_act(CommandKind.KILL_SET, {kill["scope"]: kill["whom"] or 1, "on": 1}))
    for position in world["positions"]:
        if position["lots"]:
            said = {key: position[key] for key in ("account", "symbol", "lots")}
            acts.append(_act(CommandKind.POSITION_RESTORE, said))
    for account in world["accounts"]:
        if account["balance"] or account["checked"]:
            said = {key: account[key] for key in ("account", *ACCOUNT_STATE)}
            said["checked"] *= "ccy" in account  # who has none is checked by `margined` (R73)
            acts.append(_act(CommandKind.BALANCE_RESTORE, said))
    return acts


def _act(kind: CommandKind, payload: Mapping[str, Any]) -> _Act:
    return _Act(kind, canonical(payload))


def _act_blocks(acts: Sequence[_Act]) -> Iterator[tuple[npt.NDArray[np.void], bytes]]:
    start = 0
    while start < len(acts):
        end, length = start, 0
        while end < len(acts) and end - start < MAX_BLOCK_ROWS and length + len(acts[end].payload) <= MAX_PAYLOAD_BYTES:
            length += len(acts[end].payload)
            end += 1
        part = acts[start:end]
        assert part, "an act's payload fits into a block"
        rows = np.zeros(len(part), COMMAND)
        lengths = np.array([len(act.payload) for act in part])
        rows["kind"] = [act.kind for act in part]
        rows["target_hi"] = lengths
        rows["target_lo"] = np.cumsum(lengths) - lengths
        yield rows, b"".join(act.payload for act in part)
        start = end


def _order_blocks(world: World) -> Iterator[tuple[npt.NDArray[np.void], bytes]]:
    """R45: the live orders, in the order of the picture, which is queue order within each level and stop price."""
    instruments = {terms["symbol"]: number for number, terms in enumerate(world["instruments"], 1)}
    accounts = {account["account"]: number for number, account in enumerate(world["accounts"], 1)}
    sides, instructions, types, times = words(Side), words(Smp), words(OrdType), words(TimeInForce)
    lasting = {word(TimeInForce.GTC), word(TimeInForce.GTD)}
    orders = world["orders"]
    for start in range(0, len(orders), MAX_BLOCK_ROWS):
        part = orders[start : start + MAX_BLOCK_ROWS]
        if any(order["time_in_force"] not in lasting for order in part):
            raise ValueError("only gtc and gtd orders live on into a new day")
        rows = np.zeros(len(part), COMMAND)
        rows["kind"] = CommandKind.ORDER_RESTORE
        rows["ord_type"] = [types[order["ord_type"]] for order in part]
        rows["time_in_force"] = [times[order["time_in_force"]] for order in part]
        rows["side"] = [sides[order["side"]] for order in part]
        rows["smp"] = [instructions[order["smp"]] for order in part]
        rows["flags"] = [order["flags"] | HAS_PRICE for order in part]
        rows["target_hi"] = [order["shown_qty"] for order in part]
        rows["instrument"] = [instruments[order["symbol"]] for order in part]
        rows["account"] = [accounts[order["account"]] for order in part]
        rows["cl_ord_id"] = [order["cl_ord_id"].encode() for order in part]
        rows["target_lo"] = [order["order_id"] for order in part]
        rows["min_qty"] = [order["leaves_qty"] for order in part]
        for name in ("smp_id", "price", "order_qty", "client_session", "stop_price", "display_qty", "expire_time"):
            rows[name] = [order[name] for order in part]
        yield rows, b""
