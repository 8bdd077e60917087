"""What can be added to a text to raise what a program reads: its own literals, tags, lengths.

The program says what to try: the texts it looks for, strings that its patterns match, and the
numbers it compares lengths and counts with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from derl_dsl.score.reward import Reward
from derl_dsl.tools.attack.examples import example
from derl_grammar.records import record
from derl_runtime.sources import Apply, Literal, Source

_MOST = 64
_LONGEST = 20_000
_PATTERNS = {"matches", "count_matches", "extract"}
_TAGS = {"has_block", "last_block", "blocks"}


@record
class Decoration:
    """Text put before or after another; `shorter` is the same with less of it."""

    name: str
    before: str = ""
    after: str = ""
    times: int = 1
    different: bool = False

    def of(self, text: str) -> str:
        """The decorated text."""
        if self.different:
            return text + "".join(f" w{k}" for k in range(self.times))
        return self.before * self.times + text + self.after * self.times

    def fewer(self) -> Iterator[Decoration]:
        """The same with less of it, the least first."""
        step = 1
        while step < self.times:
            yield replace(self, times=step)
            step *= 2


def decorations(reward: Reward) -> list[Decoration]:
    """All that are worth a try for a program."""
    found = [
        Decoration("a box", after=" \\boxed{}"),
        Decoration("a box with a word", after=" \\boxed{ok}"),
        Decoration("a think block", before="<think>\nLet me see.\n</think>\n\n"),
        Decoration("an answer tag", after="\n<answer>\n</answer>"),
        Decoration("a hash line", after="\n#### "),
        Decoration("steps", after="\nStep 1: look.\nStep 2: think.\nStep 3: done.", times=4),
        Decoration("a code block", after="\n```python\npass\n```"),
        Decoration("connectives", after=" First, so. Therefore, thus. Finally, hence.", times=4),
        Decoration("reflections", after=" Wait, let me check again.", times=8),
    ]
    graph = reward.graph
    for i in graph.inputs(graph.roots()):
        found += _of_source(graph.source(i))
    for size in _sizes(reward):
        found.append(Decoration("words", after=" word", times=min(size, _LONGEST)))
        found.append(Decoration("different words", times=min(size, 2000), different=True))
    return list(dict.fromkeys(found))[:_MOST]


def _of_source(source: Source) -> Iterator[Decoration]:
    if not isinstance(source, Apply):
        return
    name = source.primitive.name
    for arg in source.args:
        if isinstance(arg, Literal) and isinstance(arg.value, str):
            text = arg.value
            if name in _PATTERNS:
                made = example(text)
                if made is not None:
                    yield Decoration(f"what {text!r} matches", before=f"{made}\n")
                    yield Decoration(f"what {text!r} matches, often", after=f"\n{made}", times=8)
            elif name in _TAGS:
                yield Decoration(f"a {text} block", before=f"<{text}>x</{text}>\n")
                yield Decoration(f"a {text} block after", after=f"\n<{text}>x</{text}>")
            else:
                yield Decoration(f"{text!r} before", before=text)
                yield Decoration(f"{text!r}", after=f" {text}")
                yield Decoration(f"{text!r} often", after=f" {text}", times=16)
        else:
            yield from _of_source(arg)


def _sizes(reward: Reward) -> list[int]:
    graph = reward.graph
    used = graph.used(graph.roots())
    numbers = {n.payload for n in (graph.nodes[i] for i in used) if isinstance(n.payload, float)}
    near = {int(abs(c)) + d for c in numbers for d in (-1, 0, 1) if 2 <= abs(c) <= _LONGEST}
    return sorted({3, 30, 300, *(n for n in near if n > 0)})[:16]
