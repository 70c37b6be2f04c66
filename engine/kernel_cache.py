"""Where compiled kernels are kept between starts, and how a damaged or stale copy is noticed.

The folder is named by a digest of everything that decides the machine code: the kernel sources, the versions of
numba, llvmlite, numpy and Python, the processor's features and the lane.  (numba itself looks only at the file that
holds the cached function, so a constant changed elsewhere would go on running its old value.)  A sealed folder lists
the sha256 of its files; a folder that disagrees with its list is emptied and compiled anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

MANIFEST = "manifest.json"
_CORE = Path(__file__).parent / "core"


def _root() -> Path:
    chosen = os.environ.get("CASHEW_CACHE_DIR")
    if chosen:
        return Path(chosen)
    if sys.prefix != sys.base_prefix and os.access(sys.prefix, os.W_OK):
        return Path(sys.prefix) / "var" / "cashew-kernels"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cashew-exchange" / "kernels"


def digest(lane: str) -> str:
    """Name of the folder for one lane: changes with anything that could change the machine code."""
    import llvmlite
    import llvmlite.binding as llvm
    import numba
    import numpy as np

    parts = hashlib.sha256()
    for source in [*sorted(_CORE.glob("*.py")), _CORE.parent / "schema.py"]:
        parts.update(source.name.encode())
        parts.update(source.read_bytes())
    versions = (sys.version, numba.__version__, llvmlite.__version__, np.__version__)
    machine = (llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten())
    parts.update(repr((versions, machine, lane)).encode())
    return parts.hexdigest()[:20]


def _sums(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix in (".nbi", ".nbc"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def prepare(lane: str) -> Path:
    """Make (or check) the folder for this lane and return it; a damaged one is emptied first."""
    folder = _root() / digest(lane)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    manifest = folder / MANIFEST
    if manifest.exists():
        try:
            listed = json.loads(manifest.read_text())
        except ValueError:
            listed = None
        if listed != _sums(folder):
            shutil.rmtree(folder)
            folder.mkdir(mode=0o700)
    return folder


def is_sealed(folder: Path) -> bool:
    """Whether a complete, checked set of kernels lies in the folder."""
    return (folder / MANIFEST).exists()


def seal(folder: Path) -> None:
    """Write the list of checksums once all kernels are compiled."""
    target = folder / MANIFEST
    draft = folder / f"{MANIFEST}.{os.getpid()}"
    draft.write_text(json.dumps(_sums(folder), sort_keys=True))
    draft.replace(target)
