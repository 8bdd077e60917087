"""Foreign text reaches no terminal, log, CI service, editor or page as anything but text."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console as RichConsole

import derl_dsl
from derl_dsl.cli import app as cli
from derl_dsl.cli.terminal import Harmless, strict_streams
from derl_dsl.elaborate.custom import REGISTRY
from derl_dsl.tools.console import Console
from derl_dsl.tools.lsp import features
from derl_dsl.tools.lsp.document import Document
from derl_grammar.visible import harmless, unseen, visible
from derl_runtime.faults import words_of

HOSTILE = {
    "clear_screen": "\x1b[2J", "title": "\x1b]0;owned\x07", "clipboard": "\x1b]52;c;eA==\x07",
    "link": "\x1b]8;;http://x\x1b\\a", "c1_csi": "\x9b2J", "c1_osc": "\x9d0;x\x9c", "bell": "\x07",
    "backspaces": "\b\b\b", "carriage_return": "a\rb", "delete": "\x7f", "bidi": "\u202eabc\u202c",
    "isolate": "\u2066abc\u2069", "zero_width": "a\u200bb\u200d", "bom": "\ufeff",
    "tags": "\U000e0041",
    "filler": "\u3164", "selector": "\ufe0f", "line_separator": "\u2028", "private": "\ue000",
    "nul": "\0", "surrogate": "\ud800",
}  # fmt: skip
SAFE = {k: v for k, v in HOSTILE.items() if k not in ("nul", "surrogate")}
COMMANDS = ("::error file=a::x", "  ::set-output name=a::b", "::stop-commands::t", "##[error]x",
            "a ##[set-env name=A]b", "##vso[task.setvariable variable=a]b")  # fmt: skip


@pytest.fixture
def custom() -> Iterator[None]:
    """Primitives of one's own, gone after the test."""
    yield
    REGISTRY.clear()


def harmed(text: str) -> list[str]:
    """The characters of an output that a terminal would not show, the lines that CI would obey."""
    found = [repr(c) for c in text if unseen(c) and c not in "\n\t"]
    lines = text.splitlines()
    return found + [n for n in lines if re.match(r"\s*::", n) or "##[" in n or "##vso[" in n]


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> str:
    """What a command prints to both streams, as a terminal would get it."""
    out = io.BytesIO()
    stream = io.TextIOWrapper(out, "utf-8", line_buffering=True)
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(sys, "argv", ["derl-dsl", *map(str, words)])
    with pytest.raises(SystemExit):
        cli.main()
    stream.flush()
    return out.getvalue().decode()


@pytest.mark.parametrize("name", HOSTILE)
def test_nothing_of_it_is_left(name: str) -> None:
    text = HOSTILE[name]
    assert not harmed(visible(text))
    assert not harmed(harmless(text))
    assert not harmed(harmless(json.dumps({"a": text}, ensure_ascii=False)))
    if name != "carriage_return":
        assert json.loads(harmless(json.dumps({"a": text}, ensure_ascii=False))) == {"a": text}


# All of it in one text.
ODD = "".join(SAFE.values())


@pytest.mark.parametrize(
    "words", ["check", "fmt --diff", "explain", "check --format json", "check --format sarif"]
)
def test_a_reward_on_the_terminal(
    words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "a.derl"
    text = f'# {ODD}\nok = contains(completion, "x{ODD}")\nreward=ok + nme\n'
    file.write_text(text, "utf-8", newline="")
    assert not harmed(run(monkeypatch, *words.split(), file))
    with pytest.raises(derl_dsl.RewardError) as error:
        derl_dsl.compile(text, suite="math")
    assert not harmed(str(error.value))


NAMED = ("eval R --data D", "audit R --data D --outcome O", "why R --data D --row 1",
         "forecast R --data D --group prompt", "diff R N", "replay --run N R",
         "attack R --data D --budget 1", "check N", "test N", "runs show N")  # fmt: skip


@pytest.mark.parametrize("words", NAMED)
def test_names_of_files_and_columns(
    words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    odd = ODD.replace("/", "").replace("\n", "")[:60]
    reward, data = tmp_path / f"r{odd}.derl", tmp_path / f"d{odd}.jsonl"
    reward.write_text(f"# suite: math\nreward = correct(completion, answer)  # {odd}\n", "utf-8")
    row = {"answer": f"1{odd}", f"ok{odd}": 1, "prompt": odd}
    rows = [{"completion": f"#### {k}{odd}", **row} for k in range(4)]
    data.write_text("".join(json.dumps(r) + "\n" for r in rows))
    names = {"R": reward, "D": data, "N": tmp_path / f"no{odd}.derl", "O": f"ok{odd}"}
    shown = run(monkeypatch, *(names.get(word, word) for word in words.split()))
    assert not harmed(shown)
    assert "Traceback" not in shown
    assert shown


@pytest.mark.parametrize("command", COMMANDS)
def test_no_line_is_a_command_of_ci(
    command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    name = command.strip().replace("/", "")
    Path(name).write_text("reward = nme\n")
    assert not harmed(run(monkeypatch, "check", name))
    assert not harmed(run(monkeypatch, "check", "-e", f"# {command}\nreward = '{command}'"))
    assert not harmed(run(monkeypatch, "fmt", "--diff", name))


def test_github_lines_are_the_commands_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("::warning ::x").write_text("reward = nme\n")
    (line,) = run(monkeypatch, "check", "--format", "github", "::warning ::x").splitlines()
    assert line.startswith("::error file=%3A%3Awarning %3A%3Ax,line=1")


@pytest.mark.parametrize("name", SAFE)
def test_a_console_passes_no_sequence_and_no_markup(name: str) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=60)
    console.print(f"[/bold] [link=http://x]a[/link] {HOSTILE[name]}")
    assert not harmed(out.getvalue())
    assert "[link=http://x]a[/link]" in out.getvalue()
    plain = io.StringIO()
    RichConsole(file=plain, force_terminal=True, color_system=None).print(
        HOSTILE[name], highlight=False
    )
    if name in ("clear_screen", "bidi", "c1_csi"):
        assert harmed(plain.getvalue())  # what the subclass is for


def test_styles_of_the_console_itself_pass_a_strict_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, "ascii"))
    with strict_streams():
        assert isinstance(sys.stdout, Harmless)
        Console(force_terminal=True, width=40).print("a\x1b[2J", style="bold")
        print("b\x1b[1m é ::x")
        print("::y")
    assert out.getvalue().decode() == "\x1b[1ma\\u001b[2J\x1b[0m\nb\\u001b[1m é ::x\n\\u003a:y\n"


def test_data_on_its_way_into_a_file_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "a.derl"
    text = '# \u200b\nreward = contains(completion, "\u202e")\n'
    file.write_text(text, "utf-8")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8"))
    assert run(monkeypatch, "fmt", "-").startswith(text)


def test_documentation_of_an_unread_primitive_is_plain_text(tmp_path: Path, custom: None) -> None:
    doc = "[click](command:x) ![i](http://x/i.png) <b>b</b>\n    ``` ` \x1b[2J \u202e"
    file = tmp_path / "p.py"
    file.write_text(f'def odd(completion: text) -> bool:\n    """{doc}"""\n    return True\n')
    derl_dsl.load_primitives(file)
    text = features._doc(REGISTRY["odd"].primitive)
    fence = text.partition("text\n")[0]
    assert set(fence) == {"`"}
    assert text.endswith(f"\n{fence}")
    assert fence not in text[len(fence) : -len(fence)]
    assert not harmed(text)
    document = Document("<untitled>", "# column: completion: text\nreward = odd(completion)")
    assert features.completion(document, 40)


class Odd:
    """An argument without words of its own."""


@pytest.mark.parametrize(
    "error", [KeyError(Odd()), ValueError(f"no {Odd()}"), TypeError([Odd(), {"a": object()}])]
)
def test_an_exception_in_a_log_has_no_addresses(error: Exception) -> None:
    assert "0x" not in words_of(error)
    assert type(error).__name__ in words_of(error)


def test_a_log_line_of_a_primitive_that_raises(
    custom: None, caplog: pytest.LogCaptureFixture
) -> None:
    @derl_dsl.primitive("(completion: text) -> bool")
    def bad(completion: list[str]) -> list[bool]:
        """Raise."""
        raise ValueError(f"\x1b[2J {object()} \u202e")

    reward = derl_dsl.compile("1 * bad(completion)", columns={"completion": "text"})
    with caplog.at_level(logging.WARNING):
        reward.score({"completion": ["a"]})
    assert "ValueError" in caplog.text
    assert "0x" not in caplog.text
    assert not harmed(caplog.text)
