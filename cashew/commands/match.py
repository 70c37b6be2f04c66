"""`cashew match`: the rules offline, requests in, events out; no server and no disk."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Annotated, Any

import typer

from cashew.commands.common import FAILED, CommandFailed

__all__ = ["match"]


def match(
    file: Annotated[str, typer.Argument(help="Requests, a JSON object per line; - is standard input.", metavar="FILE")],
    reference: Annotated[
        bool, typer.Option("--reference", help="Use the readable matcher instead of the compiled one.")
    ] = False,
    json_lines: Annotated[bool, typer.Option("--json", help="The output is always one JSON object per line.")] = True,
) -> None:
    """Try the matching rules offline.

    Requests in, events out, a JSON object per line in both; no server, no disk.
    Exits with 1 if a line could not be read; the lines after it are carried out all the same.
    """
    import msgspec

    from gateway.offline import match_lines

    encode = msgspec.json.Encoder().encode
    bad = False
    write = sys.stdout.buffer.write
    with lines_of(file) as lines:
        for event in match_lines(lines, make_matcher(reference)):
            bad = bad or event.get("ev") == "error"
            write(encode(event) + b"\n")
            if file == "-":
                sys.stdout.buffer.flush()
    sys.stdout.buffer.flush()
    if bad:
        raise typer.Exit(FAILED)


def make_matcher(reference: bool) -> Any:
    """The matcher to use; the compiled one takes a while when it is compiled for the first time."""
    if reference:
        from engine.reference import Reference

        return Reference()
    from engine.replay import compiled
    from engine.schema import Limits

    return compiled(Limits())


@contextmanager
def lines_of(file: str) -> Iterator[IO[bytes]]:
    """Open the requests; CommandFailed if they cannot be read."""
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        with open(file, "rb") as stream:
            yield stream
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise CommandFailed(f"cannot read {file}: {error.strerror}") from None
