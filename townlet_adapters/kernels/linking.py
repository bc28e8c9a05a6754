"""Optimises compiled code once, where all of it is together, rather than once for each kernel (ADR 0023).

numba links into the library of a function the libraries of all functions that it calls, optimises the whole,
and makes machine code of it, so that Python can call it. Python cannot call most kernels. They are optimised
and made machine code only as parts of the entry kernels that reach them.
"""

from typing import Any, TypeAlias

from numba.core.codegen import CPUCodegen, JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.environment import lookup_environment

_Numba: TypeAlias = Any
"""An object of numba, which carries no types."""

_ENVIRONMENT = "_ZN08NumbaEnv"
"""Start of the name of the variable that points to a kernel's Python objects, such as its exceptions."""


class _NoMachineCode:
    """Takes the place of the code generator, of which numba asks that a kernel's environment is set."""

    def set_env(self, _name: str, _environment: object) -> None:
        """Leave it to the entry kernels."""


class _Deep(JITCodeLibrary):  # type: ignore[misc]  # numba carries no types
    """Code that knows all libraries that it needs, not only those that it calls itself."""

    def add_linking_library(self, library: JITCodeLibrary) -> None:
        """Note a library that this code calls, and what that needs, callers first."""
        library._ensure_finalized()  # noqa: SLF001 - as numba's own libraries do
        needed = library.needs() if isinstance(library, _Part) else []
        self._linking_libraries.extend(
            each for each in (library, *needed) if each not in self._linking_libraries
        )

    def _link(self, module: _Numba) -> None:
        """Link what this code needs into a module, callers first: LLVM leaves out what nothing calls yet."""
        for each in self._linking_libraries:
            self._reload_init.update(each._reload_init)  # noqa: SLF001 - as numba's own libraries do
            alone = isinstance(each, _Part)
            code = each.own_module() if alone else each._get_module_for_linking()  # noqa: SLF001 - the same
            module.link_in(code, preserve=True)


class _Part(_Deep):
    """The code of one kernel that only kernels call."""

    def needs(self) -> list[JITCodeLibrary]:
        """List the libraries that this code needs."""
        return list(self._linking_libraries)

    def finalize(self) -> None:
        """Take the code as it is."""
        self._raise_if_finalized()
        self._finalized = True

    def own_module(self) -> _Numba:
        """Return the code of this kernel alone."""
        return super()._get_module_for_linking()

    def _get_module_for_linking(self) -> _Numba:
        """Return the code with all that it needs, for a caller that was compiled by numba alone."""
        module = self.own_module().clone()
        self._link(module)
        return module

    def get_pointer_to_function(self, _name: str) -> int:
        """Return 0, for there is no machine code."""
        return 0

    @property
    def codegen(self) -> _NoMachineCode:
        """What numba asks for once a function can be called from Python."""
        return _NoMachineCode()


class _Whole(_Deep):
    """The code of an entry kernel and of every kernel that it reaches."""

    def finalize(self) -> None:
        """Link, optimise, make machine code, and point each kernel to its Python objects.

        The wrapper for Python writes the bundles that the kernel takes for constant. LLVM may put a read
        before the write where it sees both, so the one must not be inlined into the other.
        """
        for function in self._final_module.functions:
            if not function.is_declaration:
                function.add_function_attribute("noinline")
        self._link(self._final_module)
        self._linking_libraries.clear()
        super().finalize()
        for variable in self._final_module.global_variables:
            environment = variable.name.startswith(_ENVIRONMENT) and lookup_environment(variable.name)
            if environment:
                self._codegen.set_env(variable.name, environment)


def _library(kind: type[JITCodeLibrary], codegen: CPUCodegen) -> JITCodeLibrary:
    library = kind(codegen, kind.__name__)
    library.enable_object_caching()
    return library


class PartCompiler(Compiler):  # type: ignore[misc]  # numba carries no types
    """Compiles a kernel that only kernels call."""

    def __init__(self, typing: _Numba, target: _Numba, _library_of_caller: None, *others: _Numba) -> None:
        super().__init__(typing, target, _library(_Part, target.codegen()), *others)


class EntryCompiler(Compiler):  # type: ignore[misc]  # numba carries no types
    """Compiles a kernel that Python calls."""

    def __init__(self, typing: _Numba, target: _Numba, _library_of_caller: None, *others: _Numba) -> None:
        super().__init__(typing, target, _library(_Whole, target.codegen()), *others)
