"""Where compiled kernels are kept between starts, and how a damaged or stale copy is noticed.

The folder is named by a digest of everything that decides the machine code: the kernel sources, the versions of
numba, llvmlite, numpy and Python, numba's switches, the processor's features and the lane.  (numba itself looks only
at the file that holds the cached function, so a constant changed elsewhere would go on running its old value.)  A
process compiles in a draft of its own, which becomes the shared set in one step when it is complete and its sha256
sums are written: nobody loads a half-written set, and processes that compile at once do not meet.  A set that
disagrees with its sums is thrown away and compiled anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
_SET, _DRAFT = "set", "draft-"
_CORE = Path(__file__).parent / "core"
# What a NUMBA_ variable or configuration file may change about the machine code.
_SWITCHES = ("CPU_NAME", "CPU_FEATURES", "OPT", "BOUNDSCHECK", "DEBUGINFO_DEFAULT", "LOOP_VECTORIZE", "SLP_VECTORIZE")


def _root() -> Path:
    chosen = os.environ.get("CASHEW_CACHE_DIR")
    if chosen:
        return Path(chosen)
    if sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK):
        return Path(sys.prefix) / "var" / "cashew-kernels"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cashew-exchange" / "kernels"


def _host(llvm: Any) -> tuple[str, str]:
    return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()


def digest(lane: str, *more: Path) -> str:
    """Name of the folder for one lane: changes with anything that could change the machine code.

    `more`: sources of kernels outside the core, which have a set of their own."""
    import llvmlite
    import llvmlite.binding as llvm
    import numba
    import numpy as np

    parts = hashlib.sha256()
    for source in [*sorted(_CORE.glob("*.py")), _CORE.parent / "schema.py", *more]:
        parts.update(source.name.encode())
        parts.update(source.read_bytes())
    versions = (sys.version, numba.__version__, llvmlite.__version__, np.__version__)
    named: Any = numba.config
    machine = (named.CPU_NAME, named.CPU_FEATURES) if named.CPU_NAME else _host(llvm)
    chosen = [getattr(numba.config, switch, None) for switch in _SWITCHES]
    parts.update(repr((versions, machine, chosen, lane)).encode())
    return parts.hexdigest()[:20]


def _sums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in (".nbi", ".nbc"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def prepare(lane: str, *more: Path) -> Path:
    """The folder to compile in or to load from for this lane: the shared set if it is whole, otherwise a new draft.

    `more`: as in `digest`."""
    folder = _root() / digest(lane, *more)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    shared = folder / _SET
    if _is_whole(shared):
        return shared
    for path in [shared, *folder.glob(f"{_DRAFT}*")]:
        if not _is_in_work(path):
            _discard(path)
    return folder / f"{_DRAFT}{os.getpid()}"


def _is_whole(folder: Path) -> bool:
    try:
        listed: object = json.loads((folder / MANIFEST).read_bytes())
        return listed == _sums(folder)
    except (OSError, ValueError):
        return False


def _is_in_work(path: Path) -> bool:
    """Whether this is the draft of another process that is alive."""
    number = path.name.removeprefix(_DRAFT)
    if not number.isdecimal() or int(number) == os.getpid():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _discard(path: Path) -> None:
    """Remove a folder that others may be removing as well; first from sight, so that nobody sees half of it."""
    doomed = path.with_name(f"{_DRAFT}{os.getpid()}-{path.name}")
    try:
        path.rename(doomed)
    except OSError:  # gone already, or a leftover of that name is in the way
        doomed = path
    shutil.rmtree(doomed, ignore_errors=True)


def is_sealed(folder: Path) -> bool:
    """Whether a complete, checked set of kernels lies in the folder."""
    return (folder / MANIFEST).exists()


def seal(draft: Path) -> None:
    """Make a draft the shared set, with its list of checksums, once all kernels are compiled."""
    draft.mkdir(exist_ok=True)
    (draft / MANIFEST).write_text(json.dumps(_sums(draft), sort_keys=True))
    try:
        draft.rename(draft.with_name(_SET))
    except OSError:  # another process was first, with the same kernels
        _discard(draft)
