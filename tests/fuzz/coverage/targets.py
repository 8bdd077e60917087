"""What is fuzzed: for each reader, how bytes become its input and what it may raise.

A target's `make` imports what it fuzzes (so that the fuzzer can instrument it first) and gives a
function of bytes; whatever that raises is a finding.
"""

from __future__ import annotations

import contextlib
import json
import runpy
import struct
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Fuzzed = Callable[[bytes], None]
ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Target:
    """A reader: the packages whose coverage guides, what makes its function, and its seeds."""

    name: str
    packages: tuple[str, ...]
    make: Callable[[], Fuzzed]
    seeds: Callable[[], Iterable[bytes]]
    largest: int = 4096


def _text(data: bytes) -> str:
    """Any text, lone surrogates among them."""
    return data.decode("utf-8", "surrogateescape")


def _file(suffix: str) -> Path:
    """A file that is written anew for each input, in the folder of the turn."""
    return Path(tempfile.mkdtemp()) / f"input{suffix}"


# Reward text -> check


def _check() -> Fuzzed:
    from derl_dsl.checker import check_source
    from derl_dsl.elaborate.scope import build_scope
    from derl_dsl.tools.fmt.fmt import format_source
    from derl_dsl.tools.project import ProjectError, header_settings
    from derl_grammar.diagnostics import render
    from derl_grammar.spans import Source

    scopes = [build_scope(s) for s in ("math", "derl-agent", "chat", "format+length")]

    def run(data: bytes) -> None:
        source = Source(_text(data[1:]), "fuzz.derl")
        with contextlib.suppress(ProjectError):
            header_settings("fuzz.derl", source.text)
        found = check_source(source, scopes[data[0] % len(scopes) if data else 0])
        render(found.diagnostics, source)
        for each in found.diagnostics:
            json.dumps(each.to_json())
        format_source(source)

    return run


def _programs() -> Iterable[bytes]:
    for number, file in enumerate(sorted(ROOT.glob("tests/golden/programs/*.derl"))):
        for chunk in file.read_text("utf-8").split("\n---\n"):
            yield bytes([number % 4]) + chunk.encode()
    for file in sorted(ROOT.glob("derl_dsl/derl_dsl/examples/**/*.derl")):
        yield b"\0" + file.read_bytes()


# Worker protocol


def _protocol() -> Fuzzed:
    from derl_runtime.sandbox import by_row, host
    from derl_runtime.sandbox.programs import Script
    from derl_runtime.sandbox.worker import frames, wire
    from derl_runtime.sandbox.worker.declare import Declared, Undeclared

    def rows(data: bytes) -> None:
        _, _, last = frames.read_rows(memoryview(data))
        if last is not None:
            frames.read_failure(last)

    def declared(data: bytes) -> None:
        with contextlib.suppress(Undeclared):
            Declared.read(data.decode("utf-8", "replace"))

    def value(data: bytes) -> None:
        codec = wire.Codec(lambda *_: None, wire.NAMED)
        with contextlib.suppress(ValueError, RecursionError, wire.Gone):
            read = codec.read(json.loads(data))
            codec.write(read)

    def forged(data: bytes) -> None:
        calls = by_row.Calls(None, None, _Zeros(), 1.0, 1.0, 1)  # type: ignore[arg-type]
        run = by_row.Run(by_row.Task(range(4)), -1, (), loaded=True)
        run.data += frames.READY + data
        calls.read(run)
        by_row._forged(run)

    readers: list[Fuzzed] = [
        lambda d: (frames.decode_job(d), None)[1],
        lambda d: (host._values(d, 2), None)[1],
        lambda d: (host._declarations(d, "fuzz"), None)[1],
        lambda d: (Script.read(_text(d)), None)[1],
        rows, declared, value, forged,
    ]  # fmt: skip

    def run(data: bytes) -> None:
        with contextlib.suppress(frames.Malformed):
            readers[data[0] % len(readers) if data else 0](data[1:])

    return run


class _Zeros(dict[int, float]):
    """Takes the values of rows."""


def _frames() -> Iterable[bytes]:
    from derl_runtime.sandbox.encode import encode_call
    from derl_runtime.sandbox.worker import answers, frames

    call = encode_call("def f(a: text) -> number:\n    return 1\n", "f", [["x", None]], 2)
    lists = encode_call("def f(a: list[number]) -> bool:\n    1", "f", [[[1.0], None]], 2)
    yield from (b"\0" + b"".join(c) for c in (call, lists))
    yield b"\1" + frames.values_reply([1.0, None])
    yield b"\1" + frames.failure_reply("crash", "x\x1b")
    yield b"\2" + frames.declarations_reply([["f", "number[0, 1]", "doc", "a", "list[text]"]])
    yield b'\3{"input": "1", "output": "2"}'
    yield b"\4" + frames.row_record(1.0) + frames.last_record("oom", "m")
    yield b"\5def f(a: text, b: list[number[0, 1]]) -> number | None:\n    'doc'\n    return 0"
    yield b'\6["d",["a",["l",1,NaN,["D","1e9"]]],["x",["F","0x1","0x2"]],["T","date",1,2,3]]'
    yield b"\7" + frames.row_record(None) * 2
    yield b"\4" + frames.row_record(answers.encode(answers.TEXTS, ["a", "é"], "it"))
    yield b"\4" + frames.row_record(answers.encode(answers.NUMBERS, [1.0], "it"))


# Rows of data


def _jsonl() -> Fuzzed:
    from derl_runtime import conversations
    from derl_runtime.data import DataError, read_logs

    file = _file(".jsonl")

    def run(data: bytes) -> None:
        file.write_bytes(data)
        with contextlib.suppress(DataError):
            columns = read_logs(file)
            for name in conversations.COLUMNS:
                conversations.column(name, columns)

    return run


def _lines() -> Iterable[bytes]:
    yield b'{"completion": "a", "answer": "1", "g1": 1, "s": [1, null, NaN]}\n\n{"completion": 2}\n'
    yield b'{"input": "a", "output": "b", "gts": {"answer": "x"}, "score": 1, "step": 3}\n'
    yield b'{"step": 1, "prompt": "p", "completion": "c", "advantage": 0.5}\n'
    message = '{"role": "assistant", "content": [{"type": "text", "text": "t"}], "tool_calls": '
    call = '[{"function": {"name": "f", "arguments": "{\\"a\\": 1}"}}]}'
    yield f'{{"messages": [{{"role": "user", "content": "q"}}, {message}{call}]}}\n'.encode()
    node = '{"sampled": true, "message": {"role": "assistant", "content": "c"}}'
    trace = f'{{"nodes": [{node}], "rewards": {{"r": {{"score": 1, "weight": 2}}}}, "ok": true}}'
    yield f'{{"task": {{"data": {{"answer": "1"}}}}, "traces": [{trace}]}}\n'.encode()


# The exported file for verl


def _verl() -> Fuzzed:
    import derl_dsl
    from derl_dsl.adapters.export import Export, export
    from derl_dsl.adapters.targets import TARGETS
    from derl_runtime.reading import ColumnError

    text = "n = words(completion)\nreward = correct(completion, answer) + 0.1 * ramp(n, 1, 9)\n"
    reward = derl_dsl.compile(text, suite="math")
    file = _file(".py")
    file.write_text(export(reward, TARGETS["verl"], Export("reward.derl", suite="math")), "utf-8")
    score = runpy.run_path(str(file))["compute_score"]

    def run(data: bytes) -> None:
        try:
            given = json.loads(data)
        except (ValueError, RecursionError):
            given = [_text(part) for part in data.split(b"\0", 3)]
        given = [*(given if isinstance(given, list) else [given]), None, None, None]
        with contextlib.suppress(ColumnError):
            found = score("fuzz", *given[:3])
            assert 0 <= found["score"] <= 1.1

    return run


def _samples() -> Iterable[bytes]:
    samples: list[Any] = [
        ["#### 6", "6", {}],
        ["\\boxed{\\frac{1}{2}}", {"answer": "0.5"}, None],
        [[{"role": "assistant", "content": "so 3"}], "3", {"x": [1]}],
        [None, 7, []],
        ["The answer is $\\{1,2\\}$ or 3:45 pm", "[1, 2)", {"completion_ids": [1, 2]}],
    ]
    yield from (json.dumps(sample).encode() for sample in samples)


# Messages of an editor


def _lsp() -> Fuzzed:
    import logging

    from pygls.exceptions import JsonRpcException
    from pygls.workspace import Workspace

    from derl_dsl.tools.lsp.server import Server
    from derl_dsl.tools.lsp.server import server as ours

    logging.disable(logging.CRITICAL)
    protocol: Any = ours.protocol
    features = protocol.fm.features

    def run(data: bytes) -> None:
        protocol._workspace = Workspace(None)
        ours.documents.clear()
        published: list[Any] = []
        Server.text_document_publish_diagnostics = (  # type: ignore[method-assign]
            lambda _, params: published.append(params)
        )
        text, _, rest = data.partition(b"\0")
        uri = "file:///fuzz/a.derl"
        _handle(features, protocol, "textDocument/didOpen", {"textDocument": {
            "uri": uri, "languageId": "derl", "version": 1, "text": _text(text)}})  # fmt: skip
        for message in rest.split(b"\0")[:4]:
            with contextlib.suppress(JsonRpcException, RecursionError, ValueError):
                if len(message) == 9:  # a place, a name's length of text as the new name
                    number, line, character = struct.unpack("<BII", message)
                    method = _METHODS[number % len(_METHODS)]
                    place = {"line": line % 64, "character": character % 512}
                    given = {"textDocument": {"uri": uri}, "position": place, "newName": "n",
                             "range": {"start": place, "end": place}, "context": {
                                 "diagnostics": []}, "options": {"tabSize": 4,
                                                                 "insertSpaces": True}}  # fmt: skip
                    _handle(features, protocol, method, given)
                else:
                    match json.loads(message):
                        case [str(method), params]:
                            _handle(features, protocol, method, params)

    def _handle(features: Any, protocol: Any, method: Any, params: Any) -> None:
        handler = features.get(method)
        if handler is None or method == "textDocument/didChange":
            return
        asked = {"jsonrpc": "2.0", "method": method, "params": params}
        if not method.startswith("textDocument/did"):
            asked["id"] = 1
        found = protocol.structure_message(asked)
        if method == "textDocument/didOpen":
            protocol.workspace.put_text_document(found.params.text_document)
        reply = handler(found.params)
        json.dumps(protocol._converter.unstructure(reply))

    return run


_METHODS = ("hover", "completion", "definition", "prepareRename", "rename", "formatting",
            "codeAction", "didSave", "didClose")  # fmt: skip
_METHODS = tuple(f"textDocument/{name}" for name in _METHODS)


def _messages() -> Iterable[bytes]:
    text = b"ok = exact(completion, answer)\nn = words(completion)\nreward = ok - n / 0\n"
    for number in range(len(_METHODS)):
        yield text + b"\0" + struct.pack("<BII", number, 1, 5).replace(b"\0", b"\x40")
    place = '"position": {"line": 0, "character": 3}'
    document = '"textDocument": {"uri": "file:///fuzz/b.derl"}'
    yield text + f'\0["textDocument/hover", {{{document}, {place}}}]'.encode()
    yield text + f'\0["textDocument/rename", {{{document}, {place}, "newName": "x y"}}]'.encode()
    opened = '{"uri": "untitled:1", "languageId": "derl", "version": 2, "text": "reward = 1"}'
    yield text + f'\0["textDocument/didOpen", {{"textDocument": {opened}}}]'.encode()


# Settings: of a project, of tests, of a run


def _config() -> Fuzzed:
    from derl_dsl.tools import project
    from derl_dsl.tools.testing.cases import TestFileError, fenced_tests, read_tests
    from derl_trainers.reading import ConfigError
    from derl_trainers.settings.run import load_config
    from derl_trainers.settings.train import parse_set

    folder = _file("").parent
    pyproject, config = folder / "pyproject.toml", folder / "run.toml"

    def of_project(data: bytes) -> None:
        pyproject.write_bytes(data)
        project._read.cache_clear()
        with contextlib.suppress(project.ProjectError):
            project._read(pyproject, 0)

    def of_tests(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        with contextlib.suppress(TestFileError):
            read_tests("fuzz.test.derl", text)
        fenced_tests(text)

    def of_run(data: bytes) -> None:
        config.write_bytes(data)
        with contextlib.suppress(ConfigError):
            load_config(config)

    def of_flag(data: bytes) -> None:
        with contextlib.suppress(ConfigError):
            parse_set(_text(data))

    readers = [of_project, of_tests, of_run, of_flag]

    def run(data: bytes) -> None:
        readers[data[0] % len(readers) if data else 0](data[1:])

    return run


def _settings() -> Iterable[bytes]:
    yield b'\0[tool.derl]\nsuite = "math"\nignore = ["DRL506"]\n[tool.derl.columns]\ng = "number"\n'
    yield b'\0[tool.derl]\nprimitives = ["a.py"]\n[tool.derl.files]\n"a/*" = { suite = "chat" }\n'
    for file in sorted(ROOT.glob("derl_dsl/derl_dsl/**/*.test.derl")):
        yield b"\1" + file.read_bytes()
    for file in sorted(ROOT.glob("trainers/derl_trainers/configs/*.toml")):
        yield b"\2" + file.read_bytes()
    yield b"\3inner.steps = 4"


TARGETS = (
    Target("check", ("derl_grammar", "derl_dsl"), _check, _programs, 1024),
    Target("protocol", ("derl_runtime",), _protocol, _frames),
    Target("jsonl", ("derl_runtime",), _jsonl, _lines),
    Target("verl", ("derl_runtime", "derl_primitives", "derl_dsl.adapters"), _verl, _samples, 1024),
    Target("lsp", ("derl_dsl.tools", "derl_grammar", "pygls.workspace"), _lsp, _messages, 1024),
    Target(
        "config",
        ("derl_dsl.tools", "derl_trainers", "derl_grammar", "tomllib"),
        _config,
        _settings,
        2048,
    ),
)
