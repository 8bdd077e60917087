"""What the sandbox gives when nothing is hostile: declarations, values, levels, refusals."""

from __future__ import annotations

import doctest
import math
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from derl_runtime.declaration import Declaration
from derl_runtime.sandbox import Failure, Refused, Sandbox, SandboxLimits, host
from derl_runtime.sandbox.levels import level_of

ENGINES = ("restricted", "monty")
SOURCE = textwrap.dedent(
    '''
    import math
    import re

    POLITE = ["please", "thank"]

    def politeness(completion: text) -> number[0, 1]:
        """How polite it is."""
        found = 0
        for word in POLITE:
            found += len(re.findall(word, completion.lower()))
        return min(found / 4, 1)

    def mean_step(steps: list[number[0, 1]]) -> number[0, 1] | None:
        return sum(steps) / len(steps) if steps else None

    def longer(a: text, b: text) -> bool:
        return len(a) > len(b)

    def rooted(x: number, weights: list[number], notes: list[text], flag: bool) -> number[-5, inf]:
        return math.sqrt(x) + sum(weights) + len("".join(notes)) + (1 if flag else 0)

    def maybe(hint: text | None) -> number[{0, 1, 2}]:
        return 2 if hint is None else 1

    def helper(x):
        return x
    '''
)


@pytest.fixture(params=ENGINES)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    return Sandbox("standard", request.param, SandboxLimits(deadline=60))


def test_declares(sandbox: Sandbox) -> None:
    declared = sandbox.declare(SOURCE, "manners.py")
    assert not isinstance(declared, Failure)
    assert declared[0] == Declaration(
        "politeness", (("completion", "text"),), "number[0, 1]", "How polite it is."
    )
    assert [(d.name, d.returns) for d in declared[1:]] == [
        ("mean_step", "number[0, 1]?"),
        ("longer", "bool"),
        ("rooted", "number[-5, inf]"),
        ("maybe", "number{0, 1, 2}"),
    ]
    assert declared[3].parameters == (
        ("x", "number"),
        ("weights", "list[number]"),
        ("notes", "list[text]"),
        ("flag", "bool"),
    )


def test_values(sandbox: Sandbox) -> None:
    texts = ["Please, thank you", "no", "", "please " * 9, "\ud800 thank é\0"]
    assert list(sandbox.call(SOURCE, "politeness", [texts], 5)) == [0.5, 0, 0, 1, 0.25]
    # As an object array, and numbers as arrays of other types.
    array = np.array(texts, dtype=object)
    assert list(sandbox.call(SOURCE, "politeness", [array], 5)) == [0.5, 0, 0, 1, 0.25]
    longer = sandbox.call(SOURCE, "longer", [["a", "bb"], ["", "ccc"]], 2)
    assert longer.dtype == np.float64
    assert list(longer) == [1.0, 0.0]


def test_lists_and_absent_values(sandbox: Sandbox) -> None:
    means = sandbox.call(SOURCE, "mean_step", [[[0.5, 1.0], [], [0.25], None]], 4)
    assert np.array_equal(means, [0.75, math.nan, 0.25, math.nan], equal_nan=True)
    columns = [np.array([4, 9], dtype=np.int32), [[0.5], [1.0, 2.0]], [["ab"], []], [True, False]]
    assert list(sandbox.call(SOURCE, "rooted", columns, 2)) == [5.5, 6.0]
    assert list(sandbox.call(SOURCE, "maybe", [[None, "x"]], 2)) == [2.0, 1.0]


def test_restricted_and_monty_agree_on_real_work() -> None:
    texts = [("please thank " * (i % 7) + "x" * i) for i in range(200)]
    long = SandboxLimits(deadline=60)
    both = [Sandbox("standard", e, long).call(SOURCE, "politeness", [texts], 200) for e in ENGINES]
    assert np.array_equal(both[0], both[1])


def test_no_rows_and_many(sandbox: Sandbox) -> None:
    assert sandbox.call(SOURCE, "politeness", [[]], 0).shape == (0,)
    values = sandbox.call(SOURCE, "politeness", [["please"] * 5000], 5000)
    assert values.shape == (5000,)
    assert (values == 0.25).all()


def test_what_model_written_code_uses() -> None:
    source = textwrap.dedent(
        """
        from collections import Counter, defaultdict
        import json, string

        def f(c: text) -> number:
            counts: dict = {}
            for i, (a, b) in enumerate(zip(c, c[1:])):
                counts[a + b] = counts.get(a + b, 0) + 1
                counts[a + b] += 0
            first, *rest = c.split()
            groups = defaultdict(list)
            groups[len(first)].append(first)
            top = Counter(rest).most_common(1)[0][1]
            data = json.loads('{"x": [1, 2]}')
            text = f"{top:>3}" + "%d" % top + str(data)
            flags = [w for w in rest if isinstance(w, str) and w[0] in string.ascii_letters]
            try:
                data["y"]
            except KeyError:
                top += 1
            most = max(counts.values())
            return top + len(flags) + len(text) * 0 + sum(map(len, groups[5])) + most
        """
    )
    with Sandbox() as sandbox:
        got = sandbox.call(source, "f", [["hello wow wow now"]], 1)
    assert list(got) == [3 + 3 + 5 + 3]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("def f(c: str) -> number:\n    return 1", "unknown type str; write text"),
        ("def f(c: text):\n    return 1", "has no return type"),
        ("def f(c: text, d) -> bool:\n    return 1", "parameter d has no type"),
        ("def f() -> bool:\n    return 1", "between 1 and 16 parameters"),
        ("def f(c: text = '') -> bool:\n    return 1", "no defaults"),
        ("def f(c: text) -> number[1]:\n    return 1", "number[0, 1]"),
        ("def f(c: text) -> number[2, 1]:\n    return 1", "the smaller one first"),
        ("def f(c: list[list[text]]) -> bool:\n    return 1", "items of a list"),
        ("def f(c: text) -> bool:\n  return 1\n" * 2, "f is declared twice"),
        ("def f(c: text) -> bool\n    return 1", "line 1: expected ':'"),
    ],
)
def test_says_what_is_wrong_with_a_declaration(source: str, says: str) -> None:
    with Sandbox() as sandbox:
        failed = sandbox.declare(source, "mine.py")
    assert isinstance(failed, Failure)
    assert failed.cls in ("compile_error", "protocol")
    assert failed.message.startswith("mine.py: ")
    assert says in failed.message


def test_an_exception_names_row_and_line() -> None:
    source = "def f(c: text) -> number:\n    x = 0\n    return 1 / len(c)\n"
    with Sandbox() as sandbox:
        failed = sandbox.call(source, "f", [["a", "b", "", "c"]], 4)
    assert failed == Failure("crash", "ZeroDivisionError in row 2, line 3: division by zero")


def test_call_many_runs_all_and_keeps_them_apart() -> None:
    loop = "def f(c: text) -> number:\n    while True:\n        pass\n"
    limits = SandboxLimits(deadline=0.5)
    with Sandbox(limits=limits) as sandbox:
        calls = [(SOURCE, "politeness", [["please"]]), (loop, "f", [["x"]])] * 2
        got = sandbox.call_many(calls, 1)
    assert [g.cls if isinstance(g, Failure) else float(g[0]) for g in got] == [
        0.25,
        "timeout",
    ] * 2


def test_columns_that_are_none(sandbox: Sandbox) -> None:
    with pytest.raises(ValueError, match="column 0 has 1 rows, not 2"):
        sandbox.call(SOURCE, "politeness", [["a"]], 2)
    with pytest.raises(TypeError, match="texts, numbers, bools or lists"):
        sandbox.call(SOURCE, "politeness", [[object()]], 1)
    with pytest.raises(TypeError, match="holds something else"):
        sandbox.call(SOURCE, "politeness", [["a", 1]], 2)
    with pytest.raises(TypeError, match="one dimension"):
        sandbox.call(SOURCE, "politeness", [np.zeros((2, 2))], 2)


def test_too_much_input_is_refused() -> None:
    with Sandbox(limits=SandboxLimits(input=1000, rows=10)) as sandbox:
        for texts in (["x" * 2000], [""] * 11):
            failed = sandbox.call(SOURCE, "politeness", [texts], len(texts))
            assert isinstance(failed, Failure)
            assert failed.cls == "oom"


def test_the_examples_of_the_docs_run() -> None:
    assert doctest.testmod(host) == (0, 2)


def test_closed_sandbox() -> None:
    sandbox = Sandbox()
    sandbox.close()
    sandbox.close()
    with pytest.raises(ValueError, match="closed"):
        sandbox.declare(SOURCE, "x")


def test_threads_share_one() -> None:
    got: list[object] = []
    with Sandbox() as sandbox:

        def work(i: int) -> None:
            for j in range(4):
                values = sandbox.call(SOURCE, "longer", [["a" * i], ["b" * j]], 1)
                got.append(list(values) == [float(i > j)])

        threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert got == [True] * 24


def test_results_do_not_depend_on_the_order_of_hashes() -> None:
    source = (
        "def f(c: text) -> number:\n"
        "    return sum(i * len(w) for i, w in enumerate({*c.split()}))\n"
    )  # fmt: skip
    program = (
        "from derl_runtime.sandbox import Sandbox\n"
        f"print(Sandbox().call({source!r}, 'f', [['one three fifteen a hundred']], 1)[0])"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(3)
    }
    assert len(seen) == 1


def test_monty_has_no_clock_and_no_chance() -> None:
    source = (
        "import random, time\n"
        "def f(c: text) -> number:\n"
        "    time.sleep(1000)\n"
        "    return random.random() + time.time() % 7\n"
    )  # fmt: skip
    with Sandbox("strict", "monty") as sandbox:
        seen = {float(sandbox.call(source, "f", [["a"]], 1)[0]) for _ in range(3)}
    assert len(seen) == 1


def test_self_test_holds_all_walls() -> None:
    with Sandbox("strict") as sandbox:
        assert sandbox.level == "strict"
        assert all(wall.holds for wall in sandbox.walls)
        assert {w.name for w in sandbox.walls} >= {"memory", "seccomp", "files", "landlock"}


def test_levels_up_to_strict_need_their_walls() -> None:
    with Sandbox() as sandbox:
        walls = sandbox.walls
    for lacking, level in (("landlock", "standard"), ("seccomp", "reduced"), ("memory", "none")):
        left = [w for w in walls if w.name != lacking]
        broken = next(w for w in walls if w.name == lacking)
        assert level_of([*left, type(broken)(**{**_fields(broken), "holds": False})]) == level


def _fields(wall: object) -> dict[str, object]:
    return {name: getattr(wall, name) for name in wall.__slots__}  # type: ignore[attr-defined]


def test_level_none_and_unknown_words() -> None:
    with pytest.raises(Refused, match="switched off"):
        Sandbox("none")
    with pytest.raises(ValueError, match="unknown level 'lax'"):
        Sandbox("lax")
    with pytest.raises(ValueError, match="unknown engine 'lua'"):
        Sandbox(engine="lua")
    with pytest.raises(ValueError, match="deadline has to be above 0"):
        SandboxLimits(deadline=0)


_LACKING = """
import sys
from derl_runtime.sandbox import Refused, Sandbox
from derl_runtime.sandbox.worker import seccomp, walls
walls.prctl(38, 1)
seccomp.install(seccomp.refusing_filter({names!r}, {error}))
for level in ("strict", "standard", "reduced"):
    try:
        with Sandbox(level) as sandbox:
            source = "def f(c: text) -> number:\\n    return len(c)\\n"
            print(level, sandbox.level, sandbox.call(source, "f", [["abc"]], 1))
    except Refused as error:
        print(level, "refused:", error)
try:
    Sandbox("reduced", "monty")
except Refused as error:
    print("monty refused:", error)
"""


def _on_a_machine_without(names: list[str], error: int) -> list[str]:
    """What the levels are where the kernel refuses these calls: a filter of ours refuses them."""
    program = _LACKING.format(names=names, error=error)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_without_landlock_the_level_is_standard() -> None:
    strict, standard, reduced, monty = _on_a_machine_without(["landlock_create_ruleset"], 38)
    assert strict.startswith("strict refused: the sandbox reaches level standard here")
    assert "lacks landlock (the machine lacks it)" in strict
    assert 'llow it with level = "standard"' in strict
    assert standard == "standard standard [3.]"
    assert reduced == "reduced standard [3.]"
    assert monty.startswith("monty refused: ")


def test_without_seccomp_the_level_is_reduced_and_has_to_be_allowed() -> None:
    strict, standard, reduced, monty = _on_a_machine_without(["seccomp"], 22)
    assert strict.startswith("strict refused: ")
    assert standard.startswith("standard refused: the sandbox reaches level reduced here")
    assert "seccomp" in standard
    assert (
        'llow it with level = "reduced" (rlimits alone: holds accidents, not attacks)' in standard
    )
    assert reduced == "reduced reduced [3.]"
    assert monty.startswith("monty refused: ")
