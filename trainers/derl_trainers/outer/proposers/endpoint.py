"""A language model behind an OpenAI-compatible endpoint, asked for one chat completion."""

from __future__ import annotations

import http.client
import json
import time
import unicodedata
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from derl_runtime.faults import capped

_LARGEST = 4_000_000  # bytes of a reply
_LONGEST_PAUSE = 60.0
_DIGITS = 10
_READ = 1 << 16


class EndpointError(RuntimeError):
    """The endpoint gave no completion; the message names it, and says what to do."""


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the key is for the host that the config names."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


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
        request = urllib.request.Request(
            f"{self.url.rstrip('/')}/chat/completions",
            data=body,
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        )
        if self.key:
            request.add_unredirected_header("Authorization", f"Bearer {self.key}")
        opener = urllib.request.build_opener(_Stay)
        for k in range(self.tries):
            last = k == self.tries - 1
            try:
                with opener.open(request, timeout=self.timeout) as reply:
                    return self._read(reply)
            except urllib.error.HTTPError as error:
                if last or not (error.code == 429 or error.code >= 500):
                    raise self._refused(error) from None
                wait = _seconds(error.headers.get("Retry-After"))
            except (OSError, http.client.HTTPException) as error:  # timeouts, a cut off reply too
                if last:
                    raise self._unreachable(error) from None
                wait = None
            time.sleep(min(_LONGEST_PAUSE, self.pause * 2**k if wait is None else wait))
        raise AssertionError("there is a last try")

    def _read(self, reply: Any) -> bytes:
        """The body of a reply; one that drips has the time of a whole request, and no more."""
        end = time.monotonic() + self.timeout
        found = bytearray()
        while piece := reply.read1(_READ):
            found += piece
            if len(found) > _LARGEST:
                raise EndpointError(f"{self.url} sends more than {_LARGEST:,} bytes")
            if time.monotonic() > end:
                raise TimeoutError(f"its reply is not whole after {self.timeout:g} s")
        return bytes(found)

    def _hidden(self, text: str) -> str:
        """A text of the server without the key, which it may send back."""
        return text.replace(self.key, "***") if self.key else text

    def _refused(self, error: urllib.error.HTTPError) -> EndpointError:
        said = self._hidden(_error_message(error.read(_LARGEST)))
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
        words = [f"{self.url} answers {error.code}", said, hint]
        return EndpointError("; ".join(w for w in words if w))

    def _moved(self, error: urllib.error.HTTPError) -> str:
        return capped(self._hidden(str(error.headers.get("Location"))), 200)

    def _unreachable(self, error: Exception) -> EndpointError:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, TimeoutError):
            reason = f"no answer within {self.timeout:g} s"
        said = capped(self._hidden(str(reason)))
        return EndpointError(
            f"{self.url} cannot be reached: {said}; is the server running, and "
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
                f"{self.url} is no OpenAI-compatible endpoint: expected "
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
    return capped(str(said), 200)
