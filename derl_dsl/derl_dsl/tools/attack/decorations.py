"""What can be added to a text to raise what a program reads: its own literals, tags, lengths.

The program says what to try: the texts it looks for, strings that its patterns match, and the
numbers it compares lengths and counts with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
    """Text put before or after another, `times` times; what is before stands in `around`."""

    name: str
    before: str = ""
    after: str = ""
    times: int = 1
    different: bool = False
    around: tuple[str, str] = ("", "")

    def of(self, text: str) -> str:
        """The decorated text."""
        if self.different:
            return text + "".join(f" {_word(k)}" for k in range(self.times))
        opened, closed = self.around
        return opened + self.before * self.times + closed + text + self.after * self.times


def _word(k: int) -> str:
    """A word of its own for each number, without digits: those are answers."""
    return "w" + "".join("abcdefghij"[int(digit)] for digit in str(k))


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
    graph, sizes = reward.graph, _sizes(reward)
    for i in graph.inputs(graph.roots()):
        found += _of_source(graph.source(i), sizes)
    for size in sizes:
        found.append(Decoration("words", after=" word", times=min(size, _LONGEST)))
        found.append(Decoration("different words", times=min(size, 2000), different=True))
    return list(dict.fromkeys(found))[:_MOST]


def _of_source(source: Source, sizes: Sequence[int]) -> Iterator[Decoration]:
    if not isinstance(source, Apply):
        return
    name = source.primitive.name
    inner = next(filter(None, map(_around, source.args)), None)
    if inner is not None:
        yield from _inside(source, inner, sizes)
    for arg in source.args:
        if isinstance(arg, Literal) and isinstance(arg.value, str):
            text = arg.value
            if name in _PATTERNS:
                made = example(text)
                if made is not None:
                    yield Decoration(f"what {text!r} matches", before=f"{made}\n")
                    yield Decoration(f"what {text!r} matches, often", after=f"\n{made}", times=8)
                    if "0" in made:
                        most = made.replace("0", "9")
                        yield Decoration(f"the most that {text!r} matches", after=f"\n{most}")
            elif name in _TAGS:
                yield Decoration(f"a {text} block", before=f"<{text}>x</{text}>\n")
                yield Decoration(f"a {text} block after", after=f"\n<{text}>x</{text}>")
            else:
                yield Decoration(f"{text!r} before", before=f"{text} ")
                yield Decoration(f"{text!r}", after=f" {text}")
                yield Decoration(f"{text!r} often", after=f" {text}", times=16)
        else:
            yield from _of_source(arg, sizes)


def _inside(source: Apply, inner: tuple[str, str], sizes: Sequence[int]) -> Iterator[Decoration]:
    """What a primitive looks for in a part of the text, put where that part is taken from."""
    opened, closed = inner
    where = f"in {(opened or closed).strip()}"
    for arg in source.args:
        if isinstance(arg, Literal) and isinstance(arg.value, str):
            text = example(arg.value) if source.primitive.name in _PATTERNS else arg.value
            if text is not None:
                yield Decoration(f"{text!r} {where}", before=f"{opened}{text}{closed}\n")
                yield Decoration(f"{text!r} {where}, after", after=f"\n{opened}{text}{closed}")
    for size in sizes:
        many = min(size, _LONGEST)
        yield Decoration(
            f"words {where}", before="word ", times=many, around=(opened, f"{closed}\n")
        )


def _around(source: Source) -> tuple[str, str] | None:
    """What must stand before and after a text for it to be the part that a primitive takes."""
    if not isinstance(source, Apply):
        return None
    name = source.primitive.name
    texts = [a.value for a in source.args if isinstance(a, Literal) and isinstance(a.value, str)]
    if name == "thought":
        return "<think>\n", "\n</think>\n"
    if name == "between" and len(texts) == 2:
        return texts[0], texts[1]
    if name in _TAGS and texts:
        return f"<{texts[0]}>", f"</{texts[0]}>"
    if name == "after_last" and texts:
        return texts[0], ""
    if name == "before" and texts:
        return "", texts[0]
    return next(filter(None, map(_around, source.args)), None)


def _sizes(reward: Reward) -> list[int]:
    graph = reward.graph
    used = graph.used(graph.roots())
    numbers = {n.payload for n in (graph.nodes[i] for i in used) if isinstance(n.payload, float)}
    near = {int(abs(c)) + d for c in numbers for d in (-1, 0, 1) if 2 <= abs(c) <= _LONGEST}
    return sorted({3, 30, 300, *(n for n in near if n > 0)})[:16]
