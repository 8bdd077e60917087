"""Rewards as torch modules: the same scores, true gradients, fitting, torch.compile, a TRL step."""

from __future__ import annotations

import copy
import math
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from derl_dsl.backends.torch import lower
from derl_dsl.generate.sample import EVERYTHING, sample_program
from derl_dsl.score.reward import Reward, RewardError, compile
from derl_dsl.score.scores import Scores
from derl_dsl.score.tensors import TorchReward
from derl_runtime.reading import ColumnError
from tests.differential.programs import COLUMNS, scope

ROWS, GROUP = 48, 4
STARTS = [0, 1, 1, 9, 10, 30, ROWS]  # groups of one, of none and of many
LISTS = """
w = param(0.5, min=0, max=1)
m = mean(third(xs, 2) * third(ys, 2)) if any(cs) else 0.1 * count(xs)
g = default(group_std(a, where=d), 0) + group_rank(b) + default(group_quantile(o, 0.3), 0)
reward = w * m + g + 0.1 * max(part(ys, 0.2, 0.6)) + (1 / b if b > 0.1 else sqrt(a)) + default(o, c)
"""


def data(rng: np.random.Generator, faults: bool = True) -> dict[str, list[Any]]:
    """Rows for the columns of the differential tests; some missing or outside of their range."""
    steps = rng.integers(0, 6, ROWS)
    found: dict[str, list[Any]] = {
        "a": rng.uniform(0, 1, ROWS).tolist(),
        "b": rng.uniform(-2, 2, ROWS).tolist(),
        "c": rng.integers(0, 2, ROWS).astype(float).tolist(),
        "d": (rng.random(ROWS) < 0.5).tolist(),
        "e": (rng.normal(size=ROWS) * 10).tolist(),
        "f": (rng.random(ROWS) < 0.5).tolist(),
        "o": [None if rng.random() < 0.3 else float(rng.uniform(0, 3)) for _ in range(ROWS)],
        "xs": [rng.uniform(-1, 2, n).tolist() for n in steps],
        "ys": [rng.uniform(0, 1, n).tolist() for n in steps],
        "cs": [(rng.random(n) < 0.5).tolist() for n in steps],
        "progress": [0.25] * ROWS,
    }
    if faults:
        found["a"][3], found["a"][4], found["b"][5], found["c"][6] = 7.0, None, -math.inf, 0.5
        found["o"][8], found["ys"][9], found["xs"][20] = 9.0, [3.0] * int(steps[9]), [0.5] * 9
    return found


def rewards(count: int, seed: int) -> list[Reward]:
    """Random programs that the checker accepts, each of some input."""
    names, rng = scope(), random.Random(seed)
    found: list[Reward] = []
    while len(found) < count:
        try:
            reward = compile(sample_program(names, rng, EVERYTHING), columns=dict(COLUMNS))
        except RewardError:
            continue
        if reward.graph.inputs(reward.graph.roots()):
            found.append(reward)
    return found


def same(found: dict[str, Tensor], scores: Scores) -> None:
    for name, tensor in found.items():
        expected = scores.values if name == "reward" else scores.parts[name]
        np.testing.assert_allclose(tensor.detach().numpy(), expected, rtol=1e-11, atol=1e-13)


def test_modules_score_as_rewards_do_faults_included() -> None:
    rows = data(np.random.default_rng(0))
    keys = [f"{k:02d}" for k in np.repeat(range(len(STARTS) - 1), np.diff(STARTS))]
    faulty = 0
    for reward in rewards(60, seed=3):
        module = reward.torch()
        columns = module.read(rows)
        scores = reward.score(rows, group_size=GROUP)
        same(module.evaluate(columns, GROUP), scores)
        same(
            module.evaluate(columns, torch.tensor(STARTS)),
            reward.score(rows, group=keys, uneven=True),
        )
        faulty += bool(scores.faults)
    assert faulty > 30


def test_the_torch_backend_scores_as_the_reference() -> None:
    rows = data(np.random.default_rng(1))
    by_torch = compile(LISTS, columns=dict(COLUMNS), backend="torch").score(rows, group_size=GROUP)
    reference = compile(LISTS, columns=dict(COLUMNS), backend="reference")
    expected = reference.score(rows, group_size=GROUP)
    # torch's own sqrt is off by a last digit on some processors, as derl_dsl/README.md says.
    np.testing.assert_allclose(by_torch.values, expected.values, rtol=4e-16, atol=0)
    assert np.isnan(expected.values).any()


# Gradients


def differentiated(module: TorchReward, columns: dict[str, Any], leaf: Tensor) -> Tensor:
    """The gradient of the sum of all rewards and their squares."""
    values = module(columns, GROUP)
    total = values.nansum() + (values**2).nansum()
    if not total.requires_grad:
        return torch.zeros_like(leaf)
    (found,) = torch.autograd.grad(total, [leaf], allow_unused=True)
    return torch.zeros_like(leaf) if found is None else found


def objective(module: TorchReward, columns: dict[str, Any]) -> float:
    with torch.no_grad():
        values = module(columns, GROUP)
        return float(values.nansum() + (values**2).nansum())


def by_differences(
    module: TorchReward, columns: dict[str, Any], leaf: Tensor, most: int
) -> list[tuple[int, float]]:
    """Central differences for `most` elements; not where two steps disagree (a kink)."""
    found: list[tuple[int, float]] = []
    flat = leaf.detach().view(-1)
    for k in range(0, flat.numel(), 1 + flat.numel() // most):
        slopes = []
        before = flat[k].item()
        for step in (1e-5, 3e-6):
            sides = []
            for sign in (1, -1):
                flat[k] = before + sign * step
                sides.append(objective(module, columns))
            slopes.append((sides[0] - sides[1]) / (2 * step))
        flat[k] = before
        if math.isclose(*slopes, rel_tol=1e-5, abs_tol=1e-5):
            found.append((k, slopes[0]))
    return found


def leaves(module: TorchReward, columns: dict[str, Any]) -> list[Tensor]:
    """The parameters, and the inputs of numbers that may change."""
    inputs = [columns[name] for name in ("a", "b") if name in columns]
    for name in ("xs", "ys"):
        if name in columns:
            inputs.append(columns[name][0])
    return [*module.params.values(), *inputs]


def compared(programs: list[Reward], rng: np.random.Generator, most: int = 4) -> int:
    """Checks gradients against differences; how many were checked that are not 0."""
    checked = 0
    for reward in programs:
        module = reward.torch()
        rows = {k: v[:8] for k, v in data(rng, faults=False).items()}
        columns = module.read(rows)
        for leaf in leaves(module, columns):
            leaf.requires_grad_(True)
            gradient = differentiated(module, columns, leaf).view(-1).tolist()
            for k, estimate in by_differences(module, columns, leaf, most):
                assert math.isclose(gradient[k], estimate, rel_tol=1e-4, abs_tol=1e-4), reward.text
                checked += gradient[k] != 0
            leaf.requires_grad_(False)
    return checked


def test_gradients_are_those_of_finite_differences_on_random_programs() -> None:
    programs = [compile(LISTS, columns=dict(COLUMNS)), *rewards(20, seed=11)]
    assert compared(programs, np.random.default_rng(5)) > 10


SMOOTH = [
    "a * b / (a + 3)", "(a + 0.1) ** (b + 2.5)", "exp(b) - log(a + 0.1)", "sqrt(a + 0.1) * abs(b)",
    "tanh(b) + sigmoid(3 * b) * cos(a)", "(a + 5) % (b + 3)", "min(a, b) + max(a, b * b) * 2",
    "clip(b, -1, 1) * ramp(a, 0.2, 0.8)", "mean(xs) * sum(ys) - min(xs) * max(ys)",
    "first(xs) * last(ys)", "mean(part(xs, 0.3, 0.9)) + a * sum(third(ys, 3) * b)",
    "group_mean(a * b) * a", "group_std(a + b) * b", "a + group_min(a) + group_max(b * b)",
    "a + group_quantile(b, 0.3)", "default(group_mean(b, where=d), a)",
    "default(group_std(a, where=b < 1), a)",
]  # fmt: skip


@pytest.mark.parametrize("text", SMOOTH)
def test_gradients_of_every_function_are_those_of_finite_differences(text: str) -> None:
    reward = compile(text, columns=dict(COLUMNS))
    assert compared([reward], np.random.default_rng(9), most=100) >= 3


@pytest.mark.slow
def test_gradients_are_those_of_finite_differences_on_a_thousand_programs() -> None:
    assert compared(rewards(1000, seed=12), np.random.default_rng(6)) > 500


SINGULAR = {
    "1 / b if b > 0.5 else 0": [0.0, 0.0, -1.0],
    "log(b) if b > 0.5 else 0.1 * b": [0.1, 0.1, 1.0],
    "sqrt(a)": [0.0, 1.0, 0.5],
    "sqrt(a * a)": [0.0, 1.0, 1.0],
    "a ** 0.5 if a > 0.2 else a": [1.0, 1.0, 0.5],
    "guard(exp(1000 * b) * a, 0) if b < 0.5 else a": [1.0, math.exp(5e-321 * 1000), 1.0],
    "guard(a / (b - b), 0.5) + a": [1.0, 1.0, 1.0],
    "a % b if b > 0.5 else a": [1.0, 1.0, 1.0],
    "group_std(0 * a) + a": [1.0, 1.0, 1.0],
}


@pytest.mark.parametrize("text", SINGULAR)
def test_gradients_are_finite_where_a_branch_is_not_taken(text: str) -> None:
    columns = {"a": "number[0, 1]", "b": "number[-2, 2]"}
    module = compile(text, columns=columns).torch()
    of_b = text.startswith(("1 / b", "log(b)"))
    a = torch.tensor([0.0, 0.25, 1.0], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([0.0, 5e-324, 1.0], dtype=torch.float64, requires_grad=True)
    module({"a": a, "b": b}, 3).sum().backward()
    grad = (b if of_b else a).grad
    assert grad is not None
    np.testing.assert_allclose(grad.tolist(), SINGULAR[text], atol=1e-9)


def test_equal_values_keep_their_gradient_through_the_held_mean() -> None:
    # The mean of three 0.1 rounds to more than 0.1 and is held to it.
    module = compile("mean(ys)", columns={"ys": "list[number[0, 1]]"}).torch()
    values = torch.full((3,), 0.1, dtype=torch.float64, requires_grad=True)
    found = module({"ys": (values, torch.tensor([0, 3]))})
    assert found.item() == 0.1
    found.sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1 / 3] * 3


def test_weights_are_recovered_from_logged_rewards() -> None:
    weights = [0.9, 0.15, 0.4, 0.65, 0.05, 0.3, 0.75, 0.2, 0.5, 0.35, 0.8, 0.1]
    names = [f"w{k}" for k in range(1, 13)]
    features = [
        "g1", "g2", "g1 * g2", "mean(steps)", "max(steps)", "last(third(steps, 1))",
        "sqrt(g2)", "tanh(3 * g1)", "group_rank(g1)", "group_mean(g2)",
        "(g1 if g2 > 0.5 else 0)", "exp(-count(steps))",
    ]  # fmt: skip
    kinds = {"g1": "number[0, 1]", "g2": "number[0, 1]", "steps": "list[number[0, 1]]"}
    sum_of = " + ".join(f"{w} * {x}" for w, x in zip(names, features, strict=True))
    program = "".join(f"{w} = param(0.5, min=0, max=1)\n" for w in names) + f"reward = {sum_of}"
    truth = " + ".join(f"{w} * {x}" for w, x in zip(weights, features, strict=True))
    rng = np.random.default_rng(2)
    rows = {
        "g1": rng.random(256),
        "g2": rng.random(256),
        "steps": [rng.random(n).tolist() for n in rng.integers(1, 8, 256)],
    }
    target = torch.tensor(compile(truth, columns=kinds).score(rows, group_size=8).values)
    module = compile(program, columns=kinds).torch()
    columns = module.read(rows)
    optimizer = torch.optim.LBFGS(module.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Any:
        optimizer.zero_grad()
        found = ((bound()["reward"] - target) ** 2).mean()
        found.backward()  # type: ignore[no-untyped-call]
        return found

    bound = module.bind(columns, 8)
    for _ in range(5):
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    found = [module.params[w].item() for w in names]
    np.testing.assert_allclose(found, weights, atol=1e-4)


# The module as a module


def test_parameters_are_given_kept_in_range_and_saved() -> None:
    text = "w = param(0.5, min=0.25, max=1)\nreward = w * a"
    module = compile(text, columns={"a": "number[0, 1]"}).torch()
    ones = {"a": torch.ones(2)}
    assert module(ones).tolist() == [0.5, 0.5]
    assert module(ones, params={"w": torch.tensor(0.75)}).tolist() == [0.75, 0.75]
    with pytest.raises(ValueError, match="no parameter 'v'"):
        module(ones, params={"v": torch.tensor(0.75)})
    with torch.no_grad():
        module.params["w"].fill_(-3.0)
    assert module.clamp_().params["w"].item() == 0.25
    assert list(module.state_dict()) == ["params.w"]
    for other in (pickle.loads(pickle.dumps(module)), copy.deepcopy(module)):
        assert other(ones).tolist() == [0.25, 0.25]


def test_float32_is_near_float64_and_stays_float32() -> None:
    rows = data(np.random.default_rng(4), faults=False)
    reward = compile(LISTS, columns=dict(COLUMNS))
    wide, narrow = reward.torch(), reward.torch(dtype=torch.float32)
    expected = wide(wide.read(rows), GROUP)
    found = narrow(narrow.read(rows), GROUP)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5, equal_nan=True)
    torch.testing.assert_close(wide.float()(narrow.read(rows), GROUP), found, equal_nan=True)
    with pytest.raises(ValueError, match="float64 or float32"):
        reward.torch(dtype=torch.bfloat16)


def test_primitives_are_named_as_in_the_program() -> None:
    module = compile("0.5 * exact(completion, answer) + 0.1", suite="math").torch()
    found = module({"exact(completion, answer)": torch.tensor([True, False])})
    assert found.tolist() == [0.6, 0.1]
    read = module.read({"completion": ["\\boxed{4}", "\\boxed{5}"], "answer": ["4", "4"]})
    assert module(read).tolist() == [0.6, 0.1]


def test_no_rows_and_lists_without_a_value() -> None:
    module = compile("mean(ys) + group_mean(a)",
                     columns={"ys": "list[number[0, 1]]", "a": "number[0, 1]"}).torch()  # fmt: skip
    nothing = torch.zeros(0)
    assert module({"a": nothing, "ys": (nothing, torch.tensor([0]))}, 4).shape == (0,)
    found = module({"a": torch.ones(2), "ys": (nothing, torch.tensor([0, 0, 0]))}, 2)
    assert found.tolist() == [1.0, 1.0]
    valid = torch.tensor([True, False])
    found = module({"a": torch.ones(2), "ys": (nothing, torch.tensor([0, 0, 0]), valid)}, 2)
    assert found[0] == 1.0
    assert found[1].isnan()


ONES, STEPS = torch.ones(4), (torch.ones(2), torch.tensor([0, 1, 1, 2, 2]))


@pytest.mark.parametrize(
    ("columns", "size", "message"),
    [
        ({"a": ONES}, 4, "column 'ys' is missing; given are: a"),
        ({"a": ONES, "ys": ONES}, 4, r"give \(values, offsets\)"),
        ({"a": ONES, "ys": (torch.ones(3), STEPS[1])}, 4, "number of values, 3"),
        ({"a": torch.ones(3), "ys": STEPS}, 4, "a: 3, ys: 4"),
        ({"a": ONES, "ys": STEPS}, None, "how the rollouts"),
        ({"a": ONES, "ys": STEPS}, 3, "groups of 3"),
        ({"a": ONES, "ys": STEPS}, torch.tensor([0, 3]), "rollouts, 4"),
    ],
)
def test_columns_that_do_not_fit_are_told(columns: Any, size: Any, message: str) -> None:
    kinds = {"ys": "list[number[0, 1]]", "a": "number[0, 1]"}
    with pytest.raises(ColumnError, match=message):
        compile("mean(ys) + group_mean(a)", columns=kinds).torch()(columns, size)


def test_lists_that_meet_have_equal_lengths() -> None:
    kinds = {"ys": "list[number[0, 1]]", "xs": "list[number[0, 1]]"}
    module = compile("mean(ys * xs)", columns=kinds).torch()
    long, short = torch.tensor([0, 2, 3]), torch.tensor([0, 1, 3])
    with pytest.raises(ColumnError, match="have different lengths"):
        module({"ys": (torch.ones(3), long), "xs": (torch.ones(3), short)})


@pytest.mark.parametrize("uniform", [True, False])
def test_torch_compile_takes_a_program_whole(uniform: bool) -> None:
    """One graph without breaks, forward and backward, as torch.compile sees it."""
    rows = data(np.random.default_rng(6))
    module = compile(LISTS, columns=dict(COLUMNS)).torch()
    columns, groups = module.read(rows), GROUP if uniform else torch.tensor(STARTS)
    expected = module(columns, groups)
    expected.nansum().backward()
    gradient = module.params["w"].grad
    module.params["w"].grad = None
    lowered = lower(module.graph, uniform, checked=True)
    whole = torch.compile(lowered.module, backend="aot_eager", fullgraph=True)
    module._lowered[uniform] = (lowered, whole)
    found = module(columns, groups)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12, equal_nan=True)
    found.nansum().backward()
    torch.testing.assert_close(module.params["w"].grad, gradient)


@pytest.mark.slow
def test_torch_compile_with_its_own_compiler() -> None:
    rows = data(np.random.default_rng(7))
    reward = compile(LISTS, columns=dict(COLUMNS))
    module, compiled = reward.torch(), reward.torch(compile=True)
    columns = module.read(rows)
    torch.testing.assert_close(
        compiled(columns, GROUP), module(columns, GROUP), rtol=1e-12, atol=1e-12, equal_nan=True
    )


# Inside TRL


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    pytest.importorskip("trl")
    from derl_trainers.policy.tiny import build_policy
    from derl_trainers.settings.sections import TinySection
    from derl_trainers.tasks.arithmetic import arithmetic

    task = arithmetic(size=80, test_size=16, warmup_size=400, terms=3)
    config = TinySection(hidden_size=32, intermediate_size=64, heads=2, steps=40, batch_size=32)
    return task, build_policy(task, config, tmp_path_factory.mktemp("policies"))


TRL = """
ok = exact(completion, answer)
short = param(0.2, min=0, max=0.5)
place = group_rank(chars(completion))
reward = ok + short * (1 - ramp(chars(completion), 0, 40)) + 0.1 * place
"""


def train(reward: Any, policy: tuple[Any, Path]) -> Any:
    from derl_trainers.inner.loop import train_inner
    from tests.trainers.toys import training

    task, path = policy
    config = training(steps=2, prompts=4, num_generations=4, updates=2)
    return train_inner(reward, path, task.train, task.validation, config)


def test_grpo_trains_alike_with_torch_and_with_the_reference(policy: tuple[Any, Path]) -> None:
    by_torch = train(compile(TRL, suite="math", backend="torch"), policy)
    reference = train(compile(TRL, suite="math", backend="reference"), policy)
    assert by_torch.history == reference.history
    assert all(math.isfinite(record.reward_mean) for record in by_torch.history)
    assert by_torch.history[0].components.keys() == {"ok", "short", "place"}


def test_parameters_learn_while_grpo_runs(policy: tuple[Any, Path]) -> None:
    """The module as GRPO's reward, its parameter moved by a gradient at every step."""
    module = compile(TRL, suite="math").torch()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    seen: list[float] = []

    def reward(completions: list[str], answer: list[str], **_: Any) -> Any:
        columns = module.read({"completion": completions, "answer": answer})
        with torch.enable_grad():
            values = module(columns, group_size=4)
            optimizer.zero_grad()
            # More spread within groups: what group-normalised advantages live on.
            (-values.view(-1, 4).var(1).mean()).backward()
        optimizer.step()
        module.clamp_()
        seen.append(module.params["short"].item())
        return values.detach().tolist()

    result = train(reward, policy)
    assert len(result.history) == 2
    assert len(set(seen)) == len(seen) >= 2
    assert all(0 <= value <= 0.5 for value in seen)
