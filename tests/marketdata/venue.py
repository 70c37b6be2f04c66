"""What the market-data tests share: a venue with the readable matcher in it, and a reader's own copy of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from engine.reference import Reference
from engine.schema import COMMAND, HAS_PRICE, HAS_QTY, HAS_STOP, CommandKind, OrdType, Side, Tick, TimeInForce
from marketdata.publisher import Publisher, Reader
from tests.flow import FIRST_TIME, Flow, act_rows, encode

Rows = npt.NDArray[np.void]
Block = tuple[Rows, bytes, Rows]
"""Commands, their payload section, their events."""

TERMS: dict[str, Any] = {
    "ccy": "USD",
    "unit": "lb",
    "contract_size": 3500,
    "tick": "0.005",
    "min_price": "1.000",
    "max_price": "9.000",
    "max_order_qty": 1000,
}
SIDES = ("bids", "asks")


class Venue:
    """A venue whose commands are written one by one; every method gives the block it made."""

    def __init__(self, *symbols: str, accounts: int = 3, phase: str = "continuous", seq: int = 1) -> None:
        self.reference = Reference()
        self.seq = seq
        self.blocks: list[Block] = []
        acts = [(CommandKind.INSTRUMENT_DEFINE, encode({**TERMS, "symbol": symbol})) for symbol in symbols]
        for number in range(1, accounts + 1):
            terms = {
                "account": f"ACCOUNT-{number}",
                "member": f"MEMBER-{number}",
                "owner": f"OWNER-{(number + 1) // 2}",
            }
            acts.append((CommandKind.ACCOUNT_DEFINE, encode(terms)))
        self.run(*act_rows(acts, self.seq))
        if phase != "closed":
            self.phase("ALL", phase)

    def run(self, rows: Rows, payload: bytes = b"") -> Block:
        events = self.reference.run_block(rows, payload)
        self.seq += len(rows)
        self.blocks.append((rows, payload, events))
        return self.blocks[-1]

    def act(self, kind: CommandKind, terms: dict[str, Any]) -> Block:
        return self.run(*act_rows([(kind, encode(terms))], self.seq, FIRST_TIME + 1000 * self.seq))

    def define(self, symbol: str) -> Block:
        return self.act(CommandKind.INSTRUMENT_DEFINE, {**TERMS, "symbol": symbol})

    def phase(self, symbol: str, phase: str, **more: str) -> Block:
        return self.act(CommandKind.PHASE_SET, {"symbol": symbol, "phase": phase, **more})

    def place(self, side: Side, qty: int, price: int | None = 600, **fields: Any) -> Block:
        """Place an order: limit day at `price` ticks by account 1, unless fields say otherwise; None for market."""
        row = self._row(CommandKind.ORDER_PLACE, side=side, order_qty=qty, time_in_force=TimeInForce.DAY, instrument=1)
        row["ord_type"] = OrdType.MARKET if price is None else OrdType.LIMIT
        row["flags"] = (0 if price is None else HAS_PRICE) | (HAS_STOP if "stop_price" in fields else 0)
        row["price"] = price or 0
        row["cl_ord_id"] = f"client-id-{self.seq}"
        for name, value in fields.items():
            row[name] = value
        return self.run(row)

    def cancel(self, order_id: int, account: int = 1) -> Block:
        return self.run(self._row(CommandKind.ORDER_CANCEL, target_lo=order_id, account=account))

    def amend(self, order_id: int, price: int | None = None, qty: int | None = None, account: int = 1) -> Block:
        row = self._row(CommandKind.ORDER_AMEND, target_lo=order_id, account=account)
        row["flags"] = (HAS_PRICE if price is not None else 0) | (HAS_QTY if qty is not None else 0)
        row["price"], row["order_qty"] = price or 0, qty or 0
        return self.run(row)

    def mass_cancel(self, account: int = 1) -> Block:
        return self.run(self._row(CommandKind.ORDER_MASS_CANCEL, account=account))

    def _row(self, kind: CommandKind, **fields: Any) -> Rows:
        row = np.zeros(1, COMMAND)
        row["kind"], row["seq"], row["time"], row["account"] = kind, self.seq, FIRST_TIME + 1000 * self.seq, 1
        for name, value in fields.items():
            row[name] = value
        return row


def flow_blocks(seed: int, commands: int, size: int, **fixed: Any) -> Iterator[tuple[Reference, Block]]:
    """Run a seeded flow in blocks of up to `size` commands; give the matcher as it stands after each block.

    Whatever else the seed draws, every second one opens a day with a restatement.
    """
    flow = Flow(seed, **{"day": seed % 2 == 1, **fixed})
    reference = Reference(flow.mix.limits)
    rows, payload = flow.prologue()
    made = 0
    while made < commands:
        events = []
        for start in range(0, len(rows), size):
            block = rows[start : start + size]
            events.append(reference.run_block(block, payload))
            yield reference, (block, payload, events[-1])
        made += len(rows)
        flow.observe(np.concatenate(events))
        rows, payload = flow.take(64)


def levels(reference: Reference, instrument: int) -> dict[str, list[tuple[int, int, int]]]:
    """The public part of the matcher's own book: (price in ticks, lots on show, number of orders), best first."""
    book: dict[str, list[tuple[int, int, int]]] = {side: [] for side in SIDES}
    for name, side in zip(SIDES, Side, strict=True):
        for order in reference.instruments[instrument - 1].sides[side].best_first():
            if order.is_unpriced:
                continue
            lots = order.shown_qty if order.display_qty else order.leaves_qty
            if book[name] and book[name][-1][0] == order.price:
                price, before, orders = book[name].pop()
                book[name].append((price, before + lots, orders + 1))
            else:
                book[name].append((order.price, lots, 1))
    return book


class Copy:
    """A reader's copy of one symbol, kept by the rules of FEED.md alone; any breach of them is an assertion."""

    def __init__(self, depth: int = 0) -> None:
        self.depth = depth
        self.tick: Tick | None = None
        self.books: dict[str, dict[int, tuple[int, int]]] = {"bids": {}, "asks": {}}
        self.seqs: dict[str, int] = {}
        self.trades: list[dict[str, Any]] = []
        self.phase: str | None = None
        self.reason: str | None = None
        self.auction: dict[str, Any] = {}
        self.messages = 0
        self.half = False

    def apply(self, message: dict[str, Any]) -> None:
        channel = message["ev"]
        self.messages += 1
        if message["type"] == "snapshot":
            assert message["prev"] == 0
        else:
            assert message["prev"] == self.seqs[channel] > 0, "an update names the message before it"
            assert message["seq"] > message["prev"] or self.half, "seq rises"
        self.seqs[channel] = message["seq"]
        self.half = message.get("more", False)
        if channel == "book":
            self._book(message)
        elif channel == "trade":
            self.trades = message["trades"] if message["type"] == "snapshot" else self.trades + message["trades"]
        elif channel == "auction":
            told = {name: message[name] for name in ("state", "price", "qty", "surplus", "surplus_side", "step")}
            assert told != self.auction or message["type"] == "snapshot", "an update changes something"
            self.auction = told
        else:
            self.phase, self.reason = message["phase"], message["reason"]

    def _book(self, message: dict[str, Any]) -> None:
        if message["type"] == "snapshot":
            self.books = {"bids": {}, "asks": {}}
            self.tick = Tick.parse(message["tick"])
            assert message["depth"] == self.depth
        else:
            assert message["bids"] or message["asks"], "an update changes something"
        assert self.tick is not None
        for side, book in self.books.items():
            for text, lots, orders in message[side]:
                price = self.tick.ticks(text)
                assert price is not None
                if message["type"] == "update":
                    assert book.get(price) != (lots, orders), "an update names changed levels only"
                if lots:
                    book[price] = (lots, orders)
                else:
                    assert orders == 0
                    del book[price]
        if self.half:
            assert "crc" not in message
        else:
            assert message["crc"] == self.crc()

    def book(self) -> dict[str, list[tuple[int, int, int]]]:
        signs = {"bids": -1, "asks": 1}
        return {
            side: [(price, *book[price]) for price in sorted(book, key=lambda price: signs[side] * price)]
            for side, book in self.books.items()
        }

    def crc(self) -> int:
        book = self.book()
        return crc32("".join(f"{p}:{lots}|" for side in SIDES for p, lots, _ in book[side][:10]).encode())


def drain(publisher: Publisher, reader: Reader) -> list[dict[str, Any]]:
    """Take all that waits for a reader, decoded."""
    messages: list[dict[str, Any]] = []
    while frames := publisher.take(reader):
        messages += [json.loads(frame.text) for frame in frames]
    return messages


def subscribe(publisher: Publisher, reader: Reader, **p: Any) -> None:
    members = {"channels": ["book", "trades", "status", "auction"], "symbols": ["*"], **p}
    publisher.receive(reader, json.dumps({"op": "subscribe", "id": 1, "p": members}))


def connect(publisher: Publisher) -> Reader:
    reader = publisher.connect(lambda: None)
    assert reader is not None
    return reader
