"""`cashew serve`: how settings reach the venue; a running one is tested end to end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from cashew.commands.serve import own_name
from tests.cashew.run import cashew


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The settings that the venue would have been run with; it returns 3, as for a damaged log."""
    seen: list[Any] = []

    def serve(settings: Any, *, command: str) -> int:
        seen.append(settings)
        return 3

    monkeypatch.setattr("gateway.venue.serve", serve)
    for name in ("CASHEW_PORT", "CASHEW_SYNC", "CASHEW_HOST"):
        monkeypatch.delenv(name, raising=False)
    return seen


def test_options_are_stronger_than_the_file(served: list[Any], tmp_path: Path) -> None:
    config = tmp_path / "venue.toml"
    config.write_text('port = 9000\nhost = "127.0.0.2"\n')
    options = ("--config", str(config), "--port", "9001", "--data", str(tmp_path), "--sync", "off", "--demo")
    assert cashew("serve", *options).code == 3
    (settings,) = served
    assert (settings.port, settings.host, settings.data) == (9001, "127.0.0.2", tmp_path)
    assert (settings.sync, settings.demo, settings.market_data_port) == ("off", True, 9002)


def test_defaults_are_those_of_the_manual(served: list[Any]) -> None:
    cashew("serve")
    (settings,) = served
    assert (settings.host, settings.port, settings.md_port, settings.sync) == ("127.0.0.1", 8410, None, "on")
    assert (str(settings.data), settings.demo) == ("venue", False)


@pytest.mark.parametrize(
    "options", [("--sync", "maybe"), ("--port", "70000"), ("--config", "none.toml"), ("--port", "x")]
)
def test_wrong_settings_are_exit_2_in_a_sentence(options: tuple[str, ...], served: list[Any]) -> None:
    ran = cashew("serve", *options)
    assert (ran.code, ran.out, served) == (2, "", [])
    assert ran.err.startswith("cashew: ")
    assert ran.err.count("\n") == 1


def test_next_commands_are_shown_as_they_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / ".venv" / "bin" / "cashew"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(program), "serve"])
    monkeypatch.setenv("PATH", "")
    assert own_name() == ".venv/bin/cashew"
    monkeypatch.setenv("PATH", str(program.parent))
    assert own_name() == "cashew"
    monkeypatch.setattr(sys, "argv", ["elsewhere/__main__.py"])
    assert own_name() == "cashew"
