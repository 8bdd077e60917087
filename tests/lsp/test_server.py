"""The language server, spoken to by a real client over standard input and output."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

import pytest
import pytest_lsp
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pytest_lsp import (
    ClientServerConfig,
    LanguageClient,
    client_capabilities,
    make_test_lsp_client,
)

HEAD = "# suite: math\n"
TEXT = HEAD + (
    "ok = exact(completion, answer)\n"
    "length = ramp(words(completion), 100, 400)\n"
    "reward = ok - 0.2 * length\n"
)


def client_with_versions() -> LanguageClient:
    """A client that keeps the findings of every version it was told of."""
    client = make_test_lsp_client()
    client.seen = {}
    client.protocol.fm.features.pop(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)

    @client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
    def published(client: LanguageClient, params: lsp.PublishDiagnosticsParams) -> None:
        client.seen.setdefault(params.uri, {})[params.version] = params.diagnostics

    return client


SERVER = ClientServerConfig(
    server_command=[sys.executable, "-m", "derl_dsl", "lsp"], client_factory=client_with_versions
)


@pytest_lsp.fixture(config=SERVER, scope="module")
async def client(lsp_client: LanguageClient):
    params = lsp.InitializeParams(capabilities=client_capabilities("visual-studio-code"))
    result = await lsp_client.initialize_session(params)
    assert result.capabilities.text_document_sync.change == lsp.TextDocumentSyncKind.Full
    yield
    await lsp_client.shutdown_session()


pytestmark = pytest.mark.asyncio(loop_scope="module")


class File:
    """A file open in the client."""

    versions = 0

    def __init__(self, client: LanguageClient, uri: str) -> None:
        self.client = client
        self.uri = uri
        self.text = ""

    async def open(self, text: str) -> list[lsp.Diagnostic]:
        self.text = text
        item = lsp.TextDocumentItem(self.uri, "derl", 0, text)
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))
        return await self.published(0)

    def type(self, text: str) -> int:
        self.text = text
        File.versions += 1
        identifier = lsp.VersionedTextDocumentIdentifier(File.versions, self.uri)
        change = lsp.TextDocumentContentChangeWholeDocument(text)
        params = lsp.DidChangeTextDocumentParams(identifier, [change])
        self.client.text_document_did_change(params)
        return File.versions

    async def change(self, text: str) -> list[lsp.Diagnostic]:
        return await self.published(self.type(text))

    async def published(self, version: int) -> list[lsp.Diagnostic]:
        seen = self.seen
        async with asyncio.timeout(10):
            while version not in seen:
                await asyncio.sleep(0.002)
        return list(seen[version])

    @property
    def seen(self) -> dict[int, list[lsp.Diagnostic]]:
        return self.client.seen[self.uri]

    def at(self, marked: str, shift: int = 0) -> dict:
        """The position of a stretch of text that occurs once, in UTF-16 units."""
        assert self.text.count(marked) == 1, marked
        before = self.text[: self.text.index(marked) + shift]
        line = before.rpartition("\n")[2]
        position = lsp.Position(before.count("\n"), len(line.encode("utf-16-le")) // 2)
        return {"text_document": lsp.TextDocumentIdentifier(self.uri), "position": position}

    def applied(self, edits: list[lsp.TextEdit]) -> str:
        lines = [*self.text.splitlines(keepends=True), ""]

        def offset(p: lsp.Position) -> int:
            units = lines[p.line].encode("utf-16-le")[: 2 * p.character]
            return sum(map(len, lines[: p.line])) + len(units.decode("utf-16-le"))

        text = self.text
        for edit in sorted(edits, key=lambda e: -offset(e.range.start)):
            text = text[: offset(edit.range.start)] + edit.new_text + text[offset(edit.range.end) :]
        return text


@pytest.fixture
def file(client: LanguageClient, tmp_path):
    uri = (tmp_path / "r.derl").as_uri()
    client.seen[uri] = {}
    return File(client, uri)


def shown(diagnostics: list[lsp.Diagnostic]) -> list[tuple]:
    return [(d.code, d.range.start.line, d.range.start.character) for d in diagnostics]


async def test_findings_when_opened_and_while_typing(file):
    assert await file.open(TEXT) == []
    found = await file.change(TEXT.replace("* length", "* lenght"))
    assert shown(found) == [("DRL101", 3, 20)]
    assert found[0].severity == lsp.DiagnosticSeverity.Error
    assert "did you mean 'length'?" in found[0].message
    assert await file.change(TEXT) == []
    file.client.text_document_did_close(
        lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(file.uri))
    )
    assert await file.published(None) == []


async def test_fast_typing_is_checked_once(file):
    await file.open(HEAD)
    text = "reward = exact(completion, answer)"
    versions = [file.type(HEAD + text[:k]) for k in range(1, len(text) + 1)]
    assert await file.published(versions[-1]) == []
    assert not set(file.seen) & set(versions[:-5])


async def test_findings_come_soon(file):
    await file.open(TEXT)
    await file.change(TEXT + "\n")
    start = time.perf_counter()
    await file.change(TEXT.replace("ok -", "ok /"))
    assert time.perf_counter() - start < 1


async def test_columns_are_utf_16_units(file):
    found = await file.open(HEAD + 'reward = (answer == "𝔸é") + nothing\n')
    assert shown(found) == [("DRL101", 1, 29)]
    hover = await file.client.text_document_hover_async(lsp.HoverParams(**file.at("nothing", -3)))
    assert hover is None


@pytest.mark.parametrize(
    ("marked", "shift", "parts"),
    [
        ("ok =", 0, ["ok: bool", "A part, defined in line 2"]),
        ("length\n", 2, ["length: number[0, 1]", "A part, defined in line 3"]),
        ("reward =", 1, ["reward: number[-0.2, 1]", "The reward"]),
        ("ramp(", 4, ["ramp(x, lo, hi)", "linear between", "Here: `number[0, 1]`"]),
        ("words(", 1, ["words(completion: text)", "Here: `number"]),
        ("answer)", 1, ["answer: text", "A column"]),
        ("0.2", 1, None),
        ("suite", 1, None),
    ],
)
async def test_hover(file, marked, shift, parts):
    await file.open(TEXT)
    found = await file.client.text_document_hover_async(lsp.HoverParams(**file.at(marked, shift)))
    if parts is None:
        assert found is None
    else:
        for part in parts:
            assert part in found.contents.value


async def test_hover_of_a_bound_name(file):
    await file.open("# suite: derl-math\nreward = g1 + g2")
    found = await file.client.text_document_hover_async(lsp.HoverParams(**file.at("g1")))
    assert "g1: number{1e-06, 1.000001}" in found.contents.value
    assert "`g1(completion, answer)`" in found.contents.value
    assert "```python\n>>> g1(" in found.contents.value


async def test_hover_of_the_progress_of_training(file):
    await file.open("# suite: math\nprogress * exact(completion, answer)")
    found = await file.client.text_document_hover_async(lsp.HoverParams(**file.at("progress")))
    assert "progress: number[0, 1]" in found.contents.value
    assert "share of training" in found.contents.value


async def complete(file: File, text: str) -> dict[str, lsp.CompletionItem]:
    """The completions at the | of a text."""
    await file.open(text)
    params = lsp.CompletionParams(**file.at("|"))
    await file.change(text.replace("|", ""))
    found = await file.client.text_document_completion_async(params)
    return {item.label: item for item in found.items}


async def test_completion_of_half_typed_text(file):
    items = await complete(file, TEXT.replace("ok - 0.2 * length", "ok - 0.2 * (le|"))
    assert items["length"].detail == "number[0, 1]"
    assert items["exact"].detail == "exact(completion: text, answer: text) -> bool"
    assert items["completion"].detail == "text"
    assert {"ok", "clip", "if", "answer"} <= set(items)
    assert "g1" not in items
    assert "reward" not in items


async def test_completion_knows_what_is_above(file):
    items = await complete(file, HEAD + "a = 1\nb = |\nc = 3\nreward = a + b + c")
    assert "a" in items
    assert not {"b", "c"} & set(items)


@pytest.mark.parametrize("text", ["g1 # com|ment", 'answer == "te|xt"'])
async def test_nothing_is_completed_in_comments_and_strings(file, text):
    assert await complete(file, HEAD + text) == {}


async def test_keywords_of_the_call_are_completed(file):
    items = await complete(file, HEAD + "a = group_mean(words(completion), |)\nreward = a")
    assert "where=" in items
    assert "where=" not in await complete(file, HEAD + "reward = group_mean(words(|))")


async def test_definition(file):
    await file.open(TEXT)
    params = lsp.DefinitionParams(**file.at("length\n", 3))
    found = await file.client.text_document_definition_async(params)
    assert found.range == lsp.Range(lsp.Position(2, 0), lsp.Position(2, 6))
    params = lsp.DefinitionParams(**file.at("exact"))
    assert await file.client.text_document_definition_async(params) is None


async def test_rename(file):
    await file.open(TEXT + "# length stays in comments")
    params = lsp.RenameParams(new_name="short", **file.at("length\n"))
    edit = await file.client.text_document_rename_async(params)
    text = file.applied(edit.changes[file.uri])
    assert text == TEXT.replace("length", "short") + "# length stays in comments"
    assert await file.change(text) == []


@pytest.mark.parametrize("name", ["2x", "a b", "ok", "clip", "answer", "exact", "if", "reward", ""])
async def test_rename_to_what_is_no_free_name_is_refused(file, name):
    await file.open(TEXT)
    params = lsp.RenameParams(new_name=name, **file.at("length\n"))
    with pytest.raises(JsonRpcException, match=r"no name for a part|taken already"):
        await file.client.text_document_rename_async(params)


@pytest.mark.parametrize(
    ("marked", "yes"), [("length\n", True), ("reward", False), ("exact", False)]
)
async def test_what_can_be_renamed(file, marked, yes):
    await file.open(TEXT)
    params = lsp.PrepareRenameParams(**file.at(marked))
    found = await file.client.text_document_prepare_rename_async(params)
    assert (found is not None) == yes


def formatting_of(file: File) -> lsp.DocumentFormattingParams:
    options = lsp.FormattingOptions(4, True)
    return lsp.DocumentFormattingParams(lsp.TextDocumentIdentifier(file.uri), options)


async def test_formatting(file):
    await file.open(TEXT.replace("ok - 0.2", "ok-0.2") + "\n\n")
    edits = await file.client.text_document_formatting_async(formatting_of(file))
    assert file.applied(edits) == TEXT
    assert edits[0].range.start.line == 3
    await file.change(TEXT)
    assert not await file.client.text_document_formatting_async(formatting_of(file))
    await file.change("reward = (")
    assert not await file.client.text_document_formatting_async(formatting_of(file))


async def actions(file: File, line: int) -> list[lsp.CodeAction]:
    where = lsp.Range(lsp.Position(line, 0), lsp.Position(line, 99))
    context = lsp.CodeActionContext([])
    identifier = lsp.TextDocumentIdentifier(file.uri)
    params = lsp.CodeActionParams(identifier, where, context)
    return await file.client.text_document_code_action_async(params)


async def test_did_you_mean_is_a_quick_fix(file):
    await file.open(TEXT.replace("* length", "* lenght").replace("exact", "exactt"))
    (action,) = await actions(file, 3)
    assert (action.title, action.kind) == ("replace by length", lsp.CodeActionKind.QuickFix)
    assert [d.code for d in action.diagnostics] == ["DRL101"]
    await file.change(file.applied(action.edit.changes[file.uri]))
    (action,) = await actions(file, 1)
    assert file.applied(action.edit.changes[file.uri]) == TEXT
    assert not await actions(file, 2)


async def test_the_fix_of_a_lint_is_a_quick_fix(file):
    (found,) = await file.open("# suite: derl-math\n2 * (g1 + 0.2 * g2) + 1")
    assert (found.code, found.severity) == ("DRL506", lsp.DiagnosticSeverity.Information)
    mend, ignore = await actions(file, 1)
    text = file.applied(mend.edit.changes[file.uri])
    assert text == "# suite: derl-math\n(g1 + 0.2 * g2)"
    ignored = file.applied(ignore.edit.changes[file.uri])
    assert ignored == f"{file.text}  # derl: ignore[DRL506]"
    assert await file.change(text) == []
    assert await file.change(ignored) == []


def test_it_ends_as_editors_ask():
    """Exit code 0 and nothing on standard error, though it closes what it served over."""
    begin = {"processId": None, "rootUri": None, "capabilities": {}}
    asked = [
        {"id": 1, "method": "initialize", "params": begin},
        {"id": 2, "method": "shutdown"},
        {"method": "exit"},
    ]
    texts = [json.dumps({"jsonrpc": "2.0", **message}) for message in asked]
    sent = "".join(f"Content-Length: {len(text)}\r\n\r\n{text}" for text in texts)
    command = [sys.executable, "-m", "derl_dsl", "lsp"]
    done = subprocess.run(
        command, input=sent.encode(), capture_output=True, check=False, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, b"")


async def test_one_action_makes_all_safe_fixes(file):
    await file.open("# suite: derl-math\n2 * (g1 - -g2 + guard(0.5 * g3, 0)) + 1")
    context = lsp.CodeActionContext(diagnostics=[], only=[lsp.CodeActionKind.SourceFixAll])
    where = lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0))
    params = lsp.CodeActionParams(lsp.TextDocumentIdentifier(file.uri), where, context)
    (action,) = await file.client.text_document_code_action_async(params)
    mended = file.applied(action.edit.changes[file.uri])
    assert mended == "# suite: derl-math\n2 * (g1 + g2 + (0.5 * g3)) + 1"
    await file.change(mended)
    assert not await file.client.text_document_code_action_async(params)


async def test_settings_of_the_project(file, tmp_path):
    config = tmp_path / "pyproject.toml"
    config.write_text('[tool.derl]\nsuite = "derl-math"\nignore = ["DRL306"]\n')
    assert await file.open("0.5 * g2 + g3") == []
    config.write_text('[tool.derl]\nsuit = "derl-math"\n')
    (found,) = await file.change("0.5 * g2 + g4")
    assert "did you mean 'suite'?" in found.message
    config.write_text('[tool.derl]\nsuite = "derl-math"\noutcome = "g1 + g2"\n')
    (found,) = await file.change("g1 + g4")
    assert found.message.startswith("outcome 'g1 + g2'")


async def test_nothing_half_typed_stops_the_server(file):
    await file.open("")
    cuts = [TEXT[:k] for k in range(0, len(TEXT), 3)]
    odd = [
        "(",
        ")",
        "((((",
        "\0",
        "\r",
        "\u2028",
        "# suite: ",
        "reward",
        "=",
        "'",
        'r"',
        "a=\nb=",
        "\t",
    ]
    big = "g1" * 200 + "(" * 100 + "\n" * 1000 + "𝔸" * 50
    for text in [*cuts, *odd, *(o + TEXT for o in odd), big]:
        file.type(text)
        end = lsp.Position(text.count("\n"), len(text))
        place = {"text_document": lsp.TextDocumentIdentifier(file.uri), "position": end}
        await file.client.text_document_hover_async(lsp.HoverParams(**place))
        await file.client.text_document_completion_async(lsp.CompletionParams(**place))
        await file.client.text_document_definition_async(lsp.DefinitionParams(**place))
        await file.client.text_document_prepare_rename_async(lsp.PrepareRenameParams(**place))
        await file.client.text_document_formatting_async(formatting_of(file))
        await actions(file, end.line)
    assert await file.change(TEXT) == []
    assert file.client.messages == []
