"""Acts as they should be, and all that may be wrong with their payloads: keys, types, texts, integers out of range."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from engine.schema import Code, CommandKind
from tests.properties.bad_input_table import INT64, Bad, many
from tests.properties.bad_input_world import TERMS

__all__ = ["ACTS", "BAD_TERMS", "OUTSIDE", "Act", "as_text", "spoiled"]

BAD = Code.BAD_TERMS
TEXTS: Final = {"why": "because", "by": "op-1"}
DATE: Final = "2026-11-23"
FEES: Final = {"ccy": "USD", "basis": "lot", "taker": 1, "maker": -1, "auction": 0}
FEE: Final = (-100_000, 100_000)
CONTROLS: Final = {
    **{"max_order_value": "1.5", "band_ticks": 1, "short_ticks": 1, "long_ticks": 1, "short_ms": 8, "long_ms": 9},
    **{"limit_steps": "700,1500", "limit_free_from": DATE},
}
TICKS: Final = (0, 2 * 10**9)
MS: Final = (8, 86_400_000)
MOVE: Final = {"phase": "pre_open", "draw": 5, "at_last_match": 0, "auto": 0, **TEXTS}
MOVES: Final = {"draw": (0, 3_600_000), "at_last_match": (0, 1), "auto": (0, 1), "override": (0, 1)}


class Act(NamedTuple):
    """An act that is carried out in its venue: all its keys, which of them it may lack, and what integers may be."""

    kind: CommandKind
    terms: dict[str, Any]
    optional: str = "why by"
    ranges: dict[str, tuple[int, int]] = {}  # noqa: RUF012
    world: str = "open"


ACTS: Final[list[Act]] = [
    Act(
        CommandKind.INSTRUMENT_DEFINE,
        {**TERMS, "symbol": "S8", "name": "nuts", "group": "G2", "commodity": "C1"},
        "name group commodity protection_ticks reference_price window_ticks",
        {
            **{"contract_size": (1, 10**9), "max_order_qty": (1, 10**9), "protection_ticks": (0, 10**9)},
            "window_ticks": (1, 1 << 20),
        },
        "restating",
    ),
    Act(
        CommandKind.ACCOUNT_DEFINE,
        {"account": "A8", "member": "M1", "owner": "B1", "ccy": "USD"},
        "ccy",
        world="restating",
    ),
    Act(
        CommandKind.PHASE_SET, {**MOVE, "symbol": "S1", "override": 1}, "why by draw at_last_match auto override", MOVES
    ),
    Act(CommandKind.PHASE_SET, {**MOVE, "group": "G1"}, "why by draw at_last_match auto", MOVES),
    Act(CommandKind.PHASE_SET, {**MOVE, "symbol": "ALL"}, "why by draw at_last_match auto", MOVES),
    Act(
        CommandKind.DAY_OPEN,
        {"trading_day": DATE, "next_trade_id": 7, "margined": 1},
        "margined",
        {"next_trade_id": (1, 1 << 62), "margined": (0, 1)},
        "fresh",
    ),
    Act(CommandKind.DAY_START, {}, "", world="restating"),
    Act(CommandKind.AUCTION_UNCROSS, {"symbol": "S2", **TEXTS}),
    Act(
        CommandKind.CONTROL_SET,
        {"symbol": "S1", **CONTROLS, **TEXTS},
        " ".join(["why by", *CONTROLS]),
        {"band_ticks": TICKS, "short_ticks": TICKS, "long_ticks": TICKS, "short_ms": MS, "long_ms": MS},
    ),
    Act(CommandKind.CONTROL_SET, {"group": "G1", "band_ticks": 0, "long_ms": 8, **TEXTS}, "why by band_ticks long_ms"),
    Act(
        CommandKind.LIMIT_SET,
        {"symbol": "S1", "settlement": "1000", "step": 1, "locked": 1, "side": 2, **TEXTS},
        "why by settlement step locked side",
        {"step": (0, 2), "locked": (0, 2), "side": (0, 2)},
        "restating",
    ),
    Act(CommandKind.LIMIT_SET, {"symbol": "S4", "settlement": "2000", "step": 0, **TEXTS}, "why by settlement step"),
    Act(CommandKind.COLLATERAL_SET, {"account": "A1", "amount": 5, **TEXTS}, ranges={"amount": (0, 10**15)}),
    Act(CommandKind.FIXING_SET, {"date": DATE, "ccy": "USD", "per": "USD", "rate": "100.5", **TEXTS}),
    Act(
        CommandKind.MARGIN_SET,
        {"symbol": "S1", "ccy": "USD", "per_lot": 5, **TEXTS},
        ranges={"per_lot": (0, 10**9)},
    ),
    Act(CommandKind.MARGIN_SET, {"group": "G1", "ccy": "USD", "per_lot": 5}, "", {"per_lot": (0, 10**9)}),
    Act(
        CommandKind.FEE_SET,
        {"symbol": "S1", **FEES, **TEXTS},
        ranges={"taker": FEE, "maker": FEE, "auction": FEE},
    ),
    Act(
        CommandKind.FEE_SET,
        {"group": "G1", **FEES, "basis": "bps"},
        "",
        {"taker": (-1000, 1000), "maker": (-1000, 1000), "auction": (-1000, 1000)},
    ),
    Act(
        CommandKind.CAP_SET,
        {"commodity": "G1", "lots": 5, "owner": "B1", **TEXTS},
        "why by owner",
        {"lots": (0, 10**12)},
    ),
    Act(CommandKind.KILL_SET, {"account": "A1", "on": 1, **TEXTS}, ranges={"on": (0, 1)}),
    Act(CommandKind.KILL_SET, {"member": "M1", "on": 1}, "", {"on": (0, 1)}),
    Act(CommandKind.KILL_SET, {"exchange": 1, "on": 1}, "", {"on": (0, 1), "exchange": (1, 1)}),
    Act(
        CommandKind.POSITION_RESTORE,
        {"account": "A1", "symbol": "S1", "lots": 5},
        "",
        {"lots": (-(10**12), 10**12)},
        "restating",
    ),
    Act(
        CommandKind.BALANCE_RESTORE,
        {"account": "A1", "balance": -5, "checked": 1},
        "",
        {"balance": (-(10**18), 10**18), "checked": (0, 1)},
        "restating",
    ),
]

# What is no value of any key, and of which keys it is one all the same.
JUNK: Final[tuple[Any, ...]] = (
    *(None, True, False, 1.0, 1.5, [], {}, "", " ", "é", "a\n", "x" * 201, "\ud800", "a\udfff", 10**30, -(10**30)),
)
ANYTHING: Final = ("", " ", "é", "a\n")
TAKEN_AS: Final[dict[str, tuple[Any, ...]]] = {
    **{"why": ANYTHING, "by": ANYTHING, "name": ANYTHING, "limit_steps": ("",), "limit_free_from": ("",)},
}
NO_PRICES: Final = ("1e3", "+1", "-", ".", ".5", "5.", "0.5", "\uff11", "1_0", "NaN", "Infinity", "9" * 33, "0x1", " 1")
NO_DATES: Final = (
    "2026-02-30",
    "2026-1-1",
    "20261123",
    "2026-11-23 ",
    "0000-01-01",
    "2026-11-23T00",
    "\uff12026-11-23",
)
NO_NAMES: Final = ("a b", "A" * 33, "a\0", "a,b", "\uff21")
# What else is no value of a key.
WRONG: Final[dict[str, tuple[Any, ...]]] = {
    **dict.fromkeys(("ccy", "unit", "member", "owner", "group", "commodity", "account", "per"), NO_NAMES),
    **dict.fromkeys(("min_price", "max_price", "reference_price", "settlement"), (*NO_PRICES, "2000000001", 1000)),
    **dict.fromkeys(("trading_day", "date", "limit_free_from"), (*NO_DATES, 20261123)),
    "symbol": NO_NAMES,
    "tick": ("0", "0.0", "-1", "1e3", "\uff11", "1." + "0" * 30, 1),
    "phase": ("open", "CLOSED", "pre-open", "1", 3),
    "basis": ("LOT", "bp", "lots", 1),
    "rate": ("0", "0.000000", "-1", "1e3", "1.0000001", "1234567890", ".5", "5.", "\uff11", 100),
    "max_order_value": ("-1", "1e3", "1" * 16, "0.0000001", ".5", "5.", "\uff11", 5),
    "limit_steps": ("0", "10001", "2,1", "1,1", "1,2,3,4", "1,", ",1", "a", "\uff11", "1, 2", 700),
}
# Payloads of any act that are no good as they stand; the act's own text is put in for the brace.
TEXT_ENDS: Final = (
    *(b',"colour":1}', b',"why":NaN}', b',"why":Infinity}', b',"why":1e3}', b',"by":"\xed\xa0\x80"}', b',"by":"\xff"}'),
    *(b',"by":"\\ud800"}', b',"why":"\\udc00\\ud800b"}', b',"why":' + b"[" * 5000, b',"by":' + b"9" * 5000 + b"}"),
    *(b',"why":"\t"}', b',"why":null}', b",}", b"}\0", b"}}", b"", b',"" :1}'),
)
TEXTS_ALONE: Final = (b"", b"[]", b"null", b"1", b'"a"', b"{", b"\xef\xbb\xbf{}", b"{}{}", b"\x00")
# (target_lo, target_hi) that are no place in a payload section of two bytes.
OUTSIDE: Final = (
    *((0, 3), (-1, 2), (0, -1), (2, 0), (1, 1), (3, -1), (1, 2)),
    *((low, size) for low in (0, *INT64) for size in (2, *INT64) if (low, size) != (0, 2)),
)


def as_text(terms: dict[str, Any]) -> bytes:
    """A payload; unlike canonical ones it may hold lone surrogates, as escapes."""
    return json.dumps(terms, sort_keys=True, separators=(",", ":")).encode()


def spoiled(act: Act) -> Iterator[tuple[str, bytes]]:
    """All payloads of an act that are to be refused, each with what is wrong with it."""
    terms, text = act.terms, as_text(act.terms)
    for key in terms.keys() - act.optional.split():
        yield f"without {key}", as_text({name: value for name, value in terms.items() if name != key})
    for key, value in terms.items():
        yield f"{key} twice", text[:-1] + b"," + as_text({key: value})[1:]
        for odd in (*JUNK, *WRONG.get(key, ())):
            if odd not in TAKEN_AS.get(key, ()) or isinstance(odd, bool | float):
                yield f"{key} = {odd!r:.40}", as_text({**terms, key: odd})
    for key, (low, high) in act.ranges.items():
        if key in terms:
            for number in (low - 1, high + 1, 2**63, 2**63 - 1, -(2**63), -(2**63) - 1, 2**64):
                if not low <= number <= high:
                    yield f"{key} = {number}", as_text({**terms, key: number})
            yield f"{key} as a text", as_text({**terms, key: str(low)})
    for end in TEXT_ENDS:
        if terms or end != b",}":
            yield f"ends {end!r:.20}", text[:-1] + (end if terms else end.lstrip(b","))
    for alone in TEXTS_ALONE:
        yield f"{alone!r}", alone


S1: Final = {"symbol": "S1"}
BOTH: Final = {"symbol": "S1", "group": "G1"}
ALL: Final = {"symbol": "ALL"}
PER_LOT: Final = {"ccy": "USD", "per_lot": 1}
# Terms that are well formed each, and do not go together or not with the venue.
BAD_TERMS: Final[list[Bad]] = [
    *many(
        *(40, BAD, CommandKind.INSTRUMENT_DEFINE),
        *({**TERMS, "symbol": "S8", **odd} for odd in ({"symbol": "ALL"}, {"min_price": "5", "max_price": "4"})),
        *({**TERMS, "symbol": "S8", "reference_price": price} for price in ("0", "100001", "1000.5")),
        *({**TERMS, "symbol": "S8", "tick": "0.0001", "min_price": price} for price in ("-200000.0001", "1.00001")),
        # A lot's value in the account's currency is held to bounds (R72).
        *({**TERMS, "symbol": "S8", "contract_size": size} for size in (10**9, 21_474_837)),
        world="restating",
    ),
    *many(42, BAD, CommandKind.PHASE_SET, {"phase": "closed"}, {"phase": "closed", **BOTH}),
    *many(65, BAD, CommandKind.PHASE_SET, {"phase": "halted", "override": 1, **ALL}),
    *many(65, BAD, CommandKind.PHASE_SET, {"phase": "halted", "override": 0, "group": "G1"}),
    *many(63, BAD, CommandKind.PHASE_SET, {"phase": "halted", "at_last_match": 1, **S1}),
    *many(70, BAD, CommandKind.PHASE_SET, *({"phase": "halted", "auto": 1, **one} for one in (S1, ALL))),
    *many(70, BAD, CommandKind.PHASE_SET, {"phase": "continuous", "auto": 1, **ALL}),
    *many(66, BAD, CommandKind.CONTROL_SET, S1, {"band_ticks": 1}, {"band_ticks": 1, **BOTH}, {"band_ticks": 1, **ALL}),
    *many(67, BAD, CommandKind.LIMIT_SET, {}, BOTH, ALL, {"group": "G1", "settlement": "1000"}, {"settlement": "1000"}),
    *many(67, BAD, CommandKind.LIMIT_SET, *({"symbol": "S4", "settlement": price} for price in ("9000001", "-9001"))),
    *many(67, BAD, CommandKind.LIMIT_SET, {"symbol": "S4", "step": 1}, {**S1, "step": 3}, {"group": "G1", "step": 3}),
    *many(67, BAD, CommandKind.LIMIT_SET, {"symbol": "S4", "locked": 0}, {"symbol": "S4", "side": 0}),
    *many(73, BAD, CommandKind.COLLATERAL_SET, {"account": "A7", "amount": 5}),
    *many(78, BAD, CommandKind.BALANCE_RESTORE, {"account": "A7", "balance": 5, "checked": 1}, world="restating"),
    *many(78, BAD, CommandKind.POSITION_RESTORE, {"account": "A4", **S1, "lots": 2 * 10**9}, world="restating"),
    *many(78, BAD, CommandKind.POSITION_RESTORE, {"account": "A1", **S1, "lots": 0}, world="restating"),
    *many(74, BAD, CommandKind.MARGIN_SET, PER_LOT, {**PER_LOT, **BOTH}, {**PER_LOT, **ALL}),
    *many(
        75,
        BAD,
        CommandKind.FEE_SET,
        FEES,
        {**FEES, **BOTH},
        {**FEES, **ALL},
        {**FEES, **S1, "basis": "bps", "taker": 1001},
    ),
    *many(72, BAD, CommandKind.FIXING_SET, {"date": DATE, "ccy": "USD", "per": "USD", "rate": "999999999.999999"}),
    *many(75, BAD, CommandKind.FIXING_SET, {"date": DATE, "ccy": "USD", "per": "USD", "rate": "1000"}),
    *many(77, BAD, CommandKind.KILL_SET, {"on": 1}, {"on": 1, "account": "A1", "member": "M1"}),
    *many(77, BAD, CommandKind.KILL_SET, {"on": 1, "exchange": 0}, {"on": 0, "exchange": 1, "account": "A1"}),
]
