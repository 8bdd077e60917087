"""A language model behind an OpenAI-compatible endpoint, asked for one chat completion."""

from __future__ import annotations

import functools
import http.client
import io
import json
import socket
import time
import unicodedata
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from derl_runtime.faults import capped

_LARGEST = 4_000_000  # bytes of a reply
_LONGEST_PAUSE = 60.0
_DIGITS = 10
_READ = 1 << 16


class EndpointError(RuntimeError):
    """The endpoint gave no completion; the message names it, and says what to do."""


class _Drops(io.RawIOBase):
    """What a socket sends, up to a time on the monotonic clock, in however many drops it comes."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, end: float) -> None:
        self.raw, self.sock, self.end = raw, sock, end

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """The next bytes; raises TimeoutError."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self.sock.settimeout(left)
        return cast("int | None", self.raw.readinto(buffer))

    def close(self) -> None:
        """Let go of the socket."""
        self.raw.close()
        super().close()


class _Reply(http.client.HTTPResponse):
    """A reply of which status, headers, chunks and body all have to come by one time."""

    def __init__(self, sock: socket.socket, *args: Any, end: float, **named: Any) -> None:
        super().__init__(sock, *args, **named)
        drops = _Drops(self.fp.detach(), sock, end)
        self.fp = io.BufferedReader(drops)


class _Timed(http.client.HTTPConnection):
    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        end = time.monotonic() + float(self.timeout or 0)
        self.response_class = functools.partial(_Reply, end=end)  # type: ignore[assignment]


class _TimedSecure(_Timed, http.client.HTTPSConnection):
    pass


class _Http(urllib.request.HTTPHandler):
    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Timed, request)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_TimedSecure, request)


def _opener() -> urllib.request.OpenerDirector:
    """Reads no files, and follows no redirect: the key is for the host that the config names."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.UnknownHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _Http,
        _Https,
    ):
        opener.add_handler(handler())
    return opener


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to ask: `url` is the part before `/chat/completions`, `key` is empty for none.

    A request that finds no server, a busy (429) or a broken one (5xx) is repeated up to `tries`
    times, after `pause` seconds and twice as long each time, or as long as the server asks for.
    """

    url: str
    model: str
    key: str = ""
    timeout: float = 60.0
    tries: int = 4
    pause: float = 1.0

    def complete(
        self, messages: Sequence[dict[str, str]], temperature: float, max_tokens: int, seed: int
    ) -> str:
        """The text of one completion; raises EndpointError."""
        body = {
            "model": self.model,
            "messages": list(messages),
            "temperature": temperature,
            "max_tokens": max_tokens,
            "seed": seed,
        }
        return self._text(self._posted(json.dumps(body).encode()))

    def _posted(self, body: bytes) -> bytes:
        if not (self.key.isascii() and self.key.isprintable()):
            raise EndpointError(
                "the variable that [proposer.prompted] key_variable names holds what no key does, "
                "such as a line break: set it to the key alone"
            )
        try:
            request = urllib.request.Request(
                f"{self.url.rstrip('/')}/chat/completions",
                data=body,
                headers={"Content-Type": "application/json", "Accept": "application/json"},
            )
        except ValueError as error:
            raise self._unreachable(error) from None
        if self.key:
            request.add_unredirected_header("Authorization", f"Bearer {self.key}")
        opener = _opener()
        for k in range(self.tries):
            last = k == self.tries - 1
            try:
                with opener.open(request, timeout=self.timeout) as reply:
                    return self._read(reply)
            except urllib.error.HTTPError as error:
                if last or not (error.code == 429 or error.code >= 500):
                    raise self._refused(error) from None
                wait = _seconds(error.headers.get("Retry-After"))
            except (OSError, http.client.HTTPException, ValueError) as error:
                # Timeouts, a cut off reply, a host that is none.
                if last or isinstance(error, ValueError):
                    raise self._unreachable(error) from None
                wait = None
            time.sleep(min(_LONGEST_PAUSE, self.pause * 2**k if wait is None else wait))
        raise AssertionError("there is a last try")

    def _read(self, reply: Any) -> bytes:
        """The body of a reply."""
        found = bytearray()
        while piece := reply.read1(_READ):
            found += piece
            if len(found) > _LARGEST:
                raise EndpointError(f"{self._place} sends more than {_LARGEST:,} bytes")
        return bytes(found)

    @property
    def _place(self) -> str:
        return capped(self.url, 200)

    def _hidden(self, text: str) -> str:
        """A text of the server without the key, which it may send back."""
        return text.replace(self.key, "***") if self.key else text

    def _refused(self, error: urllib.error.HTTPError) -> EndpointError:
        try:
            body = error.read(_LARGEST)
        except (OSError, http.client.HTTPException, ValueError):  # cut off, late, no chunks
            body = b""
        said = capped(self._hidden(_error_message(body)), 200)
        hints = {
            401: "set the variable that [proposer.prompted] key_variable names to a valid key",
            403: "the key is not allowed to use this model",
            404: "see [proposer.prompted] url, which ends in /v1 as a rule, and model",
            429: f"it is still overloaded after {self.tries} tries",
        }
        hint = hints.get(error.code)
        if error.code >= 500:
            hint = f"it still fails after {self.tries} tries"
        elif 300 <= error.code < 400:
            hint = f"it redirects to {self._moved(error)}: use that as url"
        words = [f"{self._place} answers {error.code}", said, hint]
        return EndpointError("; ".join(w for w in words if w))

    def _moved(self, error: urllib.error.HTTPError) -> str:
        return capped(self._hidden(str(error.headers.get("Location"))), 200)

    def _unreachable(self, error: Exception) -> EndpointError:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, TimeoutError):
            reason = f"no answer within {self.timeout:g} s"
        said = capped(self._hidden(str(reason)))
        return EndpointError(
            f"{self._place} cannot be reached: {said}; is the server running, and "
            "[proposer.prompted] url right?"
        )

    def _text(self, reply: bytes) -> str:
        try:
            content = json.loads(reply)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            content = None
        if not isinstance(content, str):
            start = capped(self._hidden(reply.decode(errors="replace"))[:80], 80)
            raise EndpointError(
                f"{self._place} is no OpenAI-compatible endpoint: expected "
                f"choices[0].message.content, not {start!r}"
            )
        return _plain(self._hidden(content))


def _plain(text: str) -> str:
    """A text that can be stored and shown: no lone surrogates, no control characters but breaks."""
    odd = ("Cc", "Cs")
    return "".join(
        "\ufffd" if unicodedata.category(c) in odd and c not in "\n\t\r" else c for c in text
    )


def _seconds(text: str | None) -> float | None:
    """The seconds of a Retry-After header, None for a date, odd digits or none."""
    told = (text or "").strip()
    return float(told) if told.isascii() and told.isdigit() and len(told) < _DIGITS else None


def _error_message(body: bytes) -> str:
    """What the server says, by OpenAI's form of errors; empty for any other."""
    try:
        said = json.loads(body)["error"]["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return str(said)
