"""Landlock: no file of the machine can be reached, save those a worker names before."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable

from .seccomp import Unsupported, libc, number

_VERSION = 1
_PATH_BENEATH = 1
_EXECUTE, _READ_FILE = 1 << 0, 1 << 2
# Rights over files by ABI version; network rights (TCP) since 4, scopes since 6.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NETWORK, _SCOPES = 0b11, 0b11


def abi() -> int:
    """The version of Landlock the kernel has; 0 without."""
    call = libc().syscall
    found = int(call(number("landlock_create_ruleset"), None, 0, _VERSION))
    return max(found, 0)


def restrict(runnable: Iterable[str] = ()) -> None:
    """Deny this process all files and TCP, for good, save reading and running those in `runnable`.

    `no_new_privs` must be set. Raises Unsupported when the kernel has no Landlock.
    """
    version = abi()
    if not version:
        raise Unsupported("the kernel has no Landlock")
    call = libc().syscall
    files = (1 << _FILE_RIGHTS[min(version, 5)]) - 1
    fields = [files, _NETWORK if version >= 4 else 0, _SCOPES if version >= 6 else 0]
    wanted = fields[: 3 if version >= 6 else 2 if version >= 4 else 1]
    attributes = struct.pack(f"={len(wanted)}Q", *wanted)
    ruleset = call(number("landlock_create_ruleset"), attributes, len(attributes), 0)
    if ruleset < 0:
        raise Unsupported(f"Landlock: {os.strerror(ctypes.get_errno())}")
    try:
        for path in runnable:
            _allow(ruleset, path)
        if call(number("landlock_restrict_self"), ruleset, 0) != 0:
            raise Unsupported(f"Landlock: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rule = struct.pack("=Qi", _EXECUTE | _READ_FILE, descriptor)
        call = libc().syscall
        if call(number("landlock_add_rule"), ruleset, _PATH_BENEATH, rule, 0) != 0:
            raise Unsupported(f"Landlock: {path}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)
