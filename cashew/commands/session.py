"""`cashew session`, `cashew new-day` and `cashew new-account`: what an operator does during the trading day."""

from __future__ import annotations

from typing import Annotated

import typer

from cashew.commands.common import DEFAULT_URL, JsonOption, KeyOption, UrlOption, operate, put

__all__ = ["app", "new_account", "new_day"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Open, halt, resume, close trading. Needs an operator's key; the log keeps every act and its reason.",
)

SymbolArgument = Annotated[str, typer.Argument(help="One instrument, or ALL.", metavar="SYMBOL|ALL")]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, which goes into the log.", metavar="TEXT")]


@app.command("pre-open")
def pre_open(
    symbol: SymbolArgument,
    why: WhyOption,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Collect orders without matching them."""
    act("pre_open", symbol, why, url, key, json_lines)


@app.command("open")
def open_(
    symbol: SymbolArgument,
    why: WhyOption,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Open for continuous trading."""
    act("open", symbol, why, url, key, json_lines)


@app.command(epilog='Example: cashew session halt W320F2703 --why "warehouse fire" --key operator.key')
def halt(
    symbol: SymbolArgument,
    why: WhyOption,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Stop trading; orders can still be canceled."""
    act("halt", symbol, why, url, key, json_lines)


@app.command()
def resume(
    symbol: SymbolArgument,
    why: WhyOption,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Go on trading after a halt."""
    act("resume", symbol, why, url, key, json_lines)


@app.command()
def close(
    symbol: SymbolArgument,
    why: WhyOption,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Close; day orders expire."""
    act("close", symbol, why, url, key, json_lines)


def new_day(
    trading_day: Annotated[str, typer.Argument(help="The new trading day, such as 2026-11-24.", metavar="YYYY-MM-DD")],
    why: WhyOption = "new trading day",
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Begin the next trading day.

    Needs an operator's key. The log gets a new folder, which begins by restating what carries over.
    """
    events = operate(url, key, "/operator/day", {"trading_day": trading_day, "why": why})
    if json_lines:
        for event in events:
            put(event, "", True)
    else:
        print(f"trading day {trading_day} has begun")


def new_account(
    account: Annotated[str, typer.Argument(help="The account's name.", metavar="ACCOUNT")],
    member: Annotated[str, typer.Option("--member", help="The member through whom it trades.")],
    owner: Annotated[
        str | None, typer.Option("--owner", help="The beneficial owner; the account's name if absent.")
    ] = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Define an account.

    Needs an operator's key. Orders of accounts with the same owner do not trade with each other.
    """
    body = {"account": account, "member": member, "owner": owner or account}
    for event in operate(url, key, "/operator/accounts", body):
        put(event, f"account {account} of {member} is defined", json_lines)


def act(action: str, symbol: str, why: str, url: str, key: KeyOption, json_lines: bool) -> None:
    """Send one phase act and show each instrument that changed, and how many orders that ended."""
    body = {"action": action, "symbol": symbol, "why": why}
    expired = 0
    for event in operate(url, key, "/operator/session", body):
        expired += event.get("ev") == "order.expired"
        if json_lines or event.get("ev") == "phase.changed":
            put(event, f"{event.get('symbol', symbol)} is now {event.get('phase', '?')}", json_lines)
    if expired and not json_lines:
        print(f"{expired} day orders have expired")
