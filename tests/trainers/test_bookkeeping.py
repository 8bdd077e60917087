"""What a result depends on, which rewards are equal to TRL, where things lie, what is refused."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import weakref
from contextlib import closing
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("trl")

import torch
from rich.console import Console

import derl_dsl
from derl_trainers.cli.shared import ended_as_by_ctrl_c
from derl_trainers.estimates import quantile
from derl_trainers.inner.grpo import invariance
from derl_trainers.inner.loop import train_inner
from derl_trainers.inner.outcome import exactly, scorer_for
from derl_trainers.inner.reward import (
    RewardFault,
    TimedReward,
    _least,
    narrowed,
    shares,
    unit_of,
)
from derl_trainers.outer.cold_start import _depends
from derl_trainers.outer.compare import check_same, searches
from derl_trainers.outer.judge import judge, run_key
from derl_trainers.outer.meta import meta_train, warm_start
from derl_trainers.outer.plan import plan
from derl_trainers.policy import loading
from derl_trainers.policy.loading import ModelMissing, load_model
from derl_trainers.policy.tiny import build_policy
from derl_trainers.runs import store as store_module
from derl_trainers.runs.executors import devices
from derl_trainers.runs.executors.base import Event
from derl_trainers.runs.executors.local import Workers
from derl_trainers.runs.held import changed, held
from derl_trainers.runs.jobs import Policy, check_task, digest, inner_job
from derl_trainers.runs.memo import Memo
from derl_trainers.runs.runner import JobFailed
from derl_trainers.runs.store import Store, StoreError
from derl_trainers.runs.view import View
from derl_trainers.settings.run import (
    ConfigError,
    RunConfig,
    load_config,
    load_custom,
    parse_config,
)
from derl_trainers.settings.sections import TinySection
from derl_trainers.tasks.arithmetic import arithmetic
from derl_trainers.tasks.base import Example, Task, TaskError
from derl_trainers.tasks.contents import content
from derl_trainers.tasks.load import load_task
from tests.trainers.test_meta import MINI, toml
from tests.trainers.toys import a_run, training

pytestmark = pytest.mark.xdist_group("training")

GROUP = training(steps=2, prompts=2, num_generations=4, updates=2, max_completion_length=12)


@pytest.fixture(scope="module")
def task() -> Task:
    return arithmetic(size=40, test_size=10, warmup_size=200, terms=3)


@pytest.fixture(scope="module")
def policy(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    tiny = TinySection(hidden_size=32, intermediate_size=64, heads=2, steps=40, batch_size=32)
    return build_policy(task, tiny, tmp_path_factory.mktemp("policies"))


def math_reward(text: str) -> Any:
    return derl_dsl.compile(text, suite="derl-math+length")


# Rewards as TRL sees them


@pytest.mark.parametrize(("scale", "offset"), [("0.001", ""), ("1000000", ""), ("1", " + 1e9")])
def test_equal_rewards_train_alike_beside_a_kl_term(
    task: Task, policy: Path, scale: str, offset: str
) -> None:
    base = "(g3 + 0.01 * chars(completion) / 100)"
    config = training(GROUP, beta=0.05, learning_rate=1e-3)
    plain, scaled = (
        train_inner(math_reward(text), policy, task.train, task.validation, config)
        for text in (base, f"{scale} * {base}{offset}")
    )
    for one, other in zip(plain.history, scaled.history, strict=True):
        assert one.completion_length == other.completion_length
        assert one.zero_std_share == other.zero_std_share
    assert plain.right == scaled.right
    assert plain.tokens == scaled.tokens


def test_scores_are_scaled_by_what_is_proven_and_only_then() -> None:
    tiny = derl_dsl.compile("1e-8 * g1 + 3", columns={"g1": "number[0,1]"})
    timed = TimedReward(lambda **_: [3.0, 3.00000001], unit_of(tiny))
    assert unit_of(tiny) is not None
    found = timed(completions=["a", "b"], completion_ids=[[1], [1]])
    # TRL calls a group flat whose deviation is within 1e-8 of 0.
    assert found == [0, pytest.approx(1)]
    assert unit_of(lambda **_: [1.0]) is None
    raw = TimedReward(lambda **_: [1e39], None)
    with pytest.raises(RewardFault, match="float32, which TRL computes in, has no such number"):
        raw(completions=["a"], completion_ids=[[1]])


def test_a_length_is_no_less_than_what_else_a_batch_differs_by() -> None:
    texts = ["7", "It is 8.", "I think that it is 9"]
    batch: dict[str, Any] = {"completion_ids": [[1]] * 3, "prompts": ["p"] * 3, "answer": ["7"] * 3}
    # Of 1000 million characters at most, proven, a text has a few.
    for sign in "+-":
        reward = derl_dsl.compile(
            f"exact(completion, answer) {sign} 0.001 * chars(completion)", suite="math+length"
        )
        timed = TimedReward(reward, unit_of(reward))
        wrong = timed(completions=[texts[1], texts[2], texts[1]], **batch)
        assert sorted(np.float32(wrong)) in ([0, 0, 1], [0, 1, 1])
        assert timed.differed
        found = timed(completions=texts, **batch)
        lo, spread = timed.used
        shown = [lo + spread * score for score in found if score is not None]
        given = reward.score({"completion": texts, "answer": ["7"] * 3}).values
        assert shown == pytest.approx(given.tolist())
    # What rounding alone makes is no difference.
    assert narrowed((0.0, 2.0), 0.3, 0.1 + 0.2) == (0.0, 2.0)


SHARED = ["g1 - group_mean(g1)", "g1 + 5000 * group_mean(g2)", "0.3 * g1 - 900 * progress"]


def test_what_a_group_shares_hides_nothing_that_it_differs_by() -> None:
    completions = [r"\boxed{7}", "so 7", "no", r"\boxed{8}", "7", "no", "8", "9"]
    batch: dict[str, Any] = {
        "completions": completions, "completion_ids": [[1]] * 8, "answer": ["7"] * 8,
        "prompts": ["p"] * 4 + ["q"] * 4, "progress": 0.3,
    }  # fmt: skip
    plain = derl_dsl.compile("g1", suite="derl-math")
    expected = np.float32(TimedReward(plain, unit_of(plain))(**batch))  # type: ignore[arg-type]
    for text in SHARED:
        reward = derl_dsl.compile(text, suite="derl-math").with_groups(4)
        assert reward.key == plain.key, text
        assert shares(reward)
        timed = TimedReward(reward, unit_of(reward), 4)
        found = timed(**batch)
        assert np.float32(found) == pytest.approx(expected, abs=1e-6), text  # type: ignore[arg-type]
        # What is shown of it is the reward's own mean, with what went.
        lo, spread = timed.used
        given = np.asarray(list(reward(**batch)))
        assert lo + spread * np.mean(found) == pytest.approx(given.mean()), text  # type: ignore[arg-type]
    assert not shares(plain)
    assert not shares(lambda **_: [1.0])


def test_a_group_over_two_processes_has_one_least(monkeypatch: pytest.MonkeyPatch) -> None:
    every = [3.0, 1.0, math.inf, 5.0, 4.0, 6.0]
    monkeypatch.setattr(
        "derl_trainers.inner.reward._of_all", lambda own: (every, every.index(own[0]))
    )
    assert _least([3.0, 1.0], 3) == [1.0, 1.0]
    assert _least([None, 5.0], 3) == [1.0, 4.0]
    assert _least([None, None], 2) == [0.0, 0.0]


def test_a_part_that_groups_share_does_not_reach_trl(
    task: Task, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float | None] = []
    real = TimedReward.__call__

    def kept(self: TimedReward, **columns: Any) -> list[float | None]:
        found = real(self, **columns)
        seen.extend(found)
        return found

    monkeypatch.setattr(TimedReward, "__call__", kept)
    long = "1 * (chars(completion) > 6)"
    train_inner(
        math_reward(f"{long} + 5000 * group_mean({long})"),
        policy, task.train, task.validation, GROUP,
    )  # fmt: skip
    assert {round(score or 0.0, 6) for score in seen} == {0.0, 1.0}


def test_what_is_equal_follows_from_the_settings_of_trl() -> None:
    assert invariance(training()) == "group"
    assert invariance(training(trl={"scale_rewards": "batch"})) == "affine"
    assert invariance(training(trl={"scale_rewards": "none"})) == "text"
    assert invariance(training(trl={"scale_rewards": False}, beta=0.1)) == "text"
    assert invariance(training(rewards="raw")) == "text"
    length = "chars(completion)"
    shared = [math_reward(t) for t in (length, f"{length} - group_mean({length})")]
    assert run_key(shared[0]) == run_key(shared[1])
    assert run_key(shared[0], "affine") != run_key(shared[1], "affine")


@pytest.mark.parametrize("formula", ["g1 + g2 - g2 - g1", "g3 + (g4 - (g4 + g3))"])
def test_a_constant_but_for_rounding_is_degenerate(formula: str) -> None:
    found = judge(formula, "derl-math")
    assert (found.stage, found.penalty, found.key) == ("degenerate", -0.2, None)
    assert [d.code for d in found.diagnostics] == ["DRL304"] or found.diagnostics
    assert judge("g1 + 1e-9 * g2 - g1", "derl-math").key is not None


# What a result depends on, and where it lies


def test_a_cold_start_is_known_by_suite_and_settings(tmp_path: Path) -> None:
    with closing(Store.create(tmp_path / "run", "t", 0, MINI, {})) as store:
        run = a_run(parse_config(MINI), store)
        config = run.config
        others = [
            replace(config, suite="derl-math[-g3]"),
            replace(config, seed=1),
            replace(config, meta=replace(config.meta, hidden_size=32)),
            replace(config, meta=replace(config.meta, cold_steps=7)),
        ]
        digests = [_depends(run), *(_depends(replace(run, config=other)) for other in others)]
        assert len(set(digests)) == len(digests)
        # What only the search reads makes no other cold start.
        later = replace(config, meta=replace(config.meta, steps=9, penalty="flat"))
        assert _depends(replace(run, config=later)) == digests[0]


def test_a_run_folder_can_be_moved(tmp_path: Path) -> None:
    settings = parse_config({**MINI, "proposer": {"kind": "evolution"}})
    with closing(Store.create(tmp_path / "a", "t", 0, MINI, {})) as store:
        before, _ = warm_start(a_run(settings, store))
    shutil.move(tmp_path / "a", tmp_path / "b")
    with closing(Store.resume(tmp_path / "b", {})) as store:
        after, _ = warm_start(a_run(settings, store))
        assert after.identity == before.identity
        assert Path(after.path).is_relative_to(tmp_path / "b")
        assert Path(after.path).exists()
        assert len(store.rows("SELECT * FROM jobs")) == 2
        # Where only its policy was left behind, it is built again.
        shutil.rmtree(tmp_path / "b" / "policy")
        assert warm_start(a_run(settings, store))[0] == after
        assert Path(after.path).exists()


def test_an_edit_in_mid_run_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    source = 'def mine(completion: text) -> number[0, 1]:\n    """Mine."""\n    return {}\n'
    file.write_text(source.format("0.25"))
    config = parse_config({**MINI, "primitives": [str(file)], "sandbox": {"level": "reduced"}})
    kept = tmp_path / "run" / "primitives"
    kept.parent.mkdir()
    try:
        begun = load_custom(config, kept)
        file.write_text(source.format("0.75"))
        assert load_custom(config, kept) == begun
        file.unlink()  # a run that goes on needs it no more
        assert load_custom(config, kept) == begun
        assert "0.25" in begun[-1].source  # type: ignore[attr-defined]
    finally:
        derl_dsl.elaborate.custom.REGISTRY.clear()


def test_content_is_what_lies_there_wherever_it_lies(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_text("1")
    (tmp_path / "y").write_text("1")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert content(str(tmp_path / "a")) == content(str(tmp_path / "b"))
    assert content(str(tmp_path / "y")) == content(str(tmp_path / "a" / "x"))
    (tmp_path / "b" / "x").write_text("22")
    assert content(str(tmp_path / "a")) != content(str(tmp_path / "b"))
    # Also of one whose size and times are set back to what they were.
    before, times = content(str(tmp_path / "y")), (tmp_path / "y").stat()
    (tmp_path / "y").write_text("2")
    os.utime(tmp_path / "y", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert content(str(tmp_path / "y")) != before
    assert content("") is None
    assert content("some/hub-id") is None


def test_large_weights_differ_by_any_byte_of_theirs(tmp_path: Path) -> None:
    # Merged adapters of the inner layers leave both ends of the file as they were.
    for name, byte in (("a", b"1"), ("b", b"2")):
        with (tmp_path / name).open("wb") as file:
            file.truncate(80 << 20)
            file.seek(40 << 20)
            file.write(byte)
    assert content(str(tmp_path / "a")) != content(str(tmp_path / "b"))


def test_two_weights_of_one_name_are_unpacked_apart(
    tmp_path: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_model", lambda _: load_model(policy))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.gguf").write_text(name)
    one, other = (loading.unpacked(str(tmp_path / n / "model.gguf"), tmp_path) for n in "ab")
    assert one != other
    assert loading.unpacked(str(tmp_path / "a" / "model.gguf"), tmp_path) == one


def data_run(folder: Path, policy: Path) -> RunConfig:
    """A search over rows of a file, with a policy that lies in a folder."""
    data, test = rows(folder / "a.jsonl", 40), rows(folder / "t.jsonl", 9, 100)
    return parse_config({
        **MINI, "suite": "math", "policy": {"model": str(policy)},
        "task": {"name": "rows", "data": data, "test": test},
        "proposer": {"kind": "evolution"}, "executor": {"kind": "inprocess"},
    })  # fmt: skip


def test_problems_that_change_on_the_way_are_no_longer_those(tmp_path: Path, policy: Path) -> None:
    config = data_run(tmp_path, policy)
    files = held(config)
    with closing(Store.create(tmp_path / "run", "t", 0, config.to_json(), {})) as store:
        store.note_start(files)
        run = replace(a_run(config, store), held=files)
        run.check()
        start = Policy(str(policy), content(str(policy)) or "")
        job = run.job(start, "boxed(completion)", 0, "search")
        assert load_task(config.task).train[0].prompt
        rows(tmp_path / "a.jsonl", 41)
        # Warm workers would train on the old ones, and those that start now on the new ones.
        assert len(load_task(config.task).train) == 32
        with pytest.raises(TaskError, match="its problems changed while the run was under way"):
            job.run(lambda *_: None)
        with pytest.raises(JobFailed, match=r"\[task\]: holds something else than when the run"):
            run.check()
    with pytest.raises(StoreError, match=r"run: \[task\]: holds something else .* put it back"):
        meta_train(config, tmp_path / "run", View(Console(file=StringIO())), resume=True)
    with closing(Store.open(tmp_path / "run")) as store:
        assert len(store.versions()) == 1  # nothing was begun
    rows(tmp_path / "a.jsonl", 40)
    assert not changed(files, held(config))


def test_a_file_that_trl_reads_is_part_of_what_a_result_depends_on(
    tmp_path: Path, policy: Path
) -> None:
    file = tmp_path / "zero.json"
    config = data_run(tmp_path, policy)
    config = replace(config, trl={"deepspeed": str(file)})
    start = Policy(str(policy), "0")

    def now() -> tuple[str, dict[str, str]]:
        return digest(inner_job(config, (), start, "g1", 0, "search")), held(config)

    file.write_text("{}")
    first, before = now()
    file.write_text('{"zero_optimization": {"stage": 3}}')
    second, after = now()
    assert first != second
    assert changed(before, after).startswith("[trl] deepspeed: holds something else")


def test_a_memo_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "inner-runs.db").write_text("no database" * 100)
    with pytest.raises(StoreError, match=r"inner-runs.db: no results can be shared here"):
        Memo(tmp_path / "inner-runs.db", {})


def test_a_comparison_goes_on_with_its_own_settings_alone(tmp_path: Path) -> None:
    (tmp_path / "mini.toml").write_text(toml(MINI))
    todo = searches(tmp_path, ["frozen"], [3])
    config, flags = str(tmp_path / "mini.toml"), ["inner.prompts=4"]
    check_same(todo, config, flags)  # nothing was begun
    begun = load_config(config, {"inner.prompts": 4, "proposer.kind": "frozen"})
    begun = replace(begun, seed=3)
    Store.create(todo[0].folder, "mini", 3, begun.to_json(), {}).close()
    check_same(todo, config, flags)
    with pytest.raises(StoreError, match=r"other settings \(inner.prompts: 4, now 2\)"):
        check_same(todo, config, [])
    (tmp_path / "mini.toml").write_text(toml({**MINI, "final": {"seeds": 3}}))
    with pytest.raises(StoreError, match=r"other settings \(final.seeds: 2, now 3\)"):
        check_same(todo, config, flags)


def test_a_step_that_the_machine_broke_is_done_again(tmp_path: Path) -> None:
    with closing(Store.create(tmp_path / "run", "t", 0, {}, {})) as store:
        record = {"completion": "g1", "formula": "g1", "stage": None, "diagnostics": [],
                  "key": "k", "certificate": None, "meta_reward": None}  # fmt: skip
        for step, rewards in ((1, [0.5, None]), (2, [None, None])):
            for name, reward in zip(store.add_proposals(step, [record] * 2), rewards, strict=True):
                job = store.add_job("search", "x", 0, "g1", "k")
                store.score_proposal(name, "faulted" if reward is None else "trained", job, reward)
        assert store.steps_scored() == 1


@pytest.mark.parametrize("section", ["policy", "meta"])
def test_a_model_that_is_not_there_is_told_before_a_run_begins(
    tmp_path: Path, section: str
) -> None:
    table = {**MINI, section: {**MINI[section], "model": str(tmp_path / "none")}}
    with pytest.raises(ModelMissing, match="none: no such model file or folder"):
        meta_train(parse_config(table), tmp_path / "run", View(Console(file=StringIO())))
    assert not (tmp_path / "run").exists()


def test_a_policy_that_is_replaced_is_no_longer_that_one(tmp_path: Path, policy: Path) -> None:
    shutil.copytree(policy, tmp_path / "mine")
    config = data_run(tmp_path, tmp_path / "mine")
    files = held(config)
    start = Policy(str(tmp_path / "mine"), content(str(tmp_path / "mine")) or "")
    start.check()
    (tmp_path / "mine" / "generation_config.json").write_text("{}")
    assert changed(files, held(config)).startswith("[policy] model: holds something else")
    with pytest.raises(TaskError, match="holds another policy than when the run began"):
        start.check()
    # What a search's own runs leave has no such digest, nor has an id of the hub.
    Policy(str(tmp_path / "mine"), "abc/def/0").check()
    Policy("gpt2", "gpt2").check()


def test_of_two_runs_that_begin_in_one_folder_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has seen the folder empty, too, before the first wrote there."""
    folder, real = tmp_path / "run", store_module._lock
    made: list[Store] = []

    def late(run_dir: Path) -> Any:
        monkeypatch.setattr(store_module, "_lock", real)
        made.append(Store.create(run_dir, "first", 0, MINI, {}))
        return real(run_dir)

    monkeypatch.setattr(store_module, "_lock", late)
    with pytest.raises(StoreError, match="another process works on this run"):
        Store.create(folder, "second", 0, {}, {})
    with closing(made[0]) as first:
        first.finish_job(first.add_job("start", "a", 0), 0.5, 1.0, {"pass_at_1": 0.5})
        with closing(Store.open(folder)) as seen:
            assert seen.run()["name"] == "first"
            assert len(seen.rows("SELECT * FROM jobs")) == 1
    # The lock of one that was killed before it wrote anything is in nobody's way.
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / store_module.LOCK).touch()
    Store.create(tmp_path / "other", "t", 0, {}, {}).close()


def test_a_clock_that_is_set_back_costs_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(Store.create(tmp_path / "run", "t", 0, {}, {})) as store:
        with store.phase("search"):
            monkeypatch.setattr(store_module.time, "time", lambda: 5.0)
        assert 0 <= store.rows("SELECT seconds FROM phases")[0]["seconds"] < 60


def test_versions_and_places_are_in_the_store(tmp_path: Path) -> None:
    with closing(Store.create(tmp_path / "run", "t", 0, MINI, {"trl": "1"})) as store:
        assert store.versions() == [{"trl": "1"}]
    with closing(Store.resume(tmp_path / "run", {"trl": "2"})) as store:
        assert store.versions() == [{"trl": "1"}, {"trl": "2"}]
        with store.db:
            store.db.execute("UPDATE starts SET host = 'another', pid = 1")
            store.db.execute("UPDATE run SET pid = 999999999")
        # Of another machine's processes nothing is known.
        assert store.run()["status"] == "running"


# What is refused, and what is right


def rows(path: Path, count: int, start: int = 0, **more: Any) -> str:
    span = range(start, start + count)
    lines = ({"prompt": f"{i}+1=?", "answer": str(i + 1), **more} for i in span)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def test_too_few_problems_and_an_outcome_of_the_rows_are_refused(
    tmp_path: Path, policy: Path, task: Task
) -> None:
    data, test = rows(tmp_path / "a.jsonl", 4, solved=True), rows(tmp_path / "t.jsonl", 9, 100)
    table: dict[str, Any] = {
        "suite": "math",
        "policy": {"model": str(policy)},
        "task": {"name": "rows", "data": data, "test": test},
        "inner": {"prompts": 4, "num_generations": 2, "updates": 1},
    }
    with pytest.raises(ConfigError, match="a step takes 4 problems, and the task has 3"):
        check_task(parse_config(table))
    with pytest.raises(ConfigError, match="the outcome of 'derl-agent', g1, is what came of a"):
        check_task(parse_config({**table, "suite": "derl-agent"}))
    with pytest.raises(ValueError, match="1 training problems are fewer than"):
        train_inner(math_reward("g1"), policy, task.train[:1], task.validation, GROUP)


def test_what_is_right_is_what_the_suite_or_the_task_says(task: Task) -> None:
    half = [Example("p", "0.5"), Example("q", "0.5"), Example("r", "7")]
    said = ["The answer is 1/2", r"\boxed{0.5}", "no idea"]
    # A suite's outcome, in which 1/2 is 0.5; derl-math adds 1e-6 to its own, right or wrong.
    for suite in ("math", "derl-math"):
        assert scorer_for(task, suite)(said, half).tolist() == [True, True, False]
    # Of an algebraic answer `exact` knows no other form, and the suite does.
    power, other = [Example("p", "(x+1)^2")], [r"\boxed{x^2+2x+1}"]
    assert (scorer_for(task, "math")(other, power)[0], exactly(other, power)[0]) == (True, False)
    judged = replace(task, scorer=lambda texts, _: np.ones(len(texts), dtype=bool))
    assert scorer_for(judged, "math")(said, half).tolist() == [True] * 3


def test_any_family_of_reasoning_gym_is_a_task(policy: Path) -> None:
    table: dict[str, Any] = {
        "suite": "math",
        "policy": {"model": str(policy)},
        "task": {
            "name": "reasoning-gym",
            "reasoning_gym": {
                "family": "spell_backward", "size": 20, "test_size": 4, "template": "{question}",
                "config": {"max_word_len": 5},
            },
        },
        "inner": {"prompts": 4, "num_generations": 2, "updates": 1},
    }  # fmt: skip
    config = parse_config(table)
    check_task(config)
    found = config.task.load()
    assert (len(found.train), len(found.validation), len(found.test)) == (16, 4, 4)
    one = found.train[0]
    scorer = scorer_for(found, "math")
    texts = [one.answer, rf"so \boxed{{{one.answer}}}", one.answer[::-1] + "x"]
    assert scorer(texts, [one] * 3).tolist() == [True, True, False]
    try:
        load_custom(config)
        reward = derl_dsl.compile("gym_score(completion, answer)", suite="math")
        score = reward.score({"completion": texts, "answer": [one.answer] * 3}).values
        assert score[0] == score[1] == 1
        assert 0 <= score[2] < 1
    finally:
        derl_dsl.elaborate.custom.REGISTRY.clear()
    wrong = {**table, "task": {"name": "reasoning-gym", "reasoning_gym": {"family": "spell"}}}
    with pytest.raises(ConfigError, match="reasoning-gym has no family 'spell'"):
        check_task(parse_config(wrong))


def test_two_sets_train_together_and_are_scored_apart(tmp_path: Path, policy: Path) -> None:
    from derl_trainers.runs.jobs import _scores

    gsm = [{"question": f"{i}?", "answer": f"#### {i}"} for i in range(20)]
    hard = [{"problem": f"x{i}", "solution": rf"\boxed{{{i}}}"} for i in range(10)]
    for name, lines in (("g", gsm), ("m", hard)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in lines))
    parts = {"gsm8k": {"data": "g.jsonl", "test": "g.jsonl"}, "math": {"data": "m.jsonl"}}
    (tmp_path / "c.toml").write_text(
        f'[policy]\nmodel = "{policy}"\n[task]\nname = "gsm8k-math"\n'
        + "".join(
            f"[task.gsm8k_math.{name}]\n" + "".join(f'{k} = "{v}"\n' for k, v in part.items())
            for name, part in parts.items()
        )
    )
    task = load_config(tmp_path / "c.toml").task
    assert not task.remote
    with pytest.raises(Exception, match="0 distinct problems"):
        task.load()  # all of its problems are those of the test set
    (tmp_path / "g.jsonl").write_text("".join(json.dumps(r) + "\n" for r in gsm[:15]))
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(r) + "\n" for r in gsm[15:]))
    apart = replace(task.gsm8k_math.gsm8k, test=str(tmp_path / "t.jsonl"))
    own = replace(task.gsm8k_math, gsm8k=apart)
    found = own.load()
    assert [e.source for e in found.validation] == ["gsm8k"] * 3 + ["math"] * 2
    scores = _scores([True, True, False, False, False], found.validation)
    assert scores["apart"] == {"gsm8k": pytest.approx(2 / 3), "math": 0}
    assert scores["pass_at_1"] == pytest.approx(1 / 3)
    assert scores["right"] == "11000"


def planned(config: RunConfig) -> tuple[str, tuple[str, ...]]:
    """What is told of a run before it begins, and what would be refused."""
    lines: list[str] = []
    refused = plan(config, lines.append, lambda what: lines.append(f"waits: {what}"))
    return "\n".join(lines), refused


def test_the_plan_of_a_run_is_told_without_beginning_it() -> None:
    text, refused = planned(parse_config({**MINI, "executor": {"kind": "inprocess"}}))
    assert not refused
    assert "at most 29 inner runs: 3 baselines, 12 formulas, about 6 to confirm" in text
    assert "an inner step takes" in text
    assert "64 to train on" in text
    assert (
        text.index("64 to train on") < text.index("waits: timing two") < text.index("an inner st")
    )
    meta = {**MINI["meta"], "max_tokens": 1}
    assert "100% of cold-start" in planned(parse_config({**MINI, "meta": meta}))[0]
    short = parse_config({**MINI, "inner": {**MINI["inner"], "max_completion_length": 255}})
    assert "longer than the policy's context of 256" in planned(short)[1][0]
    wrong = parse_config({**MINI, "trl": {"loss_type": "foo"}})
    assert "[trl] loss_type: expected one of" in planned(wrong)[1][0]
    text, refused = planned(load_config("paper-math"))
    assert not refused
    assert "Qwen/Qwen2.5-3B: not here" in text


def test_a_step_is_timed_before_problems_of_the_hub_are_read(policy: Path) -> None:
    inner = {"prompts": 4, "num_generations": 2, "updates": 2, "max_completion_length": 12}
    table = {**MINI, "task": {"name": "gsm8k"}, "policy": {"model": str(policy)}, "inner": inner}
    text, refused = planned(parse_config(table))
    assert not refused
    assert "problems of gsm8k: read from the hub when the run begins, not now" in text
    assert "by 2 timed ones of 2 completions to made-up problems with one worker" in text
    assert "memory of a worker: about" in text
    assert "worker hours of inner steps" in text


# Processes


class Seen:
    """A job that says which GPU it sees."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds = seconds

    def depends(self) -> dict[str, Any]:
        return {}

    def run(self, progress: Any) -> dict[str, Any]:
        import time

        time.sleep(self.seconds)
        return {"device": os.environ.get(devices.VARIABLE)}


def test_each_worker_sees_one_device_and_a_hung_job_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]), prepend=os.pathsep)
    workers = Workers(2, devices=("4", "5"), timeout=8.0)
    events: list[Event] = []
    try:
        for name in range(2):
            workers.submit(name, Seen(0.5))
        workers.submit(2, Seen(600))
        while sum(e.kind in ("done", "failed") for e in events) < 3:
            workers.poll(events.append, block=True)
    finally:
        workers.close()
    done = [e.result["device"] for e in events if e.kind == "done"]
    assert sorted(done) == ["4", "5"]
    (hung,) = [e for e in events if e.kind == "failed"]
    assert "its job was ended after [executor] timeout = 8 seconds" in hung.error


def test_a_process_takes_one_of_several_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(devices.VARIABLE, "0, 1,2")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    found = devices.visible()
    assert found == ("0", "1", "2")
    devices.take_one(found)
    assert os.environ[devices.VARIABLE] == "2"
    assert [devices.of_worker(found, k) for k in range(4)] == ["0", "1", "2", "0"]
    assert devices.of_worker(("0",), 3) is None
    # Under torchrun each process has its own by its rank.
    monkeypatch.setenv(devices.VARIABLE, "0,1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    devices.take_one(devices.visible())
    assert os.environ[devices.VARIABLE] == "0,1"


def test_sigterm_ends_as_ctrl_c_does() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), ended_as_by_ctrl_c():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_t_quantile_is_that_of_its_degrees_of_freedom() -> None:
    known = {1: 12.70620, 7: 2.364624, 30: 2.042272, 31: 2.039513, 60: 2.000298, 300: 1.967903}
    assert [quantile(n) for n in known] == pytest.approx([*known.values()], rel=5e-5)


@pytest.mark.slow
def test_a_token_budget_ends_all_processes_of_torchrun_alike(tmp_path: Path) -> None:
    sets = [
        "inner.prompts=2", "inner.num_generations=4", "inner.updates=1",
        "inner.max_completion_length=12", "task.arithmetic.size=40",
        "task.arithmetic.test_size=10", "task.arithmetic.terms=3",
        "task.arithmetic.warmup_size=200", "policy.tiny.steps=20",
        "policy.tiny.hidden_size=32", "policy.tiny.heads=2", "budget.tokens=150",
    ]  # fmt: skip
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "-m", "derl_dsl",
        "train", "-e", "g1 + 0.1*g4", "-s", "derl-math", "--steps", "4", "--out", "out",
        *(part for one in sets for part in ("--set", one)),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("budget of 150 tokens reached") == 1
    found = json.loads((tmp_path / "out" / "metrics.json").read_text())
    # Four completions a process and step, and both count.
    assert found["tokens"] >= 150
    assert found["steps"] == 2


def test_a_run_gives_back_its_memory(
    task: Task, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import derl_trainers.inner.loop as module

    seen: list[Any] = []
    real = module._trainer

    def kept(*arguments: Any) -> Any:
        trainer = real(*arguments)
        seen.extend(map(weakref.ref, (trainer, trainer.model)))
        return trainer

    monkeypatch.setattr(module, "_trainer", kept)
    train_inner(
        math_reward("g3 + chars(completion) / 100"), policy, task.train, task.validation, GROUP
    )
    assert [ref() for ref in seen] == [None, None]
