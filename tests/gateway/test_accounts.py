"""Keys: owner-only files, tokens that are kept nowhere, and a running venue that notices changes."""

import json
import os
import stat
from pathlib import Path

import pytest

from gateway.accounts import KeyFileError, KeyRing, create_key, disable_key, list_keys, write_key_file


def test_created_key_opens_and_a_wrong_token_does_not(tmp_path: Path) -> None:
    key, token = create_key(tmp_path, "M1", "trader", ["A1", "A2"])
    ring = KeyRing(tmp_path)
    assert ring.find(token) == key and key.accounts == ("A1", "A2")
    assert ring.find(token + "x") is None and ring.find("") is None and ring.find("\ud800") is None


def test_secret_is_in_no_file_of_the_venue(tmp_path: Path) -> None:
    _, token = create_key(tmp_path, "M1", "trader", ["A1"])
    assert all(token.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_key_file_is_the_owners_alone_and_a_wider_one_is_refused(tmp_path: Path) -> None:
    create_key(tmp_path, "M1", "trader", ["A1"])
    path = tmp_path / "keys"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o640)
    with pytest.raises(KeyFileError, match="chmod 600"):
        KeyRing(tmp_path)
    with pytest.raises(KeyFileError, match="chmod 600"):
        create_key(tmp_path, "M2", "trader", ["A2"])


def test_clients_file_is_owner_only_and_holds_the_token(tmp_path: Path) -> None:
    key, token = create_key(tmp_path, "M1", "trader", ["A1"])
    path = tmp_path / "keys.d" / "m1.key"
    write_key_file(path, key, token)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {
        "token": token, "member": "M1", "role": "trader", "accounts": ["A1"], "number": 1,
    }  # fmt: skip


def test_disabled_key_opens_nothing_and_stays_in_the_list(tmp_path: Path) -> None:
    key, token = create_key(tmp_path, "M1", "trader", ["A1"])
    other, other_token = create_key(tmp_path, "OPS", "operator")
    ring = KeyRing(tmp_path)
    assert not ring.refresh()
    disable_key(tmp_path, key.number)
    assert ring.refresh() and ring.find(token) is None and not ring.holds(key)
    assert ring.find(other_token) == other and ring.holds(other)
    assert [(one.number, one.disabled) for one in list_keys(tmp_path)] == [(1, True), (2, False)]
    with pytest.raises(KeyFileError, match="no key 9"):
        disable_key(tmp_path, 9)


def test_venue_keeps_its_keys_when_the_file_is_spoiled_and_loses_them_when_it_is_gone(tmp_path: Path) -> None:
    _, token = create_key(tmp_path, "M1", "trader", ["A1"])
    ring = KeyRing(tmp_path)
    (tmp_path / "keys").write_text("{")
    os.utime(tmp_path / "keys", ns=(1, 1))
    with pytest.raises(KeyFileError, match="no key file"):
        ring.refresh()
    assert ring.find(token) is not None
    (tmp_path / "keys").unlink()
    assert ring.refresh() and ring.find(token) is None and not ring.refresh()


@pytest.mark.parametrize(
    ("member", "role", "accounts"),
    [
        ("M1", "king", ["A1"]), ("M1", "trader", []), ("M1", "operator", ["A1"]), ("bad name", "trader", ["A1"]),
        ("M1", "trader", ["A 1"]), ("M1", "trader", ["A1", "A1"]), ("", "operator", []),
    ],
)  # fmt: skip
def test_a_key_that_makes_no_sense_is_not_made(tmp_path: Path, member: str, role: str, accounts: list[str]) -> None:
    with pytest.raises(KeyFileError):
        create_key(tmp_path, member, role, accounts)
    assert list_keys(tmp_path) == []
