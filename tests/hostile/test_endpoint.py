"""An endpoint that is not what it seems: its replies hold no key, no bombs, and have an end."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
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


def _drips(start: bytes, drop: bytes) -> Callable[[socket.socket], None]:
    def serve(to: socket.socket) -> None:
        to.sendall(start)
        while True:
            to.sendall(drop)
            time.sleep(0.02)

    return serve


_OK, _REFUSED = b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 400 No\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
DRIPS = {
    "status": _drips(b"", b"H"),
    "header": _drips(_OK + b"X: ", b"a"),
    "pauses": _drips(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "chunk": _drips(_OK + _CHUNKED, b"0"),
    "trailer": _drips(_OK + _CHUNKED + b"2\r\n{}\r\n0\r\n", b"X: a\r\n"),
    "error": _drips(_REFUSED + b"Content-Length: 100000\r\n\r\n", b" "),
}
ODD_REPLIES = {
    "no chunks": _REFUSED + _CHUNKED + b"zzz\r\n",
    "cut off": _REFUSED + b"Content-Length: 100\r\n\r\nabc",
    "nowhere": b"HTTP/1.1 302 X\r\nLocation: http://[x\r\n\r\n",
    "a file": b"HTTP/1.1 302 X\r\nLocation: file:///etc/passwd\r\n\r\n",
    "lengths": _OK + b"Content-Length: -5\r\n\r\n{}",
    "a chunk below zero": _OK + _CHUNKED + b"-5\r\n{}\r\n0\r\n\r\n",
    "headers": _OK + b"A: b\r\n" * 200 + b"\r\n",
    "no HTTP": b"hello " + KEY.encode(),
    "gzip": _OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
}


def said_of(serve: Callable[[socket.socket], None], timeout: float) -> str:
    """What is said of an endpoint that answers so, in bytes of its own."""
    with closing(socket.create_server(("127.0.0.1", 0))) as made:

        def answer() -> None:
            with suppress(OSError), made.accept()[0] as to:
                to.recv(1 << 16)
                serve(to)

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{made.getsockname()[1]}"
        with pytest.raises(EndpointError) as error:
            Endpoint(url, "m", KEY, timeout, 1).complete([], 1.0, 10, 0)
    return str(error.value)


@pytest.mark.parametrize("name", DRIPS)
def test_whatever_drips_has_an_end(name: str) -> None:
    # It would drip for ever: that anything is said at all is the deadline's doing.
    assert ("answers 400" if name == "error" else "no answer") in said_of(DRIPS[name], 0.3)


@pytest.mark.parametrize("name", ODD_REPLIES)
def test_a_reply_of_odd_bytes_is_one_message(name: str) -> None:
    said = said_of(lambda to: to.sendall(ODD_REPLIES[name]), 5.0)
    assert KEY not in said
    assert "\n" not in said


def test_a_message_cut_short_holds_no_half_of_the_key(server: Server) -> None:
    server.status = 400
    for room in range(185, 200):
        server.body = json.dumps({"error": {"message": "a" * room + KEY}}).encode()
        with pytest.raises(EndpointError) as error:
            asked(server)
        assert "sk-" not in str(error.value)


@pytest.mark.parametrize("key", ["sk-a\n", "sk\r\nX: y", "sk-\u2026", "sk-\ud800"])
def test_what_is_no_key_is_not_sent_and_not_shown(key: str, server: Server) -> None:
    endpoint = Endpoint(f"http://127.0.0.1:{server.server_port}", "m", key, 5.0, 1)
    with pytest.raises(EndpointError, match="set it to the key alone") as error:
        endpoint.complete([], 1.0, 10, 0)
    assert "sk" not in str(error.value)


NO_URLS = ("file:///etc/passwd#", "ftp://127.0.0.1:1", "data:,{}#", "http://[::1", "x",
           "http://a b", "http://\x1b[2J", "http://a\ud800")  # fmt: skip


@pytest.mark.parametrize("url", NO_URLS)
def test_a_url_that_is_none_is_one_message(url: str) -> None:
    with pytest.raises(EndpointError, match="cannot be reached") as error:
        Endpoint(url, "m", timeout=1.0, tries=1).complete([], 1.0, 10, 0)
    assert str(error.value).isprintable()
