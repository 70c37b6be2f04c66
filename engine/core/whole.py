"""Compile each kernel as one program.

Left to itself, numba makes machine code of every function for its own sake and again in every function that calls
it, so a call graph ten deep is compiled ten times over. Parts are therefore only translated; the kernel that Python
calls takes them all, and is optimized and compiled once: half the time of the whole. The means are numba's own
extension point (`pipeline_class`) and a subclass of its code library.
"""

from __future__ import annotations

from typing import Any

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


class _PartLower(Lower):
    """A part that is not to be inlined is not: rare branches would fill the registers of the common way."""

    def setup_function(self, fndesc: Any) -> None:
        super().setup_function(fndesc)
        if "alwaysinline" not in self.function.attributes:
            self.function.attributes.add("noinline")


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
        state.targetctx.insert_user_function(known_as, lowered.fndesc, [state.library])
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
