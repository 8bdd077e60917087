"""A reward as a file for a trainer: what is refused there, the file's text, the trainer's settings.

The file is for people: the reward's text stands in it, its key, certificate and policy in the head,
and below it the few lines in which the trainer's protocol meets `Scorer`.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from derl_dsl.adapters import codes
from derl_dsl.adapters.outputs import quoted
from derl_dsl.adapters.rows import POLICIES, SINGLE, OnFault, beside, lowest
from derl_dsl.adapters.targets import TARGETS, Target
from derl_dsl.elaborate.custom import Module, Origin, SourceFile, origins_of
from derl_dsl.graph.ops import GROUP
from derl_dsl.score.reward import Reward, columns_of
from derl_dsl.version import __version__
from derl_grammar.diagnostics import Diagnostic, Report
from derl_grammar.records import record
from derl_grammar.spans import Source
from derl_grammar.types import List
from derl_runtime.faults import capped
from derl_runtime.sources import Apply, Column, plain, primitives_of
from derl_runtime.sources import Source as Input


@record
class Export:
    """What is exported: where the reward came from, its name there, how it was compiled."""

    path: str
    suite: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    outcome: str | None = None
    name: str | None = None
    on_fault: OnFault | None = None

    @property
    def called(self) -> str:
        """The name of the reward: as given, or the file's, as a name of Python."""
        stem = re.split(r"[/\\]", self.path)[-1].removesuffix(".derl")
        name = re.sub(r"\W+", "_", self.name or stem, flags=re.ASCII).strip("_").lower()
        name = name if name and not name[0].isdigit() else f"reward_{name}".rstrip("_")
        taken = keyword.iskeyword(name) or hasattr(builtins, name)
        return f"{name}_" if taken or name in ("scorer", "asyncio", "made_for") else name


def problems(reward: Reward, target: Target, path: str = "<reward>") -> list[Diagnostic]:
    """Why a trainer cannot score with this reward; none when it can."""
    graph, report = reward.graph, Report(Source(reward.text, path))
    absent = {}
    if not target.progress:
        absent["progress"] = f"{target.title} does not say how much of the training is done"
    if not target.tokens:
        absent["completion_ids"] = f"{target.title} gives the completion as text, not as tokens"
    if not target.lists:
        lists = [n for n, c in columns_of(reward).items() if isinstance(plain(c), List)]
        why = f"{target.title} carries single values, no lists"
        absent |= {name: why for name in lists if name not in absent}
    roots = [
        *graph.roots(),
        *(graph.step_roots() if graph.steps is not None and target.steps else []),
    ]
    for i in graph.used(roots):
        node, place = graph.nodes[i], graph.places[i]
        if node.op in GROUP and not target.groups:
            message = f"{node.op} needs a group, and {target.title} scores one sample at a time"
            hint = "leave it out, or train with TRL, which passes whole groups"
            if target.name in ("slime", "miles"):
                hint = f"export it for {target.name}-group, which goes with --group-rm"
            report.add(codes.GROUPED, place, message, hint)
        elif node.op == "input":
            for name in sorted(_columns_below(graph.source(i)) & absent.keys()):
                message = f"{graph.source(i)} reads {name!r}: {absent[name]}"
                report.add(codes.NOT_GIVEN, place, message, "leave it out, or put a number there")
    if graph.steps is not None and not target.steps:
        message = f"{target.title} takes one reward a rollout, and `steps` is one a step"
        others = ", ".join(name for name, other in TARGETS.items() if other.steps)
        hint = f"give it another name, or export it for a trainer that takes steps: {others}"
        report.add(codes.STEPS, graph.places[graph.steps], message, hint)
    if "reward" in graph.valids and not target.skips:
        place = graph.places[graph.outputs["reward"]]
        message = (
            f"the reward is not applicable for some samples, and {target.title} takes numbers alone"
        )
        report.add(codes.NO_VALUE, place, message, "say what such a sample gets: default(…, 0)")
    return report.sorted()


def _columns_below(source: Input) -> set[str]:
    if isinstance(source, Apply):
        return set().union(*map(_columns_below, source.args))
    return {source.name} if isinstance(source, Column) else set()


def export(reward: Reward, target: Target, what: Export) -> str:
    """The text of the file.

    Raises ValueError when the trainer cannot score with this reward (ask `problems` first), or has
    no way to do with faults what is asked.
    """
    found = problems(reward, target, what.path)
    if found:
        raise ValueError(found[0].message)
    policy = what.on_fault or target.policies[0]
    if policy not in target.policies:
        raise ValueError(
            f"{target.title} cannot {policy} what fails; it can: {', '.join(target.policies)}"
        )
    if policy == "lowest" and reward.certificate.lo < -SINGLE:
        raise ValueError(
            "a fault would score the lowest value of the proven range, which has no bound: hold "
            "the reward with max(…) or clip(…), or let a fault raise (--on-fault raise)"
        )
    inputs = reward.graph.inputs(reward.graph.roots())
    used = [p for i in inputs for p in primitives_of(reward.graph.source(i))]
    origins = origins_of(used)
    arguments = [
        ("name", what.called),
        ("suite", what.suite),
        ("columns", dict(what.columns)),
        ("outcome", what.outcome),
        ("on_fault", policy),
        ("others", target.others),
        ("version", __version__),
    ]
    lines = [f"    {name}={value!r}," for name, value in arguments if value]
    if origins:
        lines.append(f"    origins=({', '.join(map(_written, origins))},),")
    text = "\n".join(f"    {line!r}" for line in reward.text.splitlines(keepends=True))
    body = _filled(target.body, what, reward, target)
    python, ours, its_own, body = _imports_of(body)
    ours |= {("derl_dsl.adapters.rows", "Scorer"), *_imports(origins)}
    if its_own:
        ours.add(("derl_dsl.adapters.made_for", "made_for"))
        made = (target.title, target.version, target.package, target.module)
        its_own = [f"\nwith made_for({', '.join(map(repr, made))}):\n", *its_own]
    early = [*python, *(["\n"] if python else []), *_written_imports(ours), *its_own]
    return (
        _head(reward, target, what, policy)
        + f"\n{''.join(early)}"
        + f"\nREWARD = (\n{text}\n)\n\nscorer = Scorer(\n    REWARD,\n"
        + "\n".join(lines)
        + f"\n)\n\n\n{body}"
    )


_Names = set[tuple[str, str]]


def _imports_of(body: str) -> tuple[list[str], _Names, list[str], str]:
    """The imports a body opens with (Python's, ours, other packages' indented), and the rest."""
    lines = body.splitlines(keepends=True)
    count = 0
    python: list[str] = []
    ours: _Names = set()
    others: list[str] = []
    for node in ast.parse(body).body:
        if not isinstance(node, ast.Import | ast.ImportFrom):
            break
        named = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        top = (named or "").partition(".")[0]
        told = lines[node.lineno - 1 : node.end_lineno]
        count = node.end_lineno or count
        if top in sys.stdlib_module_names:
            python += told
        elif top == "derl_dsl":
            ours |= {(str(named), alias.name) for alias in node.names}
        else:
            others += [f"    {line}" for line in told]
    return python, ours, others, "".join(lines[count:]).lstrip("\n")


def _head(reward: Reward, target: Target, what: Export, policy: OnFault) -> str:
    """The comments that open the file."""
    others = [c for c in columns_of(reward) if c not in target.gives]
    low = f" ({reward.certificate.lo:g})" if policy == "lowest" else ""
    rows = [
        f"A reward for {target.title} {target.version}, exported from {what.path} by derl-dsl "
        f"{__version__}.",
        "",
        f"key          {reward.key}",
        f"certificate  {_certificate(reward)}",
        f"faults       {POLICIES[policy]}{low}",
        f"columns      {', '.join(columns_of(reward)) or 'none'}",
    ]
    if others:
        rows.append(f"             of these {', '.join(others)} from {target.others}")
    rows += ["", f"Settings of {target.title} {target.version}:", ""]
    rows += [f"    {line}" for line in _filled(target.settings, what, reward, target).splitlines()]
    rows += [
        "",
        "It needs the package derl-dsl. Change the reward and export it again rather than edit it.",
    ]
    return "".join(f"# {capped(row, 400)}".rstrip() + "\n" for row in rows)


def _certificate(reward: Reward) -> str:
    proven = reward.certificate
    words: dict[bool | None, str] = {
        True: "never punishes being right",
        False: "punishes being right somewhere",
        None: "direction of the outcome not decided",
    }
    said = [f"in [{proven.lo:g}, {proven.hi:g}]", words[proven.outcome_monotone]]
    if proven.margin is not None:
        said.append(f"margin {proven.margin:g}")
    return ", ".join(said)


def _filled(
    text: str, what: Export, reward: Reward, target: Target, file: str = "THIS_FILE"
) -> str:
    """A template with the names of this reward."""
    name = what.called
    # As the file of verl names them; a part that has no number somewhere would have no advantage.
    parts = beside(lowest(reward), "score", "acc", "failed")
    words = {
        "@FILE@": quoted(file, target.quoting),
        "@MODULE@": re.sub(r"\.py$", "", re.split(r"[/\\]", file)[-1]),
        "@NAME@": name,
        "@ID@": f"{name}_derl",
        "@CLASS@": "".join(p.capitalize() for p in name.split("_")).removesuffix("Reward")
        + "Reward",
        "@PARTS@": ",".join(parts) or "score",
    }
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def settings(reward: Reward, target: Target, what: Export, file: str) -> str:
    """The lines that make the trainer use the file."""
    return _filled(target.settings, what, reward, target, file)


def _imports(origins: Sequence[Origin]) -> _Names:
    """What the text of origins names, each with its module."""
    home = "derl_dsl.elaborate.custom"
    found = {(home, "SourceFile" if isinstance(o, SourceFile) else "Module") for o in origins}
    if (home, "SourceFile") in found:
        found.add(("derl_runtime.declaration", "Declaration"))
        found.add(("derl_runtime.sandbox_settings", "SandboxSettings"))
    return found


def _written_imports(names: _Names) -> list[str]:
    modules = sorted({module for module, _ in names})
    apart = {m: sorted(name for module, name in names if module == m) for m in modules}
    return [f"from {module} import {', '.join(apart[module])}\n" for module in modules]


def _written(origin: Any) -> str:
    """An origin as source text; untrusted source travels in it and still runs in the sandbox."""
    if isinstance(origin, SourceFile):
        return (
            f"SourceFile({origin.path!r}, {origin.source!r}, {origin.declared!r}, "
            f"{origin.settings!r})"
        )
    assert isinstance(origin, Module)
    return repr(origin)
