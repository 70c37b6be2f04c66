"""What `cashew serve` prints when it serves: where it is, and what to type next.

Floor 3.  A pure function to a text whose commands can be copied as they stand.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gateway.settings import Settings

__all__ = ["banner"]

DEFAULT_URL = "http://127.0.0.1:8410"


def banner(
    url: str,
    settings: Settings,
    listed: Sequence[tuple[str, Mapping[str, Any]]],
    keys: Mapping[str, Path],
    command: str = "cashew",
) -> str:
    """The lines for people: `url` is the page, `listed` (symbol, terms), `keys` the demonstration's key files."""
    lines = [f"The exchange is open at {url}/ (market data also on port {settings.market_data_port})."]
    if settings.sync == "off":
        lines.append("SYNC IS OFF: an acknowledgement is not on disk. For benches only.")
    where = "" if url == DEFAULT_URL else f" --url {url}"
    if not keys:
        data = shlex.quote(str(settings.data))
        lines += [
            "An operator's key, an account, and the key of its trader are made with:",
            f"  {command} keys create EXCHANGE --role operator --data {data} --out operator.key",
            f"  {command} new-account ACCOUNT --member MEMBER --key operator.key{where}",
            f"  {command} keys create MEMBER --account ACCOUNT --data {data} --out member.key",
            "Ctrl-C ends it.",
        ]
        return "\n".join(lines)
    symbol, terms = listed[0]
    price = terms.get("reference_price", terms["min_price"])
    people = [name for name in keys if not name.startswith(("maker", "taker", "operator"))]
    lines += [
        "",
        "Keys of the demonstration's members (secret, for you alone):",
        *(f"  {name:9} {keys[name]}" for name in (*people, "operator")),
        "",
        "In another terminal:",
        f"  {command} md {symbol}{where}",
        f"  {command} order buy {symbol} 1 @ {price} --key {_quoted(keys[people[0]])}{where}",
        f"  {command} order sell {symbol} 1 @ {price} --key {_quoted(keys[people[1]])}{where}",
        f'  {command} session halt {symbol} --why "a first halt" --key {_quoted(keys["operator"])}{where}',
        f'  {command} session resume {symbol} --why "and on" --key {_quoted(keys["operator"])}{where}',
        "",
        "Trading opens with an auction: orders are collected for 15 seconds, then it is continuous. Ctrl-C ends it.",
    ]
    return "\n".join(lines)


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
