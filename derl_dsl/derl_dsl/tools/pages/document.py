"""One self-contained HTML page: no script but its own, nothing fetched."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from html import escape
from importlib.resources import files

from derl_grammar.visible import visible

# Nothing may be loaded or run, whatever a completion manages to say.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(title: str, parts: Iterable[str], style: str = "", script: str = "") -> str:
    """A page that needs nothing else: its parts, in the common style and that of its own.

    No script but the one given may run, and nothing may be loaded.
    """
    common = files("derl_dsl.tools.pages").joinpath("page.css").read_text("utf-8")
    policy, last = _POLICY, ""
    if script:
        digest = b64encode(sha256(script.encode()).digest()).decode()
        policy += f"; script-src 'sha256-{digest}'"
        last = f"<script>{script}</script>"
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(visible(title))}</title><style>\n{common}{style}</style></head>\n<body><main>\n"
        + "\n".join(parts)
        + f"\n</main>{last}</body></html>\n"
    )
