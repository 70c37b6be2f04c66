"""Scenario tables: rows that a trader can read, run on any matcher.

A table is a text file named after its rule.  `#` starts a comment, `== title [options]` a case with a world of its own,
and every other line has four columns:

    who | command               | rules     | event
    A1  | sell 5 @ 102 as s1    |           | accepted s1 5 @ 102
    A2  | buy 7 @ 102 as b1     | +R20 +R22 | accepted b1 7 @ 102
        |                       |           | trade b1 s1 5 @ 102 leaves 2/0 cum 5 #1

A command's events are the complete list, one a line.  The third column names rules: `+R20` on a row where the rule
grants or acts, `-R20` where it refuses or denies.  What an event line does not show (seq, index, time, LAST, op, rule,
instrument, account, phase, side, type, time in force, client ids) is checked against the command and the order.

Worlds.  Accounts A1 to A6 are numbers 1 to 6, of member and owner M1 B1, M2 B2, M3 B3, M1 B1, M2 B1, M1 B6.
Instruments W and V are 1 and 2: tick 1, band 1..1000, at most 500 lots, protection 10 ticks, both continuous.
Options change the limits (`orders=2`), W's phase (`phase=pre_open`; it goes there by the way in WAYS), W's terms
(`max_price=9000`) or W's controls (`band_ticks=5`, any key of control.set); `limits=LOW..HIGH` gives W these daily
limits (settlement in the middle, one step, which it is at); `settle=USD,VND` lets A1 settle in USD and all others in
VND; `empty` begins with nothing.

Commands (`venue` is account 0):
    buy|sell QTY TYPE as ID [TIF] [display N] [min N] [post] [smp WORD] [smp_id N] [session N] [in SYMBOL]
    amend REF [qty N] [price P] [stop P] [expire T] [as NEWID]      cancel REF
    mass_cancel [buy|sell] [in SYMBOL] [session N]      disconnect session N      tick
    restore buy|sell QTY leaves N TYPE as ID order N [gtd until T] [display N shows N] [post] [smp …] …
    define SYMBOL [key=value …] [-key …]      account NAME MEMBER OWNER [CCY]      uncross SYMBOL
    phase SYMBOL|group:NAME WORD [override] [draw N] [at_last_match] [auto]
    control SYMBOL|group:NAME key=value …
    limit SYMBOL|group:NAME [settlement P] [step N] [locked buy|sell|none] [side buy|sell|none]
    act OP key=value … (OP as in `fee.set`; whole numbers are integers, but for the keys of TEXTS)
    day.open DATE next N [margined]     day.start       payload KIND TEXT (an act with this very payload)
TYPE is `@ PRICE` (limit), `market`, `market_to_limit`, `stop P` or `stop P @ PRICE` (stop_limit); TIF day (if none is
given), gtc, `gtd until T`, ioc, fok, at_open or at_close.
REF is a client id, `key:ID` (its folded key; an amend with a new id also names a plain ID so), `order:ID` or `order:N`
(by order_id).  A command may end in `at T` (its time; 1000 a row otherwise) and in `! field=value …` (fields of the row
as they are, an integer or 'text').  `N x ` before a command or an event repeats it; {n}, {K+n} and {K-n} count from 1.

Looks at the state after the rows above: `book | W` shows the book, `buy PRICE ID LEAVES …` and `sell …`, best first,
or `empty`; `indicative | W` what an uncross would do, `VOLUME @ PRICE SURPLUS STEP` as in the event of that name.

Events end in words for what they bear besides: `display N` (an iceberg), `stop P`, `inactive` (not in the book), `kept`
(its place), `uncross` and `self_match` (a trade of an auction, the buy first), `override`, `last #N @ P` (R63),
`locked buy|sell` (R67: of `phase … closed` and of `limits W LOW to HIGH settlement P step N`), `fee N` and
`resting_fee N` (of a trade, if not 0).
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from engine.schema import (
    COMMAND,
    HAS_EXPIRE,
    HAS_PRICE,
    HAS_QTY,
    HAS_STOP,
    OF_SESSION,
    OP_WORDS,
    POST_ONLY,
    CommandKind,
    Limits,
    OrdType,
    Side,
    Smp,
    TimeInForce,
    cl_ord_id_key,
)

SYMBOLS = {"W": 1, "V": 2, "U": 3, "T": 4}
ACCOUNTS = ("M1 B1", "M2 B2", "M3 B3", "M1 B1", "M2 B1", "M1 B6")
SMALL = Limits(instruments=8, accounts=16, orders=256, levels=1 << 15, day_ids=512)
TERMS: dict[str, int | str] = {
    "ccy": "USD", "unit": "lb", "contract_size": 3500, "tick": "1", "min_price": "1", "max_price": "1000",
    "max_order_qty": 500, "protection_ticks": 10,
}  # fmt: skip
INTEGER_TERMS = ("window_ticks",)
CONTROLS = {
    "max_order_value": str, "band_ticks": int, "short_ticks": int, "long_ticks": int, "short_ms": int, "long_ms": int,
    "limit_steps": str, "limit_free_from": str,
}  # fmt: skip
"""The keys of control.set and what their values are."""
TEXTS = ("rate", "date")
"""Keys of other acts whose values are texts even if they look like integers."""
WAYS: dict[str, tuple[str, ...]] = {
    "closed": (), "pre_open": ("pre_open",), "no_cancel": ("pre_open", "no_cancel"),
    "opening_auction": ("pre_open", "opening_auction"), "continuous": ("continuous",), "break": ("continuous", "break"),
    "volatility_auction": ("continuous", "volatility_auction"), "halted": ("continuous", "halted"),
    "pre_close": ("continuous", "pre_close"), "close_no_cancel": ("continuous", "pre_close", "close_no_cancel"),
    "closing_auction": ("continuous", "pre_close", "closing_auction"),
    "trade_at_close": ("continuous", "pre_close", "closing_auction", "trade_at_close"),
    "settlement": ("continuous", "settlement"), "post_close": ("continuous", "post_close"),
}  # fmt: skip
"""How a new instrument comes to a phase."""
ROW_NS = 1000
LOOKS = ("book", "indicative")
_RULE = re.compile(r"([+-])R(\d+)")
_COUNT = re.compile(r"\{(?:(-?\d+)([+-]))?n\}")

Rows = npt.NDArray[np.void]


class Matcher(Protocol):
    """What the tables ask of a matcher."""

    def run_block(self, commands: Rows, payload: bytes) -> Rows: ...
    def book(self, instrument: int) -> dict[str, Any]: ...
    def indicative(self, instrument: int) -> tuple[int, int, int, int]:
        """Price, volume, surplus (a sell surplus is negative) and AuctionStep of an uncross now (R52)."""

    def check(self) -> None:
        """Assert the invariants of the state."""


MatcherFactory = Callable[[Limits], Matcher]


@dataclass
class Line:
    """One command, or one look at the book, with the events or levels that it must show."""

    number: int
    who: str
    text: str
    rules: list[tuple[str, int]]
    expected: list[str] = field(default_factory=list)

    def repeated(self) -> Iterator[tuple[str, list[str]]]:
        """Command texts with their expected events, a line of `N x` written out."""
        times, text = _times(self.text)
        for n in range(1, times + 1):
            yield _counted(text, n), [_counted(event, n) for event in self.expected]


@dataclass
class Case:
    """A titled story in a world of its own."""

    path: Path
    number: int
    title: str
    options: list[str]
    lines: list[Line] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.path.stem}: {self.title}"


def read_table(path: Path) -> list[Case]:
    """Read a table's cases; ValueError, naming file and line, where it is not one."""
    cases: list[Case] = []
    for number, raw in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("=="):
            title, _, options = line[2:].strip().partition("[")
            cases.append(Case(path, number, title.strip(), options.rstrip("] ").split()))
            continue
        columns = [column.strip() for column in line.split("|", 3)]
        if len(columns) != 4 or not cases:
            raise ValueError(f"{path.name}:{number}: not a row of four columns inside a case")
        who, command, rules, event = columns
        if command:
            tags = [(sign, int(rule)) for sign, rule in _RULE.findall(rules)]
            if " ".join(f"{sign}R{rule}" for sign, rule in tags) != " ".join(rules.split()):
                raise ValueError(f"{path.name}:{number}: not rule tags: {rules!r}")
            cases[-1].lines.append(Line(number, who, command, tags))
        elif who or rules or not cases[-1].lines:
            raise ValueError(f"{path.name}:{number}: an event without its command")
        times, event = _times(event)
        cases[-1].lines[-1].expected += [_counted(event, n) if times > 1 else event for n in range(1, times + 1)]
    return cases


def _times(text: str) -> tuple[int, str]:
    count, cross, rest = text.partition(" x ")
    return (int(count), rest.strip()) if cross and count.isdigit() else (1, text)


def _counted(text: str, n: int) -> str:
    def number(match: re.Match[str]) -> str:
        start, sign = match.groups()
        return str(int(start or 0) + (-n if sign == "-" else n))

    return _COUNT.sub(number, text)


def verdicts(cases: list[Case]) -> dict[int, tuple[int, int]]:
    """Per rule how many rows grant it and how many refuse it."""
    counts: dict[int, tuple[int, int]] = {}
    for case in cases:
        for line in case.lines:
            for sign, rule in line.rules:
                plus, minus = counts.get(rule, (0, 0))
                counts[rule] = (plus + (sign == "+"), minus + (sign == "-"))
    return counts


def uncovered(rule_book: str, cases: list[Case]) -> list[str]:
    """Rules without two granting and one refusing row, and tags that name no rule."""
    rules = {int(rule) for rule in re.findall(r"^\*\*R(\d+) ", rule_book, re.MULTILINE)}
    counts = verdicts(cases)
    thin = [
        f"R{rule} has {plus} + and {minus} - rows; 2 and 1 are due"
        for rule in sorted(rules)
        for plus, minus in [counts.get(rule, (0, 0))]
        if plus < 2 or minus < 1
    ]
    return thin + [f"R{rule} is tagged, but no such rule exists" for rule in sorted(counts.keys() - rules)]


class Commands:
    """Writes COMMAND rows from the words of a table.  `payload` grows with the acts' payloads."""

    def __init__(self) -> None:
        self.seq = 0
        self.payload = b""
        self.order_ids: dict[str, int] = {}

    def write(self, who: str, text: str) -> Rows:
        """One row (shape (1,)) of the next seq; ValueError if the words make no command."""
        self.seq += 1
        row = np.zeros(1, COMMAND)
        row["seq"] = self.seq
        row["time"] = self.seq * ROW_NS
        row["account"] = 0 if who == "venue" else int(who.removeprefix("A"))
        if text.startswith("payload "):
            kind, _, said = text.removeprefix("payload ").partition(" ")
            self._act(row, int(kind), said.encode())
            return row
        text, _, raw = text.partition(" ! ")
        words = Words(text.split())
        verb = words.take()
        if verb in ("buy", "sell"):
            self._place(row, verb, words)
        elif verb == "restore":
            self._place(row, words.take(), words, restore=True)
        elif verb in ("cancel", "amend"):
            self._change(row, verb, words)
        elif verb == "mass_cancel":
            row["kind"] = CommandKind.ORDER_MASS_CANCEL
            for side in Side:
                if words.has(side.name.lower()):
                    row["side"] = side
            row["instrument"] = words.instrument(default=0)
            if session := words.after("session", default=""):
                row["client_session"] = int(session)
                row["flags"] |= OF_SESSION
        elif verb == "disconnect":
            row["kind"] = CommandKind.DISCONNECT
            row["client_session"] = words.number("session")
        elif verb == "tick":
            row["kind"] = CommandKind.CLOCK_TICK
        else:
            self._act(row, *act(verb, words))
        row["time"] = words.number("at", default=int(row["time"][0]))
        words.done()
        for assignment in shlex.split(raw):
            name, _, value = assignment.partition("=")
            row[name] = int(value) if re.fullmatch(r"-?\d+", value) else value.encode()
        return row

    def _place(self, row: Rows, side: str, words: Words, restore: bool = False) -> None:
        row["kind"] = CommandKind.ORDER_RESTORE if restore else CommandKind.ORDER_PLACE
        row["side"] = Side[side.upper()]
        row["order_qty"] = int(words.take())
        row["ord_type"] = self._priced(row, words)
        if restore:
            row["flags"] = 0
        row["cl_ord_id"] = cl_ord_id = words.after("as").encode()
        row["time_in_force"] = TimeInForce.GTC if restore else TimeInForce.DAY
        for tif in TimeInForce:
            if words.has(tif.name.lower()):
                row["time_in_force"] = tif
        row["expire_time"] = words.number("until", default=0)
        row["display_qty"] = words.number("display", default=0)
        row["min_qty"] = words.number("min", default=0)
        if words.has("post"):
            row["flags"] |= POST_ONLY
        if smp := words.after("smp", default=""):
            row["smp"] = Smp[smp.upper()]
        row["smp_id"] = words.number("smp_id", default=0)
        row["client_session"] = words.number("session", default=0)
        row["instrument"] = words.instrument(default=1)
        order_id = self.seq
        if restore:
            row["min_qty"] = words.number("leaves")
            row["target_lo"] = order_id = words.number("order")
            row["target_hi"] = words.number("shows", default=0)
        self.order_ids.setdefault(cl_ord_id.decode(), order_id)

    def _priced(self, row: Rows, words: Words) -> OrdType:
        """Read the prices of an order; the type that they make it."""
        if words.has("market"):
            return OrdType.MARKET
        if words.has("market_to_limit"):
            return OrdType.MARKET_TO_LIMIT
        stop, price = words.after("stop", default=""), words.after("@", default="")
        if stop:
            row["stop_price"] = int(stop)
            row["flags"] |= HAS_STOP
        if price or not stop:
            row["price"] = int(price)
            row["flags"] |= HAS_PRICE
        return (OrdType.STOP_LIMIT if price else OrdType.STOP) if stop else OrdType.LIMIT

    def _change(self, row: Rows, verb: str, words: Words) -> None:
        row["kind"] = CommandKind.ORDER_CANCEL if verb == "cancel" else CommandKind.ORDER_AMEND
        named = words.take()
        for word, name, flag in (
            ("qty", "order_qty", HAS_QTY),
            ("price", "price", HAS_PRICE),
            ("stop", "stop_price", HAS_STOP),
            ("expire", "expire_time", HAS_EXPIRE),
        ):
            if value := words.after(word, default=""):
                row[name] = int(value)
                row["flags"] |= flag
        new_id = words.after("as", default="")
        how, _, name = named.rpartition(":")
        if how == "order":
            order_id = int(name) if name.lstrip("-").isdigit() else self.order_ids[name]
            row["target_lo"] = order_id
        elif how == "key" or new_id:
            row["target_lo"], row["target_hi"] = cl_ord_id_key(name.encode())
        else:
            row["cl_ord_id"] = name.encode()
        if new_id:
            row["cl_ord_id"] = new_id.encode()
            if how == "order" and not name.isdigit():
                self.order_ids.setdefault(new_id, self.order_ids[name])

    def _act(self, row: Rows, kind: int, payload: bytes) -> None:
        row["kind"], row["target_lo"], row["target_hi"] = kind, len(self.payload), len(payload)
        self.payload += payload


class Words:
    """The words of one command; each is used once."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def take(self) -> str:
        """The next word."""
        return self.words.pop(0)

    def has(self, word: str) -> bool:
        """Whether a word stands anywhere; it is used up."""
        if word not in self.words:
            return False
        self.words.remove(word)
        return True

    def after(self, word: str, default: str | None = None) -> str:
        """The word after another one."""
        if word not in self.words:
            if default is None:
                raise ValueError(f"{word!r} is missing")
            return default
        place = self.words.index(word)
        value = self.words[place + 1]
        del self.words[place : place + 2]
        return value

    def number(self, word: str, default: int | None = None) -> int:
        """The number after a word."""
        return int(self.after(word, None if default is None else str(default)))

    def meant(self) -> dict[str, str]:
        """The key of an act that names one instrument or a group."""
        _, is_group, name = self.take().rpartition(":")
        return {"group" if is_group else "symbol": name}

    def instrument(self, default: int) -> int:
        """The instrument after `in`: a symbol of the table's world, or a number."""
        symbol = self.after("in", default="")
        return SYMBOLS[symbol] if symbol in SYMBOLS else int(symbol or default)

    def done(self) -> None:
        """All words must have been understood."""
        if self.words:
            raise ValueError(f"not understood: {self.words}")


def act(verb: str, words: Words) -> tuple[int, bytes]:
    """Kind and canonical payload of an act."""
    said: dict[str, int | str]
    if verb == "define":
        kind, said = CommandKind.INSTRUMENT_DEFINE, {"symbol": words.take(), **TERMS}
        for word in list(words.words):
            if "=" in word or word.startswith("-"):
                words.has(word)
                key, is_set, value = word.partition("=")
                if is_set:
                    said[key] = int(value) if isinstance(TERMS.get(key), int) or key in INTEGER_TERMS else value
                else:
                    del said[word[1:]]
    elif verb == "account":
        kind, said = CommandKind.ACCOUNT_DEFINE, {key: words.take() for key in ("account", "member", "owner")}
        if words.words:
            said["ccy"] = words.take()
    elif verb == "act":
        kind, said = OP_WORDS[words.take()], {}
        for key, _, value in (word.partition("=") for word in words.words):
            said[key] = int(value) if re.fullmatch(r"-?\d+", value) and key not in TEXTS else value
        words.words.clear()
    elif verb == "phase":
        kind, said = CommandKind.PHASE_SET, {**words.meant(), "phase": words.take()}
        said |= {key: 1 for key in ("override", "at_last_match", "auto") if words.has(key)}
        if draw := words.after("draw", default=""):
            said["draw"] = int(draw)
    elif verb == "control":
        kind, said = CommandKind.CONTROL_SET, {**words.meant()}
        for key, _, value in (word.partition("=") for word in words.words):
            said[key] = CONTROLS[key](value)
        words.words.clear()
    elif verb == "limit":
        kind, said = CommandKind.LIMIT_SET, {**words.meant()}
        if settlement := words.after("settlement", default=""):
            said["settlement"] = settlement
        if step := words.after("step", default=""):
            said["step"] = int(step)
        for key in ("locked", "side"):
            if side := words.after(key, default=""):
                said[key] = 0 if side == "none" else int(Side[side.upper()])
    elif verb == "uncross":
        kind, said = CommandKind.AUCTION_UNCROSS, {"symbol": words.take()}
    elif verb == "day.open":
        kind, said = CommandKind.DAY_OPEN, {"trading_day": words.take(), "next_trade_id": words.number("next")}
        if words.has("margined"):
            said["margined"] = 1
    elif verb == "day.start":
        kind, said = CommandKind.DAY_START, {}
    else:
        raise ValueError(f"no such command: {verb!r}")
    return kind, json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def world(options: list[str]) -> tuple[Limits, list[str]]:
    """The limits of a case and the acts that make its world."""
    if "empty" in options:
        options = [option for option in options if option != "empty"]
        acts = []
    else:
        acts = [f"account A{number} {identity}" for number, identity in enumerate(ACCOUNTS, 1)]
        acts += ["define W", "define V", "phase W continuous", "phase V continuous"]
    limits: dict[str, int] = {}
    controls: list[str] = []
    for option in options:
        key, _, value = option.partition("=")
        if key in Limits._fields:
            limits[key] = int(value)
        elif key in CONTROLS:
            controls.append(option)
        elif key == "settle":
            currencies = value.split(",")
            for number in range(len(ACCOUNTS)):
                acts[number] += f" {currencies[min(number, len(currencies) - 1)]}"
        elif key == "limits":
            low, high = (int(price) for price in value.split(".."))
            settlement = (low + high) // 2
            controls.append(f"limit_steps={max(-(-10_000 * (high - settlement) // abs(settlement)), 1)}")
            acts.insert(acts.index("define V") + 1, f"limit W settlement {settlement} step 1")
        elif key == "phase":
            acts.remove("phase W continuous")
            acts += [f"phase W {phase}" for phase in WAYS[value]]
        else:
            define = next(index for index, text in enumerate(acts) if text.startswith("define W"))
            acts[define] += f" {option}"
    if controls:
        acts.insert(acts.index("define V") + 1, " ".join(["control W", *controls]))
    return SMALL._replace(**limits), acts
