"""`cashew verify` and `cashew replay`: what an auditor asks of a log. Neither needs a server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from cashew.commands.common import (
    VERIFICATION_FAILED,
    CommandFailed,
    JsonOption,
    is_terminal,
    note,
    put,
    put_table,
)

__all__ = ["replay", "verify"]

FolderArgument = Annotated[
    Path, typer.Argument(help="The venue's data folder, its log, or the folder of one day.", metavar="DIR")
]
CompiledOption = Annotated[
    bool, typer.Option("--compiled", help="Use the compiled matcher: faster on long logs, but needs numba.")
]


def verify(directory: FolderArgument, compiled: CompiledOption = False, json_lines: JsonOption = False) -> None:
    """Check a log without trusting the exchange.

    Checks the hash chain, the gap-free sequence and every checksum, and carries out each command again by the
    readable rules: the events must be the same byte for byte. Exits with 3 if anything differs.
    """
    from engine import replay as log

    options: dict[str, Any] = {"make_matcher": log.compiled} if compiled else {}
    try:
        report = log.verify(log_of(directory), progress=teller(), **options)
    except FileNotFoundError as error:
        raise CommandFailed(f"{error}; name the venue's data folder") from None
    put({"ev": "verified", **report.to_dict()}, "\n".join(report.lines()), json_lines)
    if report.exit_code:
        raise typer.Exit(VERIFICATION_FAILED)


def replay(
    directory: FolderArgument,
    until: Annotated[int | None, typer.Option("--until", help="Stop after this command.", metavar="SEQ", min=1)] = None,
    book: Annotated[
        str | None, typer.Option("--book", help="Show the book of this instrument there.", metavar="SYMBOL")
    ] = None,
    compare: Annotated[
        bool, typer.Option("--compare", help="Run both matchers, and stop at the first event that differs.")
    ] = False,
    compiled: CompiledOption = False,
    json_lines: JsonOption = False,
) -> None:
    """Bring back the exchange at any point.

    Carries out the log's commands up to SEQ (or to its end) and shows where that leads, or a book as it was.
    """
    from engine import replay as log
    from engine.reference import Reference
    from engine.scan import Rot

    first, second = (log.compiled, Reference) if compiled else (Reference, log.compiled)
    other = second if compare else None
    try:
        done = log.replay(log_of(directory), until=until, make_matcher=first, compare=other, progress=teller())
    except FileNotFoundError as error:
        raise CommandFailed(f"{error}; name the venue's data folder") from None
    except ValueError as error:
        raise CommandFailed(f"cannot replay until {until}: {error}") from None
    except Rot as rot:
        raise CommandFailed(f"the log is damaged: {rot}", VERIFICATION_FAILED) from None
    if done.difference is not None:
        raise CommandFailed(f"the two matchers differ: {done.difference}", VERIFICATION_FAILED)
    if book is not None:
        show_book(done, book, json_lines)
        return
    world = done.matcher.dump()
    phases = {terms["symbol"]: terms["phase"] for terms in world["instruments"]}
    orders = len(world["orders"])
    record = {"ev": "replayed", "trading_day": done.trading_day, "seq": done.seq, "commands": done.commands}
    text = f"trading day {done.trading_day}, seq {done.seq}: {done.commands} commands carried out again, "
    text += f"{orders} orders live on {len(phases)} instruments"
    text += "; both matchers gave the same events" if compare else ""
    put({**record, "orders": orders, "phases": phases, "compared": compare}, text, json_lines)


def show_book(done: Any, symbol: str, json_lines: bool) -> None:
    """Print one book with the orders of each level in queue order."""
    from engine.schema import Tick

    try:
        found = done.book(symbol)
    except KeyError:
        raise CommandFailed(f"there was no instrument {symbol!r} at seq {done.seq}") from None
    terms = next(one for one in done.matcher.dump()["instruments"] if one["symbol"] == symbol)
    price = Tick.parse(terms["tick"]).text
    sides = {
        side: [
            {
                "price": price(ticks),
                "qty": qty,
                "orders": [{"order_id": int(n), "leaves_qty": int(q)} for n, q in queue],
            }
            for ticks, qty, queue in found[side]
        ]
        for side in ("bids", "asks")
    }
    if json_lines:
        put({"ev": "book", "symbol": symbol, "seq": done.seq, **sides}, "", True)
        return
    note(f"{symbol} after seq {done.seq} of {done.trading_day}, {terms['phase']}")
    rows = [("ask", *row_of(level)) for level in reversed(sides["asks"])]
    rows += [("bid", *row_of(level)) for level in sides["bids"]]
    put_table(("side", "price", "qty", "orders in queue order"), rows)


def row_of(level: dict[str, Any]) -> tuple[Any, ...]:
    queue = ", ".join(f"{order['order_id']} ({order['leaves_qty']})" for order in level["orders"])
    return level["price"], level["qty"], queue


def log_of(directory: Path) -> Path:
    """The folder of the log: the one named, or `log` in a venue's data folder."""
    inner = directory / "log"
    return inner if inner.is_dir() else directory


def teller() -> Callable[[str, int], None] | None:
    """Show a person that a long log is being read."""
    if not (is_terminal() and sys.stderr.isatty()):
        return None
    return lambda trading_day, commands: note(f"{trading_day}: {commands} commands so far")
