"""Compile each kernel as one program.

Left to itself, numba makes machine code of every function for its own sake and again in every function that calls
it, so a call graph ten deep is compiled ten times over. Parts are therefore only translated; the kernel that Python
calls takes them all, and is optimized and compiled once: half the time of the whole. The means are numba's own
extension point (`pipeline_class`) and a subclass of its code library.

numba's functions return a status, and their value by a place in memory that the caller has to clear.  Parts raise
nothing, so those that are called and not inlined get a second entry (`.direct`), which returns the value itself.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.typed_passes import NativeLowering


class Program(JITCodeLibrary):
    """The code of one function and, in `parts`, that of all it calls."""

    def __init__(self, codegen: Any, name: str) -> None:
        super().__init__(codegen, name)
        self.parts: dict[Any, None] = {}  # each once, and callers first: what nobody has asked for yet is not linked in

    def add_linking_library(self, library: Any) -> None:
        for part in [library, *getattr(library, "parts", ())]:
            if part not in self.parts:
                self.parts[part] = None
                super().add_linking_library(part)


class Part(Program):
    """A translated function: code for others to take, never run by itself."""

    def add_linking_library(self, library: Any) -> None:
        self.parts.update(dict.fromkeys([library, *getattr(library, "parts", ())]))

    def finalize(self) -> None:
        self._finalized = True


DIRECT = ".direct"
OWN_ARGUMENTS = 2  # of a numba function, before those of the source: where the value goes, and where an error would


class _PartLower(Lower):
    """A part that is not to be inlined is not: rare branches would fill the registers of the common way."""

    def setup_function(self, fndesc: Any) -> None:
        super().setup_function(fndesc)
        if "alwaysinline" not in self.function.attributes:
            self.function.attributes.add("alwaysinline" if _is_direct(self.flags) else "noinline")

    def post_lower(self) -> None:
        super().post_lower()
        if _is_direct(self.flags):
            _add_direct(self.module, self.function)


def _is_direct(flags: Any) -> bool:
    """Whether a part gets a second entry: it is called, and has no bounds checks that could raise."""
    return not (flags.forceinline or flags.boundscheck)


def _kind_of(function: ir.Function) -> ir.FunctionType:
    """Type of the second entry of a function."""
    return ir.FunctionType(function.args[0].type.pointee, [each.type for each in function.args[OWN_ARGUMENTS:]])


def _add_direct(module: ir.Module, function: ir.Function) -> None:
    """The second entry of a function: the value it would leave behind its first argument, or the end of the process."""
    kind = _kind_of(function)
    direct = ir.Function(module, kind, function.name + DIRECT)
    direct.attributes.add("noinline")
    builder = ir.IRBuilder(direct.append_basic_block("entry"))
    place, error = (builder.alloca(argument.type.pointee) for argument in function.args[:OWN_ARGUMENTS])
    status = builder.call(function, [place, error, *direct.args])
    with builder.if_then(builder.icmp_signed("!=", status, status.type(0)), likely=False):
        trap = cgutils.get_or_insert_function(module, ir.FunctionType(ir.VoidType(), []), "llvm.trap")
        builder.call(trap, [])
    builder.ret(builder.load(place))


def _call_direct(fndesc: Any, library: Any) -> Any:
    """What numba puts where a part is called that has a second entry."""

    def call(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = context.declare_function(builder.module, fndesc)
        direct = cgutils.get_or_insert_function(builder.module, _kind_of(function), function.name + DIRECT)
        packed = context.get_arg_packer(fndesc.argtypes).as_arguments(builder, arguments)
        return context.get_returned_value(builder, fndesc.restype, builder.call(direct, packed))

    call.signature = fndesc.argtypes  # type: ignore[attr-defined]
    call.libs = (library,)  # type: ignore[attr-defined]
    return call


class _Lowering(NativeLowering):
    library: type[Program]

    def run_pass(self, state: Any) -> bool:
        codegen = state.targetctx.codegen()
        state.library = self.library(codegen, state.func_id.func_qualname)
        state.library.enable_object_caching()
        return bool(super().run_pass(state))


@register_pass(mutates_CFG=True, analysis_only=False)
class LowerKernel(_Lowering):
    """Translate, link and compile."""

    _name: Any = "lower_kernel"
    library = Program


@register_pass(mutates_CFG=True, analysis_only=False)
class LowerPart(_Lowering):
    """Translate only, and tell callers by what name and in which library the function is found."""

    _name: Any = "lower_part"
    library = Part

    @property
    def lowering_class(self) -> Any:
        return _PartLower

    def run_pass(self, state: Any) -> bool:
        state.flags.no_compile = True
        super().run_pass(state)
        # What stands for the function among those that numba knows: a builtin, as it insists, of which there is no
        # second, and which raises a KeyError with this text should somebody call it.
        name = state.func_id.func_qualname
        known_as = f"{{{name} is a part of kernels and cannot be called from Python}}".format
        lowered = state["cr"]
        if not _is_direct(state.flags):
            state.targetctx.insert_user_function(known_as, lowered.fndesc, [state.library])
        else:
            call = _call_direct(lowered.fndesc, state.library)
            state.targetctx._defns[known_as].append(call, call.signature)
        state["cr"] = lowered._replace(cfunc=known_as)
        return True


class KernelCompiler(CompilerBase):
    """The usual passes, with another way to lower at their end."""

    lowering: Any = LowerKernel

    def define_pipelines(self) -> list[Any]:
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        manager.passes = [
            (self.lowering, why) if step is NativeLowering else (step, why) for step, why in manager.passes
        ]
        manager._finalized = False
        manager.finalize()
        return [manager]


class PartCompiler(KernelCompiler):
    """For functions that only kernels call."""

    lowering = LowerPart


__all__ = ["KernelCompiler", "PartCompiler"]
