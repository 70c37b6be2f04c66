from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine import disk
from engine.disk import Disk, sync_folder


def test_beginning_early_changes_nothing_that_is_written(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    it = Disk()
    assert it.write(fd, [b"abc", b"de"], 4) == 5
    it.begin(fd, 4, 5)
    it.begin(fd, 4, 5)
    it.sync(fd)
    it.begin(-1, 0, 1)  # what is wrong the sync says
    os.close(fd)
    assert (tmp_path / "file").read_bytes() == b"\0\0\0\0abcde"


def test_a_system_that_cannot_begin_early_only_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_sync_file_range", None)
    Disk().begin(-1, 0, 1)


def test_a_name_is_given_with_its_folder_synced(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"x")
    Disk().rename(tmp_path / "old", tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    with pytest.raises(OSError):
        sync_folder(tmp_path / "new")
