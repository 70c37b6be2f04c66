"""Kernels compiled as one program: parts are translated once, linked once, and never run by themselves."""

import numba
import pytest

from engine.core.lane import PLAIN
from engine.core.whole import KernelCompiler, PartCompiler, Program

pytestmark = pytest.mark.skipif(PLAIN, reason="with the JIT off nothing is compiled")

part = numba.njit(pipeline_class=PartCompiler, no_cpython_wrapper=True, no_cfunc_wrapper=True)
kernel = numba.njit(pipeline_class=KernelCompiler)


@part
def lowest(value):  # type: ignore[no-untyped-def]
    return max(value, 3) * 2


@part
def left(value):  # type: ignore[no-untyped-def]
    return lowest(value) + 1


@part
def right(value):  # type: ignore[no-untyped-def]
    return lowest(value) - left(value)


@kernel
def top(value):  # type: ignore[no-untyped-def]
    return left(value) * 100 + right(value)


def test_a_kernel_holds_all_its_parts_each_once() -> None:
    assert [top(value) for value in (1, 5)] == [7 * 100 - 1, 11 * 100 - 1]
    (library,) = [overload.library for overload in top.overloads.values()]
    assert isinstance(library, Program)
    names = [name for name in (held.name for held in library.parts) if name in {"lowest", "left", "right"}]
    assert sorted(names) == ["left", "lowest", "right"]


def test_a_part_is_not_compiled_and_says_so_when_it_is_called() -> None:
    assert top(1) == 699
    (overload,) = left.overloads.values()
    defined = [function.name for function in overload.library.get_defined_functions()]
    assert any("left" in name for name in defined)
    assert not any("lowest" in name for name in defined), "nothing was linked for its own sake"
    with pytest.raises(KeyError, match="left is a part of kernels"):
        left(1)


def test_what_a_kernel_gives_is_kept_on_disk_like_any_other(tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    for hits in (0, 1):
        kept = numba.njit(cache=True, pipeline_class=KernelCompiler)(top.py_func)
        assert kept(1) == 699
        assert sum(kept.stats.cache_hits.values()) == hits
