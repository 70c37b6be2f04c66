"""Parts of kernels, made callable one by one: by themselves they are code for kernels (engine/core/whole.py)."""

from __future__ import annotations

from typing import Any

import numba

from engine.core.lane import CHECKED, PLAIN
from engine.core.whole import KernelCompiler


def alone(*parts: Any) -> Any:
    """One callable per part; a single one for a single part. Arguments by position."""
    made = [_kernel_of(part) for part in parts]
    return made if len(made) > 1 else made[0]


def _kernel_of(part: Any) -> Any:
    if PLAIN:
        return part
    return numba.njit(pipeline_class=KernelCompiler, boundscheck=CHECKED)(lambda *arguments: part(*arguments))


__all__ = ["alone"]
