"""What all commands share: options, output for people and for scripts, and the error that ends a command."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cashew.errors import CannotConnect, CashewError, NotDone, from_answer

__all__ = [
    "CANNOT_CONNECT",
    "DEFAULT_DATA",
    "DEFAULT_URL",
    "FAILED",
    "INTERRUPTED",
    "USAGE",
    "VERIFICATION_FAILED",
    "CommandFailed",
    "DataOption",
    "JsonOption",
    "KeyOption",
    "UrlOption",
    "is_terminal",
    "note",
    "operate",
    "put",
    "put_table",
    "require_key",
]

FAILED = 1
USAGE = 2
VERIFICATION_FAILED = 3
CANNOT_CONNECT = 4
INTERRUPTED = 130

RIGHT = frozenset(
    {"order", "qty", "leaves", "cum", "price", "stop", "tick", "min price", "max price", "max lots", "lot"}
)
DEFAULT_DATA = Path("venue")
DEFAULT_URL = "http://127.0.0.1:8410"

UrlOption = Annotated[str, typer.Option("--url", envvar="CASHEW_URL", help="Address of the exchange.")]
KeyOption = Annotated[Path | None, typer.Option("--key", envvar="CASHEW_KEY", help="Your key file.", metavar="FILE")]
DataOption = Annotated[
    Path,
    typer.Option(
        "--data", envvar="CASHEW_DATA", help="The venue's data folder (venue).", metavar="DIR", file_okay=False
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object per line, for scripts.")]


class CommandFailed(Exception):
    """Ends a command with one sentence for people and an exit code."""

    def __init__(self, text: str, exit_code: int = FAILED) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()


def put(record: Mapping[str, Any], text: str, as_json: bool) -> None:
    """Print one result: the record as a line of JSON, or the text."""
    print(json.dumps(record, ensure_ascii=False, separators=(",", ":")) if as_json else text, flush=True)


def note(text: str) -> None:
    """Tell a person something beside the result."""
    print(text, file=sys.stderr, flush=True)


def put_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Print a table on a terminal; in a pipe, columns separated by tabs, which other programs cut easily."""
    if not is_terminal():
        for row in (columns, *rows):
            print("\t".join("" if cell is None else str(cell) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title or None, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in RIGHT else "left")
    for row in rows:
        table.add_row(*("" if cell is None else str(cell) for cell in row))
    Console().print(table)


def require_key(key: Path | None) -> Path:
    """The key file, or one sentence on how to name it."""
    if key is None:
        raise CommandFailed("this needs a key: add --key FILE or set CASHEW_KEY", USAGE)
    return key


def operate(url: str, key: Path | None, path: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """POST an operator's act and return the events it caused.

    NotDone with the exchange's own words if it refuses; CannotConnect if nobody answers.
    """
    import httpx

    from cashew.keyfile import read_token
    from cashew.link import http_base

    base = http_base(url)
    token = read_token(require_key(key))
    try:
        with httpx.Client(trust_env=False, timeout=30.0) as http:
            reply = http.post(f"{base}{path}", json=dict(body), headers={"Authorization": f"Bearer {token}"})
    except httpx.ConnectError as error:
        raise CannotConnect("REFUSED", f"no exchange answers at {base}") from error
    except httpx.HTTPError as error:
        raise CashewError("NO_ANSWER", f"{base} gave no answer ({error or type(error).__name__})") from error
    try:
        content = reply.json()
    except ValueError:
        raise CannotConnect("NO_EXCHANGE", f"{base} answers, but not as an exchange") from None
    if reply.is_success:
        events: list[dict[str, Any]] = content if isinstance(content, list) else content.get("events", [content])
        return events
    raise refusal(reply.status_code, content)


def refusal(status: int, content: Any) -> CashewError:
    """Turn a REST refusal into an error."""
    if isinstance(content, dict) and isinstance(content.get("detail"), dict):
        content = content["detail"]
    if isinstance(content, dict) and "code" in content:
        return from_answer(content)
    if isinstance(content, dict) and isinstance(content.get("detail"), str):
        return NotDone(f"HTTP_{status}", content["detail"])
    return NotDone(f"HTTP_{status}", f"the exchange refused it (status {status})")
