"""From LLVM IR to callable addresses, through a cache of object files on disk."""

from __future__ import annotations

import ctypes
import itertools
import math
import threading
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm
from llvmlite import __version__ as _llvmlite

from derl_dsl.backends.llvm import cache
from derl_grammar.records import record

# Functions of the C library that the code calls; the names keep LLVM from putting its own in place.
LIBM = ("exp", "log", "tanh", "cos", "pow", "fmod")
_names = itertools.count()
_lock = threading.Lock()
_LIBRARIES = 256
_linker: Any = None
_linked = 0


@record
class Library:
    """Linked machine code: addresses by name; `tracker` keeps the code alive."""

    addresses: Mapping[str, int]
    tracker: Any


@lru_cache(maxsize=1)
def target() -> tuple[Any, str]:
    """The machine code is made for, and what identifies it."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    cpu = llvm.get_host_cpu_name()
    features = llvm.get_host_cpu_features().flatten()
    triple = llvm.Target.from_default_triple()
    # Position-independent: jump tables of the JIT need it.
    machine = triple.create_target_machine(
        cpu=cpu, features=features, opt=3, reloc="pic", codemodel="jitdefault"
    )
    version = ".".join(map(str, llvm.llvm_version_info))
    return machine, f"{triple.triple} {cpu} {features} llvm {version} llvmlite {_llvmlite}"


def _jit() -> Any:
    """The linker in use; a new one from time to time, under the lock.

    One keeps some kB of every library until it goes itself, which it does with the last of its
    libraries: dropped rewards give their room back by the hundred.
    """
    global _linker, _linked
    if _linker is None or _linked >= _LIBRARIES:
        _linker, _linked = llvm.create_lljit_compiler(target()[0], use_jit_link=False), 0
    _linked += 1
    return _linker


@lru_cache(maxsize=1)
def libm() -> dict[str, int]:
    """Addresses of the functions of the C library, by the names the code uses."""
    library = ctypes.CDLL(None)
    found = {}
    for name in LIBM:
        address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
        assert address is not None
        # The reference computes through Python's math: it must be the same function.
        call = getattr(library, name)
        call.restype, call.argtypes = ctypes.c_double, [ctypes.c_double] * _arity(name)
        point = (0.7,) * _arity(name)
        assert call(*point) == getattr(math, name)(*point), name
        found[f"derl_{name}"] = address
    return found


def _arity(name: str) -> int:
    return 2 if name in ("pow", "fmod") else 1


def assemble(text: str) -> bytes:
    """Optimised object code of a module's IR text.

    No fast-math and no fused multiply-add: every operation rounds as IEEE 754 says.
    """
    machine = target()[0]
    # A context of its own: what the global one interns is never freed.
    module = llvm.parse_assembly(text, llvm.create_context())
    module.verify()  # LLVM crashes on wrong code rather than say so
    options = llvm.create_pipeline_tuning_options(speed_level=2)
    # Blocks lie in the first cache: unrolled loops were no faster, and take half as long again
    # to compile.
    options.loop_vectorization = True
    options.slp_vectorization = options.loop_unrolling = options.loop_interleaving = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    found: bytes = machine.emit_object(module)
    return found


def load(
    key: str,
    write: Callable[[], str],
    exports: tuple[str, ...],
    imports: Mapping[str, int] | None = None,
) -> Library:
    """The code for `key`: from the cache, or assembled from the IR that `write` gives.

    `imports` are addresses of functions of other libraries.
    """
    name = cache.name_of(key, target()[1])
    stored = cache.read(name)
    if stored is not None:
        try:
            return _link(stored, exports, imports or {})
        except RuntimeError:
            # Whole, but no object of ours: an entry that another tool wrote over.
            cache.drop(name)
    built = assemble(write())
    cache.write(name, built)
    return _link(built, exports, imports or {})


def _link(code: bytes, exports: tuple[str, ...], imports: Mapping[str, int]) -> Library:
    with _lock:
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process()
        for name, address in (libm() | dict(imports)).items():
            builder.import_symbol(name, address)
        for name in exports:
            builder.export_symbol(name)
        tracker = builder.link(_jit(), f"derl{next(_names)}")
    return Library({name: tracker[name] for name in exports}, tracker)
