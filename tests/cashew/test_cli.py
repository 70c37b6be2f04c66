"""The command line as a whole: its help, its exit codes, and errors as one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cashew.run import cashew

HELP = Path(__file__).parent / "help"
COMMANDS = [
    (),
    ("serve",),
    ("match",),
    ("verify",),
    ("replay",),
    ("session",),
    ("session", "halt"),
    ("session", "resume"),
    ("session", "phase"),
    ("new-day",),
    ("new-account",),
    ("order",),
    ("order", "buy"),
    ("order", "amend"),
    ("md",),
    ("keys",),
    ("keys", "create"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: "-".join(command) or "cashew")
def test_help_is_what_people_and_scripts_know(command: tuple[str, ...]) -> None:
    """Changed on purpose? `python -m tests.cashew.test_cli` writes the snapshots anew; read the difference."""
    ran = cashew(*command, "--help")
    assert ran.code == 0
    assert ran.out == (HELP / f"{'-'.join(command) or 'cashew'}.txt").read_text()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("frob",), "No such command 'frob'"),
        (("order", "buy", "W320F2703", "ten"), "Invalid value for 'QTY'"),
        (("order", "buy", "W320F2703", "0", "@", "3"), "Invalid value for 'QTY'"),
        (("order", "buy", "W320F2703", "10"), "the price is missing or unclear"),
        (("order", "buy", "W320F2703", "10", "@"), "the price is missing or unclear"),
        (("order", "buy", "W320F2703", "10", "3.005", "3.010"), "the price is missing or unclear"),
        (("order", "buy", "W320F2703", "10", "@", "3.005"), "this needs a key"),
        (("order", "amend", "a-1"), "say what to change"),
        (("order", "place", "--symbol", "X", "--side", "up", "--qty", "1"), "--side is buy or sell, not 'up'"),
        (("order", "place", "--symbol", "X", "--side", "buy", "--qty", "1"), "give either --price or --market"),
        (("session", "halt", "ALL"), "Missing option '--why'"),
        (("session", "halt", "ALL", "--why", "fire"), "this needs a key"),
        (("md",), "Missing argument 'SYMBOL'"),
        (("md", "X", "--nonsense"), "No such option"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(arguments: tuple[str, ...], sentence: str) -> None:
    ran = cashew(*arguments)
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith(f"cashew: {sentence}")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [("md", "W320F2703"), ("instruments",), ("order", "status"), ("session", "halt", "ALL", "--why", "x")],
    ids=["md", "instruments", "order", "session"],
)
def test_nobody_at_the_address_is_exit_4(arguments: tuple[str, ...], alice: str) -> None:
    key = () if arguments[0] in ("md", "instruments") else ("--key", alice)
    ran = cashew(*arguments, *key, "--url", "http://127.0.0.1:1")
    assert (ran.code, ran.out) == (4, "")
    assert "no exchange answers at" in ran.err
    assert ran.err.count("\n") == 1
    with_json = cashew(*arguments, *key, "--url", "http://127.0.0.1:1", "--json")
    assert with_json.code == 4
    assert [(line["ev"], line["fate"]) for line in with_json.lines] == [("error", "not_done")]


def test_interrupt_is_exit_130(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cashew.commands.md.watch", interrupted)
    assert cashew("md", "W320F2703").code == 130


def test_what_should_not_happen_is_still_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("cashew.commands.md.watch", broken)
    ran = cashew("md", "W320F2703")
    assert ran.code == 1
    assert ran.err == "cashew: this should not have happened: RuntimeError: a bug (CASHEW_DEBUG=1 shows where)\n"
    monkeypatch.setenv("CASHEW_DEBUG", "1")
    with pytest.raises(RuntimeError):
        cashew("md", "W320F2703")


def test_the_command_line_imports_nothing_heavy_until_it_is_needed() -> None:
    program = "import sys, cashew.cli; print([name for name in ('numpy', 'numba', 'websockets', 'httpx', 'fastapi', "
    program += "'rich.console', 'gateway', 'engine') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_group_without_a_command_shows_its_help() -> None:
    ran = cashew("order")
    assert (ran.code, ran.err) == (2, "")
    assert ran.out.startswith("Usage: cashew order")


if __name__ == "__main__":
    os.environ["COLUMNS"] = "80"
    HELP.mkdir(exist_ok=True)
    for command in COMMANDS:
        (HELP / f"{'-'.join(command) or 'cashew'}.txt").write_text(cashew(*command, "--help").out)
