"""`cashew session`, `act`, `new-day` and `new-account`: what an operator does during the trading day."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from cashew.commands.common import (
    DEFAULT_URL,
    USAGE,
    CommandFailed,
    JsonOption,
    KeyOption,
    UrlOption,
    operate,
    put,
)

__all__ = ["app", "new_account", "new_day", "pull"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Open, halt, resume, close trading. Needs an operator's key; the log keeps every act and its reason.",
)

SymbolArgument = Annotated[
    str | None, typer.Argument(help="One instrument, or ALL; absent with --group.", metavar="SYMBOL|ALL")
]
GroupOption = Annotated[
    str | None, typer.Option("--group", help="All instruments of a group, such as W320F.", metavar="GROUP")
]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, which goes into the log.", metavar="TEXT")]


@app.command("pre-open")
def pre_open(
    why: WhyOption,
    symbol: SymbolArgument = None,
    group: GroupOption = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Collect orders without matching them."""
    act({"action": "pre_open", "why": why, **meant(symbol, group)}, url, key, json_lines)


@app.command("open")
def open_(
    why: WhyOption,
    symbol: SymbolArgument = None,
    group: GroupOption = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Open for continuous trading; a call ends with its uncross.

    Of a closed instrument orders that cross are uncrossed first.
    """
    act({"action": "open", "why": why, **meant(symbol, group)}, url, key, json_lines)


@app.command(epilog='Example: cashew session halt W320F2703 --why "warehouse fire" --key operator.key')
def halt(
    why: WhyOption,
    symbol: SymbolArgument = None,
    group: GroupOption = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Stop trading; orders can still be canceled."""
    act({"action": "halt", "why": why, **meant(symbol, group)}, url, key, json_lines)


@app.command()
def resume(
    why: WhyOption,
    symbol: SymbolArgument = None,
    group: GroupOption = None,
    call: Annotated[
        int,
        typer.Option(
            "--call",
            help="How long the re-opening call lasts; 0: until you end it.",
            metavar="SECONDS",
            min=0,
            max=86_400,
        ),
    ] = 5,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Go on after a halt, through a re-opening call.

    The instrument is in pre_open then. The exchange ends that call by itself, with its uncross, and trading is
    continuous again; `session open` ends it at once.
    """
    body = {"action": "resume", "why": why, "call_seconds": call, **meant(symbol, group)}
    resumed = act(body, url, key, json_lines)
    if not json_lines and call:
        print(f"this call ends by itself in {call} s, with its uncross: then {resumed} again")
    elif not json_lines:
        print("this call lasts until somebody ends it: cashew session open")


@app.command()
def close(
    why: WhyOption,
    symbol: SymbolArgument = None,
    group: GroupOption = None,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Close; day orders expire."""
    act({"action": "close", "why": why, **meant(symbol, group)}, url, key, json_lines)


@app.command(epilog='Example: cashew session phase W320F2703 pre_close --why "end of day" --key operator.key')
def phase(
    names: Annotated[
        list[str],
        typer.Argument(help="One instrument or ALL, and the phase; with --group the phase.", metavar="NAME PHASE"),
    ],
    why: WhyOption,
    group: GroupOption = None,
    override: Annotated[
        bool, typer.Option("--override", help="For this instrument alone: acts on its group and on ALL pass it by.")
    ] = False,
    at_last_match: Annotated[
        bool, typer.Option("--at-last-match", help="End the session at its last match, without an uncross.")
    ] = False,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Set any phase that may follow: cashew session phase SYMBOL|ALL PHASE

    The phases and what each lets in are in engine/PHASES.md.
    """
    *symbols, name = names
    if len(symbols) > 1:
        raise CommandFailed("name one instrument (or ALL), and the phase", USAGE)
    target = meant(symbols[0] if symbols else None, group)
    body = {"action": "phase", "phase": name.replace("-", "_"), "why": why, **target}
    act({**body, "override": override, "at_last_match": at_last_match}, url, key, json_lines)


@app.command()
def uncross(
    symbol: Annotated[str, typer.Argument(help="An instrument in a call.", metavar="SYMBOL")],
    why: WhyOption,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Trade what a call has collected, and go on with the call."""
    act({"action": "uncross", "why": why, "symbol": symbol}, url, key, json_lines)


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
    ccy: Annotated[str, typer.Option("--ccy", help="The currency in which it settles, such as VND.")] = "",
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Define an account.

    Needs an operator's key. Orders of accounts with the same owner do not trade with each other.
    """
    body = {"account": account, "member": member, "owner": owner or account, **({"ccy": ccy} if ccy else {})}
    for event in operate(url, key, "/operator/accounts", body):
        put(event, f"account {account} of {member} is defined", json_lines)


def pull(
    op: Annotated[str, typer.Argument(help="Which lever: kill.set, limit.set, control.set, …", metavar="OP")],
    terms: Annotated[str, typer.Argument(help='What it takes, as JSON: {"member":"M1","on":1}.', metavar="JSON")],
    why: WhyOption,
    url: UrlOption = DEFAULT_URL,
    key: KeyOption = None,
    json_lines: JsonOption = False,
) -> None:
    """Pull a lever: limits, bands, margins, fees, caps, collateral, fixings, kill switches.

    Needs an operator's key. What each takes is in engine/RULES.md, rules R66 to R77.
    """
    try:
        payload = json.loads(terms)
    except ValueError:
        raise CommandFailed(f"this is no JSON: {terms}", USAGE) from None
    for event in operate(url, key, "/operator/act", {"op": op, "why": why, "p": payload}):
        told = " ".join(f"{name} {event[name]}" for name in event if name not in ("ev", "seq", "i", "ts"))
        put(event, f"{event['ev']}: {told}", json_lines)


def meant(symbol: str | None, group: str | None) -> dict[str, str]:
    """The instruments of an act, as its body names them."""
    if (symbol is None) == (group is None):
        raise CommandFailed("name one instrument, or ALL, or a --group", USAGE)
    return {"symbol": symbol} if symbol is not None else {"group": group or ""}


def act(body: dict[str, Any], url: str, key: KeyOption, json_lines: bool) -> str:
    """Send one phase act; show each instrument that changed, each uncross, and how many orders expired.

    Gives the symbols that changed, for a sentence.
    """
    from cashew.ladder import auction_text
    from cashew.messages import Auction, record

    expired, changed = 0, []
    for event in operate(url, key, "/operator/session", body):
        kind = event.get("ev")
        symbol = event.get("symbol", body.get("symbol", "?"))
        expired += kind == "order.expired"
        if kind == "phase.changed":
            changed.append(symbol)
            put(event, f"{symbol} is now {event.get('phase', '?')}", json_lines)
        elif kind == "auction.uncrossed":
            told = record({**event, "state": "uncrossed"}, Auction)
            put(event, f"{symbol} was uncrossed: it {auction_text(told)}", json_lines)
        elif json_lines:
            put(event, "", True)
    if expired and not json_lines:
        print(f"{expired} orders have expired")
    return f"{changed[0]} is continuous" if len(changed) == 1 else f"{len(changed)} instruments are continuous"
