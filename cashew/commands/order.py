"""`cashew order`: place, change, cancel and follow orders from a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
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

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Place, change, cancel and follow orders. Prices are decimal, quantities whole lots.",
)

IdOption = Annotated[str | None, typer.Option("--id", help="Your own id; made up if absent.", metavar="CL_ORD_ID")]
AccountOption = Annotated[str | None, typer.Option("--account", help="Which of the key's accounts, if it has several.")]
TifOption = Annotated[str | None, typer.Option("--tif", help="day (default), gtc, ioc or fok.", metavar="TIF")]
PostOnlyOption = Annotated[bool, typer.Option("--post-only", help="Refuse it rather than trade at once.")]
SmpOption = Annotated[
    str | None,
    typer.Option(
        "--smp",
        help="If it meets your own order: cancel_resting (default), cancel_incoming, cancel_both, decrement, none.",
        metavar="WORD",
    ),
]
AT_HELP = "@ PRICE, such as: @ 3.005; or the word market."
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
    post_only: PostOnlyOption = False,
    cl_ord_id: IdOption = None,
    account: AccountOption = None,
    smp: SmpOption = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Buy: cashew order buy SYMBOL QTY @ PRICE"""
    terms = {"time_in_force": tif, "post_only": post_only, "cl_ord_id": cl_ord_id, "account": account, "smp": smp}
    price = price_of(at)
    run(url, key, lambda client: enter(client, symbol, "buy", qty, price, terms, json_lines))


@app.command(epilog=SELL_EXAMPLE)
def sell(
    symbol: SymbolArgument,
    qty: QtyArgument,
    at: AtArgument = None,
    tif: TifOption = None,
    post_only: PostOnlyOption = False,
    cl_ord_id: IdOption = None,
    account: AccountOption = None,
    smp: SmpOption = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Sell: cashew order sell SYMBOL QTY @ PRICE"""
    terms = {"time_in_force": tif, "post_only": post_only, "cl_ord_id": cl_ord_id, "account": account, "smp": smp}
    price = price_of(at)
    run(url, key, lambda client: enter(client, symbol, "sell", qty, price, terms, json_lines))


@app.command()
def place(
    symbol: Annotated[str, typer.Option("--symbol", help="The instrument.")],
    side: Annotated[str, typer.Option("--side", help="buy or sell.")],
    qty: Annotated[int, typer.Option("--qty", help="How many lots.", min=1)],
    price: Annotated[str | None, typer.Option("--price", help="Limit price.")] = None,
    market: Annotated[bool, typer.Option("--market", help="A market order instead of a limit price.")] = False,
    tif: TifOption = None,
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
    if market == (price is not None):
        raise CommandFailed("give either --price or --market", USAGE)
    terms = {"time_in_force": tif, "post_only": post_only, "cl_ord_id": cl_ord_id, "account": account, "smp": smp}
    run(url, key, lambda client: enter(client, symbol, side, qty, price, terms, json_lines))


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
    new_id: Annotated[str | None, typer.Option("--new-id", help="A new id of your own.")] = None,
    account: AccountOption = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Change price, total quantity or id.

    Only a smaller quantity at the same price keeps the order's place in the queue.
    """
    if price is None and qty is None and new_id is None:
        raise CommandFailed("say what to change: --price, --qty or --new-id", USAGE)

    async def work(client: Client) -> None:
        executions = client.executions()
        answer = await client.amend(**named(order), price=price, order_qty=qty, new_cl_ord_id=new_id, account=account)
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
            columns = ("order", "id", "symbol", "side", "price", "qty", "cum", "leaves", "status")
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


async def enter(
    client: Client, symbol: str, side: str, qty: int, price: str | None, terms: dict[str, Any], json_lines: bool
) -> None:
    """Place an order and show its answer and what it traded at once."""
    executions = client.executions()
    ord_type = "market" if price is None else None
    answer = await client.place(symbol, side, qty, price=price, ord_type=ord_type, **terms)
    text = "this id was used before; the order is" if answer.dup else "accepted"
    put_order(answer, f"{text} {order_text(answer)}", json_lines)
    put_fills(executions.take_waiting(), answer, json_lines)


def price_of(words: list[str] | None) -> str | None:
    """Read `@ 3.005`, `@3.005`, `3.005` or `market`; None is a market order."""
    text = " ".join(words or [])
    if text == "market":
        return None
    price = text.removeprefix("@").strip()
    if not price or " " in price:
        example = "such as: cashew order buy W320F2703 10 @ 3.005"
        raise CommandFailed(f"the price is missing or unclear; write it after the quantity, {example}", USAGE)
    return price


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
    terms = f": {order.side} {order.order_qty} {order.symbol}{at}" if order.symbol else ""
    state = f", {order.status}" if order.status else ""
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
    )


def execution_text(event: Execution) -> str:
    what = event.exec
    if event.exec == "trade":
        what = f"traded {event.last_qty} @ {event.last_px} (trade {event.trade_id})"
    elif event.reason:
        what = f"{event.exec} ({event.reason})"
    left = f"{event.leaves_qty} open, {event.cum_qty} filled"
    return f"{event.symbol} {event.side} order {event.order_id}: {what}; {left}"
