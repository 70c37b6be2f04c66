"""A made-up exchange that writes its own order flow in the formats of the real files, so that the converter is tested.

Random orders around a wandering price; whom an aggressive order hits is decided by `priority`: "fifo" as an exchange
does, or a wrong one, which the replay has to notice.  `python -m tests.benchmarks.exchange` writes the small files
that are kept in tests/benchmarks/flow.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

Priority = Literal["fifo", "lifo", "size"]
BUY, SELL = 1, -1
EMPTY: Final = 9_999_999_999
KEPT: Final = Path(__file__).with_name("flow")
MBP_HEAD: Final = ("ts_event", "action", "side", "price", "size", "sequence")


class Exchange:
    """One book, side → price → [order id, size] in queue order, and a clock; `step` does something at random."""

    def __init__(self, seed: int, priority: Priority = "fifo") -> None:
        self.draw = random.Random(seed)
        self.priority = priority
        self.book: dict[int, dict[int, list[list[int]]]] = {BUY: {}, SELL: {}}
        self.where: dict[int, tuple[int, int]] = {}
        self.next_id = 1000
        self.now_ns = 34_200 * 10**9
        self.middle = 10_000
        # What is told of each change, right after it: kind, order id, size, price in ticks, resting side.
        self.tell: Callable[[str, int, int, int, int], None] = lambda *_: None

    def step(self) -> None:
        """One event of the market."""
        self.now_ns += self.draw.randrange(1_000, 400_000_000)
        self.middle += self.draw.choice((-1, 0, 0, 0, 1))
        chance = self.draw.random()
        if chance < 0.5 or len(self.where) < 20:
            self._add(self.draw.choice((BUY, SELL)))
        elif chance < 0.6:
            self._reduce()
        elif chance < 0.8:
            order = self.draw.choice(sorted(self.where))
            side, price = self.where[order]
            self._take(order, self._entry(order)[1], "delete", side, price)
        elif chance < 0.95:
            self._aggress(self.draw.choice((BUY, SELL)))
        else:
            self.tell("hidden", 0, self.draw.randrange(1, 50), self.middle, SELL)

    def best(self, side: int) -> int | None:
        """The best price of a side."""
        prices = self.book[side]
        return None if not prices else max(prices) if side == BUY else min(prices)

    def levels(self, side: int, count: int) -> list[tuple[int, int, int]]:
        """Price, size and number of orders of the best levels."""
        prices = sorted(self.book[side], reverse=side == BUY)[:count]
        return [(p, sum(size for _, size in self.book[side][p]), len(self.book[side][p])) for p in prices]

    def _add(self, side: int) -> None:
        price = self.middle - side * self.draw.randrange(1, 8)
        opposite = self.best(-side)
        if opposite is not None and (price - opposite) * side >= 0:
            price = opposite - side
        self.next_id += self.draw.randrange(1, 9)
        size = self.draw.choice((10, 50, 100, 100, 100, 200, 300))
        self.book[side].setdefault(price, []).append([self.next_id, size])
        self.where[self.next_id] = side, price
        self.tell("add", self.next_id, size, price, side)

    def _reduce(self) -> None:
        order = self.draw.choice(sorted(self.where))
        size = self._entry(order)[1]
        if size > 1:
            self._take(order, self.draw.randrange(1, size), "reduce", *self.where[order])

    def _aggress(self, side: int) -> None:
        """An order that takes up to three levels of the other side, with one time stamp."""
        left = self.draw.choice((10, 60, 100, 150, 400, 900))
        reach = self.levels(-side, 3)
        while left and reach and (price := self.best(-side)) in [level[0] for level in reach]:
            assert price is not None
            queue = self.book[-side][price]
            order, size = self._chosen(queue)
            lots = min(left, size)
            left -= lots
            self._take(order, lots, "execute", -side, price)

    def _chosen(self, queue: list[list[int]]) -> list[int]:
        if self.priority == "fifo":
            return queue[0]
        return queue[-1] if self.priority == "lifo" else max(queue, key=lambda entry: entry[1])

    def _entry(self, order: int) -> list[int]:
        side, price = self.where[order]
        return next(entry for entry in self.book[side][price] if entry[0] == order)

    def _take(self, order: int, lots: int, kind: str, side: int, price: int) -> None:
        entry = self._entry(order)
        entry[1] -= lots
        if not entry[1]:
            self.book[side][price].remove(entry)
            del self.where[order]
            if not self.book[side][price]:
                del self.book[side][price]
        self.tell(kind, order, lots, price, side)


def write_lobster(
    folder: Path, *, seed: int, messages: int, levels: int, separator: str = ",", priority: Priority = "fifo"
) -> None:
    """Write a message file and its book file: only what changes the best `levels` levels, and hidden executions."""
    kinds = {"add": 1, "reduce": 2, "delete": 3, "execute": 4, "hidden": 5}
    exchange = Exchange(seed, priority)
    for _ in range(100):
        exchange.step()
    rows: list[str] = []
    books: list[str] = []

    def window() -> list[int]:
        asks, bids = exchange.levels(SELL, levels), exchange.levels(BUY, levels)
        flat: list[int] = []
        for place in range(levels):
            for side, empty in ((asks, EMPTY), (bids, -EMPTY)):
                flat += (side[place][0] * 100, side[place][1]) if place < len(side) else (empty, 0)
        return flat

    before = window()

    def tell(kind: str, order: int, size: int, price: int, side: int) -> None:
        nonlocal before
        after = window()
        if after == before and kind != "hidden":
            return
        before = after
        time = f"{exchange.now_ns // 10**9}.{exchange.now_ns % 10**9:09d}"
        rows.append(f"{time},{kinds[kind]},{order},{size},{price * 100},{side}")
        books.append(separator.join(map(str, after)))

    exchange.tell = tell
    while len(rows) < messages:
        exchange.step()
    name = f"MADEUP_2026-01-02_34200000_57600000_{{}}_{levels}.csv"
    (folder / name.format("message")).write_text("\n".join(rows) + "\n", encoding="ascii")
    (folder / name.format("orderbook")).write_text("\n".join(books) + "\n", encoding="ascii")


def write_mbo(folder: Path, *, seed: int, messages: int, levels: int, priority: Priority = "fifo") -> None:
    """Write a market-by-order file from an empty book, and the book of `levels` levels after each change in them."""
    exchange = Exchange(seed, priority)
    rows = ["ts_event,action,side,price,size,order_id,sequence", "2026-01-02T09:30:00.000000000Z,R,N,,0,0,0"]
    names = [f"{w}_{n:02}" for n in range(levels) for w in ("bid_px", "bid_sz", "bid_ct", "ask_px", "ask_sz", "ask_ct")]
    books = [",".join((*MBP_HEAD, *names))]
    sequence = 0

    def put(action: str, side: str, price: int, size: int, order: int) -> str:
        seconds, fraction = divmod(exchange.now_ns, 10**9)
        time = f"2026-01-02T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:09d}Z"
        rows.append(f"{time},{action},{side},{price / 100:.9f},{size},{order},{sequence}")
        return f"{time},{action},{side},{price / 100:.2f},{size},{sequence}"

    def tell(kind: str, order: int, size: int, price: int, side: int) -> None:
        nonlocal sequence
        sequence += 1
        word, other = ("B", "A") if side == BUY else ("A", "B")
        if kind == "hidden":
            put("T", "N", price, size, 0)
            return
        if kind == "execute":
            put("T", other, price, size, 0)
            put("F", word, price, size, order)
        head = put("A" if kind == "add" else "C", word, price, size, order)
        bids, asks = exchange.levels(BUY, levels), exchange.levels(SELL, levels)
        reach = [p for p, _, _ in (bids if side == BUY else asks)]
        if price in reach or len(reach) < levels:
            flat = []
            for place in range(levels):
                for levels_of in (bids, asks):
                    one = levels_of[place] if place < len(levels_of) else None
                    flat.append(f"{one[0] / 100:.2f},{one[1]},{one[2]}" if one else ",0,0")
            books.append(f"{head},{','.join(flat)}")

    exchange.tell = tell
    while len(rows) < messages:
        exchange.step()
    (folder / "MADEUP_mbo.csv").write_text("\n".join(rows) + "\n", encoding="ascii")
    (folder / "MADEUP_mbp_actual.csv").write_text("\n".join(books) + "\n", encoding="ascii")


def main() -> None:
    """Write the kept files."""
    KEPT.mkdir(exist_ok=True)
    write_lobster(KEPT, seed=3, messages=300, levels=2, separator=";")
    write_mbo(KEPT, seed=4, messages=300, levels=3)


if __name__ == "__main__":
    main()
