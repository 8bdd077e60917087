"""Prompted models behind an endpoint, over real HTTP: retries, and errors that say what to do."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

pytest.importorskip("torch")

from derl_trainers.outer.judge import judge
from derl_trainers.outer.proposers.base import Past, make_proposer
from derl_trainers.outer.proposers.endpoint import Endpoint, EndpointError
from derl_trainers.settings.run import parse_config
from tests.trainers.test_proposers import context

Reply = tuple[int, dict[str, str], bytes]
MESSAGES = [{"role": "user", "content": "write a formula"}]


def said(text: str) -> Reply:
    choices = [{"index": 0, "message": {"role": "assistant", "content": text}}]
    return 200, {}, json.dumps({"object": "chat.completion", "choices": choices}).encode()


class Server:
    """Answers with `replies` in order, the last one again and again; keeps what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.slow = 0.0
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                owner.requests.append((self.path, dict(self.headers), body))
                time.sleep(owner.slow)
                rest = owner.replies
                status, headers, content = rest.pop(0) if len(rest) > 1 else rest[0]
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                with suppress(BrokenPipeError):  # the client gave up
                    self.end_headers()
                    self.wfile.write(content)

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                """Nothing on the screen."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    thread = threading.Thread(target=found.http.serve_forever, args=(0.01,))
    thread.start()
    yield found
    found.http.shutdown()
    thread.join()
    found.http.server_close()


def ask(url: str, **options: Any) -> str:
    endpoint = Endpoint(url, "some-model", **{"pause": 0.01, "timeout": 5.0, **options})
    return endpoint.complete(MESSAGES, temperature=0.7, max_tokens=40, seed=3)


def test_a_group_of_formulas(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.replies = [said("g1 + 0.1*g3"), said("```python\n0.7*g1 + 0.3*g4\n```"), said("")]
    monkeypatch.setenv("DERL_A_KEY", "secret")
    prompted = {"url": server.url + "/", "model": "m", "key_variable": "DERL_A_KEY"}
    config = parse_config(
        {"meta": {"formulas": 3}, "proposer": {"kind": "prompted", "prompted": prompted}}
    )
    past = [
        Past(1, "g1 + g2", judge("g1 + g2", "derl-math").key, 0.625),
        Past(1, "g1 + (", None, -1.0, "not closed"),
    ]
    asked = make_proposer(context(config))
    assert asked.write(2, past) == ["g1 + 0.1*g3", "0.7*g1 + 0.3*g4", ""]
    assert {path for path, _, _ in server.requests} == {"/v1/chat/completions"}
    for _, headers, body in server.requests:
        assert headers["Authorization"] == "Bearer secret"
        assert body["model"] == "m"
        assert body["temperature"] == config.meta.temperature
        prompt = body["messages"][-1]["content"]
        assert "0.625: g1 + g2" in prompt
        assert "-1.000: g1 + (" in prompt
    seeds = [body["seed"] for _, _, body in server.requests]
    assert len(set(seeds)) == 3
    make_proposer(context(config)).write(2, past)
    assert [body["seed"] for _, _, body in server.requests[3:]] == seeds


def test_without_a_key_none_is_sent(server: Server) -> None:
    server.replies = [said("g1")]
    assert ask(server.url) == "g1"
    assert "Authorization" not in server.requests[0][1]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server: Server, status: int) -> None:
    server.replies = [(status, {}, b""), (status, {"Retry-After": "0"}, b"{}"), said("g1")]
    assert ask(server.url) == "g1"
    assert len(server.requests) == 3


def test_pauses_grow_and_the_server_may_say_how_long(server: Server) -> None:
    server.replies = [(503, {}, b""), (503, {}, b""), said("g1")]
    start = time.monotonic()
    ask(server.url, pause=0.05)
    assert time.monotonic() - start >= 0.15
    server.replies = [(503, {"Retry-After": "0"}, b""), said("g1")]
    start = time.monotonic()
    ask(server.url, pause=30.0)
    assert time.monotonic() - start < 5


def failing(server: Server, reply: Reply, **options: Any) -> str:
    server.replies = [reply]
    with pytest.raises(EndpointError) as caught:
        ask(server.url, **options)
    assert server.url in str(caught.value)
    return str(caught.value)


def test_a_refusal_says_what_to_do_and_is_not_repeated(server: Server) -> None:
    body = json.dumps({"error": {"message": "Incorrect\nkey"}}).encode()
    said = failing(server, (401, {}, body), key="wrong")
    assert "answers 401; Incorrect\\nkey; set the variable that" in said
    assert "wrong" not in said
    assert "url, which ends in /v1" in failing(server, (404, {}, b"<html>"))
    assert "answers 400" in failing(server, (400, {}, b"[]"))
    assert len(server.requests) == 3


def test_a_server_that_stays_broken(server: Server) -> None:
    assert "it still fails after 3 tries" in failing(server, (502, {}, b""), tries=3)
    assert len(server.requests) == 3
    assert "still overloaded after 1 tries" in failing(server, (429, {}, b""), tries=1)


@pytest.mark.parametrize(
    "body",
    [b"<html>hello</html>", b"{}", b"[1]", b'{"choices": []}', b"\xff\xfe",
     b'{"choices": [{"message": {"content": null}}]}', b'{"choices": [{"text": "g1"}]}'],
)  # fmt: skip
def test_a_reply_of_another_form(server: Server, body: bytes) -> None:
    assert "is no OpenAI-compatible endpoint: expected choices[0]" in failing(
        server, (200, {}, body)
    )


def test_the_key_follows_no_redirect(server: Server) -> None:
    reply = (302, {"Location": "http://127.0.0.1:9/v1"}, b"")
    assert "redirects to http://127.0.0.1:9/v1" in failing(server, reply, key="secret")


def test_no_server() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        with pytest.raises(EndpointError, match=r"cannot be reached: .*refused.*; is the server"):
            ask(url, tries=2)


def test_a_server_that_is_too_slow(server: Server) -> None:
    server.slow = 0.3
    assert "no answer within 0.1 s" in failing(server, said("g1"), tries=1, timeout=0.1)
