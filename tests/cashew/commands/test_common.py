"""What commands share: output for people and for scripts."""

from __future__ import annotations

import io
import json
import sys

import pytest

from cashew.commands import common


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_record_is_a_line_of_json_or_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    common.put({"ev": "x", "name": "Bình Phước"}, "in words", True)
    common.put({"ev": "x"}, "in words", False)
    assert capsys.readouterr().out == '{"ev":"x","name":"Bình Phước"}\nin words\n'


def test_table_in_a_pipe_is_separated_by_tabs(capsys: pytest.CaptureFixture[str]) -> None:
    common.put_table(("symbol", "price"), [("X", "3.005"), ("Y", None)])
    assert capsys.readouterr().out == "symbol\tprice\nX\t3.005\nY\t\n"


@pytest.mark.parametrize("plain", [True, False], ids=["NO_COLOR", "colours"])
def test_table_on_a_terminal_is_drawn_and_obeys_no_color(plain: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if plain:
        monkeypatch.setenv("NO_COLOR", "1")
    common.put_table(("symbol", "price"), [("X", "3.005")])
    text = terminal.getvalue()
    assert "3.005" in text
    assert "┃" in text
    assert "\t" not in text
    assert not (plain and any(f"\x1b[{colour}m" in text for colour in range(30, 38)))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ({"code": "PHASE", "text": "no", "rule": "R9"}, "PHASE"),
        ({"detail": {"code": "PHASE", "text": "no"}}, "PHASE"),
        ({"detail": "no"}, "HTTP_409"),
        (["no"], "HTTP_409"),
    ],
)
def test_refusal_of_a_rest_door_keeps_its_code(content: object, code: str) -> None:
    error = common.refusal(409, content)
    assert (error.code, error.fate) == (code, "not_done")
    assert json.dumps(error.text)


def test_missing_key_is_a_usage_error() -> None:
    with pytest.raises(common.CommandFailed) as caught:
        common.require_key(None)
    assert caught.value.exit_code == common.USAGE
