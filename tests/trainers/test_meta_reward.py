"""The meta-rewards of a step: what is trained, what is served, from where; what failures cost."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from io import StringIO
from pathlib import Path
from statistics import pvariance
from typing import Any

import pytest

pytest.importorskip("trl")

from derl_trainers.outer.baselines import baselines, train_baselines
from derl_trainers.outer.confirm import confirm
from derl_trainers.outer.evaluate import Evaluation
from derl_trainers.outer.judge import apart, judge
from derl_trainers.outer.meta import past_formulas, search
from derl_trainers.outer.patience import converged
from derl_trainers.outer.population import start_of
from derl_trainers.runs.executors import InProcess
from derl_trainers.runs.executors.base import Listener
from derl_trainers.runs.jobs import Policy, PolicyJob, digest
from derl_trainers.runs.memo import Memo
from derl_trainers.runs.runner import JobFailed
from derl_trainers.runs.store import Store
from derl_trainers.runs.view import View
from derl_trainers.settings.run import RunConfig, parse_config
from tests.trainers.test_meta import MINI
from tests.trainers.toys import Steps, a_run, built

pytestmark = pytest.mark.xdist_group("training")


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    config = parse_config(MINI)
    folder = str(tmp_path_factory.mktemp("policy"))
    return built(PolicyJob(config.task, config.policy, folder, 0))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.create(tmp_path / "run", "t", 0, MINI, {})) as found:
        yield found


def config_with(**meta: Any) -> RunConfig:
    config = parse_config(MINI)
    return replace(config, meta=replace(config.meta, **meta))


def steps(store: Store, policy: Policy, **meta: Any) -> Steps:
    return Steps(a_run(config_with(**meta), store), policy)


def jobs(store: Store) -> list[tuple[str, str, int, int]]:
    rows = store.rows(
        "SELECT kind, formula, seed, json_extract(result, '$.steps') AS steps FROM jobs ORDER BY id"
    )
    return [(r["kind"], r["formula"], r["seed"], r["steps"]) for r in rows]


def test_equal_rewards_are_trained_once_and_failures_stay_in_the_group(
    store: Store, policy: Policy
) -> None:
    reward = steps(store, policy)
    first = reward(["g1 + g9", "g1 + 0.5 * g3", "2 * g1 + g3 + 7\n", "(g1", "g1 + 0.5*g3", "g4"])
    assert first[0] == -0.8
    assert first[3] == -1.0
    assert first[1] == first[2] == first[4]
    assert first[1] is not None
    assert 0 <= first[1] <= 1
    statuses = [r["status"] for r in store.rows("SELECT status FROM proposals ORDER BY idx")]
    assert statuses == ["failed", "trained", "reused", "failed", "reused", "trained"]
    # The next step knows what this one trained.
    second = reward(["0.5 * g3 + g1", "3 * g4", "g2"])
    assert second[:2] == [first[1], first[5]]
    assert store.rows("SELECT COUNT(*) AS n FROM jobs") == [{"n": 3}]
    row = store.rows("SELECT job, status FROM proposals WHERE step = 2 AND idx = 0")[0]
    origin = store.rows("SELECT job FROM proposals WHERE step = 1 AND idx = 1")[0]
    assert (row["job"], row["status"]) == (origin["job"], "reused")
    key = store.rows("SELECT DISTINCT key FROM proposals WHERE job = ?", (row["job"],))
    assert len(key) == 1


def test_with_the_scale_kept_by_trl_only_equal_texts_are_equal(
    store: Store, policy: Policy
) -> None:
    config = config_with()
    config = replace(config, inner=replace(config.inner, beta=0.05), trl={"scale_rewards": "none"})
    rewards = Steps(a_run(config, store), policy)(
        ["g1 + g3", "0.001 * g1 + 0.001 * g3", "g1 +  g3"]
    )
    assert len(jobs(store)) == 2
    assert rewards[0] == rewards[2]


def test_a_formula_equal_to_a_baseline_is_served_from_it(store: Store, policy: Policy) -> None:
    # With a cap, too, which is measured on the first of them.
    config = replace(config_with(), budget=replace(config_with().budget, cap=1.3))
    run = a_run(config, store)
    train_baselines(run, policy)
    Steps(run, policy)(["2 * g1", "g1 + g2 + g3 + g4"])
    rows = store.rows(
        "SELECT p.status, j.kind, j.label FROM proposals AS p JOIN jobs AS j ON j.id = p.job"
    )
    assert rows == [
        {"status": "reused", "kind": "baseline", "label": "outcome only"},
        {"status": "reused", "kind": "baseline", "label": "mean of primitives"},
    ]


def test_a_run_that_the_machine_broke_is_neither_praised_nor_blamed(
    store: Store, policy: Policy, tmp_path: Path
) -> None:
    reward = steps(store, policy)
    good = reward(["g1", "g1 + g9"])
    # It is the same policy still, whose scores are known; but its files are gone.
    reward.start = Policy(str(tmp_path / "nowhere"), policy.identity)
    assert reward(["g4", "g1", "g1 + g9"]) == [None, *good]
    row = store.rows("SELECT * FROM proposals WHERE step = 2 AND idx = 0")[0]
    assert (row["status"], row["meta_reward"]) == ("faulted", None)
    job = store.rows("SELECT status, cause, error FROM jobs WHERE id = ?", (row["job"],))[0]
    assert (job["status"], job["cause"]) == ("failed", "machine")
    assert "nowhere" in job["error"]
    with pytest.raises(JobFailed, match="every inner run of the step broke"):
        reward(["g2"])
    # Three that say the same are no accident.
    with pytest.raises(JobFailed, match="3 runs in a row failed alike: ModelMissing: "):
        reward(["g2", "g3", "g1 + g3"])
    # What broke was not remembered as a score: it is trained once the policy is there again.
    reward.start = policy
    again = reward(["g4"])[0]
    assert again is not None
    assert again >= 0


def test_what_a_reward_breaks_itself_is_its_own_penalty(store: Store, policy: Policy) -> None:
    config = config_with()
    # Not one completion of the untaught policy has a number to be near to.
    config = replace(config, inner=replace(config.inner, learning_rate=1e30))
    reward = Steps(a_run(config, store), policy)
    assert reward(["g1 + 0.01 * g4 + progress", "g1 + g9"]) == [-0.2, -0.8]
    job = store.rows("SELECT status, cause, error FROM jobs")[0]
    assert (job["status"], job["cause"]) == ("failed", "reward")
    assert job["error"].startswith("Diverged: training diverged")
    # It would break again: it is not tried again, and costs the same.
    assert reward(["progress + 0.01 * g4 + g1"]) == [-0.2]
    assert len(jobs(store)) == 1


def test_a_run_whose_baselines_all_break_ends(store: Store, tmp_path: Path) -> None:
    config = config_with()
    run = a_run(replace(config, budget=replace(config.budget, cap=0)), store)
    gone = Policy(str(tmp_path / "nowhere"), "gone")
    with pytest.raises(JobFailed, match="3 runs in a row failed alike: ModelMissing"):
        train_baselines(run, gone)
    assert not store.rows("SELECT 1 FROM proposals")


def test_failures_that_come_at_once_are_counted_too(store: Store, tmp_path: Path) -> None:
    class AtOnce(InProcess):
        """Hands over the news of all that is queued together, as several workers may."""

        def poll(self, listener: Listener, block: bool) -> None:
            while self.queue:
                super().poll(listener, True)

    gone = Policy(str(tmp_path / "nowhere"), "gone")
    with pytest.raises(JobFailed, match="3 runs in a row failed alike: ModelMissing"):
        Steps(a_run(config_with(), store, AtOnce()), gone)(["g1", "g2", "g3", "g4"])


def test_flat_penalty(store: Store, policy: Policy) -> None:
    assert steps(store, policy, penalty="flat")(["g1 + g9", "g1 / (g3 - g4)"]) == [-1.0, -1.0]


def spread_among_scores(rewards: list[float | None]) -> float:
    """The part of a group's variance that lies among the formulas that scored, the first four."""
    known = [r for r in rewards if r is not None]
    return 4 * pvariance(known[:4]) / (len(known) * pvariance(known))


def test_failures_apart_keep_the_order_and_leave_scores_their_spread() -> None:
    rewards = [0.20, 0.22, 0.24, 0.18, -0.4, -0.8, -1.0, -1.0, None]
    seen = apart(rewards)
    assert seen[-1] is None
    assert sorted(range(7), key=lambda i: seen[i]) == sorted(range(7), key=lambda i: rewards[i])
    assert spread_among_scores(rewards) < 0.01
    assert spread_among_scores(seen) > 0.2
    assert apart([0.3, 0.3, -1.0]) == [0.0, 0.0, -1.0]  # nothing to tell scores apart by


def test_the_text_around_a_formula_is_left_out(store: Store, policy: Policy) -> None:
    said = "```python\n\ng1 + g9\n```\nThat is it."
    assert steps(store, policy)([said]) == [-0.8]
    row = store.rows("SELECT formula, completion FROM proposals")[0]
    assert row == {"formula": "g1 + g9", "completion": said}


def test_baselines_of_the_suites_compile() -> None:
    import derl_dsl

    assert baselines("derl-math") == {
        "outcome only": "g1",
        "outcome + format": "(g1 + g2) / 2",
        "mean of primitives": "(g1 + g2 + g3 + g4) / 4",
    }
    for formula in baselines("math").values():
        assert derl_dsl.compile(formula, suite="math").certificate.outcome_monotone


def test_repeats_train_a_further_seed_each_and_score_the_mean(store: Store, policy: Policy) -> None:
    reward = steps(store, policy, repeats="average")
    first = reward(["g1 + g3", "g4", "2 * g3 + 2 * g1"])
    # Equal rewards of one group are one run, and have one score.
    assert jobs(store) == [("search", "g1 + g3", 0, 2), ("search", "g4", 0, 2)]
    assert first[0] == first[2]
    second = reward(["g3 + g1", "g1 + g3"])
    assert jobs(store)[2:] == [("search", "g3 + g1", 2, 2)]
    assert second[0] == second[1]
    board = store.rows("SELECT DISTINCT pass_at_1 FROM leaderboard WHERE job IN (1, 3)")
    scores = {r["id"]: r["pass_at_1"] for r in store.rows("SELECT * FROM jobs")}
    assert [row["pass_at_1"] for row in board] == [pytest.approx((scores[1] + scores[3]) / 2)]


def test_the_best_is_confirmed_on_further_seeds(
    store: Store, policy: Policy, tmp_path: Path
) -> None:
    config = config_with()
    config = replace(config, final=replace(config.final, confirm=3))
    known = {"g1 + g4": (0.9, 0.1, 0.2), "g1 + g3": (0.8, 0.6, 0.7), "g1": (0.5,), "g4": (0.6,)}
    with closing(Memo(tmp_path / "inner-runs.db", {})) as memo:
        run = a_run(config, store, memo=memo)
        run.runner.executor = None  # type: ignore[assignment] # Whatever else was asked for fails.
        for formula, scores in known.items():
            key = judge(formula, config.suite).key
            for seed, score in enumerate(scores):
                job = run.job(policy, formula, seed, "search", config.budget)
                memo.put(f"{digest(job)}/{key}/{seed}", {"pass_at_1": score}, 1.0)
        Steps(run, policy)(list(known))
        assert store.best() is not None
        assert store.best()["formula"] == "g1 + g4"
        confirm(run, policy)
        # The lucky one falls behind, the next one stays, and those behind it are left alone.
        assert [(c.formula, c.scores) for c in store.confirmed()] == [
            ("g1 + g3", known["g1 + g3"]), ("g1 + g4", known["g1 + g4"]),
        ]  # fmt: skip
        assert store.best()["formula"] == "g1 + g3"
        assert store.best()["pass_at_1"] == pytest.approx(0.7)
        # Once more changes nothing: all that is asked for is there.
        count = len(jobs(store))
        confirm(run, policy)
        assert len(jobs(store)) == count == 8


def test_the_outcome_is_confirmed_as_any_other(
    store: Store, policy: Policy, tmp_path: Path
) -> None:
    config = config_with()
    budget = replace(config.budget, cap=1.3)
    config = replace(config, final=replace(config.final, confirm=3), budget=budget)
    known = {"g1": (0.9, 0.1, 0.2), "g1 + g3": (0.8, 0.6, 0.7), "g4": (0.5,)}
    with closing(Memo(tmp_path / "inner-runs.db", {})) as memo:
        run = a_run(config, store, memo=memo)
        # The cap is measured on its own run, and the others' budget is another one.
        spent = {"pass_at_1": 0.9, "tokens": 100, "steps": 2}
        own = run.job(policy, "g1", 0, "search", config.budget)
        memo.put(f"{digest(own)}/{run.judged('g1').key}/0", spent, 1.0)
        run.runner.executor = None  # type: ignore[assignment] # Whatever else was asked for fails.
        run.runner.submit("baseline", "outcome only", 0, own, "g1", run.judged("g1").key)
        evaluation = Evaluation(run, policy)
        assert evaluation.budget.tokens == 130
        for formula, scores in known.items():
            key = run.judged(formula).key
            assert key is not None
            for seed, score in enumerate(scores):
                context = digest(evaluation.job(formula, (key, seed), policy))
                memo.put(f"{context}/{key}/{seed}", {"pass_at_1": score}, 1.0)
        evaluation(1, list(known))
        assert store.best()["formula"] == "g1"  # type: ignore[index]
        confirm(run, policy)
    best = store.best()
    assert best is not None
    assert (best["formula"], best["pass_at_1"]) == ("g1 + g3", pytest.approx(0.7))


def test_population_starts_each_step_from_the_best_policy(store: Store, policy: Policy) -> None:
    reward = steps(store, policy, start="best")
    reward(["g1", "g4", "g1 + g9"])
    left = list((store.path.parent / "population").iterdir())
    assert [str(folder) for folder in left] == [start_of(reward.run, 2, policy).path]
    best = store.best()
    assert best is not None
    assert best["key"][-12:] in left[0].name
    assert (left[0] / "config.json").is_file()
    # From another start the same reward is trained anew, and resuming finds that start again.
    reward(["g1"])
    assert len(jobs(store)) == 3
    again = steps(store, policy, start="best")
    assert start_of(again.run, 1, policy) == policy


def test_a_population_is_never_served_and_knows_its_lineage(
    store: Store, policy: Policy, tmp_path: Path
) -> None:
    config = config_with(start="best")
    with closing(Memo(tmp_path / "inner-runs.db", {})) as memo:
        first = Steps(a_run(config, store, memo=memo), policy)
        first(["g1"])
        with closing(Store.create(tmp_path / "other", "t", 0, MINI, {})) as other:
            second = Steps(a_run(config, other, memo=memo), policy)
            second(["g1"])
            # The policy that the next step starts from is there, and is its own.
            begun = start_of(second.run, 2, policy)
            assert Path(begun.path).is_relative_to(tmp_path / "other")
            assert (Path(begun.path) / "config.json").is_file()
            second(["g4"])
            # By the same last step, and from elsewhere: another policy.
            with closing(Store.create(tmp_path / "third", "t", 0, MINI, {})) as apart:
                third = Steps(a_run(config, apart, memo=memo), policy)
                third(["g3"])
                third(["g4"])
                from_g1, from_g3 = (start_of(s.run, 3, policy) for s in (second, third))
                assert Path(from_g1.path).name[:18] == Path(from_g3.path).name[:18]
                assert from_g1.identity != from_g3.identity
    # What a policy came from is part of it, wherever it lies.
    assert start_of(first.run, 2, policy).identity == begun.identity
    reward = steps(store, policy, start="best")
    job = reward.run.job(policy, "g2", 0, "search")
    later = reward.run.job(begun, "g2", 0, "search")
    assert digest(job) != digest(later)


def test_a_population_goes_on_from_what_equals_a_baseline(store: Store, policy: Policy) -> None:
    run = a_run(config_with(start="best"), store)
    train_baselines(run, policy)
    Steps(run, policy)(["2 * g1", "g1 + g9"])
    # Its score is known, and its policy is not: no baseline's is kept.
    assert store.rows("SELECT status FROM proposals WHERE idx = 0") == [{"status": "trained"}]
    begun = start_of(run, 2, policy)
    assert (Path(begun.path) / "config.json").is_file()


def test_what_is_given_is_scored_before_the_first_step(store: Store, policy: Policy) -> None:
    run = a_run(config_with(given=("g1 + g3", "g9", "g1"), steps=1), store)
    runs_of = replace(run.config, proposer=replace(run.config.proposer, kind="evolution"))
    search(replace(run, config=runs_of), policy, None)
    given = store.rows("SELECT idx, formula, status FROM proposals WHERE step = 0 ORDER BY idx")
    assert [(g["formula"], g["status"]) for g in given] == [
        ("g1 + g3", "trained"), ("g9", "failed"), ("g1", "reused"),  # the outcome, a baseline
    ]  # fmt: skip
    assert [past.formula for past in past_formulas(store, 1)] == ["g1 + g3", "g9", "g1"]
    assert store.steps_scored() == 1  # a step of the search, the given ones apart
    assert [step.step for step in store.steps()] == [0, 1]


def test_patience() -> None:
    best = [0.3]
    for wanted in (False, False, True):
        assert converged(best, 2) is wanted
        best.append(0.3)
    assert not converged(best, 0)


def test_a_memo_serves_other_runs_of_the_same_budget_and_versions(
    store: Store, policy: Policy, tmp_path: Path
) -> None:
    with closing(Memo(tmp_path / "shared" / "inner-runs.db", {"trl": "1"})) as memo:
        first = Steps(a_run(config_with(), store, memo=memo), policy)
        score = first(["g1 + g3"])
        with closing(Store.create(tmp_path / "other", "t", 0, MINI, {})) as other:
            run = a_run(config_with(), other, memo=memo)
            run.runner.executor = None  # type: ignore[assignment] # Nobody is there to compute it.
            assert Steps(run, policy)(["3 * g1 + 3 * g3 - 1"]) == score
            row = other.rows("SELECT status, seconds FROM jobs")[0]
        assert row["status"] == "done"
        assert row["seconds"] == store.rows("SELECT seconds FROM jobs")[0]["seconds"]
        # Another budget is another result.
        config = config_with()
        short = replace(config, budget=replace(config.budget, tokens=1))
        job = a_run(short, store).job(policy, "g1 + g3", 0, "search")
        assert memo.get(f"{digest(job)}/{judge('g1 + g3', config.suite).key}/0") is None
    with closing(Memo(tmp_path / "shared" / "inner-runs.db", {"trl": "2"})) as memo:
        job = first.run.job(policy, "g1 + g3", 0, "search")
        assert memo.get(f"{digest(job)}/{judge('g1 + g3', config.suite).key}/0") is None


def test_a_job_is_known_by_all_that_it_depends_on(store: Store, policy: Policy) -> None:
    run = a_run(config_with(), store)
    plain = run.job(policy, "g1", 0, "search")
    config = run.config
    drawn = replace(config.task.arithmetic, seed=1)
    for other in (
        replace(config, budget=replace(config.budget, flat_steps=3)),
        replace(config, inner=replace(config.inner, beta=0.1)),
        replace(config, trl={"loss_type": "grpo"}),
        replace(config, suite="derl-math[~g3]"),
        replace(config, task=replace(config.task, arithmetic=drawn)),
    ):
        assert digest(a_run(other, store).job(policy, "g1", 0, "search")) != digest(plain)
    assert digest(replace(plain, split="final")) != digest(plain)
    # Where files lie makes no difference.
    assert digest(replace(plain, policy=Policy("elsewhere", policy.identity))) == digest(plain)
    assert Evaluation(run, policy).known("g1", ("k", 0), policy) is None


def test_a_step_says_how_long_the_search_will_take_yet(store: Store) -> None:
    config = config_with(steps=3)
    run = a_run(config, store)
    view = run.runner.view
    view.begin(config, run.folder, store)
    view.baselines(store)
    group = Steps(run, Policy("none is trained", ""))
    for _ in range(3):
        group(["(g1", "g1 + g9"])
    told = [x for x in shown(view).splitlines() if x.startswith("Outer step")]
    assert ["of the search left" in line for line in told] == [True, True, False]


def shown(view: View) -> str:
    file = view.console.file
    assert isinstance(file, StringIO)
    return file.getvalue()
