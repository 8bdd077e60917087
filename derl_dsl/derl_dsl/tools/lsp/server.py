"""The server: documents as the editor sends them, findings as they come, answers to requests."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException, JsonRpcInvalidParams
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol
from pygls.uris import to_fs_path

from derl_dsl.tools.lsp import features
from derl_dsl.tools.lsp.document import Document
from derl_dsl.tools.lsp.positions import Positions

# Seconds of quiet after a keystroke before the text is checked.
DELAY = 0.1


class Protocol(LanguageServerProtocol):
    """Answers a request whose parameters are none as well: an editor waits for each answer."""

    def structure_message(self, data: dict[str, Any]) -> Any:
        """A message as the types of the protocol; raises JsonRpcException."""
        try:
            return super().structure_message(data)
        except JsonRpcException as error:
            if "method" in data and isinstance(data.get("id"), int | str):
                self._send_response(data["id"], None, error.to_response_error())
            raise


class Server(LanguageServer):
    """Keeps the newest version of each open file and publishes what is found in it."""

    def __init__(self) -> None:
        super().__init__(
            "derl-dsl",
            version("derl-dsl"),
            text_document_sync_kind=lsp.TextDocumentSyncKind.Full,
            protocol_cls=Protocol,
        )
        self.documents: dict[str, Document] = {}
        self.waiting: dict[str, asyncio.TimerHandle] = {}

    def document(self, uri: str) -> Document:
        """The newest version of a file."""
        try:
            text = self.workspace.get_text_document(uri).source
        except (OSError, UnicodeDecodeError, ValueError):
            raise JsonRpcInvalidParams(f"{uri} is not open, and is no file to read") from None
        known = self.documents.get(uri)
        if known is None or known.text != text:
            path = to_fs_path(uri) if uri.startswith("file:") else None
            known = self.documents[uri] = Document(path or "<untitled>", text)
        return known

    def positions(self, document: Document) -> Positions:
        """Offsets of a document in the units of the client."""
        return Positions(document.source, self.workspace.position_codec)

    def refresh(self, uri: str) -> None:
        """Check a file anew, its settings too, and publish the findings."""
        self.documents.pop(uri, None)
        self.publish(uri)

    def publish(self, uri: str) -> None:
        """Publish the findings of a file."""
        if waiting := self.waiting.pop(uri, None):
            waiting.cancel()
        document = self.document(uri)
        found = features.diagnostics(document, self.positions(document))
        version = self.workspace.get_text_document(uri).version
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, found, version))

    def publish_soon(self, uri: str) -> None:
        """Publish the findings once the typing pauses."""
        if waiting := self.waiting.pop(uri, None):
            waiting.cancel()
        loop = asyncio.get_running_loop()
        self.waiting[uri] = loop.call_later(DELAY, self.publish, uri)

    def forget(self, uri: str) -> None:
        """Drop a closed file and its findings."""
        if waiting := self.waiting.pop(uri, None):
            waiting.cancel()
        self.documents.pop(uri, None)
        self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(uri, []))


server = Server()


@server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
def did_open(ls: Server, params: lsp.DidOpenTextDocumentParams) -> None:
    """Findings of a file that was opened."""
    ls.refresh(params.text_document.uri)


@server.feature(lsp.TEXT_DOCUMENT_DID_SAVE)
def did_save(ls: Server, params: lsp.DidSaveTextDocumentParams) -> None:
    """Findings of a file that was saved."""
    ls.refresh(params.text_document.uri)


@server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
def did_change(ls: Server, params: lsp.DidChangeTextDocumentParams) -> None:
    """Findings while typing."""
    ls.publish_soon(params.text_document.uri)


@server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
def did_close(ls: Server, params: lsp.DidCloseTextDocumentParams) -> None:
    """No findings of a file that is not open."""
    ls.forget(params.text_document.uri)


def _place(ls: Server, uri: str, position: lsp.Position) -> tuple[Document, Positions, int]:
    document = ls.document(uri)
    at = ls.positions(document)
    return document, at, at.offset(position)


@server.feature(lsp.TEXT_DOCUMENT_HOVER)
def hover(ls: Server, params: lsp.HoverParams) -> lsp.Hover | None:
    """Type, range and documentation of a name."""
    return features.hover(*_place(ls, params.text_document.uri, params.position))


@server.feature(lsp.TEXT_DOCUMENT_COMPLETION)
def completion(ls: Server, params: lsp.CompletionParams) -> lsp.CompletionList:
    """Names, functions and words that may come next."""
    document, _, offset = _place(ls, params.text_document.uri, params.position)
    return lsp.CompletionList(False, features.completion(document, offset))


@server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
def definition(ls: Server, params: lsp.DefinitionParams) -> lsp.Location | None:
    """Where a part is defined."""
    found = features.definition(*_place(ls, params.text_document.uri, params.position))
    return None if found is None else lsp.Location(params.text_document.uri, found)


@server.feature(lsp.TEXT_DOCUMENT_PREPARE_RENAME)
def prepare_rename(ls: Server, params: lsp.PrepareRenameParams) -> lsp.Range | None:
    """Whether the name can be renamed."""
    return features.renamable(*_place(ls, params.text_document.uri, params.position))


@server.feature(lsp.TEXT_DOCUMENT_RENAME, lsp.RenameOptions(prepare_provider=True))
def rename(ls: Server, params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
    """Rename a part everywhere in its file."""
    document, at, offset = _place(ls, params.text_document.uri, params.position)
    found = features.rename(document, at, offset, params.new_name)
    if isinstance(found, str):
        raise JsonRpcInvalidParams(found)
    return None if found is None else lsp.WorkspaceEdit({params.text_document.uri: found})


@server.feature(lsp.TEXT_DOCUMENT_FORMATTING)
def formatting(ls: Server, params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
    """The style of `derl-dsl fmt`."""
    document = ls.document(params.text_document.uri)
    return features.formatting(document, ls.positions(document))


@server.feature(
    lsp.TEXT_DOCUMENT_CODE_ACTION,
    lsp.CodeActionOptions(code_action_kinds=[*features.KINDS]),
)
def code_action(ls: Server, params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    """Quick fixes of findings, and all safe ones at once."""
    uri = params.text_document.uri
    document = ls.document(uri)
    at = ls.positions(document)
    wanted = params.context.only or features.KINDS
    found: list[lsp.CodeAction] = []
    if lsp.CodeActionKind.QuickFix in wanted:
        found += features.actions(document, at, uri, params.range)
    if lsp.CodeActionKind.SourceFixAll in wanted:
        found += features.fix_all(document, at, uri)
    return found
