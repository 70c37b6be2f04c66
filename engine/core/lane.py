"""How kernels are compiled, and the few primitives that differ between the lanes.

Three lanes run the same kernel sources:
- compiled: arrays become typed pointers at the door (no reference counting inside; a factor of 2 to 5);
- checked (CASHEW_BOUNDSCHECK=1): arrays stay arrays and every index is checked;
- plain (NUMBA_DISABLE_JIT=1): ordinary Python, for coverage and for reading along in a debugger.

This is the only module of the core that looks at the process: it reads two switches when it is imported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import numba.extending
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils

from engine import kernel_cache
from engine.core.whole import KernelCompiler, PartCompiler

_config: Any = numba.config
PLAIN = bool(_config.DISABLE_JIT)
CHECKED = os.environ.get("CASHEW_BOUNDSCHECK") == "1" and not PLAIN
LANE = "plain" if PLAIN else "checked" if CHECKED else "compiled"
CACHE = None if PLAIN else kernel_cache.prepare(LANE)


@contextmanager
def kept_in(folder: Path | None) -> Iterator[None]:
    """Kernels that are decorated meanwhile are kept in another folder than the core's (numba asks at that moment)."""
    before = _config.CACHE_DIR
    if folder is not None:
        _config.CACHE_DIR = str(folder)
    try:
        yield
    finally:
        _config.CACHE_DIR = before


# What numba gives has no types that a checker could read.
intrinsic: Any = numba.extending.intrinsic
kernel: Any
inline: Any
outline: Any
I: Any  # noqa: E741
U: Any
as_int64: Any
as_int32: Any
as_uint64: Any
pointer: Any
address: Any
prefetch: Any
prefetch_either: Any

if PLAIN:
    MASK = (1 << 64) - 1

    def _same(function: Any) -> Any:
        return function

    kernel = inline = outline = _same

    as_int64 = as_int32 = as_uint64 = pointer = address = prefetch = prefetch_either = None

    def _unsigned(value: Any) -> int:
        return int(value) & MASK

    I, U = int, _unsigned  # noqa: E741

    def bytes_in(ranges: Any) -> Any:
        allowed = {byte for low, high in ranges for byte in range(low, high + 1)}

        def within(words: Any, at: int) -> int:
            text = b"".join(int(word).to_bytes(8, "little", signed=True) for word in words[at : at + 4])
            return sum(1 << place for place, byte in enumerate(text) if byte in allowed)

        return within

    def places_with(table: Any, at: int, tag: int, bits: int) -> int:
        group = [int(value) for value in table[at : at + 16]]
        alike = sum(1 << place for place, value in enumerate(group) if value >> bits == tag)
        return alike | sum(1 << 16 + place for place, value in enumerate(group) if value == 0)

    def copy_text(to: Any, place: int, words: Any, at: int) -> None:
        to[place : place + 4] = words[at : at + 4]

    def times(a: int, b: int) -> int:
        return (int(a) * int(b)) & MASK

    def shl(a: int, n: int) -> int:
        return (int(a) << int(n)) & MASK

    def inv(a: int) -> int:
        return ~int(a) & MASK

    def lowest(a: int) -> int:
        return (int(a) & -int(a)).bit_length() - 1

    def highest(a: int) -> int:
        return int(a).bit_length() - 1

else:
    _config.CACHE_DIR = str(CACHE)
    part: Any = {"nogil": True, "boundscheck": CHECKED, "no_cfunc_wrapper": True}
    kernel = njit(cache=True, pipeline_class=KernelCompiler, **part)
    part.update(pipeline_class=PartCompiler, no_cpython_wrapper=True)
    inline = njit(forceinline=not CHECKED, **part)
    outline = njit(forceinline=False, **part)  # said, or it would be as its caller is
    I = np.int64  # noqa: E741
    U = np.uint64

    @intrinsic
    def _pointer(_context, array):
        def generate(context, builder, signature, arguments):
            return context.make_array(signature.args[0])(context, builder, arguments[0]).data

        return types.CPointer(array.dtype)(array), generate

    @intrinsic
    def _address(_context, pointer):
        def generate(context, builder, signature, arguments):
            return builder.ptrtoint(arguments[0], context.get_value_type(types.int64))

        return types.int64(pointer), generate

    def _pointer_to(kind: Any) -> Any:
        @intrinsic
        def at(_context, address):
            def generate(context, builder, signature, arguments):
                return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

            return types.CPointer(kind)(types.int64), generate

        return at

    as_int64, as_int32, as_uint64 = (_pointer_to(kind) for kind in (types.int64, types.int32, types.uint64))
    pointer, address = _pointer, _address

    def _byte_at(builder, array, index):
        return builder.bitcast(builder.gep(array, [index]), ir.IntType(8).as_pointer())

    def _ask_for(context, builder, place):
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, word, word, word])
        name = "llvm.prefetch.p0i8" if "p0i8" in str(place.type) else "llvm.prefetch.p0"
        fetch = cgutils.get_or_insert_function(builder.module, kind, name)
        builder.call(fetch, [place, word(1), word(3), word(1)])  # to be written, keep close, data
        return context.get_dummy_value()

    @intrinsic
    def _prefetch(_context, array, index):
        def generate(context, builder, signature, arguments):
            return _ask_for(context, builder, _byte_at(builder, *arguments))

        return types.void(array, types.int64), generate

    @intrinsic
    def _prefetch_either(_context, first, array, index, other, place):
        def generate(context, builder, signature, arguments):
            which, *places = arguments
            one, two = _byte_at(builder, *places[:2]), _byte_at(builder, *places[2:])
            return _ask_for(context, builder, builder.select(which, one, two))

        return types.void(types.boolean, array, types.int64, other, types.int64), generate

    prefetch, prefetch_either = _prefetch, _prefetch_either

    @intrinsic
    def _cttz(_context, value):
        def generate(context, builder, signature, arguments):
            return builder.cttz(arguments[0], context.get_constant(types.boolean, True))

        return types.int64(types.uint64), generate

    @intrinsic
    def _ctlz(_context, value):
        def generate(context, builder, signature, arguments):
            return builder.ctlz(arguments[0], context.get_constant(types.boolean, True))

        return types.int64(types.uint64), generate

    TEXT = ir.VectorType(ir.IntType(8), 32)

    def _text(context, builder, signature, arguments):
        """The 32 bytes at words[at], and a vector of one byte 32 times."""
        kind, words = signature.args[0], arguments[0]
        if isinstance(kind, types.Array):
            words = context.make_array(kind)(context, builder, words).data
        place = builder.bitcast(builder.gep(words, [arguments[1]]), TEXT.as_pointer())
        return builder.load(place, align=8), lambda byte: ir.Constant(TEXT, [byte] * 32)

    def bytes_in(ranges: Any) -> Any:
        """A function of words and a place: which of the 32 bytes there lie in a range, the first byte in bit 0."""

        @intrinsic
        def within(_context, words, at):
            def generate(context, builder, signature, arguments):
                text, every = _text(context, builder, signature, arguments)
                found = None
                for low, high in ranges:
                    one = builder.icmp_unsigned("<=", builder.sub(text, every(low)), every(high - low))
                    found = one if found is None else builder.or_(found, one)
                return builder.zext(builder.bitcast(found, ir.IntType(32)), ir.IntType(64))

            return types.int64(words, at), generate

        return within

    GROUP = ir.VectorType(ir.IntType(32), 16)

    @intrinsic
    def places_with(_context, table, at, tag, bits):
        """Which of the 16 int32 at table[at] have this tag above their lowest bits, the first in bit 0, and from bit 16
        on which are 0; at is that of a cache line."""

        def generate(context, builder, signature, arguments):
            there = arguments[0]
            if isinstance(signature.args[0], types.Array):
                there = context.make_array(signature.args[0])(context, builder, there).data
            place = builder.bitcast(builder.gep(there, [arguments[1]]), GROUP.as_pointer())
            group = builder.load(place, align=4)

            def all_of(word):
                one = builder.insert_element(GROUP(ir.Undefined), builder.trunc(word, GROUP.element), ir.IntType(32)(0))
                return builder.shuffle_vector(one, GROUP(ir.Undefined), GROUP([0] * 16))

            def places(found):
                return builder.zext(builder.bitcast(found, ir.IntType(16)), ir.IntType(64))

            alike = places(builder.icmp_unsigned("==", builder.lshr(group, all_of(arguments[3])), all_of(arguments[2])))
            free = places(builder.icmp_unsigned("==", group, GROUP(None)))
            return builder.or_(alike, builder.shl(free, ir.IntType(64)(16)))

        return types.int64(table, types.int64, types.int64, types.int64), generate

    if CHECKED:

        @inline
        def copy_text(to, place, words, at):
            for k in range(4):
                to[place + k] = words[at + k]

    else:

        @intrinsic
        def copy_text(_context, to, place, words, at):
            """Copy the 32 bytes at words[at] to to[place]."""

            def generate(context, builder, signature, arguments):
                text, _ = _text(context, builder, signature.replace(args=signature.args[2:]), arguments[2:])
                there = arguments[0]
                if isinstance(to, types.Array):
                    there = context.make_array(to)(context, builder, there).data
                builder.store(text, builder.bitcast(builder.gep(there, [arguments[1]]), TEXT.as_pointer()), 8)
                return context.get_dummy_value()

            return types.void(to, place, words, at), generate

    @inline
    def times(a, b):
        return U(a) * U(b)

    @inline
    def shl(a, n):
        return U(a) << U(n)

    @inline
    def inv(a):
        return ~U(a)

    @inline
    def lowest(a):
        return _cttz(U(a))

    @inline
    def highest(a):
        return I(63) - _ctlz(U(a))


__all__ = ["CACHE", "CHECKED", "LANE", "PLAIN", "I", "U", "address", "as_int32", "as_int64", "as_uint64", "bytes_in",
           "copy_text", "highest", "inline", "inv", "kept_in", "kernel", "lowest", "outline", "places_with", "pointer",
           "prefetch", "prefetch_either", "shl", "times"]  # fmt: skip
