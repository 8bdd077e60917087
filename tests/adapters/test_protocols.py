"""One reward, one set of numbers: TRL's call, the verl file, the verifiers rubric.

verl and verifiers are not dependencies: their own managers score where they are installed, and
their documented calls are made everywhere.
"""

from __future__ import annotations

import asyncio
import doctest
import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from typer.testing import CliRunner

import derl_dsl
from derl_dsl.adapters import terms, trl, verifiers, verl
from derl_dsl.cli import app as cli
from derl_runtime.sandbox import Refused
from tests.adapters.rewards import ALONE, CONDITIONAL, GROUPED, SUM, build, rows

ROWS = rows()


def trl_scores(function, data=ROWS):
    columns = {k: v for k, v in data.items() if k not in ("prompt", "completion")}
    return function(
        prompts=data["prompt"], completions=data["completion"], completion_ids=None, **columns
    )


def exported(text: str, folder: Path) -> ModuleType:
    """The module that `derl-dsl export` writes."""
    source, target = folder / "reward.derl", folder / "for_verl.py"
    source.write_text(text)
    cli.register(["export", "check"])
    told = ["export", str(source), "--for", "verl", "-o", str(target)]
    told += ["--suite", "math", "--column", "weight:number[0, 1]"]
    result = CliRunner().invoke(cli.app, told)
    assert result.exit_code == 0, result.output
    spec = importlib.util.spec_from_file_location("for_verl", target)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def states(data=ROWS):
    """Rollouts as verifiers describes them."""
    for k, completion in enumerate(data["completion"]):
        yield {
            "prompt": [{"role": "user", "content": data["prompt"][k]}],
            "completion": [{"role": "assistant", "content": completion}],
            "answer": data["answer"][k],
            "info": {"weight": data["weight"][k]},
            "input": {},
            "trajectory": [],
        }


@pytest.fixture(params=ALONE.values(), ids=ALONE.keys())
def text(request):
    return request.param


def test_the_same_numbers_everywhere(text, tmp_path):
    reward = build(text)
    expected = reward.score(ROWS).values.tolist()
    assert len(set(expected)) > 3
    assert trl_scores(reward) == expected
    assert trl_scores(pickle.loads(pickle.dumps(reward))) == expected
    awaited = pickle.loads(pickle.dumps(trl.asynchronous(reward)))
    assert asyncio.run(trl_scores(awaited)) == expected
    compute_score = exported(text, tmp_path).compute_score
    found = [
        compute_score(
            data_source="gsm8k", solution_str=c, ground_truth=a, extra_info={"weight": w, "x": 1}
        )
        for c, a, w in zip(ROWS["completion"], ROWS["answer"], ROWS["weight"], strict=True)
    ]
    assert [one["score"] for one in found] == expected
    assert len({tuple(one) for one in found}) == 1  # verl wants the same keys of every sample
    (score, *_), (weight, *others) = verifiers.functions(reward)
    assert [score(**s, state=s) for s in states()] == expected
    assert (weight, set(others)) == (1.0, {0.0} if others else set())


def test_components_add_up_to_the_reward(text):
    reward = build(text)
    funcs, weights = trl.components(reward)
    found = np.array([trl_scores(f) for f in funcs], dtype=float)
    total = np.array(weights) @ found
    assert np.abs(total - reward.score(ROWS).values).max() < 1e-12
    again, same = trl.components(pickle.loads(pickle.dumps(reward)))
    assert (same, [f.__name__ for f in again]) == (weights, [f.__name__ for f in funcs])
    copies = pickle.loads(pickle.dumps(funcs))
    assert np.array_equal([trl_scores(f) for f in copies], found)


def test_components_are_the_terms_of_the_sum():
    funcs, weights = trl.components(build(SUM))
    told = {f.__name__: w for f, w in zip(funcs, weights, strict=True)}
    assert told == {
        "ok": 0.5, "short": 0.125, "steps": -0.125,
        "contains_answer(completion, answer)": 0.125, "constant": 1.0,
    }  # fmt: skip
    scores = build(SUM).score(ROWS)
    for name in ("ok", "short", "steps"):
        func = next(f for f in funcs if f.__name__ == name)
        assert trl_scores(func) == scores.parts[name].tolist()
    (alone,), (one,) = trl.components(build(CONDITIONAL))
    assert (alone.__name__, one) == ("reward", 1.0)


@pytest.mark.parametrize(
    ("text", "expected", "constant"),
    [
        ("(a + b) / 2 - (a - 4) * 0.25", {"a": 0.25, "b": 0.5}, 1.0),
        ("param(0.5, min=0, max=1) * a - -b", {"a": 0.5, "b": 1.0}, 0.0),
        ("a * b + a * b", {"a * b": 2.0}, 0.0),
        ("2 * max(a, b) + a - a", {"max(a, b)": 2.0, "a": 0.0}, 0.0),
        ("1 / (1 + a)", {"reward": 1.0}, 0.0),
        ("3 - 1 / (1 + a)", {"1 / (1 + a)": -1.0}, 3.0),
    ],
)
def test_linear_terms(text, expected, constant):
    reward = derl_dsl.compile(text, columns=dict.fromkeys("ab", "number[0, 1]"))
    found, left = terms.terms_of(reward)
    assert ({t.name: t.weight for t in found}, left) == (expected, constant)


def test_a_batch_is_scored_once_for_all_components_and_changes_are_seen():
    calls = []

    @derl_dsl.primitive("(completion: text) -> number[0, 9]")
    def counting(completion):
        calls.append(list(completion))
        return [float(len(c)) for c in completion]

    try:
        columns = {"completion": "text", "ok": "bool"}
        reward = derl_dsl.compile("counting(completion) + 0.5 * ok", columns=columns)
        (counted, ok), _ = trl.components(reward)
        texts, right = ["a", "bb"], [True, False]
        assert counted(completions=texts, ok=right) == [1.0, 2.0]
        assert ok(completions=texts, ok=right) == [1.0, 0.0]
        assert len(calls) == 1
        texts[0] = "ccc"
        assert counted(completions=texts, ok=right) == [3.0, 2.0]
        right[0] = None
        assert counted(completions=texts, ok=right) == [None, 2.0]
        assert ok(completions=texts, ok=right) == [None, 0.0]
        assert len(calls) == 3
        assert reward.faults.totals[0].kind == "missing"
    finally:
        derl_dsl.elaborate.custom.REGISTRY.clear()


def test_group_functions_score_whole_groups():
    reward = build(GROUPED)
    data = {name: values[:8] for name, values in ROWS.items()}
    data["prompt"] = ["p", "p", "p", "p", "q", "q", "q", "q"]
    expected = reward.score(data, group_size=4).values.tolist()
    assert trl_scores(reward, data) == expected
    funcs, weights = trl.components(reward)
    assert np.array(weights) @ np.array([trl_scores(f, data) for f in funcs]) == pytest.approx(
        expected
    )
    (score, *_), _ = verifiers.functions(reward)
    found = []
    for group in (list(states(data))[:4], list(states(data))[4:]):
        names = ("prompt", "completion", "answer", "info")
        plural = {f"{n}s": [s[n] for s in group] for n in names}
        found += score(**plural, states=group)
    assert found == expected


def test_examples_of_the_documentation():
    from derl_dsl.elaborate import custom
    from derl_runtime import faults

    for module in (custom, faults, terms, trl):
        assert doctest.testmod(module).failed == 0


def test_an_export_says_what_verl_cannot_do():
    codes = {
        GROUPED: ["DRL801"],
        "exact(completion, answer) + progress": ["DRL802"],
        "exact(completion, answer) if boxed(completion) else skip": ["DRL803"],
        "exact(completion, answer)": [],
    }
    for text, expected in codes.items():
        reward = build(text)
        assert [d.code for d in verl.problems(reward)] == expected
        if expected:
            with pytest.raises(ValueError, match="verl"):
                verl.export(reward, "x.derl")
    (found,) = verl.problems(build(GROUPED))
    assert (found.line, found.column) == (2, 21)


@pytest.mark.parametrize("code", ["DRL801", "DRL802", "DRL803"])
def test_examples_of_the_codes(code):
    from derl_grammar.diagnostics import CODES

    for text, expected in ((CODES[code].bad, [code]), (CODES[code].good, [])):
        reward = derl_dsl.compile(text, suite=CODES[code].suite)
        assert [d.code for d in verl.problems(reward)] == expected


def test_export_command_reports_like_check(tmp_path):
    cli.register(["export", "check"])
    path = tmp_path / "r.derl"
    path.write_text(GROUPED)
    result = CliRunner().invoke(cli.app, ["export", str(path), "--for", "verl", "-s", "math"])
    assert result.exit_code == 1
    assert "error DRL801: group_mean needs a group" in result.stderr
    told = ["export", "-e", "g1 + g9", "--for", "verl", "-s", "derl-math"]
    result = CliRunner().invoke(cli.app, told)
    assert result.exit_code == 1
    assert "DRL101" in result.stderr
    told = ["export", "-e", "g1", "--for", "verl", "-s", "derl-math", "-o", str(tmp_path)]
    assert CliRunner().invoke(cli.app, told).exit_code == 2


def test_an_export_takes_custom_primitives_along(tmp_path):
    source = tmp_path / "manners.py"
    source.write_text("def polite(x: text) -> bool:\n    return 'please' in x\n")
    try:
        derl_dsl.load_primitives(source)
    except derl_dsl.PrimitiveError as error:
        # Only a machine without the walls is an excuse.
        if not isinstance(error.__cause__ or error.__context__, Refused):
            raise
        pytest.skip(str(error))
    columns = {"completion": "text"}
    try:
        reward = derl_dsl.compile("0.5 * polite(completion)", columns=columns)
        text = verl.export(reward, "r.derl", columns=columns)
    finally:
        derl_dsl.elaborate.custom.REGISTRY.clear()
    source.unlink()
    (tmp_path / "for_verl.py").write_text(text)
    call = "import for_verl; print(for_verl.compute_score('d', 'please', '5')['score'])"
    told = [sys.executable, "-c", call]
    found = subprocess.run(told, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert found.stdout == "0.5\n"


def test_a_sample_that_fails_scores_a_number_in_verl():
    scorer = verl.Scorer("exact(completion, answer) - 2", suite="math")
    assert scorer("d", "5", "5")["score"] == -1.0
    found = pickle.loads(pickle.dumps(scorer))("d", "5", None)
    assert found == {"score": -1.0, "faults": 1.0}
    with pytest.raises(
        derl_dsl.score.reward.ColumnError, match="extra_info has no 'weight'; it has: x"
    ):
        verl.Scorer("weight", columns={"weight": "number[0, 1]"})("d", "5", "5", {"x": 1})


def test_the_real_rubric_of_verifiers(text):
    pytest.importorskip("verifiers")
    reward = build(text)
    rubric = verifiers.rubric(reward)
    found = list(states())
    for state in found:
        asyncio.run(rubric.score_rollout(state))
    scores = reward.score(ROWS)
    assert [s["reward"] for s in found] == scores.values.tolist()
    for name, part in scores.parts.items():
        assert [s["metrics"][name] for s in found] == part.tolist()


def test_the_real_group_rubric_of_verifiers():
    pytest.importorskip("verifiers")
    reward = build(GROUPED)
    group = list(states())[:4]
    asyncio.run(verifiers.rubric(reward).score_group(group))
    data = {name: values[:4] for name, values in ROWS.items()}
    assert [s["reward"] for s in group] == reward.score(data, group_size=4).values.tolist()


def test_the_real_reward_manager_of_verl(text, tmp_path):
    verl_library = pytest.importorskip("verl")
    torch = pytest.importorskip("torch")
    from verl.utils.import_utils import load_extern_object
    from verl.workers.reward_manager import NaiveRewardManager

    exported(text, tmp_path)
    compute_score = load_extern_object(str(tmp_path / "for_verl.py"), "compute_score")

    class Characters:
        """A tokenizer whose tokens are characters."""

        def decode(self, ids, skip_special_tokens=True):
            return "".join(map(chr, ids.tolist()))

    size = max(map(len, ROWS["completion"]))
    ids = torch.zeros(len(ROWS["completion"]), size, dtype=torch.long)
    for k, completion in enumerate(ROWS["completion"]):
        ids[k, : len(completion)] = torch.tensor([ord(c) for c in completion])
    prompts = torch.full((len(ids), 1), ord("?"))
    data = verl_library.DataProto.from_dict(
        tensors={
            "prompts": prompts,
            "responses": ids,
            "attention_mask": torch.cat([prompts, ids], dim=1).ne(0).long(),
        },
        non_tensors={
            "reward_model": np.array([{"ground_truth": a} for a in ROWS["answer"]]),
            "data_source": np.array(["gsm8k"] * len(ids)),
            "extra_info": np.array([{"weight": w} for w in ROWS["weight"]]),
        },
    )
    manager = NaiveRewardManager(Characters(), num_examine=0, compute_score=compute_score)
    told = manager(data, return_dict=True)
    expected = build(text).score(ROWS)
    assert np.array_equal(
        told["reward_tensor"].sum(dim=1).numpy(), expected.values.astype(np.float32)
    )
    assert told["reward_extra_info"]["score"] == expected.values.tolist()
