"""Racing: which runs end on the way, that others are the same, and what a search makes of it."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

from rich.console import Console
from transformers import TrainerCallback

from benchmarks.evidence import race as racing
from benchmarks.evidence.secondary import raced_rows
from derl_trainers.inner.loop import Checkpoints
from derl_trainers.inner.race import Bar, bars, holds
from derl_trainers.outer.baselines import train_baselines
from derl_trainers.outer.evaluate import Evaluation
from derl_trainers.outer.ledger import ledger
from derl_trainers.outer.meta import meta_train
from derl_trainers.outer.plan import _Counts, _raced
from derl_trainers.report import write_report
from derl_trainers.runs.executors import Event
from derl_trainers.runs.jobs import Policy, PolicyJob, digest
from derl_trainers.runs.memo import Memo
from derl_trainers.runs.store import Store
from derl_trainers.runs.view import View, proposal_lines, race_lines
from derl_trainers.settings.run import RunConfig, parse_config
from derl_trainers.tasks.base import Task
from tests.trainers.test_meta import MINI
from tests.trainers.test_resume import tables
from tests.trainers.test_running import TRAINING, run, seen
from tests.trainers.toys import Steps, a_run, built

pytestmark = pytest.mark.xdist_group("training")
SURE = Bar(2, 1.0, 7)  # ends whatever gets a problem wrong
VALUES = {
    **MINI,
    "policy": {"tiny": {**MINI["policy"]["tiny"], "steps": 150}},
    "task": {"arithmetic": {**MINI["task"]["arithmetic"], "terms": 3}},
    "inner": {"steps": 3, "prompts": 4, "num_generations": 8, "updates": 1, "learning_rate": 1e-3},
    "meta": {**MINI["meta"], "probe": 1, "decoding": "masked"},
    "proposer": {"kind": "frozen"},
    "executor": {"kind": "inprocess"},
}


def config_with(**meta: Any) -> RunConfig:
    return parse_config({**VALUES, "meta": {**VALUES["meta"], **meta}})


# One inner run.


def test_a_run_below_the_bar_ends_with_the_score_it_had_there(task: Task, policy: Path) -> None:
    whole = run(task, policy)
    ended = run(task, policy, race=[Bar(1, 0.0, 7), SURE, Bar(3, 1.0, 7)])
    short = run(task, policy, replace(TRAINING, inner=replace(TRAINING.inner, steps=2)))
    assert (ended.steps, ended.below) == (2, SURE)
    assert ended.stopped == SURE.said(ended.pass_at_1)
    assert (ended.right, ended.tokens, ended.history) == (short.right, short.tokens, short.history)
    assert [(p.step, p.pass_at_1) for p in ended.curve][1:] == [(2, short.pass_at_1)]
    # What passes is the run that nobody raced, with points on the way.
    passed = run(task, policy, race=[Bar(1), Bar(3)])
    assert [point.step for point in passed.curve] == [1, 3]
    assert seen(replace(passed, curve=())) == seen(whole)
    assert passed.below is None
    assert passed.eval_seconds > 0


def test_one_that_was_killed_after_its_end_ends_there_again(
    task: Task, policy: Path, tmp_path: Path
) -> None:
    state = Checkpoints(str(tmp_path / "state"), 1)

    class Kill(TrainerCallback):  # type: ignore[misc]
        def on_train_end(self, *_: Any, **__: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(task, policy, checkpoints=state, race=[SURE], callbacks=[Kill()])
    again = run(task, policy, checkpoints=state, race=[SURE])
    assert seen(again) == seen(run(task, policy, race=[SURE]))
    assert again.below == SURE


# Bars, and results that others computed.


def test_a_bar_is_the_median_of_those_that_came_so_far() -> None:
    curves = [[{"step": s, "pass_at_1": p} for s, p in one] for one in (
        [(1, 0.1), (2, 0.9)], [(1, 0.2)], [(1, 0.4), (3, 0.0), (2, 0.5)], [],
    )]  # fmt: skip
    assert bars([1, 2], curves) == (Bar(1, 0.2, 3), Bar(2, 0.7, 2))
    assert bars([1], ()) == (Bar(1),)
    assert bars([], curves) == ()


def test_a_result_holds_where_the_bars_would_have_given_it() -> None:
    curve = [{"step": 1, "pass_at_1": 0.3}, {"step": 2, "pass_at_1": 0.5}]
    whole = {"curve": curve}
    assert holds(whole, [Bar(1, 0.3, 4), Bar(2, 0.1, 4)])
    assert not holds(whole, [Bar(1, 0.2, 4), Bar(2, 0.6, 4)])
    ended = {"curve": curve[:1], "below": {"step": 1, "least": 0.4, "runs": 4}}
    assert holds(ended, [Bar(1, 0.4, 4), Bar(2, 0.9, 4)])
    assert not holds(ended, [Bar(1, 0.3, 4), Bar(2, 0.9, 4)])  # it would have gone on
    assert not holds(ended, [Bar(1, 0.5, 4), Bar(2, 0.9, 4)])  # it would say something else


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the searches lie that share a start policy."""
    return tmp_path_factory.mktemp("race")


@pytest.fixture(scope="module")
def start(home: Path) -> Policy:
    config = config_with()
    folder = home / "shared" / "policy"
    return built(PolicyJob(config.task, config.policy, str(folder), 0))


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[list[Store]]:
    made = [Store.create(tmp_path / name, "t", 0, VALUES, {}) for name in "abcd"]
    yield made
    for store in made:
        store.close()


def results(store: Store) -> list[dict[str, Any]]:
    return [json.loads(row["result"]) for row in store.rows("SELECT result FROM jobs ORDER BY id")]


def test_what_is_shared_is_what_these_bars_would_give(
    stores: list[Store], start: Policy, tmp_path: Path
) -> None:
    formulas = ["g1 + g3", "g4"]
    with closing(Memo(tmp_path / "inner-runs.db", {})) as memo:

        def step(store: Store, *race: Bar) -> list[dict[str, Any]]:
            evaluation = Evaluation(a_run(config_with(), store, memo=memo), start)
            key = evaluation.run.judged
            names = [
                evaluation.submit(f, (str(key(f).key), 0), start, "outer step 1", 1, race)
                for f in formulas
            ]
            evaluation.run.runner.wait(names)
            return results(store)

        raced = step(stores[0], Bar(1, 0.0, 3))
        assert [len(one["curve"]) for one in raced] == [1, 1]
        # A run that was raced to its end serves where nobody races, and where it would pass.
        assert step(stores[1]) == raced
        assert step(stores[2], Bar(1, 0.0, 5)) == raced
        ended = step(stores[3], Bar(1, 1.0, 3))
    assert [one["steps"] for one in ended] == [1, 1]
    with closing(Memo(tmp_path / "other.db", {})) as memo:
        for store in stores:
            store.db.execute("DELETE FROM jobs")
        plain = step(stores[0])
        assert [one["curve"] for one in plain] == [[], []]
        # Nobody knows where that would have stood at the bar.
        assert [len(one["curve"]) for one in step(stores[1], Bar(1, 0.0, 3))] == [1, 1]


def test_no_bar_ends_the_outcome_and_none_is_part_of_what_a_job_is(
    stores: list[Store], start: Policy
) -> None:
    run = a_run(config_with(race=[1]), stores[0])
    train_baselines(run, start)
    assert all("below" not in found and len(found["curve"]) == 1 for found in results(stores[0]))
    evaluation = Evaluation(run, start)
    for formula in ("g1", "g1 + g3"):
        key = run.judged(formula).key
        assert key is not None
        evaluation.submit(formula, (key, 5), start, "outer step 1", 1, (Bar(1, 1.0, 3),))
    run.runner.wait([4, 5])
    assert ["below" in found for found in results(stores[0])[3:]] == [False, True]
    job = evaluation.job("g4", ("k", 0), start)
    assert digest(replace(job, race=(SURE,))) == digest(job)
    assert "race" not in json.dumps(job.depends())


def test_bars_are_of_what_was_done_before_the_step(stores: list[Store], start: Policy) -> None:
    store = stores[0]
    run = a_run(config_with(race=[1]), store)
    train_baselines(run, start)
    steps = Steps(run, start)
    seen_by = {}
    for number, formulas in enumerate((["g4", "g1 + g3"], ["g2 - g4"]), 1):
        scores = sorted(found["curve"][0]["pass_at_1"] for found in results(store))
        seen_by[number] = bars([1], [found["curve"] for found in results(store)])
        assert seen_by[number][0].runs == len(scores) == (3, 5)[number - 1]
        steps(formulas)
    # Those of a step again, with all that came after it in the store.
    evaluation = Evaluation(run, start)
    assert {number: evaluation._bars(number) for number in (1, 2)} == seen_by


# Whole searches.


class Killing(View):
    """Breaks off at the last of so many events."""

    def __init__(self, events: int) -> None:
        super().__init__(Console(file=StringIO()), True)
        self.left = events

    def event(self, event: Event) -> None:
        super().event(event)
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def searches(home: Path, start: Policy) -> Path:
    """A search without racing, and one with it, from one start policy and cold start."""
    for name, race in (("plain", []), ("raced", [1, 2])):
        view = View(Console(file=StringIO()), True)
        meta_train(config_with(race=race), home / name, view, shared=home / "shared")
    return home


def test_a_frozen_proposer_writes_the_same_and_ended_runs_say_so(searches: Path) -> None:
    written = "SELECT step, idx, completion, key FROM proposals ORDER BY step, idx"
    with (
        closing(Store.open(searches / "plain")) as plain,
        closing(Store.open(searches / "raced")) as raced,
    ):
        assert plain.rows(written) == raced.rows(written)
        assert len(list((searches / "shared" / "meta").iterdir())) == 1  # one cold start
        rows = raced.rows(
            "SELECT p.meta_reward, p.step, j.result FROM proposals AS p JOIN jobs AS j"
            " ON j.id = p.job WHERE p.status = 'trained' AND j.result -> '$.below' IS NOT NULL"
        )
        assert 0 < len(rows) < len(raced.rows("SELECT 1 FROM jobs WHERE kind = 'search'"))
        for row in rows:
            result = json.loads(row["result"])
            assert row["meta_reward"] == result["curve"][-1]["pass_at_1"]
            assert result["below"]["least"] > row["meta_reward"]
            assert result["stopped"] == Bar(**result["below"]).said(row["meta_reward"])
            assert result["steps"] == result["below"]["step"]
        best = raced.best()
        assert best is not None
        assert "below" not in json.loads(raced.job(best["job"])["result"])
        assert all("below" not in found for found in results(plain))
        # Said on the screen, in the page, and in the costs.
        lines = [str(line) for step in (1, 2) for line in proposal_lines(raced, step)]
        assert sum("ended at step" in line for line in lines) == len(rows)
        spared = sum(3 - json.loads(row["result"])["steps"] for row in rows)
        assert race_lines(raced)[1].endswith(f"early: {spared} inner steps not taken")
        assert race_lines(plain) == []
        assert ledger(raced)[-1].tokens < ledger(plain)[-1].tokens
        page = write_report(searches / "raced", searches / "page.html").read_text("utf-8")
        assert page.count("ended early: pass@1") == len(rows)


def test_the_benchmark_counts_what_each_way_costs(searches: Path) -> None:
    row = racing.compared("arithmetic", 0, [1, 2], searches / "plain", searches / "raced")
    costs = row["cost"]
    with closing(Store.open(searches / "plain")) as plain:
        valid = plain.rows("SELECT job FROM proposals WHERE key IS NOT NULL")
        trained = len(plain.rows("SELECT 1 FROM proposals WHERE status = 'trained'"))
        tokens = [json.loads(plain.job(p["job"])["result"])["tokens"] for p in valid]
        before = ledger(plain)[3 + trained]
    assert [costs[name]["runs"] for name in ("all", "valid")] == [12, len(valid)]
    assert costs["valid"]["tokens"] == pytest.approx(sum(tokens))
    assert costs["all"]["tokens"] == pytest.approx(sum(tokens) * 12 / len(valid))
    # The ledger of the search without racing, before what it confirmed.
    assert costs["plain"]["tokens"] == before.tokens
    assert costs["plain"]["runs"] == costs["raced"]["runs"] == before.runs
    spared = costs["plain"]["steps"] - costs["raced"]["steps"]
    with closing(Store.open(searches / "raced")) as raced:
        assert spared == raced.raced()["saved"] > 0
    page = "\n".join(raced_rows([row]))
    assert row["alike"]
    assert f"| {row['ended']} of {row['of']} |" in page
    assert racing.merged([row, {**row, "ended": -1}])[0]["ended"] == -1


def test_a_search_that_is_broken_off_ends_as_if_it_had_not(searches: Path) -> None:
    folder, shared, broken = searches / "broken", searches / "apart", 0
    # Results of others would leave nothing to break off.
    leave = shutil.ignore_patterns("inner-runs.db*")
    shutil.copytree(searches / "shared", shared, ignore=leave)
    while True:
        try:
            meta_train(config_with(race=[1, 2]), folder, Killing(18), bool(broken), shared)
        except KeyboardInterrupt:
            broken += 1
        else:
            break
    assert broken > 2
    assert tables(folder) == tables(searches / "raced")


# Settings.


@pytest.mark.parametrize(
    ("meta", "said"),
    [
        ({"race": [2, 1]}, "[meta] race: expected rising steps from 1 to 2, before the last of"),
        ({"race": [1, 1]}, "not [1, 1]"),
        ({"race": [3]}, "[inner] steps = 3, not [3]"),
        ({"race": [0]}, "not [0]"),
        ({"race": ["1"]}, "[meta] race: expected a list of whole numbers, such as [5, 10]"),
        ({"race": [True]}, "expected a list of whole numbers"),
        ({"race": 5}, "expected a list of whole numbers"),
        ({"race": [1], "start": "best"}, "[meta] race: does not go with start = 'best'"),
        ({"race": [1], "repeats": "average"}, "[meta] race: does not go with repeats = 'average'"),
    ],
)
def test_what_does_not_fit_is_told(meta: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=r"\[meta\] race") as error:
        config_with(**meta)
    assert said in str(error.value)


def test_a_plan_says_what_it_may_spare() -> None:
    config = config_with(race=[1])
    (line,) = _raced(config, _Counts.of(config))
    assert line.endswith("if half of the formulas end at step 1, 12 inner steps fewer")
    assert _raced(config_with(), _Counts.of(config_with())) == []
