"""The compiled core behind the conformance protocol of tracebook: newline-delimited JSON on stdin and stdout.

    python -m tests.tracebook.adapter           serve one trace on stdio
    python -m tests.tracebook.adapter --warm    print a free port of 127.0.0.1, one trace per connection

`relay.py` passes stdio on to a warm adapter, so that the core is loaded once and not per trace.

Every answer about orders comes from the events and the book of the core; how the protocol's operations become commands
is listed in README.md beside this file. Nothing of tracebook is imported: it stands on the other side of the pipe.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from engine.apply import new_state, run_block
from engine.dump import book
from engine.schema import (
    COMMAND,
    HAS_PRICE,
    HAS_QTY,
    MAX_ORDER_QTY,
    TRADE,
    Code,
    CommandKind,
    EventKind,
    Limits,
    OrdType,
    Side,
    Smp,
    TimeInForce,
    word,
)

PROTOCOL: Final = {"protocol": "tracebook.conformance", "protocol_version": 1}
LOTS_PER_UNIT: Final = 1 << 20  # the campaigns halve quantities; a lot is 2**-20 of their unit
ROOM: Final = Limits(instruments=16, accounts=64, orders=1 << 13, levels=1 << 18, day_ids=1 << 15)
NOBODY: Final = -1  # the owner of an order that names none
TIME_IN_FORCE: Final = {
    "LIMIT": TimeInForce.GTC,
    "MARKET": TimeInForce.IOC,
    "IOC": TimeInForce.IOC,
    "FOK": TimeInForce.FOK,
}
NOT_ACTIVE: Final = "ORDER_NOT_ACTIVE"

Message = dict[str, Any]
Rows = npt.NDArray[np.void]


class Unmappable(ValueError):
    """The request has no honest counterpart here; the trace ends with a protocol error."""


@dataclass
class Order:
    """What the events told about an order: its id here and there, whose it is, how much of it is left."""

    order_id: int
    symbol: str
    source_id: int
    owner: int
    side: str
    cl_ord_id: str
    price: int
    order_qty: int
    leaves: int
    cum: int


class Venue:
    """One venue for one trace: operations in, observations out."""

    def __init__(self, config: Message) -> None:

        if config.get("matching_algorithm", "fifo") != "fifo":
            raise Unmappable("only price-time priority is offered")
        self.tick = Decimal(str(config.get("tick_size", "0.01")))
        self.places = int(config.get("quantity_decimal_places", 12))
        self.smp = Smp[config.get("self_trade_policy", "NONE")]
        self.state = new_state(ROOM)
        self.seq = 0
        self.instruments: dict[str, int] = {}
        self.accounts: dict[int, int] = {}
        self.by_source: dict[tuple[str, int], Order] = {}  # the latest order under a source id, live or not
        self.by_id: dict[int, Order] = {}
        self.placed: dict[tuple[str, int], int] = {}
        self.drawn: dict[str, tuple[str, int]] = {}  # a symbol's part of the state as JSON, and its orders

    # --- commands ---------------------------------------------------------------------------------

    def send(self, kind: int, payload: bytes = b"", **words: Any) -> Rows:
        """Carry out one command; note what its events say about orders."""
        self.seq += 1
        row = np.zeros(1, COMMAND)
        row["kind"], row["seq"], row["time"], row["target_hi"] = kind, self.seq, self.seq, len(payload)
        for name, value in words.items():
            row[name] = value
        events = run_block(self.state, row, payload)
        self.note(events)
        return events

    def act(self, kind: int, **terms: Any) -> None:
        events = self.send(kind, json.dumps(terms, sort_keys=True, separators=(",", ":")).encode())
        if events["kind"][0] == EventKind.ACT_REJECTED:
            raise Unmappable(f"the venue refuses {terms} with code {events['code'][0]}")

    def instrument(self, symbol: str) -> int:
        """The number of a symbol's instrument, defined and opened when it is first heard of."""
        if symbol not in self.instruments:
            number = self.instruments[symbol] = len(self.instruments) + 1
            terms = {"symbol": f"I{number}", "ccy": "USD", "unit": "unit", "contract_size": 1, "tick": f"{self.tick:f}"}
            band = {"min_price": f"{self.tick:f}", "max_price": f"{self.tick * 2_000_000_000:f}"}
            size = {"max_order_qty": MAX_ORDER_QTY, "protection_ticks": 1_000_000_000, "window_ticks": 256}
            middle = {"reference_price": f"{self.tick * 10_000:f}"}
            self.act(CommandKind.INSTRUMENT_DEFINE, **terms, **band, **size, **middle)
            self.act(CommandKind.PHASE_SET, symbol=f"I{number}", phase="continuous")
            self.drawn[symbol] = ("", 0)
            self.draw(symbol)
        return self.instruments[symbol]

    def account(self, owner: int) -> int:
        """The number of an owner's account; every owner is a beneficial owner of his own."""
        if owner not in self.accounts:
            number = self.accounts[owner] = len(self.accounts) + 1
            self.act(CommandKind.ACCOUNT_DEFINE, account=f"A{number}", member="M", owner=f"B{number}")
        return self.accounts[owner]

    def ticks(self, price: Any) -> int:
        """Snap a price to the grid, as the contract does before anything else."""
        return int((Decimal(str(price)) / self.tick).to_integral_value(ROUND_HALF_EVEN))

    def lots(self, quantity: Any) -> int:
        lots = Fraction(quantity) * LOTS_PER_UNIT
        if lots.denominator != 1:
            raise Unmappable(f"the quantity {quantity!r} is no whole number of lots")
        return int(lots)

    # --- operations -------------------------------------------------------------------------------

    def apply(self, event: Message, index: int) -> Message:
        """Carry out one operation; return its observation."""
        symbol = event["symbol"].strip()
        known = symbol in self.instruments
        handle: Callable[[Message, str], tuple[str | None, list[Message]]] = {
            "new": self.new, "cancel": self.cancel, "reduce": self.reduce, "replace": self.replace, "clear": self.clear,
        }[event["op"]]  # fmt: skip
        if not known and event["op"] not in ("new", "clear"):
            # The contract names no instrument that it has not heard of; there is nothing to ask the core about.
            reason: str | None = NOT_ACTIVE
            trades: list[Message] = []
        else:
            self.instrument(symbol)
            reason, trades = handle(event, symbol)
            self.draw(symbol)
        state, count = self.picture()
        return {
            "type": "observation",
            "index": index,
            "outcome": {"status": "rejected" if reason else "applied", "reason": reason, "message": None},
            "trades": trades,
            "state_hash": hashlib.sha256(state.encode()).hexdigest(),
            "resting_order_count": count,
        }

    def new(self, event: Message, symbol: str) -> tuple[str | None, list[Message]]:
        """Place an order. Under a live source id its cl_ord_id is sent once more, for the core to refuse (R6)."""
        source_id = event["order_id"]
        earlier = self.by_source.get((symbol, source_id))
        if earlier is not None and earlier.leaves:
            events = self.place(event, symbol, earlier.owner, earlier.cl_ord_id)
            if events["code"][0] != Code.DUPLICATE:
                raise Unmappable("the core took the client id of a live order twice")
            return "DUPLICATE_ORDER_ID", []
        events = self.place(event, symbol, event.get("owner", NOBODY), self.next_id(symbol, source_id))
        return self.outcome(events, symbol)

    def place(self, event: Message, symbol: str, owner: int, cl_ord_id: str) -> Rows:
        kind = event.get("order_type", "LIMIT")
        market = kind == "MARKET"
        return self.send(
            CommandKind.ORDER_PLACE,
            account=self.account(owner),
            instrument=self.instrument(symbol),
            side=Side[event["side"]],
            ord_type=OrdType.MARKET if market else OrdType.LIMIT,
            time_in_force=TIME_IN_FORCE[kind],
            smp=self.smp if owner != NOBODY else Smp.NONE,
            flags=0 if market else HAS_PRICE,
            price=0 if market else self.ticks(event["price"]),
            order_qty=self.lots(event["quantity"]),
            cl_ord_id=cl_ord_id.encode(),
        )

    def cancel(self, event: Message, symbol: str) -> tuple[str | None, list[Message]]:
        return self.outcome(self.send(CommandKind.ORDER_CANCEL, **self.naming(event, symbol)), symbol)

    def reduce(self, event: Message, symbol: str) -> tuple[str | None, list[Message]]:
        """Amend to a smaller total; a reduction by all that is left is an amend to what is filled, or a cancel."""
        order = self.by_source.get((symbol, event["order_id"]))
        by = self.lots(event["quantity"])
        naming = self.naming(event, symbol)
        if order is None or not order.leaves:
            return self.outcome(self.send(CommandKind.ORDER_AMEND, flags=HAS_QTY, order_qty=1, **naming), symbol)
        if by > order.leaves:
            return "INVALID_ORDER", []
        if by == order.order_qty:
            return self.outcome(self.send(CommandKind.ORDER_CANCEL, **naming), symbol)
        total = order.order_qty - by
        return self.outcome(self.send(CommandKind.ORDER_AMEND, flags=HAS_QTY, order_qty=total, **naming), symbol)

    def replace(self, event: Message, symbol: str) -> tuple[str | None, list[Message]]:
        """Cancel, then place anew with what is left or the quantity given; impossible terms leave the order alone."""
        order = self.by_source.get((symbol, event["order_id"]))
        if order is None or not order.leaves:
            return self.outcome(self.send(CommandKind.ORDER_CANCEL, **self.naming(event, symbol)), symbol)
        price, quantity = event.get("price"), event.get("quantity")
        ticks = order.price if price is None else self.ticks(price)
        lots = order.leaves if quantity is None else self.lots(quantity)
        if ticks <= 0 or lots <= 0:
            return "INVALID_REPLACEMENT", []
        self.send(CommandKind.ORDER_CANCEL, **self.naming(event, symbol))
        anew = {"side": order.side, "price": ticks * self.tick, "quantity": lots / LOTS_PER_UNIT}
        events = self.place(anew, symbol, order.owner, self.next_id(symbol, order.source_id))
        return self.outcome(events, symbol, order.source_id)

    def clear(self, event: Message, symbol: str) -> tuple[str | None, list[Message]]:
        """Mass cancel of the instrument, account by account."""
        for account in self.accounts.values():
            self.send(CommandKind.ORDER_MASS_CANCEL, account=account, instrument=self.instrument(symbol))
        return None, []

    def naming(self, event: Message, symbol: str) -> Message:
        """Name an order by the client id that its source id had last; one never placed gets an id that nobody has."""
        order = self.by_source.get((symbol, event["order_id"]))
        if order is None:
            unheard = f"{self.instrument(symbol)}.{event['order_id']}.0"
            return {"account": self.account(NOBODY), "cl_ord_id": unheard.encode()}
        return {"account": self.account(order.owner), "cl_ord_id": order.cl_ord_id.encode()}

    def next_id(self, symbol: str, source_id: int) -> str:
        number = self.placed.get((symbol, source_id), 0) + 1
        self.placed[symbol, source_id] = number
        return f"{self.instrument(symbol)}.{source_id}.{number}"

    # --- what came of it --------------------------------------------------------------------------

    def note(self, events: Rows) -> None:
        """Keep the quantities of orders as their events tell them."""
        for row in events:
            order = self.by_id.get(int(row["order_id"]))
            match row["kind"]:
                case EventKind.ORDER_ACCEPTED:
                    cl_ord_id = row["cl_ord_id"].decode()
                    number, source_id, _ = cl_ord_id.split(".")
                    symbol = list(self.instruments)[int(number) - 1]
                    owner = list(self.accounts)[int(row["account"]) - 1]
                    side = word(Side(int(row["side"]))).upper()
                    order = Order(
                        int(row["order_id"]), symbol, int(source_id), owner, side, cl_ord_id, int(row["price"]),
                        int(row["qty"]), int(row["leaves_qty"]), 0,
                    )  # fmt: skip
                    self.by_source[symbol, order.source_id] = self.by_id[order.order_id] = order
                case EventKind.TRADE:
                    both = np.frombuffer(row.tobytes(), TRADE)[0]
                    assert order is not None
                    order.leaves, order.cum = int(both["leaves_qty"]), int(both["cum_qty"])
                    resting = self.by_id[int(both["resting_order_id"])]
                    resting.leaves = int(both["resting_leaves_qty"])
                    resting.cum += int(both["qty"])
                case EventKind.ORDER_CANCELED | EventKind.ORDER_AMENDED:
                    assert order is not None
                    order.order_qty, order.leaves = int(row["qty"]), int(row["leaves_qty"])

    def outcome(self, events: Rows, symbol: str, source_id: int | None = None) -> tuple[str | None, list[Message]]:
        """Turn the events of the deciding command into a reason, if it was refused, and its trades."""
        first = events[0]
        if first["kind"] in (EventKind.ORDER_REJECTED, EventKind.ORDER_STATUS):
            code = Code(int(first["code"]))
            if code in (Code.UNKNOWN_ORDER, Code.TOO_LATE):
                return NOT_ACTIVE, []
            if code in (Code.MALFORMED, Code.PRICE_BAND, Code.MAX_ORDER_QTY) and source_id is None:
                return "INVALID_ORDER", []
            raise Unmappable(f"the core refuses with {code.name}")
        trades = []
        for row in events[events["kind"] == EventKind.TRADE].view(TRADE):
            ids = self.by_id[int(row["order_id"])].source_id, self.by_id[int(row["resting_order_id"])].source_id
            buyer, seller = ids if row["side"] == Side.BUY else ids[::-1]
            trades.append(
                {
                    "symbol": symbol,
                    "buy_order_id": buyer,
                    "sell_order_id": seller,
                    "price": self.price(int(row["price"])),
                    "quantity": self.quantity(int(row["qty"])),
                }
            )
        return None, trades

    def price(self, ticks: int) -> str:
        return plain(ticks * self.tick)

    def quantity(self, lots: int) -> str:
        """A quantity in the protocol's unit, rounded to the places that the contract asks for."""
        with localcontext() as context:
            context.prec = 60
            exact = Decimal(lots) / LOTS_PER_UNIT
            return plain(exact.quantize(Decimal(1).scaleb(-self.places), ROUND_HALF_EVEN))

    def draw(self, symbol: str) -> None:
        """Read one symbol's queues out of the core."""
        picture = book(self.state, self.instruments[symbol])
        sides = {
            name: [
                {
                    "order_id": (order := self.by_id[order_id]).source_id,
                    "price": self.price(price),
                    "remaining_quantity": self.quantity(leaves),
                    "owner": order.owner,
                    "order_type": "LIMIT",
                }
                for price, _, queue in picture[name]
                for order_id, leaves in queue
            ]
            for name in ("bids", "asks")
        }
        text = json.dumps({"symbol": symbol, **sides}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self.drawn[symbol] = text, sum(len(side) for side in sides.values())

    def picture(self) -> tuple[str, int]:
        """The whole state as canonical JSON, and how many orders rest in it."""
        parts = [self.drawn[symbol] for symbol in sorted(self.drawn)]
        return '{"books":[' + ",".join(text for text, _ in parts) + "]}", sum(count for _, count in parts)


def plain(number: Decimal) -> str:
    """A decimal without exponent and without trailing zeros."""
    return "0" if number == 0 else format(number.normalize(), "f")


# --- the protocol ---------------------------------------------------------------------------------


def serve(lines: Iterator[str]) -> Iterator[Message]:
    """Answer a trace's messages one by one: hello, events, snapshots, finish."""
    try:
        hello = json.loads(next(lines, "null"))
        if not isinstance(hello, dict) or hello.get("type") != "hello" or not PROTOCOL.items() <= hello.items():
            raise ValueError("the first message must be a hello of protocol version 1")
        venue = Venue(hello.get("config", {}))
        yield {"type": "ready", **PROTOCOL, "engine": {"name": "cashew-exchange", "version": "1", "language": "Python"}}
        last = 0
        for line in lines:
            message = json.loads(line)
            match message["type"]:
                case "event":
                    if message["index"] != last + 1:
                        raise ValueError("event indexes count from 1")
                    last += 1
                    yield venue.apply(message["event"], last)
                case "snapshot":
                    yield {"type": "snapshot", "index": last, "state": json.loads(venue.picture()[0])}
                case "finish":
                    yield {"type": "complete", "event_count": last}
                    return
                case other:
                    raise ValueError(f"no such message: {other!r}")
    except Exception as trouble:
        yield {"type": "error", "code": "ADAPTER_ERROR", "message": f"{type(trouble).__name__}: {trouble}"}


def speak(source: Iterator[str], write: Callable[[str], Any], flush: Callable[[], Any]) -> int:
    """Serve one trace between a line source and a sink; 0 if it came to its end."""
    message: Message = {}
    for message in serve(source):
        write(json.dumps(message, separators=(",", ":")) + "\n")
        flush()
    return 0 if message.get("type") == "complete" else 2


def warm() -> int:
    """Load the core once and serve traces, one connection after the other, until stdin closes."""
    new_state(ROOM)
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with connection, connection.makefile("rw", encoding="utf-8", newline="\n") as stream:
                speak(iter(stream.readline, ""), stream.write, stream.flush)

    threading.Thread(target=accept, daemon=True).start()
    sys.stdin.read()
    return 0


def main(arguments: list[str]) -> int:
    match arguments:
        case ["--warm"]:
            return warm()
        case []:
            return speak(iter(sys.stdin.readline, ""), sys.stdout.write, sys.stdout.flush)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    # The oracle gives a candidate half a second to be gone: no time to take a compiler apart.
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code)
