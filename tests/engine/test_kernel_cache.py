"""The folder of compiled kernels: private, published whole, and thrown away when it is damaged."""

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numba
import pytest

from engine import kernel_cache
from engine.core import lane
from engine.kernel_cache import MANIFEST, digest, is_sealed, prepare, seal

ROOT = Path(__file__).resolve().parents[2]
FILES = {"core/kernel.run.nbi": b"index" * 9, "core/kernel.run.1.nbc": b"machine code" * 99}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, for kernels of one never changing digest."""
    monkeypatch.setenv("CASHEW_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setattr(kernel_cache, "digest", lambda lane: f"digest-{lane}")
    return tmp_path / "kernels" / "digest-compiled"


def compile_into(folder: Path) -> None:
    for name, data in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.nb?")}


def sealed() -> Path:
    draft = prepare("compiled")
    compile_into(draft)
    seal(draft)
    return prepare("compiled")


def test_the_folder_is_private_even_if_it_was_not(root: Path) -> None:
    old = os.umask(0)
    try:
        sealed()
        assert stat.S_IMODE(root.stat().st_mode) == 0o700
        root.chmod(0o777)
        prepare("compiled")
        assert stat.S_IMODE(root.stat().st_mode) == 0o700
    finally:
        os.umask(old)


def test_a_set_is_compiled_once_and_then_loaded(root: Path) -> None:
    draft = prepare("compiled")
    assert not is_sealed(draft) and not draft.exists(), "the compiler makes its folder itself"
    compile_into(draft)
    assert prepare("checked") != draft
    seal(draft)
    assert not draft.exists()
    shared = prepare("compiled")
    assert is_sealed(shared) and contents(shared) == FILES
    assert prepare("compiled") == shared


def test_a_set_that_was_never_finished_is_never_loaded(root: Path) -> None:
    """A start that was killed while it compiled: its files may be anything, so nobody looks at them."""
    draft = prepare("compiled")
    compile_into(draft)
    (draft / "core/kernel.run.nbi").write_bytes(b"")
    assert contents(prepare("compiled")) == {}
    ended = root / "draft-999999999"
    compile_into(ended)
    assert not is_sealed(prepare("compiled"))
    assert not ended.exists(), "drafts of processes that ended are removed"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a flipped byte of code": lambda folder: flip(folder / "core/kernel.run.1.nbc"),
    "a flipped byte of the index": lambda folder: flip(folder / "core/kernel.run.nbi"),
    "an empty file": lambda folder: (folder / "core/kernel.run.1.nbc").write_bytes(b""),
    "a truncated file": lambda folder: os.truncate(folder / "core/kernel.run.1.nbc", 700),
    "a deleted file": lambda folder: (folder / "core/kernel.run.1.nbc").unlink(),
    "a deleted folder": lambda folder: shutil.rmtree(folder / "core"),
    "a file too many": lambda folder: (folder / "core/kernel.run.2.nbc").write_bytes(b"more"),
    "an empty list": lambda folder: (folder / MANIFEST).write_bytes(b""),
    "a list cut off": lambda folder: os.truncate(folder / MANIFEST, 30),
    "a list of nothing": lambda folder: (folder / MANIFEST).write_text("{}"),
    "a list that is none": lambda folder: (folder / MANIFEST).write_text("[]"),
    "a list of junk": lambda folder: (folder / MANIFEST).write_bytes(b"\xff\0\xfe"),
    "no list": lambda folder: (folder / MANIFEST).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_set_is_thrown_away_and_made_anew(root: Path, damage: str) -> None:
    shared = sealed()
    DAMAGES[damage](shared)
    draft = prepare("compiled")
    assert not is_sealed(draft) and contents(draft) == {}
    assert sealed() == shared and contents(shared) == FILES
    assert [path.name for path in root.iterdir()] == [shared.name], "nothing is left lying about"


def test_processes_that_compile_at_once_do_not_meet(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drafts = {}
    for number in (os.getpid(), os.getppid()):
        monkeypatch.setattr(os, "getpid", lambda number=number: number)
        drafts[number] = prepare("compiled")
        compile_into(drafts[number])
    first, second = drafts
    assert drafts[first] != drafts[second] and contents(drafts[first]) == FILES, "a living neighbour's draft stays"
    monkeypatch.setattr(os, "getpid", lambda: first)
    seal(drafts[first])
    shared = prepare("compiled")
    assert is_sealed(shared) and contents(drafts[second]) == FILES, "nor does a complete set end the neighbour's work"
    monkeypatch.setattr(os, "getpid", lambda: second)
    seal(drafts[second])
    assert prepare("compiled") == shared and contents(shared) == FILES
    assert [path.name for path in root.iterdir()] == [shared.name]


def test_sealing_twice_and_sealing_nothing_are_harmless(root: Path) -> None:
    shared = sealed()
    seal(shared)
    assert prepare("compiled") == shared and contents(shared) == FILES
    shutil.rmtree(root)
    root.mkdir()
    seal(root / "draft-1")
    assert contents(prepare("compiled")) == {}


def test_a_draft_that_belongs_to_somebody_else_is_left_alone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compile_into(root / "draft-4711")

    def forbidden(number: int, signal: int) -> None:
        assert (number, signal) == (4711, 0)
        raise PermissionError

    monkeypatch.setattr(os, "kill", forbidden)
    prepare("compiled")
    assert contents(root / "draft-4711") == FILES


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CASHEW_CACHE_DIR", str(tmp_path / "chosen"))
    assert kernel_cache._root() == tmp_path / "chosen"
    monkeypatch.delenv("CASHEW_CACHE_DIR")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert kernel_cache._root() == tmp_path / "var" / "cashew-kernels"
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert kernel_cache._root() == tmp_path / "xdg" / "cashew-exchange" / "kernels"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert kernel_cache._root() == tmp_path / ".cache" / "cashew-exchange" / "kernels"


# --- the digest -------------------------------------------------------------------------------------------


def test_the_digest_names_the_sources_and_the_lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = tmp_path / "engine"
    shutil.copytree(ROOT / "engine", engine, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(kernel_cache, "_CORE", engine / "core")
    before = digest("compiled")
    assert digest("compiled") == before != digest("checked")
    seen = {before}
    for source in [engine / "schema.py", *sorted((engine / "core").glob("*.py"))]:
        text = source.read_text()
        source.write_text(text + "\n")
        seen.add(digest("compiled"))
        source.write_text(text)
    assert len(seen) == 1 + 1 + len(list((engine / "core").glob("*.py"))), "each source counts"
    assert digest("compiled") == before
    (engine / "core" / "layout.py").rename(engine / "core" / "places.py")
    assert digest("compiled") != before, "and so does its name"
    (engine / "core" / "places.py").rename(engine / "core" / "layout.py")
    (engine / "acts" / "phase.py").write_text("")
    assert digest("compiled") == before, "acts are not compiled"


@pytest.mark.parametrize("versioned", ("numba", "llvmlite", "numpy"))
def test_the_digest_names_the_versions(versioned: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest("compiled")
    monkeypatch.setattr(sys.modules[versioned], "__version__", "0.0")
    assert digest("compiled") != before


@pytest.mark.parametrize("switch", kernel_cache._SWITCHES)
def test_the_digest_names_the_switches(switch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest("compiled")
    monkeypatch.setattr(numba.config, switch, "changed")
    assert digest("compiled") != before


def test_the_digest_names_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    import llvmlite.binding as llvm

    before = digest("compiled")
    monkeypatch.setattr(llvm, "get_host_cpu_name", lambda: "abacus")
    assert digest("compiled") != before


# --- the real thing, once ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_exchange_starts_on_damaged_kernels_and_compiles_them_anew(tmp_path: Path) -> None:
    """What numba itself would die of: an index cut off in the middle."""
    assert lane.CACHE is not None
    source = lane.CACHE if is_sealed(lane.CACHE) else lane.CACHE.with_name(kernel_cache._SET)
    folder = tmp_path / digest("compiled") / kernel_cache._SET
    shutil.copytree(source, folder)
    (index,) = folder.rglob("*.nbi")
    (code,) = folder.rglob("*.nbc")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("NUMBA_", "CASHEW_"))}
    environment["CASHEW_CACHE_DIR"] = str(tmp_path)

    def start() -> str:
        done = subprocess.run(
            [sys.executable, "-m", "engine.compile"],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=400,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    assert "ready" in start(), "a whole copy is loaded"
    os.truncate(index, index.stat().st_size // 2)
    code.write_bytes(b"")
    assert "compiled" in start()
    assert json.loads((folder / MANIFEST).read_text()).keys() == {
        str(path.relative_to(folder)) for path in (index, code)
    }
    assert "ready" in start()
