"""Key files: read if they are one's own, refused with a clear sentence otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from cashew.errors import NotDone
from cashew.keyfile import read_token


def write(path: Path, content: str, mode: int = 0o600) -> Path:
    path.write_text(content)
    path.chmod(mode)
    return path


def test_token_is_read(tmp_path: Path) -> None:
    assert read_token(write(tmp_path / "k", '{"token": "secret", "member": "M1", "later": 1}')) == "secret"


@pytest.mark.parametrize(
    ("content", "mode", "sentence"),
    [
        ("{}", 0o600, "holds no token"),
        ('{"token": 7}', 0o600, "holds no token"),
        ("[]", 0o600, "holds no token"),
        ("secret", 0o600, "holds no token"),
        ('{"token": "secret"}', 0o640, "chmod 600"),
        ('{"token": "secret"}', 0o604, "chmod 600"),
    ],
)
def test_what_is_no_private_key_file_is_refused(content: str, mode: int, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(NotDone, match=sentence):
        read_token(write(tmp_path / "k", content, mode))


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotDone, match="there is no key file"):
        read_token(tmp_path / "none")
    with pytest.raises(NotDone, match="cannot be read"):
        read_token(tmp_path)
