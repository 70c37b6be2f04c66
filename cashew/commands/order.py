"""`cashew order`: place, change, cancel and follow orders from a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from cashew.commands.common import (
    DEFAULT_URL,
    USAGE,
    CommandFailed,
    JsonOption,
    KeyOption,
    UrlOption,
    put,
    put_table,
    require_key,
)

if TYPE_CHECKING:
    from cashew.client import Client
    from cashew.messages import Execution, Order

__all__ = ["app"]

T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MARKET_TO_LIMIT = "market_to_limit"

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Place, change, cancel and follow orders. Prices are decimal, quantities whole lots.",
)

IdOption = Annotated[str | None, typer.Option("--id", help="Your own id; made up if absent.", metavar="CL_ORD_ID")]
AccountOption = Annotated[str | None, typer.Option("--account", help="Which of the key's accounts, if it has several.")]
TifOption = Annotated[
    str | None,
    typer.Option("--tif", help="day (default), gtc, ioc, fok, gtd, at_open or at_close.", metavar="TIF"),
]
StopOption = Annotated[
    str | None,
    typer.Option("--stop", help="Wait until a trade reaches this price, then enter.", metavar="PRICE"),
]
DisplayOption = Annotated[
    int | None, typer.Option("--display", help="Show only so many lots at a time (an iceberg).", metavar="QTY", min=1)
]
MinQtyOption = Annotated[
    int | None, typer.Option("--min-qty", help="Trade at least so many lots at once, or cancel.", metavar="QTY", min=1)
]
ExpireOption = Annotated[
    str | None,
    typer.Option("--expire", help="When a gtd order ends, as 2026-11-27T10:00Z (UTC if no zone).", metavar="TIME"),
]
PostOnlyOption = Annotated[bool, typer.Option("--post-only", help="Refuse it rather than trade at once.")]
SmpOption = Annotated[
    str | None,
    typer.Option(
        "--smp",
        help="If it meets your own order: cancel_resting (default), cancel_incoming, cancel_both, decrement, none.",
        metavar="WORD",
    ),
]
AT_HELP = "@ PRICE, such as: @ 3.005; or the word market, or market_to_limit."
SymbolArgument = Annotated[str, typer.Argument(help="The instrument, such as W320F2703.", metavar="SYMBOL")]
QtyArgument = Annotated[int, typer.Argument(help="How many lots.", metavar="QTY", min=1)]
AtArgument = Annotated[list[str] | None, typer.Argument(help=AT_HELP, metavar="@ PRICE")]
NameArgument = Annotated[str, typer.Argument(help="The order: your own id, or the exchange's number.", metavar="ORDER")]

BUY_EXAMPLE = "Example: cashew order buy W320F2703 10 @ 3.005 --key alice.key"
SELL_EXAMPLE = "Example: cashew order sell W320F2703 10 @ 3.005 --key bob.key"


@app.command(epilog=BUY_EXAMPLE)
def buy(
    symbol: SymbolArgument,
    qty: QtyArgument,
    at: AtArgument = None,
    tif: TifOption = None,
    stop: StopOption = None,
    display: DisplayOption = None,
    min_qty: MinQtyOption = None,
    expire: ExpireOption = None,
    post_only: PostOnlyOption = False,
    cl_ord_id: IdOption = None,
    account: AccountOption = None,
    smp: SmpOption = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Buy: cashew order buy SYMBOL QTY @ PRICE"""
    terms = {"post_only": post_only, "cl_ord_id": cl_ord_id, "account": account, "smp": smp, "min_qty": min_qty}
    terms |= {"display_qty": display, **price_of(at, stop), **end_of(expire, tif)}
    run(url, key, lambda client: enter(client, symbol, "buy", qty, terms, json_lines))


@app.command(epilog=SELL_EXAMPLE)
def sell(
    symbol: SymbolArgument,
    qty: QtyArgument,
    at: AtArgument = None,
    tif: TifOption = None,
    stop: StopOption = None,
    display: DisplayOption = None,
    min_qty: MinQtyOption = None,
    expire: ExpireOption = None,
    post_only: PostOnlyOption = False,
    cl_ord_id: IdOption = None,
    account: AccountOption = None,
    smp: SmpOption = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Sell: cashew order sell SYMBOL QTY @ PRICE"""
    terms = {"post_only": post_only, "cl_ord_id": cl_ord_id, "account": account, "smp": smp, "min_qty": min_qty}
    terms |= {"display_qty": display, **price_of(at, stop), **end_of(expire, tif)}
    run(url, key, lambda client: enter(client, symbol, "sell", qty, terms, json_lines))


@app.command()
def place(
    symbol: Annotated[str, typer.Option("--symbol", help="The instrument.")],
    side: Annotated[str, typer.Option("--side", help="buy or sell.")],
    qty: Annotated[int, typer.Option("--qty", help="How many lots.", min=1)],
    price: Annotated[str | None, typer.Option("--price", help="Limit price.")] = None,
    market: Annotated[bool, typer.Option("--market", help="A market order instead of a limit price.")] = False,
    market_to_limit: Annotated[
        bool, typer.Option("--market-to-limit", help="The same, but its rest becomes a limit order.")
    ] = False,
    tif: TifOption = None,
    stop: StopOption = None,
    display: DisplayOption = None,
    min_qty: MinQtyOption = None,
    expire: ExpireOption = None,
    post_only: PostOnlyOption = False,
    cl_ord_id: IdOption = None,
    account: AccountOption = None,
    smp: SmpOption = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """The same with every part named, for scripts."""
    if side not in ("buy", "sell"):
        raise CommandFailed(f"--side is buy or sell, not {side!r}", USAGE)
    if (market, market_to_limit, price is not None).count(True) != 1:
        raise CommandFailed("give either --price or --market or --market-to-limit", USAGE)
    at = price if price is not None else "market" if market else MARKET_TO_LIMIT
    terms = {"post_only": post_only, "cl_ord_id": cl_ord_id, "account": account, "smp": smp, "min_qty": min_qty}
    terms |= {"display_qty": display, **price_of([at], stop), **end_of(expire, tif)}
    run(url, key, lambda client: enter(client, symbol, side, qty, terms, json_lines))


@app.command()
def cancel(
    order: NameArgument,
    account: AccountOption = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Take an order off the book."""

    async def work(client: Client) -> None:
        answer = await client.cancel(**named(order), account=account)
        put_order(answer, f"canceled {order_text(answer)}", json_lines)

    run(url, key, work)


@app.command(epilog="Example: cashew order amend my-1 --price 3.010 --qty 12")
def amend(
    order: NameArgument,
    price: Annotated[str | None, typer.Option("--price", help="The new price.")] = None,
    qty: Annotated[int | None, typer.Option("--qty", help="The new total, with what is filled.", min=1)] = None,
    stop: Annotated[str | None, typer.Option("--stop", help="The new stop price.", metavar="PRICE")] = None,
    expire: Annotated[str | None, typer.Option("--expire", help="The new end of a gtd order.", metavar="TIME")] = None,
    new_id: Annotated[str | None, typer.Option("--new-id", help="A new id of your own.")] = None,
    account: AccountOption = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Change prices, total quantity, end or id.

    Only a smaller quantity at the same price, another end or another id keep the order's place in the queue.
    """
    if all(one is None for one in (price, qty, stop, expire, new_id)):
        raise CommandFailed("say what to change: --price, --qty, --stop, --expire or --new-id", USAGE)
    changes: dict[str, Any] = {"price": price, "order_qty": qty, "stop_price": stop, "new_cl_ord_id": new_id}
    changes["expire_time"] = end_of(expire).get("expire_time")

    async def work(client: Client) -> None:
        executions = client.executions()
        answer = await client.amend(**named(order), **changes, account=account)
        put_order(answer, f"amended {order_text(answer)}", json_lines)
        put_fills(executions.take_waiting(), answer, json_lines)

    run(url, key, work)


@app.command("mass-cancel")
def mass_cancel(
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only of this instrument.")] = None,
    side: Annotated[str | None, typer.Option("--side", help="Only buy or only sell.")] = None,
    account: AccountOption = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Cancel all live orders of the account."""

    async def work(client: Client) -> None:
        answer = await client.mass_cancel(symbol=symbol, side=side, account=account)
        put({"ev": "order.mass_canceled", **as_record(answer)}, f"canceled {answer.count} orders", json_lines)

    run(url, key, work)


@app.command()
def status(
    order: Annotated[str | None, typer.Argument(help="One order; without it all live ones.", metavar="[ORDER]")] = None,
    account: AccountOption = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Ask for one order, or for all live ones."""

    async def work(client: Client) -> None:
        if order is not None:
            orders = [await client.status(**named(order), account=account)]
        else:
            orders = await client.mass_status(account=account)
        if json_lines:
            for one in orders:
                put_order(one, "", True)
        else:
            columns = ("order", "id", "symbol", "side", "price", "qty", "cum", "leaves", "status", "type", "stop")
            put_table(columns, [row_of(one) for one in orders])

    run(url, key, work)


@app.command()
def watch(url: UrlOption = DEFAULT_URL, key: KeyOption = None, json_lines: JsonOption = False) -> None:
    """Follow your executions until Ctrl-C."""
    from cashew.messages import Gap

    async def work(client: Client) -> None:
        async for event in client.executions():
            if isinstance(event, Gap):
                put({"ev": "gap", **as_record(event)}, f"-- {event.why}; events may be missing here", json_lines)
            else:
                put({"ev": "exec", **as_record(event)}, execution_text(event), json_lines)

    run(url, key, work)


# --- what they share --------------------------------------------------------------------------------------------------


def run(url: str, key: Path | None, work: Callable[[Client], Awaitable[None]]) -> None:
    """Connect with the key and do the work of one command."""
    from cashew.client import connect

    async def connected() -> None:
        async with connect(url, key=require_key(key)) as client:
            await work(client)

    asyncio.run(connected())


async def enter(client: Client, symbol: str, side: str, qty: int, terms: dict[str, Any], json_lines: bool) -> None:
    """Place an order and show its answer and what it traded at once."""
    executions = client.executions()
    answer = await client.place(symbol, side, qty, **terms)
    text = "this id was used before; the order is" if answer.dup else "accepted"
    put_order(answer, f"{text} {order_text(answer)}", json_lines)
    put_fills(executions.take_waiting(), answer, json_lines)


def price_of(words: list[str] | None, stop: str | None = None) -> dict[str, Any]:
    """Read `@ 3.005`, `@3.005`, `3.005`, `market` or `market_to_limit`: price, stop price and type of a place."""
    text = " ".join(words or []).replace("market-to-limit", MARKET_TO_LIMIT)
    if text == "market":
        return {"ord_type": "market"} if stop is None else {"ord_type": "stop", "stop_price": stop}
    if text == MARKET_TO_LIMIT:
        if stop is not None:
            raise CommandFailed("a stop enters as market, or with a limit: @ PRICE", USAGE)
        return {"ord_type": MARKET_TO_LIMIT}
    price = text.removeprefix("@").strip()
    if not price or " " in price:
        example = "such as: cashew order buy W320F2703 10 @ 3.005"
        raise CommandFailed(f"the price is missing or unclear; write it after the quantity, {example}", USAGE)
    return {"price": price} if stop is None else {"price": price, "ord_type": "stop_limit", "stop_price": stop}


def end_of(expire: str | None, tif: str | None = None) -> dict[str, Any]:
    """Time in force and end of an order: a time in ISO 8601, UTC unless it says otherwise, or microseconds.

    >>> end_of("2026-11-27T10:00Z")
    {'time_in_force': 'gtd', 'expire_time': 1795773600000000}
    """
    if expire is None:
        return {} if tif is None else {"time_in_force": tif}
    if expire.isascii() and expire.isdigit():
        return {"time_in_force": tif or "gtd", "expire_time": int(expire)}
    try:
        time = datetime.fromisoformat(expire)
    except ValueError:
        raise CommandFailed(f"--expire is a time such as 2026-11-27T10:00Z, not {expire!r}", USAGE) from None
    if time.tzinfo is None:
        time = time.replace(tzinfo=UTC)
    return {"time_in_force": tif or "gtd", "expire_time": (time - EPOCH) // timedelta(microseconds=1)}


def named(order: str) -> dict[str, Any]:
    """Digits alone are the exchange's order_id, everything else is the client's own id."""
    return {"order_id": int(order)} if order.isascii() and order.isdigit() else {"cl_ord_id": order}


def as_record(answer: Any) -> dict[str, Any]:
    """A record without the fields that hold nothing."""
    fields = {name: getattr(answer, name) for name in answer.__struct_fields__}
    return {name: value for name, value in fields.items() if value not in (None, "", 0)}


def put_order(order: Order, text: str, json_lines: bool) -> None:
    record = {"ev": "order", **as_record(order), "leaves_qty": order.leaves_qty, "cum_qty": order.cum_qty}
    put(record, text, json_lines)


def put_fills(events: list[Any], order: Order, json_lines: bool) -> None:
    """Show what else the same command did to the order: its trades, and what became of the rest."""
    for event in events:
        own = getattr(event, "order_id", 0) == order.order_id and event.seq == order.seq
        if own and event.exec not in ("accepted", "amended"):
            put({"ev": "exec", **as_record(event)}, execution_text(event), json_lines)


def order_text(order: Order) -> str:
    at = f" @ {order.price}" if order.price is not None else ""
    at += f" stop {order.stop_price}" if order.stop_price is not None else ""
    at += f", showing {order.display_qty}" if order.display_qty else ""
    terms = f": {order.side} {order.order_qty} {order.symbol}{at}" if order.symbol else ""
    state = f", {order.status}" if order.status else ""
    state += " (waits outside the book)" if order.inactive else ""
    return f"order {order.order_id} ({order.cl_ord_id}){terms}{state}, {order.leaves_qty} open, {order.cum_qty} filled"


def row_of(order: Order) -> tuple[Any, ...]:
    return (
        order.order_id,
        order.cl_ord_id,
        order.symbol,
        order.side,
        order.price,
        order.order_qty,
        order.cum_qty,
        order.leaves_qty,
        order.status,
        order.ord_type,
        order.stop_price,
    )


def execution_text(event: Execution) -> str:
    what = event.exec
    if event.exec == "trade":
        auction = "auction " if event.auction else ""
        what = f"traded {event.last_qty} @ {event.last_px} ({auction}trade {event.trade_id})"
    elif event.reason:
        what = f"{event.exec} ({event.reason})"
    left = f"{event.leaves_qty} open, {event.cum_qty} filled"
    return f"{event.symbol} {event.side} order {event.order_id}: {what}; {left}"
