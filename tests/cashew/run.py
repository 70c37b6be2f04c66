"""Runs the command line in this process, as a script or a pipe would see it."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any, NamedTuple

from cashew.cli import main


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output as JSON, one object per line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Pipe(io.TextIOWrapper):
    """A text stream over bytes that is no terminal."""

    def __init__(self, content: bytes = b"") -> None:
        super().__init__(io.BytesIO(content), encoding="utf-8", write_through=True)

    def text(self) -> str:
        self.flush()
        raw = self.buffer
        assert isinstance(raw, io.BytesIO)
        return raw.getvalue().decode()


def cashew(*arguments: str, stdin: bytes = b"") -> Ran:
    """Run `cashew ARGUMENTS` and return its exit code and both outputs."""
    out, err = Pipe(), Pipe()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), stdin_as(Pipe(stdin)):
        code = main(arguments)
    return Ran(code, out.text(), err.text())


@contextlib.contextmanager
def stdin_as(stream: Pipe) -> Any:
    import sys

    before, sys.stdin = sys.stdin, stream
    try:
        yield
    finally:
        sys.stdin = before
