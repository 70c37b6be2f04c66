"""What the demonstration bots think: fair prices that wander, and what a maker and a taker do about them.

All chance comes from seeded generators, so that two runs with one seed differ only by what others do.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Protocol

from cashew.client import Client
from cashew.errors import NotDone
from cashew.market import MarketData
from cashew.messages import Execution, Instrument, Order
from engine.schema import Tick

__all__ = ["FairPrice", "Maker", "Pace", "Quote", "Taker", "Trader", "World", "level_of_trade"]

# Levels of the cashew trade, in each instrument's quote unit, by the beginning of the symbol; the longest match counts.
LEVELS_OF_TRADE = {
    "W320": 3.00,
    "W240": 3.225,
    "W450": 2.625,
    "WS": 2.20,
    "LP": 1.65,
    "SP": 1.20,
    "RAFF": 1370.0,
    "RBPF": 40_000.0,
}
PULL = 0.002  # of the distance to the level, per step
STEP = 0.0004  # of the level: the standard deviation of one step
REACH = 0.04  # of the level: a fair price never strays further
HALF_SPREAD = 1.8  # in steps: wide enough that two traders can meet between the quotes
RESTS = 20  # how many acts a side of a book rests after a refusal
HURRY = 5.0  # how much faster a bot acts while quotes are missing
CALL_REACH = (2.0, 4.0)  # in steps: how far beyond the fair price a taker goes in a call, so that the auction trades
CALL_ORDERS = 3  # how many orders a taker enters for one call of one instrument
TRADING = frozenset({"continuous"})
OPENING = frozenset({"pre_open", "no_cancel"})
CALLS = OPENING | {"volatility_auction", "pre_close", "close_no_cancel"}
QUOTING = TRADING | CALLS
MENDING = QUOTING - {"no_cancel", "close_no_cancel"}  # where quotes may be moved


def level_of_trade(instrument: Instrument) -> int:
    """The price, in ticks, around which an instrument wanders: the trade's, else the reference, else the middle."""
    tick = Tick.parse(instrument.tick)
    low, high = whole(tick, instrument.min_price), whole(tick, instrument.max_price)
    known = [name for name in LEVELS_OF_TRADE if instrument.symbol.startswith(name)]
    if known:
        level = round(LEVELS_OF_TRADE[max(known, key=len)] * float(10**tick.scale) / tick.units)
        if low < level < high:
            return level
    return whole(tick, instrument.reference_price) if instrument.reference_price else (low + high) // 2


def whole(tick: Tick, price: str) -> int:
    """A price of the instrument's own terms in ticks."""
    ticks = tick.ticks(price)
    assert ticks is not None, "the terms of an instrument are on its tick"
    return ticks


class FairPrice:
    """A bounded, mean-reverting random walk in ticks around an instrument's level."""

    def __init__(self, instrument: Instrument, seed: int) -> None:
        self.instrument = instrument
        self.tick = Tick.parse(instrument.tick)
        self.level = level_of_trade(instrument)
        self.value = float(self.level)
        margin = 20
        reach = max(8.0, abs(self.level) * REACH)
        self._low = max(self.level - reach, whole(self.tick, instrument.min_price) + margin)
        self._high = min(self.level + reach, whole(self.tick, instrument.max_price) - margin)
        self._sigma = max(0.2, abs(self.level) * STEP)
        self._draw = random.Random(f"{seed}:{instrument.symbol}")

    def step(self) -> float:
        """Move once and return the new value."""
        moved = self.value + PULL * (self.level - self.value) + self._draw.gauss(0.0, self._sigma)
        self.value = min(max(moved, self._low), self._high)
        return self.value


class World:
    """What all bots of one process see: fair prices, phases and the public books."""

    def __init__(self, market: MarketData, fairs: dict[str, FairPrice]) -> None:
        self.market = market
        self.fairs = fairs
        self.phases: dict[str, str] = {}

    def best(self, symbol: str) -> tuple[int | None, int | None]:
        """The best public bid and ask in ticks; None where there is none, or none is known."""
        book = self.market.books.get(symbol)
        if book is None or not book.ready:
            return None, None
        bid, ask = book.best_bid, book.best_ask
        tick = self.fairs[symbol].tick
        return whole(tick, bid.price) if bid else None, whole(tick, ask.price) if ask else None

    def in_phase(self, phases: frozenset[str]) -> list[str]:
        """The symbols whose phase is one of these."""
        return [symbol for symbol in self.fairs if self.phases.get(symbol) in phases]


class Pace:
    """Waits between a bot's orders: irregular, on average `rate` a second."""

    def __init__(self, rate: float, draw: random.Random) -> None:
        self._rate = rate
        self._draw = draw

    async def wait(self, hurry: bool) -> None:
        await asyncio.sleep(self._draw.expovariate(self._rate * (HURRY if hurry else 1.0)))


class Trader(Protocol):
    """What the runner asks of a bot."""

    draw: random.Random
    refusals: int
    is_behind: bool

    async def reconcile(self, client: Client) -> None:
        """Take the exchange's word for what is live."""

    def heed(self, event: Execution) -> None:
        """Take in what happened to an own order."""

    async def act(self, client: Client) -> bool:
        """Send at most a few requests; false if there was nothing to do."""


@dataclass
class Quote:
    """One live order of a maker: price in ticks, total and filled lots."""

    order_id: int
    price: int
    order_qty: int
    cum_qty: int = 0


@dataclass
class Side:
    """A maker's quotes on one side of one book, by slot: 0 is the one nearest to the fair price.

    After a refusal the side rests until the maker's act of number `rests_until`, so that it starves no other.
    """

    quotes: dict[int, Quote] = field(default_factory=dict)
    rests_until: int = 0


class Maker:
    """Quotes `levels` prices on each side of the fair price of every instrument, and moves them by amending."""

    def __init__(self, world: World, draw: random.Random, levels: int = 4) -> None:
        self.world = world
        self.draw = draw
        self.levels = levels
        self.refusals = 0
        self.is_behind = True
        self.sides = {(symbol, side): Side() for symbol in world.fairs for side in ("buy", "sell")}
        self._acts = 0
        self._slots: dict[int, tuple[str, str, int]] = {}
        self._lean = {symbol: draw.uniform(-0.6, 0.6) for symbol in world.fairs}

    async def reconcile(self, client: Client) -> None:
        """Adopt the live orders that fit into a slot and cancel the rest."""
        for side in self.sides.values():
            side.quotes.clear()
        self._slots.clear()
        for order in await client.mass_status():
            if not self._adopt(order):
                try:
                    await client.cancel(order_id=order.order_id)
                except NotDone:
                    self.refusals += 1  # a closed market takes no cancel; the order expires there by itself

    def _adopt(self, order: Order) -> bool:
        side = self.sides.get((order.symbol, order.side))
        if side is None or order.price is None:
            return False
        free = [slot for slot in range(self.levels) if slot not in side.quotes]
        ticks = self.world.fairs[order.symbol].tick.ticks(order.price)
        if not free or ticks is None:
            return False
        self._remember(order.symbol, order.side, free[0], Quote(order.order_id, ticks, order.order_qty, order.cum_qty))
        return True

    def _remember(self, symbol: str, side: str, slot: int, quote: Quote) -> None:
        self.sides[symbol, side].quotes[slot] = quote
        self._slots[quote.order_id] = (symbol, side, slot)

    def _forget(self, order_id: int) -> None:
        if order_id in self._slots:
            symbol, side, slot = self._slots.pop(order_id)
            del self.sides[symbol, side].quotes[slot]

    def heed(self, event: Execution) -> None:
        """Keep the quotes as the exchange reports them."""
        if event.order_id not in self._slots:
            return
        if event.leaves_qty == 0 or event.exec in ("canceled", "expired"):
            self._forget(event.order_id)
        else:
            symbol, side, slot = self._slots[event.order_id]
            quote = self.sides[symbol, side].quotes[slot]
            quote.order_qty, quote.cum_qty = event.order_qty, event.cum_qty

    def target(self, symbol: str, side: str, slot: int) -> int:
        """Where a quote should stand, in ticks: around the fair price, and not reaching the other side of the book.

        In a call it may reach that: nothing trades before the uncross, and then at one price for all.
        """
        fair = self.world.fairs[symbol]
        step = max(1, round(abs(fair.level) * 0.001))
        away = step * (slot + HALF_SPREAD)
        middle = fair.value + self._lean[symbol] * step
        bid, ask = (None, None) if self.world.phases.get(symbol) in CALLS else self.world.best(symbol)
        if side == "buy":
            wanted = round(middle - away)
            return wanted if ask is None else min(wanted, ask - 1)
        wanted = round(middle + away)
        return wanted if bid is None else max(wanted, bid + 1)

    async def act(self, client: Client) -> bool:
        """Place what is missing, else move what stands furthest from where it should."""
        self._acts += 1
        symbols = self.world.in_phase(QUOTING)
        open_sides = [(symbol, side) for symbol in symbols for side in ("buy", "sell") if self._may(symbol, side)]
        missing = [
            (slot, symbol, side)
            for symbol, side in open_sides
            for slot in range(self.levels)
            if slot not in self.sides[symbol, side].quotes
        ]
        self.is_behind = bool(missing)
        if missing:
            nearest = min(missing)[0]
            slot, symbol, side = self.draw.choice([one for one in missing if one[0] == nearest])
            await self._place(client, symbol, side, slot)
            return True
        mending = set(self.world.in_phase(MENDING))
        moves = [
            (abs(self.target(symbol, side, slot) - quote.price) / (slot + 1), symbol, side, slot)
            for symbol, side in open_sides
            if symbol in mending
            for slot, quote in self.sides[symbol, side].quotes.items()
        ]
        moves = [move for move in moves if move[0] > 0 and not self._would_cross_itself(*move[1:])]
        if not moves:
            return False
        _, symbol, side, slot = max(moves)
        await self._move(client, symbol, side, slot)
        return True

    def _may(self, symbol: str, side: str) -> bool:
        return self.sides[symbol, side].rests_until < self._acts

    def _would_cross_itself(self, symbol: str, side: str, slot: int) -> bool:
        price = self.target(symbol, side, slot)
        if side == "buy":
            return any(price >= quote.price for quote in self.sides[symbol, "sell"].quotes.values())
        return any(price <= quote.price for quote in self.sides[symbol, "buy"].quotes.values())

    def _lots(self, symbol: str, slot: int) -> int:
        most = self.world.fairs[symbol].instrument.max_order_qty or 500
        return min(most, self.draw.randint(2, 8) + 3 * slot)

    async def _place(self, client: Client, symbol: str, side: str, slot: int) -> None:
        ticks = self.target(symbol, side, slot)
        price = self.world.fairs[symbol].tick.text(ticks)
        try:
            order = await client.place(symbol, side, self._lots(symbol, slot), price=price, post_only=True)
        except NotDone:
            self.sides[symbol, side].rests_until = self._acts + RESTS
            raise
        self._remember(symbol, side, slot, Quote(order.order_id, ticks, order.order_qty))

    async def _move(self, client: Client, symbol: str, side: str, slot: int) -> None:
        quote = self.sides[symbol, side].quotes[slot]
        ticks = self.target(symbol, side, slot)
        price = self.world.fairs[symbol].tick.text(ticks)
        total = quote.cum_qty + self._lots(symbol, slot)
        try:
            order = await client.amend(order_id=quote.order_id, price=price, order_qty=total)
        except NotDone as error:
            if error.code in ("UNKNOWN_ORDER", "TOO_LATE"):
                self._forget(quote.order_id)
            else:
                self.sides[symbol, side].rests_until = self._acts + RESTS
            raise
        if quote.order_id in self._slots:
            quote.price, quote.order_qty, quote.cum_qty = ticks, order.order_qty, order.cum_qty


class Taker:
    """Crosses the spread now and then, a little more often towards the fair price.

    In an opening call it enters limit orders that reach beyond the fair price, a few for each instrument and for that
    call only: what they do not trade the uncross cancels.
    """

    def __init__(self, world: World, draw: random.Random) -> None:
        self.world = world
        self.draw = draw
        self.refusals = 0
        self.is_behind = False
        self._entered: dict[str, int] = {}  # orders for the call under way, by symbol

    async def reconcile(self, client: Client) -> None:
        """Begin with nothing in the book: no order of a taker is to stay."""
        for order in await client.mass_status():
            try:
                await client.cancel(order_id=order.order_id)
            except NotDone:
                self.refusals += 1  # not in this phase; the uncross or the close takes it

    def heed(self, event: Execution) -> None:
        """A taker keeps no book of its own."""

    async def act(self, client: Client) -> bool:
        """Take a few lots of one instrument, at most a tick or two beyond its best price, or enter one for a call."""
        calls = self.world.in_phase(OPENING)
        self._entered = {symbol: self._entered.get(symbol, 0) for symbol in calls}
        calls = [symbol for symbol in calls if self._entered[symbol] < CALL_ORDERS]
        self.is_behind = bool(calls)
        symbols = self.world.in_phase(TRADING)
        if not symbols and not calls:
            return False
        symbol = self.draw.choice(symbols + calls)
        if symbol in self._entered:
            return await self._enter_call(client, symbol)
        fair = self.world.fairs[symbol]
        bid, ask = self.world.best(symbol)
        if bid is None or ask is None:
            return False
        buy = self.draw.random() < (0.6 if fair.value > (bid + ask) / 2 else 0.4)
        reach = self.draw.randint(0, 2)
        price = fair.tick.text(ask + reach if buy else bid - reach)
        lots = min(self.draw.choice((1, 1, 1, 2, 2, 3, 5)), fair.instrument.max_order_qty or 5)
        await client.place(symbol, "buy" if buy else "sell", lots, price=price, time_in_force="ioc")
        return True

    async def _enter_call(self, client: Client, symbol: str) -> bool:
        fair = self.world.fairs[symbol]
        buy = self.draw.random() < 0.5
        reach = max(1, round(abs(fair.level) * 0.001 * self.draw.uniform(*CALL_REACH)))
        price = fair.tick.text(round(fair.value) + (reach if buy else -reach))
        lots = min(self.draw.randint(2, 8), fair.instrument.max_order_qty or 8)
        self._entered[symbol] += 1
        await client.place(symbol, "buy" if buy else "sell", lots, price=price, time_in_force="at_open")
        return True
