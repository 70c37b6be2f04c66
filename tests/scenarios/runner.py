"""Runs scenario tables on a matcher and tells its events in the tables' words.

`differences` runs one case; what an event's words leave unsaid is compared here with the command and the order's own
story, field by field, and a deviation becomes part of the words (`!! …`), so that no table can agree with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from engine.schema import (
    CODE_RULE,
    COMMAND,
    DUP,
    LAST,
    PRIORITY_KEPT,
    TRADE,
    Code,
    CommandKind,
    EventKind,
    OrdStatus,
    Phase,
    Reason,
    Smp,
    cl_ord_id_key,
    word,
)
from tests.scenarios.table import SYMBOLS, Case, Commands, Line, Matcher, MatcherFactory, Rows, world

HEAD = {"seq", "time", "index", "kind", "op", "flags", "code", "rule"}
NUMBERED = {number: symbol for symbol, number in SYMBOLS.items()}
ENDED = (OrdStatus.FILLED, OrdStatus.CANCELED, OrdStatus.EXPIRED)
Fields = dict[str, Any]


def differences(case: Case, factory: MatcherFactory, *, whole: bool) -> list[str]:
    """Run a case, each command as a block of its own or (`whole`) all in one; what differs from the table."""
    limits, acts = world(case.options)
    matcher, commands, story = factory(limits), Commands(), Story()
    reports: list[str] = []

    def run(waiting: list[tuple[Line, Rows, list[str]]]) -> None:
        if not waiting:
            return
        events = matcher.run_block(np.concatenate([row for _, row, _ in waiting]), commands.payload)
        for line, row, expected in waiting:
            told = story.tell(row[0], events[events["seq"] == row["seq"][0]])
            if told != [" ".join(event.split()) for event in expected]:
                reports.append(report(case, line, expected, told))
            reports.extend(misplaced_tags(case, line, told))

    opening = [commands.write("venue", text) for text in acts]
    run([(Line(case.number, "venue", text, [], told), row, told) for text, row in zip(acts, opening, strict=True)
         for told in [[granted(text)]]])  # fmt: skip
    waiting: list[tuple[Line, Rows, list[str]]] = []
    for line in case.lines:
        if line.who == "book":
            run(waiting)
            waiting = []
            matcher.check()
            told = story.book(matcher, SYMBOLS[line.text])
            if told != [" ".join(level.split()) for level in line.expected]:
                reports.append(report(case, line, line.expected, told))
            continue
        for text, expected in line.repeated():
            waiting.append((line, commands.write(line.who, text), expected))
            if not whole:
                run(waiting)
                waiting = []
    run(waiting)
    matcher.check()
    return reports


def granted(text: str) -> str:
    """The event of an act that makes a world."""
    verb, name, *rest = text.split()
    if verb == "phase":
        before = "pre_open" if rest[0] == "halted" else "closed"
        return f"phase {name} {rest[0]} from {before}"
    return f"account {name}" if verb == "account" else f"instrument {name} closed"


def report(case: Case, line: Line, expected: list[str], told: list[str]) -> str:
    """A difference, ready to be read."""
    where = f"{case.path.name}:{line.number} ({case.title}): {line.who} {line.text}"
    return "\n".join([where, *(f"    table: {text}" for text in expected), *(f"    told:  {text}" for text in told)])


def misplaced_tags(case: Case, line: Line, told: list[str]) -> list[str]:
    """Tags that the events belie: a rule with reject codes refuses exactly if its code is given."""
    given = {CODE_RULE[code] for code in Code if code and any(code.name in text.split() for text in told)}
    if any(text.startswith("status") for text in told):
        given.add(CODE_RULE[Code.DUPLICATE])
    wrong = [
        f"{sign}R{rule}" for sign, rule in line.rules if rule in CODE_RULE.values() and (rule in given) != (sign == "-")
    ]
    return [f"{case.path.name}:{line.number}: {' '.join(wrong)} is not what happened: {told}"] if wrong else []


@dataclass
class Story:
    """What the events have told so far: orders, their names, phases, the time."""

    time: int = 0
    phases: dict[int, int] = field(default_factory=dict)
    facts: dict[int, Fields] = field(default_factory=dict)
    bears: dict[int, bytes] = field(default_factory=dict)
    ids: dict[tuple[int, int, int], int] = field(default_factory=dict)

    def tell(self, command: np.void, events: Rows) -> list[str]:
        """The words of one command's events."""
        self.time = max(self.time, int(command["time"]))
        lines = []
        for index, event in enumerate(events):
            kind = EventKind(int(event["kind"]))
            row = event.view(TRADE) if kind in (EventKind.TRADE, EventKind.ORDER_PREVENTED) else event
            e = {name: row[name].item() for name in row.dtype.names or ()}
            subject = self.subject(command)
            shown, implied = self.unsaid(command, e, subject)
            head = {
                "seq": command["seq"],
                "time": self.time,
                "index": index,
                "op": command["kind"],
                "rule": CODE_RULE[Code(e["code"])] if e["code"] else 0,
                "flags": (LAST if index == len(events) - 1 else 0) | shown.pop("flags", 0),
            }
            shown.setdefault("code", e["code"] if kind in REFUSALS else 0)
            flaws = [
                f"{name} is {value}, not {due}"
                for name, value in e.items()
                for due in [{**implied, **shown, **head}.get(name, type(value)())]
                if name != "kind" and value != due
            ]
            lines.append(self.words(kind, e) + "".join(f" !! {flaw}" for flaw in flaws))
        return lines

    def subject(self, command: np.void) -> int | None:
        """The order that a cancel or amend names."""
        if command["kind"] not in (CommandKind.ORDER_CANCEL, CommandKind.ORDER_AMEND):
            return None
        low, high = int(command["target_lo"]), int(command["target_hi"])
        if high == 0 and low != 0:
            return low
        key = (low, high) if high else cl_ord_id_key(command["cl_ord_id"])
        return self.ids.get((int(command["account"]), *key))

    def unsaid(self, command: np.void, e: Fields, subject: int | None) -> tuple[Fields, Fields]:
        """Fields that the words show, as they are, and fields that follow from what is known; all others are 0."""
        kind, order_id = EventKind(e["kind"]), e["order_id"]
        c = {name: command[name].item() for name in COMMAND.names or ()}
        request = {name: c[name] for name in ("side", "ord_type", "time_in_force")}
        show = {name: e[name] for name in SHOWN[kind]}
        match kind:
            case EventKind.ORDER_ACCEPTED | EventKind.ORDER_RESTORED:
                number = c["seq"] if kind == EventKind.ORDER_ACCEPTED else c["target_lo"]
                facts = {"instrument": c["instrument"], "account": c["account"], "order_id": number, **request}
                self.facts[number], self.bears[number] = facts, c["cl_ord_id"]
                self.ids[(c["account"], *cl_ord_id_key(c["cl_ord_id"]))] = number
                implied = {**facts, "cl_ord_id": c["cl_ord_id"]}
                if kind == EventKind.ORDER_ACCEPTED:
                    implied["leaves_qty"] = e["qty"]
            case EventKind.ORDER_AMENDED:
                if c["cl_ord_id"] and (c["target_lo"] or c["target_hi"]):
                    self.bears[order_id] = c["cl_ord_id"]
                    self.ids[(c["account"], *cl_ord_id_key(c["cl_ord_id"]))] = order_id
                implied = {**self.known(order_id), "cl_ord_id": self.bears.get(order_id, b"?")}
                show["flags"] = e["flags"] & PRIORITY_KEPT
            case EventKind.ORDER_CANCELED | EventKind.ORDER_EXPIRED:
                implied = {
                    **self.known(order_id),
                    "cl_ord_id": self.bears.get(order_id, b"?") if order_id == subject else b"",
                }
            case EventKind.ORDER_STATUS:
                implied = dict(self.known(order_id))
                if e["reason"] in ENDED:
                    implied |= dict.fromkeys(request, 0)
                    del show["price"], show["leaves_qty"]  # of an ended order they are 0 and not told
                implied |= {"cl_ord_id": c["cl_ord_id"]}
                show["flags"] = DUP
            case EventKind.TRADE | EventKind.ORDER_PREVENTED:
                resting = self.known(e["resting_order_id"])
                implied = {**self.known(order_id), "resting_account": resting.get("account", 0)}
            case EventKind.ORDER_REJECTED:
                implied = self.unsaid_refusal(c, request, order_id)
            case EventKind.MASS_CANCELED:
                implied = {name: c[name] for name in ("account", "instrument", "side")}
            case EventKind.DISCONNECTED:
                implied = {"account": c["account"]}
            case EventKind.PHASE_CHANGED | EventKind.INSTRUMENT_DEFINED:
                self.phases[e["instrument"]] = e["phase"]
                implied = {}
            case _:
                implied = {}
        if kind not in (EventKind.MASS_CANCELED, EventKind.DISCONNECTED) and "instrument" in implied:
            implied["phase"] = self.phases.get(implied["instrument"], 0)
        return show, implied

    def unsaid_refusal(self, c: Fields, request: Fields, order_id: int) -> Fields:
        """A refusal repeats the request, and names the order if one was found."""
        implied = {name: c[name] for name in ("account", "side", "price", "cl_ord_id")} | {"qty": c["order_qty"]}
        if c["kind"] in (CommandKind.ORDER_PLACE, CommandKind.ORDER_RESTORE):
            implied |= request | {"instrument": c["instrument"]}
        elif c["kind"] == CommandKind.ORDER_MASS_CANCEL:
            implied |= {"instrument": c["instrument"]}
        elif order_id:
            implied |= {"instrument": self.known(order_id).get("instrument", 0)}
        return implied

    def words(self, kind: EventKind, e: Fields) -> str:
        """One event in the tables' words."""
        name = self.name(e["order_id"])
        lots = f"{e['qty']} @ {e['price']}"
        match kind:
            case EventKind.ORDER_ACCEPTED:
                return f"accepted {name} {lots}"
            case EventKind.ORDER_RESTORED:
                return f"restored {name} {lots} leaves {e['leaves_qty']} cum {e['cum_qty']}"
            case EventKind.ORDER_REJECTED:
                return f"rejected {Code(e['code']).name}" + (f" of {name}" if e["order_id"] else "")
            case EventKind.ORDER_CANCELED:
                taken = f"{e['delta_qty']} @ {e['price']} of {e['qty']}"
                return f"canceled {name} {taken} cum {e['cum_qty']} {word(Reason(e['reason']))}"
            case EventKind.ORDER_EXPIRED:
                return f"expired {name} {e['delta_qty']} @ {e['price']} of {e['qty']} cum {e['cum_qty']}"
            case EventKind.ORDER_AMENDED:
                kept = " kept" if e["flags"] & PRIORITY_KEPT else ""
                before = f"was {e['delta_qty']} @ {e['old_price']}"
                return f"amended {name} {lots} leaves {e['leaves_qty']} cum {e['cum_qty']} {before}{kept}"
            case EventKind.ORDER_STATUS:
                status = OrdStatus(e["reason"])
                ended = status in ENDED
                open_lots = f"of {e['qty']}" if ended else f"{lots} leaves {e['leaves_qty']}"
                repeated = e["cl_ord_id"].decode()
                now = "" if repeated == name else f" now {name}"
                return f"status {repeated}{now} {open_lots} cum {e['cum_qty']} {word(status)}"
            case EventKind.TRADE | EventKind.ORDER_PREVENTED:
                both = f"{name} {self.name(e['resting_order_id'])} {lots}"
                leaves = f"leaves {e['leaves_qty']}/{e['resting_leaves_qty']} cum {e['cum_qty']}"
                if kind == EventKind.TRADE:
                    return f"trade {both} {leaves} #{e['trade_id']}"
                return f"prevented {both} {leaves} {word(Smp(e['smp']))}"
            case EventKind.MASS_CANCELED:
                return f"mass_canceled {e['qty']}"
            case EventKind.DISCONNECTED:
                return f"disconnected {e['qty']}"
            case EventKind.CLOCK_TICKED:
                return f"ticked at {e['time']}"
            case EventKind.INSTRUMENT_DEFINED:
                return f"instrument {NUMBERED[e['instrument']]} {word(Phase(e['phase']))}"
            case EventKind.ACCOUNT_DEFINED:
                return f"account A{e['account']}"
            case EventKind.PHASE_CHANGED:
                phases = f"{word(Phase(e['phase']))} from {word(Phase(e['reason']))}"
                return f"phase {NUMBERED[e['instrument']]} {phases}"
            case EventKind.DAY_OPENED:
                return f"day {e['qty']}"
            case EventKind.DAY_STARTED:
                return f"started {e['qty']}"
            case EventKind.ACT_REJECTED:
                return f"refused {Code(e['code']).name}"

    def known(self, order_id: int) -> Fields:
        """What an order was when it came in; nothing of an order that nobody told of, so that its fields are flaws."""
        return self.facts.get(order_id, {})

    def name(self, order_id: int) -> str:
        """The client id that an order bears."""
        return self.bears.get(order_id, b"?").decode()

    def book(self, matcher: Matcher, instrument: int) -> list[str]:
        """The levels of a book, buys first, or `empty`."""
        book = matcher.book(instrument)
        lines = []
        for side, levels in (("buy", book["bids"]), ("sell", book["asks"])):
            for price, qty, queue in levels:
                orders = " ".join(f"{self.name(order_id)} {leaves}" for order_id, leaves in queue)
                sum_flaw = "" if qty == sum(leaves for _, leaves in queue) else f" !! {qty} lots in all"
                lines.append(f"{side} {price} {orders}{sum_flaw}")
        return lines or ["empty"]


REFUSALS = (EventKind.ORDER_REJECTED, EventKind.ACT_REJECTED, EventKind.ORDER_STATUS)
SHOWN: dict[EventKind, tuple[str, ...]] = {
    EventKind.ORDER_ACCEPTED: ("price", "qty"),
    EventKind.ORDER_RESTORED: ("price", "qty", "leaves_qty", "cum_qty"),
    EventKind.ORDER_REJECTED: ("order_id",),
    EventKind.ORDER_CANCELED: ("price", "qty", "cum_qty", "delta_qty", "reason"),
    EventKind.ORDER_EXPIRED: ("price", "qty", "cum_qty", "delta_qty"),
    EventKind.ORDER_AMENDED: ("price", "qty", "leaves_qty", "cum_qty", "delta_qty", "old_price"),
    EventKind.ORDER_STATUS: ("price", "qty", "leaves_qty", "cum_qty", "reason", "order_id"),
    EventKind.TRADE: ("price", "qty", "leaves_qty", "cum_qty", "resting_leaves_qty", "resting_order_id", "trade_id"),
    EventKind.ORDER_PREVENTED: (
        "price", "qty", "leaves_qty", "cum_qty", "resting_leaves_qty", "resting_order_id", "smp",
    ),
    EventKind.MASS_CANCELED: ("qty",),
    EventKind.DISCONNECTED: ("qty",),
    EventKind.CLOCK_TICKED: (),
    EventKind.INSTRUMENT_DEFINED: ("instrument", "phase"),
    EventKind.ACCOUNT_DEFINED: ("account",),
    EventKind.PHASE_CHANGED: ("instrument", "phase", "reason"),
    EventKind.DAY_OPENED: ("qty",),
    EventKind.DAY_STARTED: ("qty",),
    EventKind.ACT_REJECTED: (),
}  # fmt: skip
assert SHOWN.keys() == set(EventKind)
