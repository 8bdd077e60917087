"""An endpoint that is not what it seems: its replies hold no key, no bombs, and have an end."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from derl_trainers.outer.proposers.endpoint import Endpoint, EndpointError, _seconds

KEY = "sk-very-secret"


class Server(HTTPServer):
    status, body, headers = 200, b"", ()  # type: ignore[var-annotated]
    drips = False


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.server.status)
        for name, value in self.server.headers:
            self.send_header(name, value)
        self.end_headers()
        if not self.server.drips:
            self.wfile.write(self.server.body)
            return
        try:
            for _ in range(200):
                self.wfile.write(b" ")
                time.sleep(0.05)
        except OSError:
            return

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def asked(server: Server, **more: Any) -> str:
    endpoint = Endpoint(
        f"http://127.0.0.1:{server.server_port}", "m", KEY, **{"tries": 1, "timeout": 5.0, **more}
    )
    return endpoint.complete([{"role": "user", "content": "x"}], 1.0, 10, 0)


def chat(content: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 429, 500])
def test_no_message_holds_the_key(server: Server, status: int) -> None:
    server.status = status
    server.body = json.dumps({"error": {"message": f"bad key {KEY}"}}).encode()
    server.headers = (("Location", f"http://other/{KEY}"),)
    with pytest.raises(EndpointError) as caught:
        asked(server)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("body", [KEY.encode(), b"x" * 70 + KEY.encode(), chat([KEY])])
def test_what_is_no_completion_is_shown_without_the_key(server: Server, body: bytes) -> None:
    server.body = body
    with pytest.raises(EndpointError) as caught:
        asked(server)
    assert KEY not in str(caught.value)
    assert "sk-very" not in str(caught.value)


def test_no_completion_holds_the_key(server: Server) -> None:
    server.body = chat(f"the key is {KEY}")
    assert asked(server) == "the key is ***"


@pytest.mark.parametrize("odd", ["\ud800", "\x00", "\x1b[31m", "\x7f", "\x9b"])
def test_completions_can_be_stored_and_shown(server: Server, odd: str) -> None:
    server.body = chat(f"a\n{odd}b\t")
    found = asked(server)
    assert found.startswith("a\n\ufffd")
    assert found.encode()


def test_a_reply_that_drips_has_an_end(server: Server) -> None:
    server.drips = True
    start = time.monotonic()
    with pytest.raises(EndpointError, match="no answer within"):
        asked(server, timeout=0.5)
    assert time.monotonic() - start < 5


def test_a_reply_without_end_has_one(server: Server) -> None:
    server.body = b"x" * 5_000_000
    with pytest.raises(EndpointError, match="more than"):
        asked(server)


@pytest.mark.parametrize("nested", [b"[" * 100_000, b'{"a":' * 100_000])
def test_a_nested_reply_is_no_completion(server: Server, nested: bytes) -> None:
    server.body = nested
    with pytest.raises(EndpointError, match="no OpenAI-compatible endpoint"):
        asked(server)
    server.status = 400
    with pytest.raises(EndpointError, match="answers 400"):
        asked(server)


@pytest.mark.parametrize("header", ["²", "٣", "1e3", "-1", "", " ", "inf", "9" * 400, None])
def test_odd_pauses_are_none(header: str | None) -> None:
    assert _seconds(header) is None


def test_plain_pauses_are_kept() -> None:
    assert _seconds(" 12 ") == 12.0
