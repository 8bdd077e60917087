"""`diff` on mutation pairs of the gallery: decided, never a wrong "same", and how fast.

    python -m benchmarks.foresight.diffs --pairs 2000 --groups 1000000

A pair is a reward of the gallery and the same with one to three changes: a number, an operator, a
comparison, a branch, a term; or one that changes nothing (a factor, a constant, operands turned
round), as a refactoring does. Whatever is called the same is scored on random groups, with a
comparison of its own.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from derl_dsl import gallery
from derl_dsl.score.reward import Reward, RewardError, compile
from derl_dsl.tools import diff as tool
from derl_grammar.limits import WIDE

_SIZE = 4
_NUMBERS: tuple[Callable[[float], float], ...] = (
    lambda v: v * 2, lambda v: v + 1, lambda v: v / 2, lambda v: round(v * 1.1, 3), lambda v: -v,
)  # fmt: skip
_OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.And: ast.Or,
              ast.Or: ast.And, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE,
              ast.GtE: ast.Gt, ast.Eq: ast.NotEq}  # fmt: skip


def mutant(text: str, rng: random.Random) -> str:
    """The program with one to three changes."""
    tree = ast.parse(text)
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice((_number, _operator, _turned, _branch, _dropped, _affine, _affine))(tree, rng)
    return ast.unparse(ast.fix_missing_locations(tree))


def _nodes(tree: ast.AST, *kinds: type) -> list[Any]:
    return [n for n in ast.walk(tree) if isinstance(n, kinds)]


def _number(tree: ast.Module, rng: random.Random) -> None:
    found = [n for n in _nodes(tree, ast.Constant) if isinstance(n.value, int | float)]
    if found:
        one = rng.choice(found)
        one.value = rng.choice(_NUMBERS)(one.value)


def _operator(tree: ast.Module, rng: random.Random) -> None:
    found = [n for n in _nodes(tree, ast.BinOp, ast.BoolOp) if type(n.op) in _OPERATORS]
    found += [n for n in _nodes(tree, ast.Compare) if type(n.ops[0]) in _OPERATORS]
    if not found:
        return
    one = rng.choice(found)
    if isinstance(one, ast.Compare):
        one.ops[0] = _OPERATORS[type(one.ops[0])]()
    else:
        one.op = _OPERATORS[type(one.op)]()


def _turned(tree: ast.Module, rng: random.Random) -> None:
    found = [n for n in _nodes(tree, ast.BinOp) if isinstance(n.op, ast.Add | ast.Mult)]
    if found:
        one = rng.choice(found)
        one.left, one.right = one.right, one.left


def _branch(tree: ast.Module, rng: random.Random) -> None:
    found = _nodes(tree, ast.IfExp)
    if found:
        one = rng.choice(found)
        one.body, one.orelse = one.orelse, one.body


def _dropped(tree: ast.Module, rng: random.Random) -> None:
    found = [n for n in _nodes(tree, ast.BinOp) if isinstance(n.op, ast.Add)]
    if found:
        one = rng.choice(found)
        one.right = ast.Constant(0)


def _affine(tree: ast.Module, rng: random.Random) -> None:
    last = tree.body[-1]
    assert isinstance(last, ast.Assign | ast.Expr)
    scaled = ast.BinOp(ast.Constant(rng.choice((2, 3, 0.5))), ast.Mult(), last.value)
    last.value = ast.BinOp(scaled, ast.Add(), ast.Constant(rng.choice((0, 1, -2))))


def pairs(count: int, seed: int) -> list[tuple[str, Reward, Reward, str]]:
    """Name, both rewards and the mutant's text; mutants that do not compile are left out."""
    rng, found = random.Random(seed), []
    names = gallery.names()
    while len(found) < count:
        name = rng.choice(names)
        source, settings = gallery.read(name)
        if settings.suite and "code" in settings.suite:
            continue
        text = mutant(source.text, rng)
        try:
            a, b = (
                compile(t, settings.suite, settings.columns, settings.outcome, limits=WIDE)
                for t in (source.text, text)
            )
        except (RewardError, ValueError):
            continue
        found.append((name, a, b, text))
    return found


def disproved(a: Reward, b: Reward, groups: int, rng: np.random.Generator) -> bool:
    """Whether random groups show that two rewards rank differently."""
    pair = tool._Pair(a, b, tool._leaves(a, b))
    rows = groups * _SIZE
    x, y = pair.score(pair.draw(rng, rows, _SIZE), rows, _SIZE)
    x, y = x.reshape(-1, _SIZE), y.reshape(-1, _SIZE)
    gaps = []
    for v in (x, y):
        known = v[~np.isnan(v)]
        spread = float(known.max() - known.min()) if len(known) else 0.0
        gaps.append((v[:, :, None] - v[:, None, :]) / (spread or 1.0))
    absent = np.isnan(x) != np.isnan(y)
    opposed = (np.minimum(*map(np.abs, gaps)) > 1e-9) & (gaps[0] * gaps[1] < 0)
    one_alone = [(np.abs(p) > 1e-6) & (np.abs(q) < 1e-13) for p, q in (gaps, gaps[::-1])]
    return bool(absent.any() or (opposed | one_alone[0] | one_alone[1]).any())


def main() -> None:
    """Measure and write the record."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pairs", type=int, default=2000)
    options.add_argument("--groups", type=int, default=1_000_000)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--to", type=Path, default=Path("benchmarks/results/foresight/diff.json"))
    given = options.parse_args()
    verdicts: Counter[str] = Counter()
    times: list[float] = []
    same, undecided = [], Counter[str]()
    for name, a, b, text in pairs(given.pairs, given.seed):
        start = time.process_time()
        found = tool.diff(a, b)
        times.append(time.process_time() - start)
        verdicts[found.verdict] += 1
        if found.verdict.startswith("same"):
            same.append((name, a, b, text))
        elif found.verdict == "undecided":
            undecided[name] += 1
    rng = np.random.default_rng(given.seed + 1)
    each = -(-given.groups // max(1, len(same)))
    wrong = [(name, text) for name, a, b, text in same if disproved(a, b, each, rng)]
    record = {
        "pairs": given.pairs, "verdicts": dict(verdicts),
        "decided": 1 - verdicts["undecided"] / given.pairs,
        "groups": each * len(same), "wrong same": wrong,
        "p50 ms": float(np.median(times)) * 1e3, "p95 ms": float(np.quantile(times, 0.95)) * 1e3,
        "undecided": undecided.most_common(),
    }  # fmt: skip
    given.to.parent.mkdir(parents=True, exist_ok=True)
    given.to.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
