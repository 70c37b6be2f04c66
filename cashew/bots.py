"""Market-making and taking bots for a demonstration market: `python -m cashew.bots --url URL --keys-dir DIR`.

They are ordinary clients of the exchange. One fair price per instrument wanders around the level of the trade; makers
quote several levels on each side of it and move them by amending; takers cross the spread now and then. A halt, a
restart of the exchange or a refusal is met by waiting and quoting again. SIGTERM and SIGINT end them cleanly.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from cashew.bots_market import FairPrice, Maker, Pace, Taker, Trader, World
from cashew.client import Client
from cashew.errors import CannotConnect, CashewError, Unknown
from cashew.link import backoff
from cashew.messages import Gap

__all__ = ["main", "run"]

FAIR_STEP_S = 0.5
GOODBYE_S = 2.0
PARENT_STEP_S = 0.5
MAKER_SHARE = 0.9


def read_keys(folder: Path) -> tuple[list[Path], list[Path]]:
    """The key files of makers and of takers: by their names, or else the traders' keys by turns."""
    keys = []
    for path in sorted(folder.glob("*.key")):
        with contextlib.suppress(OSError, ValueError):
            if json.loads(path.read_text(encoding="utf-8")).get("role", "trader") == "trader":
                keys.append(path)
    makers = [path for path in keys if "maker" in path.stem]
    takers = [path for path in keys if "taker" in path.stem]
    if not makers and not takers:
        makers, takers = keys[0::2], keys[1::2]
    return makers, takers


async def connect(url: str, key: Path, stop: asyncio.Event) -> Client | None:
    """Log on as soon as the exchange answers; None if the bots are to stop before that."""
    for delay in backoff():
        client = Client(url, key=key)
        try:
            await client.open()
            return client
        except CannotConnect:
            await client.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), delay)
        if stop.is_set():
            break
    return None


async def wander(world: World) -> None:
    """Move all fair prices, at a steady pace."""
    while True:
        await asyncio.sleep(FAIR_STEP_S)
        for fair in world.fairs.values():
            fair.step()


async def follow(world: World, symbol: str) -> None:
    """Keep the book and the phase of one instrument known."""
    await world.market.watch_book(symbol)
    async for change in await world.market.watch_status(symbol):
        world.phases[symbol] = change.phase


async def trade(bot: Trader, client: Client, pace: Pace) -> None:
    """Run one bot: take in what happened, then act, at its pace; count refusals, ask for what is unknown."""
    executions = client.executions(limit=100_000)
    await bot.reconcile(client)
    while True:
        lost = False
        for event in executions.take_waiting():
            if isinstance(event, Gap):
                lost = True
            else:
                bot.heed(event)
        try:
            if lost:
                await bot.reconcile(client)
            acted = await bot.act(client)
        except Unknown:
            acted = True
            with contextlib.suppress(CashewError):
                await bot.reconcile(client)
        except CashewError:
            bot.refusals += 1
            acted = True
        await pace.wait(hurry=acted and bot.is_behind)


async def run(
    url: str, keys_dir: Path, *, rate: float = 30.0, seed: int = 1, levels: int = 4, stop: asyncio.Event | None = None
) -> int:
    """Run all bots until `stop` is set; returns an exit code. `rate`: orders a second of all bots together."""
    stop = stop or asyncio.Event()
    makers, takers = read_keys(keys_dir)
    if not makers:
        complain(f"there are no traders' key files (*.key) in {keys_dir}")
        return 1
    clients: list[Client] = []
    bots: list[tuple[Trader, Client]] = []
    for key in (*makers, *takers):
        client = await connect(url, key, stop)
        if client is None:
            break
        clients.append(client)
    if len(clients) < len(makers) + len(takers):
        await asyncio.gather(*(client.close() for client in clients))
        return 0
    market = clients[0].market
    await market.open()
    world = World(market, {one.symbol: FairPrice(one, seed) for one in market.instruments.values()})
    for number, client in enumerate(clients):
        draw = random.Random(f"{seed}:{number}")
        is_maker = number < len(makers)
        bots.append((Maker(world, draw, levels) if is_maker else Taker(world, draw), client))
    share = MAKER_SHARE if takers else 1.0
    tasks = [asyncio.create_task(wander(world), name="wander")]
    tasks += [asyncio.create_task(follow(world, symbol), name=f"follow {symbol}") for symbol in world.fairs]
    for bot, client in bots:
        orders_a_second = rate * (share / len(makers) if isinstance(bot, Maker) else (1 - share) / len(takers))
        pace = Pace(orders_a_second, bot.draw)
        tasks.append(asyncio.create_task(trade(bot, client, pace), name=type(bot).__name__))
    who = f"{len(makers)} makers and {len(takers)} takers"
    complain(f"{who} on {len(world.fairs)} instruments, {rate:g} orders/s in total")
    stopping = asyncio.create_task(stop.wait(), name="stop")
    done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
    failed = [task for task in done if task is not stopping]
    for task in [*tasks, stopping]:
        task.cancel()
    await asyncio.gather(*tasks, stopping, return_exceptions=True)
    for task in failed:
        complain(f"{task.get_name()} ended: {task.exception()}")
    await leave(clients)
    return 1 if failed else 0


async def leave(clients: Sequence[Client]) -> None:
    """Take all quotes off the books, if the exchange is still there, and go."""

    async def one(client: Client) -> None:
        if client.connected:
            with contextlib.suppress(CashewError, TimeoutError):
                await asyncio.wait_for(client.mass_cancel(), GOODBYE_S)
        await client.close()

    await asyncio.gather(*(one(client) for client in clients))


async def leave_with(parent: int, stop: asyncio.Event) -> None:
    """Set `stop` once the process that started us has gone, however it went: orphaned bots would trade on for ever."""
    while os.getppid() == parent:
        await asyncio.sleep(PARENT_STEP_S)
    stop.set()


def complain(text: str) -> None:
    print(f"bots: {text}", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run until a signal comes."""
    parser = argparse.ArgumentParser(
        prog="python -m cashew.bots", description="Demonstration bots for a cashew market."
    )
    parser.add_argument("--url", default="http://127.0.0.1:8410", help="address of the exchange")
    parser.add_argument("--keys-dir", type=Path, required=True, help="folder of *maker*.key and *taker*.key")
    parser.add_argument("--rate", type=float, default=30.0, help="orders a second of all bots together (30)")
    parser.add_argument("--levels", type=int, default=4, help="price levels on each side that a maker quotes (4)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the wandering prices (1)")
    parser.add_argument(
        "--parent", type=int, metavar="PID", help="leave as soon as this, the starting process, is gone"
    )
    options = parser.parse_args(arguments)
    if options.rate <= 0 or options.levels < 1:
        parser.error("--rate and --levels are positive")

    async def until_signal() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        parent = asyncio.create_task(leave_with(options.parent, stop)) if options.parent else None
        try:
            terms = {"rate": options.rate, "seed": options.seed, "levels": options.levels}
            return await run(options.url, options.keys_dir, **terms, stop=stop)
        finally:
            if parent is not None:
                parent.cancel()

    try:
        return asyncio.run(until_signal())
    except CashewError as error:
        complain(error.text)
        return 1


if __name__ == "__main__":
    sys.exit(main())
