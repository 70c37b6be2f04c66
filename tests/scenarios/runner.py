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
    EVENT,
    INACTIVE,
    LAST,
    OVERRIDE,
    PRIORITY_KEPT,
    SELF_MATCH,
    TRADE,
    UNCROSS,
    AuctionStep,
    Code,
    CommandKind,
    EventKind,
    OrdStatus,
    OrdType,
    Phase,
    Reason,
    Side,
    Smp,
    cl_ord_id_key,
    word,
)
from tests.scenarios.table import LOOKS, SYMBOLS, Case, Commands, Line, Matcher, MatcherFactory, Rows, world

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
            first, end = np.searchsorted(events["seq"], [row["seq"][0], row["seq"][0] + 1])
            told = story.tell(row[0], events[first:end])
            if told != [" ".join(event.split()) for event in expected]:
                reports.append(report(case, line, expected, told))
            reports.extend(misplaced_tags(case, line, told))

    opening = [commands.write("venue", text) for text in acts]
    run([(Line(case.number, "venue", text, [], told), row, told)
         for text, row, told in zip(acts, opening, granted(acts, case.options), strict=True)])  # fmt: skip
    waiting: list[tuple[Line, Rows, list[str]]] = []
    for line in case.lines:
        if line.who in LOOKS:
            run(waiting)
            waiting = []
            matcher.check()
            told = story.look(matcher, line.who, SYMBOLS[line.text])
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


def granted(acts: list[str], options: list[str]) -> list[list[str]]:
    """The events of the acts that make a world."""
    phases: dict[str, str] = {}
    told = []
    for text in acts:
        verb, name, *rest = text.split()
        if verb == "phase":
            before, phases[name] = phases[name], rest[0]
            told.append([f"phase {name} {rest[0]} from {before}"])
            if rest[0] in ("opening_auction", "closing_auction"):
                told[-1].append(f"uncrossed {name} 0 @ 0 0 no_cross")
        elif verb == "control":
            told.append([f"controls {name}"])
        elif verb == "limit":
            low, high = next(option for option in options if option.startswith("limits="))[7:].split("..")
            told.append([f"limits {name} {low} to {high} settlement {rest[1]} step {rest[3]}"])
        else:
            told.append([f"account {name}" if verb == "account" else f"instrument {name} closed"])
            phases[name] = "closed"
    return told


def report(case: Case, line: Line, expected: list[str], told: list[str]) -> str:
    """A difference, ready to be read."""
    where = f"{case.path.name}:{line.number} ({case.title}): {line.who} {line.text}"
    return "\n".join([where, *(f"    table: {text}" for text in expected), *(f"    told:  {text}" for text in told)])


def misplaced_tags(case: Case, line: Line, told: list[str]) -> list[str]:
    """Tags that the events belie: a rule with reject codes refuses exactly if its code is given."""
    if not line.rules:
        return []
    given = {CODE_RULE[Code[name]] for text in told for name in text.split() if name in Code.__members__}
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
        c = dict(zip(COMMAND.names or (), command.item(), strict=True))
        self.time = max(self.time, c["time"])
        subject = self.subject(c)
        lines = []
        both = zip(events.tolist(), events.view(TRADE).tolist(), strict=True)
        for index, (event, trade) in enumerate(both):
            e = dict(zip(EVENT.names or (), event, strict=True))
            kind = EventKind(e["kind"])
            if kind in (EventKind.TRADE, EventKind.ORDER_PREVENTED):
                e = dict(zip(TRADE.names or (), trade, strict=True))
            shown, implied = self.unsaid(c, e, subject)
            head = {
                "seq": c["seq"],
                "time": self.time,
                "index": index,
                "op": c["kind"],
                "rule": CODE_RULE[Code(e["code"])] if e["code"] else 0,
                "flags": (LAST if index == len(events) - 1 else 0) | ALWAYS.get(kind, 0),
            }
            shown.setdefault("code", e["code"] if kind in REFUSALS else 0)
            head["flags"] |= e["flags"] & FLAGS.get(kind, 0)
            due = {**implied, **shown, **head, "kind": kind}
            flaws = [
                f"{name} is {value}, not {due.get(name, type(value)())}"
                for name, value in e.items()
                if value != due.get(name, type(value)())
            ]
            lines.append(self.words(kind, e) + "".join(f" !! {flaw}" for flaw in flaws))
        return lines

    def subject(self, c: Fields) -> int | None:
        """The order that a cancel or amend names."""
        if c["kind"] not in (CommandKind.ORDER_CANCEL, CommandKind.ORDER_AMEND):
            return None
        low, high = c["target_lo"], c["target_hi"]
        if high == 0 and low != 0:
            return int(low)
        key = (low, high) if high else cl_ord_id_key(c["cl_ord_id"])
        return self.ids.get((c["account"], *key))

    def unsaid(self, c: Fields, e: Fields, subject: int | None) -> tuple[Fields, Fields]:
        """Fields that the words show, as they are, and fields that follow from what is known; all others are 0."""
        kind, order_id = EventKind(e["kind"]), e["order_id"]
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
            case EventKind.ORDER_TRIGGERED | EventKind.ORDER_ACTIVATED:
                implied = self.unsaid_turn(kind, order_id)
            case EventKind.ORDER_REFRESHED | EventKind.ORDER_SUSPENDED:
                implied = self.known(order_id)
            case (
                EventKind.AUCTION_INDICATIVE
                | EventKind.AUCTION_UNCROSSED
                | EventKind.CONTROLS_SET
                | EventKind.LIMITS_SET
                | EventKind.CALL_EXTENDED
                | EventKind.MARGIN_SET
                | EventKind.FEES_SET
                | EventKind.POSITION_RESTORED
            ):
                implied = {"instrument": e["instrument"]}
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

    def unsaid_turn(self, kind: EventKind, order_id: int) -> Fields:
        """An order that becomes another: a market_to_limit in this very event, a stop with the next one."""
        before = self.known(order_id)
        became = {
            OrdType.STOP: OrdType.MARKET,
            OrdType.STOP_LIMIT: OrdType.LIMIT,
            OrdType.MARKET_TO_LIMIT: OrdType.LIMIT,
        }
        turned = before | {"ord_type": became.get(before.get("ord_type", 0), before.get("ord_type", 0))}
        self.facts[order_id] = turned
        told = before if kind == EventKind.ORDER_TRIGGERED else turned
        return told | {"cl_ord_id": self.bears.get(order_id, b"?")}

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
        rest = f"leaves {e['leaves_qty']} cum {e['cum_qty']}"
        match kind:
            case EventKind.ORDER_ACCEPTED:
                return f"accepted {name} {lots}{extras(e)}"
            case EventKind.ORDER_RESTORED | EventKind.ORDER_ACTIVATED:
                verb = "restored" if kind == EventKind.ORDER_RESTORED else "activated"
                return f"{verb} {name} {lots} {rest}{extras(e)}"
            case EventKind.ORDER_TRIGGERED:
                return f"triggered {name} {lots} {rest} stop {e['old_price']}"
            case EventKind.ORDER_REFRESHED:
                return f"refreshed {name} {lots} {rest} shows {e['delta_qty']}"
            case EventKind.ORDER_SUSPENDED:
                return f"suspended {name} {lots} {rest}"
            case EventKind.ORDER_REJECTED:
                return f"rejected {Code(e['code']).name}" + (f" of {name}" if e["order_id"] else "")
            case EventKind.ORDER_CANCELED:
                taken = f"{e['delta_qty']} @ {e['price']} of {e['qty']}"
                return f"canceled {name} {taken} cum {e['cum_qty']} {word(Reason(e['reason']))}{flags(e)}"
            case EventKind.ORDER_EXPIRED:
                return f"expired {name} {e['delta_qty']} @ {e['price']} of {e['qty']} cum {e['cum_qty']}{flags(e)}"
            case EventKind.ORDER_AMENDED:
                return f"amended {name} {lots} {rest} was {e['delta_qty']} @ {e['old_price']}{flags(e)}"
            case EventKind.ORDER_STATUS:
                status = OrdStatus(e["reason"])
                ended = status in ENDED
                open_lots = f"of {e['qty']}" if ended else f"{lots} leaves {e['leaves_qty']}"
                repeated = e["cl_ord_id"].decode()
                now = "" if repeated == name else f" now {name}"
                return f"status {repeated}{now} {open_lots} cum {e['cum_qty']} {word(status)}{flags(e)}"
            case EventKind.TRADE | EventKind.ORDER_PREVENTED:
                both = f"{name} {self.name(e['resting_order_id'])} {lots}"
                leaves = f"leaves {e['leaves_qty']}/{e['resting_leaves_qty']} cum {e['cum_qty']}"
                if kind == EventKind.TRADE:
                    return f"trade {both} {leaves} #{e['trade_id']}{fees(e)}{flags(e)}"
                return f"prevented {both} {leaves} {word(Smp(e['smp']))}"
            case _:
                return self.words_of_acts(kind, e)

    def words_of_acts(self, kind: EventKind, e: Fields) -> str:
        """An event that is not one order's, in the tables' words."""
        symbol = NUMBERED.get(e["instrument"], "?")
        match kind:
            case EventKind.AUCTION_INDICATIVE | EventKind.AUCTION_UNCROSSED:
                verb = "indicative" if kind == EventKind.AUCTION_INDICATIVE else "uncrossed"
                sign = {Side.BUY: "+", Side.SELL: "-"}.get(e["side"], "")
                return f"{verb} {symbol} {auction(e['price'], e['qty'], sign + str(e['leaves_qty']), e['reason'])}"
            case EventKind.MASS_CANCELED:
                return f"mass_canceled {e['qty']}"
            case EventKind.DISCONNECTED:
                return f"disconnected {e['qty']}"
            case EventKind.CLOCK_TICKED:
                return f"ticked at {e['time']}"
            case EventKind.INSTRUMENT_DEFINED:
                return f"instrument {symbol} {word(Phase(e['phase']))}"
            case EventKind.ACCOUNT_DEFINED:
                return f"account A{e['account']}"
            case EventKind.PHASE_CHANGED:
                draw = f" draw {e['qty']}" if e["qty"] else ""
                last = f" last #{e['order_id']} @ {e['price']}" if e["order_id"] or e["price"] else ""
                phases = f"{word(Phase(e['phase']))} from {word(Phase(e['reason']))}"
                return f"phase {symbol} {phases}{draw}{last}{locked(e)}{flags(e)}"
            case EventKind.CONTROLS_SET:
                return f"controls {symbol}"
            case EventKind.LIMITS_SET:
                both = f"{e['price']} to {e['old_price']}"
                return f"limits {symbol} {both} settlement {e['qty']} step {e['reason']}{locked(e)}"
            case EventKind.CALL_EXTENDED:
                return f"extended {symbol} {e['qty']} @ {e['price']} count {e['reason']}"
            case EventKind.DAY_OPENED:
                return f"day {e['qty']}"
            case EventKind.DAY_STARTED:
                return f"started {e['qty']}"
            case EventKind.ACT_REJECTED:
                return f"refused {Code(e['code']).name}"
            case _:
                return words_of_accounts(kind, e)

    def known(self, order_id: int) -> Fields:
        """What an order was when it came in; nothing of an order that nobody told of, so that its fields are flaws."""
        return self.facts.get(order_id, {})

    def name(self, order_id: int) -> str:
        """The client id that an order bears."""
        return self.bears.get(order_id, b"?").decode()

    def look(self, matcher: Matcher, what: str, instrument: int) -> list[str]:
        """What an uncross would do, or the levels of a book, buys first, or `empty`."""
        if what == "indicative":
            price, qty, surplus, step = matcher.indicative(instrument)
            return [auction(price, qty, f"{surplus:+}" if surplus else "0", step)]
        book = matcher.book(instrument)
        lines = []
        for side, levels in (("buy", book["bids"]), ("sell", book["asks"])):
            for price, qty, queue in levels:
                orders = " ".join(f"{self.name(order_id)} {leaves}" for order_id, leaves in queue)
                sum_flaw = "" if qty == sum(leaves for _, leaves in queue) else f" !! {qty} lots in all"
                lines.append(f"{side} {price} {orders}{sum_flaw}")
        return lines or ["empty"]


def words_of_accounts(kind: EventKind, e: Fields) -> str:
    """An event of R71 to R78 in the tables' words."""
    symbol, account = NUMBERED.get(e["instrument"], "?"), f"A{e['account']}"
    match kind:
        case EventKind.COLLATERAL_SET:
            return f"collateral {account} {e['qty']}"
        case EventKind.FIXING_SET:
            return f"fixing {e['qty']}"
        case EventKind.MARGIN_SET:
            return f"margin {symbol} {e['qty']}"
        case EventKind.FEES_SET:
            return f"fees {symbol} {e['price']}/{e['old_price']}/{e['qty']} {('?', 'lot', 'bps')[e['reason']]}"
        case EventKind.CAP_SET:
            return f"cap {e['qty']}"
        case EventKind.KILL_SET:
            return f"kill {account} {('?', 'account', 'member', 'exchange')[e['reason']]} {e['qty']}"
        case EventKind.POSITION_RESTORED:
            return f"position {account} {symbol} {e['qty']}"
        case EventKind.BALANCE_RESTORED:
            return f"balance {account} {e['qty']}"
        case _:
            raise AssertionError(f"{kind!r} has words of its own")


def auction(price: int, qty: int, surplus: str, step: int) -> str:
    """An auction's result (R52) in the tables' words."""
    return f"{qty} @ {price} {surplus} {word(AuctionStep(step))}"


def fees(e: Fields) -> str:
    """What a trade cost both sides (R75)."""
    return "".join(f" {name} {e[name]}" for name in ("fee", "resting_fee") if e[name])


def locked(e: Fields) -> str:
    """The locked side of an instrument (R67)."""
    return f" locked {word(Side(e['side']))}" if e["side"] else ""


def extras(e: Fields) -> str:
    """What an order has besides the usual."""
    display = f" display {e['delta_qty']}" if e["delta_qty"] else ""
    return display + (f" stop {e['old_price']}" if e["old_price"] else "") + flags(e)


def flags(e: Fields) -> str:
    """The flags of an event as words."""
    kind = EventKind(e["kind"])
    words = [said for flag, said in FLAG_WORDS.items() if e["flags"] & FLAGS.get(kind, 0) & flag]
    return "".join(f" {said}" for said in words)


REFUSALS = (EventKind.ORDER_REJECTED, EventKind.ACT_REJECTED, EventKind.ORDER_STATUS)
SHOWN: dict[EventKind, tuple[str, ...]] = {
    EventKind.ORDER_ACCEPTED: ("price", "qty", "delta_qty", "old_price"),
    EventKind.ORDER_RESTORED: ("price", "qty", "leaves_qty", "cum_qty", "delta_qty", "old_price"),
    EventKind.ORDER_TRIGGERED: ("price", "qty", "leaves_qty", "cum_qty", "old_price"),
    EventKind.ORDER_ACTIVATED: ("price", "qty", "leaves_qty", "cum_qty", "delta_qty"),
    EventKind.ORDER_REFRESHED: ("price", "qty", "leaves_qty", "cum_qty", "delta_qty"),
    EventKind.ORDER_SUSPENDED: ("price", "qty", "leaves_qty", "cum_qty"),
    EventKind.AUCTION_INDICATIVE: ("price", "qty", "leaves_qty", "side", "reason"),
    EventKind.AUCTION_UNCROSSED: ("price", "qty", "leaves_qty", "side", "reason"),
    EventKind.ORDER_REJECTED: ("order_id",),
    EventKind.ORDER_CANCELED: ("price", "qty", "cum_qty", "delta_qty", "reason"),
    EventKind.ORDER_EXPIRED: ("price", "qty", "cum_qty", "delta_qty"),
    EventKind.ORDER_AMENDED: ("price", "qty", "leaves_qty", "cum_qty", "delta_qty", "old_price"),
    EventKind.ORDER_STATUS: ("price", "qty", "leaves_qty", "cum_qty", "reason", "order_id"),
    EventKind.TRADE: ("price", "qty", "leaves_qty", "cum_qty", "resting_leaves_qty", "resting_order_id", "trade_id",
                      "fee", "resting_fee"),
    EventKind.ORDER_PREVENTED: (
        "price", "qty", "leaves_qty", "cum_qty", "resting_leaves_qty", "resting_order_id", "smp",
    ),
    EventKind.MASS_CANCELED: ("qty",),
    EventKind.DISCONNECTED: ("qty",),
    EventKind.CLOCK_TICKED: (),
    EventKind.INSTRUMENT_DEFINED: ("instrument", "phase"),
    EventKind.ACCOUNT_DEFINED: ("account",),
    EventKind.PHASE_CHANGED: ("instrument", "phase", "reason", "qty", "order_id", "price", "side"),
    EventKind.CONTROLS_SET: ("instrument",),
    EventKind.LIMITS_SET: ("instrument", "price", "old_price", "qty", "reason", "side"),
    EventKind.CALL_EXTENDED: ("instrument", "price", "qty", "reason"),
    EventKind.COLLATERAL_SET: ("account", "qty"),
    EventKind.FIXING_SET: ("qty",),
    EventKind.MARGIN_SET: ("instrument", "qty"),
    EventKind.FEES_SET: ("instrument", "price", "old_price", "qty", "reason"),
    EventKind.CAP_SET: ("qty",),
    EventKind.KILL_SET: ("account", "reason", "qty"),
    EventKind.POSITION_RESTORED: ("account", "instrument", "qty"),
    EventKind.BALANCE_RESTORED: ("account", "qty"),
    EventKind.DAY_OPENED: ("qty",),
    EventKind.DAY_STARTED: ("qty",),
    EventKind.ACT_REJECTED: (),
}  # fmt: skip
assert SHOWN.keys() == set(EventKind)
FLAG_WORDS = {
    PRIORITY_KEPT: "kept", INACTIVE: "inactive", UNCROSS: "uncross", SELF_MATCH: "self_match", OVERRIDE: "override",
}  # fmt: skip
FLAGS: dict[EventKind, int] = {
    EventKind.ORDER_ACCEPTED: INACTIVE,
    EventKind.ORDER_RESTORED: INACTIVE,
    EventKind.ORDER_CANCELED: INACTIVE,
    EventKind.ORDER_EXPIRED: INACTIVE,
    EventKind.ORDER_AMENDED: PRIORITY_KEPT | INACTIVE,
    EventKind.ORDER_STATUS: INACTIVE,
    EventKind.TRADE: UNCROSS | SELF_MATCH,
    EventKind.PHASE_CHANGED: OVERRIDE,
}
"""The flags that an event's words show."""
ALWAYS = {EventKind.ORDER_STATUS: DUP, EventKind.ORDER_SUSPENDED: INACTIVE}
"""The flags that an event always bears."""
