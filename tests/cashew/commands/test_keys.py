"""`cashew keys`: make, list, disable."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cashew.run import cashew


def test_key_is_made_for_its_owner_alone_and_listed_without_its_secret(tmp_path: Path) -> None:
    data, file = tmp_path / "venue", tmp_path / "alice.key"
    ran = cashew("keys", "create", "M1", "--account", "A1", "--data", str(data), "--out", str(file))
    assert (ran.code, ran.out) == (0, f"key 1 of M1 (trader) is in {file}\n")
    assert file.stat().st_mode & 0o777 == 0o600
    token = json.loads(file.read_text())["token"]
    listed = cashew("keys", "list", "--data", str(data))
    assert listed.out.splitlines()[1] == "1\tM1\ttrader\tA1\tgood"
    assert token not in listed.out + (data / "keys").read_text()


def test_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "alice.key"
    file.write_text("mine")
    ran = cashew("keys", "create", "M1", "--account", "A1", "--data", str(tmp_path / "venue"), "--out", str(file))
    assert ran.code == 1
    assert "exists already" in ran.err
    assert file.read_text() == "mine"


def test_disabled_key_is_listed_as_such(tmp_path: Path) -> None:
    data = str(tmp_path / "venue")
    cashew("keys", "create", "OPS", "--role", "operator", "--data", data, "--out", str(tmp_path / "o.key"))
    assert cashew("keys", "disable", "1", "--data", data).out == "key 1 is disabled\n"
    assert [line["state"] for line in cashew("keys", "list", "--data", data, "--json").lines] == ["disabled"]
    assert cashew("keys", "disable", "9", "--data", data).code == 1


def test_trader_without_account_is_refused_in_a_sentence(tmp_path: Path) -> None:
    ran = cashew("keys", "create", "M1", "--data", str(tmp_path / "venue"), "--out", str(tmp_path / "k"))
    assert ran.code == 1
    assert "names its accounts" in ran.err
    assert not (tmp_path / "k").exists()
