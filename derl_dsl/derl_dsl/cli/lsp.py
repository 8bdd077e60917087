"""`derl-dsl lsp`: the language server, started by an editor."""

from __future__ import annotations

from derl_dsl.cli.inputs import fail


def lsp_command() -> None:
    """Serve an editor over standard input and output: findings, hover, completion, fixes.

    The suite comes from [tool.derl] of pyproject.toml, or a `# suite: NAME` line on top of a file.
    """
    try:
        import pygls  # noqa: F401
    except ModuleNotFoundError:
        fail("the language server needs pygls: pip install 'derl-dsl[lsp]'")
    from derl_dsl.tools.lsp.server import server

    server.start_io()
