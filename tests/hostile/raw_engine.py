"""An engine without a language: plain Python, as if it had escaped. Only the walls hold it.

It runs inside the sandbox's worker, loaded in place of the real engine.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import pickle
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from worker import job, walls  # type: ignore[import-not-found]
from worker.outcome import Failed  # type: ignore[import-not-found]

LIBC = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: int) -> int:
    return int(LIBC.syscall(number, *arguments))


def reply(values: list[float]) -> bytes:
    """A reply as it should be."""
    return struct.pack(f"<BI{len(values)}d", 0, len(values), *values) + bytes(len(values))


def say(data: bytes) -> None:
    """Write to the host."""
    at = 0
    while at < len(data):
        at += os.write(1, data[at:])


KNOWN: dict[str, Any] = {
    m.__name__: m
    for m in (ctypes, mmap, os, pickle, signal, socket, struct, sys, threading, time)
    if isinstance(m, ModuleType)
} | {"LIBC": LIBC, "syscall": syscall, "reply": reply, "say": say}


class RawEngine:
    def __init__(self, starting: bool = False) -> None:
        self.starting = starting

    def walls(self, chosen: int, cpu: int, memory: int) -> None:
        if self.starting:
            walls.put_up_starting(cpu, memory, reserve=1 << 30, processes=4096, runnable=())
        else:
            walls.put_up(chosen, cpu, memory)

    def load(self, source: str, functions: Any) -> Any:
        return RawCode(source)


class RawCode:
    def __init__(self, source: str) -> None:
        self.source = source

    def run(self, function: Any, columns: Any, rows: int) -> Iterator[Any]:
        names: dict[str, Any] = {"text": str, "number": float, **KNOWN}
        try:
            exec(self.source, names)
            for row in zip(*columns, strict=True):
                yield names[function.name](*row)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told
            raise Failed("crash", f"{type(error).__name__}: {error}") from None


def preload(name: str) -> None:
    """Behind the walls of a worker that computes."""
    job._engines.append(RawEngine())


def preload_starting(name: str) -> None:
    """Behind the walls of a worker that has a program to start."""
    job._engines.append(RawEngine(starting=True))
