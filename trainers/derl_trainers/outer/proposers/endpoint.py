"""A language model behind an OpenAI-compatible endpoint, asked for one chat completion."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from derl_runtime.faults import visible

_LARGEST = 4_000_000  # bytes of a reply
_LONGEST_PAUSE = 60.0


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
                    found: bytes = reply.read(_LARGEST)
                    return found
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

    def _refused(self, error: urllib.error.HTTPError) -> EndpointError:
        said = _error_message(error.read(_LARGEST))
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
            hint = f"it redirects to {error.headers.get('Location')}: use that as url"
        words = [f"{self.url} answers {error.code}", said, hint]
        return EndpointError("; ".join(w for w in words if w))

    def _unreachable(self, error: Exception) -> EndpointError:
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, TimeoutError):
            reason = f"no answer within {self.timeout:g} s"
        return EndpointError(
            f"{self.url} cannot be reached: {reason}; is the server running, and "
            "[proposer.prompted] url right?"
        )

    def _text(self, reply: bytes) -> str:
        try:
            content = json.loads(reply)["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError):
            content = None
        if not isinstance(content, str):
            start = visible(reply[:80].decode(errors="replace"), 80)
            raise EndpointError(
                f"{self.url} is no OpenAI-compatible endpoint: expected "
                f"choices[0].message.content, not {start!r}"
            )
        return content


def _seconds(text: str | None) -> float | None:
    """The seconds of a Retry-After header, None for a date or none."""
    return float(text) if text is not None and text.strip().isdigit() else None


def _error_message(body: bytes) -> str:
    """What the server says, by OpenAI's form of errors; empty for any other."""
    try:
        said = json.loads(body)["error"]["message"]
    except (ValueError, LookupError, TypeError):
        return ""
    return visible(str(said), 200)
