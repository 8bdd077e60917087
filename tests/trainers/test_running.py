"""What keeps a run alive on real machines: checkpoints, threads, disks, engines, odd models."""

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import derl_dsl
from derl_trainers.cli.shared import no_room
from derl_trainers.inner.loop import Checkpoints, InnerResult, train_inner
from derl_trainers.inner.outcome import exactly
from derl_trainers.inner.recorder import whole_checkpoints
from derl_trainers.inner.reward import TimedReward
from derl_trainers.inner.scoring import right
from derl_trainers.policy.answers import answered_right
from derl_trainers.policy.loading import ModelMissing, load_model
from derl_trainers.runs.executors import InProcess, make_executor
from derl_trainers.runs.store import Store, place
from derl_trainers.settings.sections import (
    BudgetSection,
    ExecutorSection,
    InnerSection,
    Training,
)
from derl_trainers.tasks.base import Task
from tests.trainers.test_meta import MINI, toml

pytestmark = pytest.mark.xdist_group("training")
TRAINING = Training(
    inner=InnerSection(steps=4, prompts=2, num_generations=4, updates=2),
    budget=BudgetSection(flat_steps=0),
)


def run(task: Task, policy: Path, training: Training = TRAINING, **more: Any) -> InnerResult:
    reward = derl_dsl.compile("g1 + g2 / 2 + g4", suite="derl-math")
    return train_inner(reward, policy, task.train, task.validation, training, **more)


def seen(result: InnerResult) -> tuple[Any, ...]:
    """All of a result that no clock has a part in."""
    points = [(point.step, point.pass_at_1, point.tokens) for point in result.curve]
    return result.right, result.tokens, result.steps, result.stopped, result.history, points


def test_a_killed_inner_run_goes_on_from_its_checkpoint(
    task: Task, policy: Path, tmp_path: Path
) -> None:
    training = replace(TRAINING, inner=replace(TRAINING.inner, curve=2))
    whole = run(task, policy, training)
    state = Checkpoints(str(tmp_path / "state"), 1)

    class Killed(Exception):
        pass

    def kill(step: int, total: int, metrics: dict[str, float]) -> None:
        if step == 3:
            raise Killed

    with pytest.raises(Killed):
        run(task, policy, training, checkpoints=state, progress=kill)
    assert max(whole_checkpoints(state.folder)) == 2 * TRAINING.inner.updates
    # One that was being written when the run was killed has no record, and is not gone on from.
    (tmp_path / "state" / "checkpoint-6").mkdir(exist_ok=True)
    (tmp_path / "state" / "checkpoint-6" / "recorder.json").unlink(missing_ok=True)
    later: list[int] = []
    again = run(task, policy, training, checkpoints=state, progress=lambda s, *_: later.append(s))
    assert later == [3, 4]
    assert seen(again) == seen(whole)
    assert not (tmp_path / "state").exists()


def test_the_curve_is_of_runs_that_ended_there(task: Task, policy: Path) -> None:
    long = run(task, policy, replace(TRAINING, inner=replace(TRAINING.inner, curve=2)))
    short = run(task, policy, replace(TRAINING, inner=replace(TRAINING.inner, steps=2)))
    first = long.curve[0]
    assert (first.step, first.pass_at_1, first.tokens) == (2, short.pass_at_1, short.tokens)
    assert [point.step for point in long.curve] == [2, 4]
    assert long.curve[-1].pass_at_1 == long.pass_at_1


def test_a_tiny_scale_is_not_flat(task: Task, policy: Path) -> None:
    inner = replace(TRAINING.inner, rewards="raw")
    flat = Training(inner=inner, budget=BudgetSection(flat_steps=1))

    def small(completions: list[str], **_: object) -> list[float | None]:
        return [1e-10 * len(text) for text in completions]

    result = train_inner(small, policy, task.train, task.validation, flat)
    assert [record.zero_std_share for record in result.history] == [1.0] * 4  # what TRL says
    assert (result.steps, result.stopped) == (4, "")

    def same(completions: list[str], **_: object) -> list[float | None]:
        return [1e-10] * len(completions)

    assert train_inner(same, policy, task.train, task.validation, flat).stopped


def test_scores_differ_as_float32_within_a_problem() -> None:
    def called(scores: list[float | None], prompts: list[str]) -> bool:
        timer = TimedReward(lambda **_: scores)
        timer(completions=["x"] * len(scores), completion_ids=[[0]] * len(scores), prompts=prompts)
        return timer.differed

    assert not called([0.0, 0.0, 1.0, 1.0], ["a", "a", "b", "b"])
    assert called([0.0, 1e-12, 1.0, 1.0], ["a", "a", "b", "b"])
    assert not called([1.0, 1.0 + 1e-12, None, 1.0], ["a"] * 4)


def test_each_job_has_its_threads_and_the_owner_keeps_its_own() -> None:
    class Threads:
        def run(self, progress: object) -> dict[str, Any]:
            return {"threads": torch.get_num_threads()}

    def of(config: ExecutorSection, small: bool) -> int:
        executor, found = make_executor(config, small=small), []
        assert isinstance(executor, InProcess)
        executor.submit(1, Threads())  # type: ignore[arg-type]
        executor.poll(lambda event: found.append(event.result.get("threads")), block=True)
        return int(found[-1])

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)  # as the meta-optimizer's own may be
        assert of(ExecutorSection(kind="inprocess"), small=True) == 1
        assert of(ExecutorSection(kind="inprocess"), small=False) == len(os.sched_getaffinity(0))
        assert of(ExecutorSection(kind="inprocess", threads=3), small=False) == 3
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_prompts_without_room_for_an_answer_are_refused(task: Task, policy: Path) -> None:
    long = replace(TRAINING.inner, max_completion_length=250)
    with pytest.raises(ValueError, match=r"max_completion_length: 80 of 80 prompts .* context"):
        run(task, policy, replace(TRAINING, inner=long))


def test_a_tokenizer_without_an_end_is_named(policy: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    for file in policy.iterdir():
        (odd / file.name).write_bytes(file.read_bytes())
    settings = json.loads((odd / "tokenizer_config.json").read_text())
    settings.pop("eos_token")
    (odd / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelMissing, match="no token that ends a text"):
        load_model(odd)


def test_vllm_scores_greedily_with_the_newest_weights(task: Task, policy: Path) -> None:
    """vLLM is not installed here: an engine of the same calls stands in for it."""
    _, tokenizer = load_model(policy)
    told: list[Any] = []

    class Engine:
        temperature = 1.0

        def sync_weights(self) -> None:
            told.append("weights")

        def generate(self, prompts: Any, images: Any, num_generations: int) -> Any:
            told.append((self.temperature, num_generations))
            answers = [tokenizer(e.answer)["input_ids"] for e in task.validation]
            answers[0] = tokenizer("none")["input_ids"]
            assert [tokenizer.decode(p) for p in prompts] == [e.prompt for e in task.validation]
            return prompts, answers, None, None

    class Trainer:
        use_vllm = True
        vllm_generation = Engine()

    found = right(Trainer(), tokenizer, task.validation, exactly, TRAINING)  # type: ignore[arg-type]
    boxed = answered_right(
        lambda p: [tokenizer(e.answer)["input_ids"] for e in task.validation],
        tokenizer, task.validation, exactly, TRAINING,
    )  # fmt: skip
    assert found == (False, *boxed[1:].tolist())
    assert told == ["weights", (0.0, 1)]
    assert Trainer.vllm_generation.temperature == 1.0


@pytest.mark.slow
def test_a_policy_that_is_cut_is_saved_whole(policy: Path, tmp_path: Path) -> None:
    script = Path(__file__).with_name("sharded.py")
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2",
        str(script), str(policy), str(tmp_path / "out"),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 0, done.stderr
    (before, _), (after, _) = load_model(policy), load_model(tmp_path / "out")
    for name, weight in before.state_dict().items():
        assert torch.equal(weight, after.state_dict()[name]), name


# Stores on network file systems.


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the table of mounts calls a network file system's."""
    there = tmp_path / "net"
    there.mkdir()
    mounts = tmp_path / "mounts"
    mounts.write_text(f"disk / ext4 rw 0 0\nserver:/x {there} nfs4 rw 0 0\n")
    monkeypatch.setattr(place, "_MOUNTS", mounts)
    on = place.on_network
    monkeypatch.setattr("derl_trainers.runs.store.on_network", lambda path: on(path, mounts))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return there


def test_mounts_say_what_is_on_the_network(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "a / ext4 rw 0 0\nb /home nfs rw 0 0\n"
        "c /home/my\\040disk xfs rw 0 0\nd /lab lustre rw 0 0\n"
    )
    found = [
        place.on_network(Path(name), mounts)
        for name in ("/tmp/x", "/home/x", "/home/my disk/x", "/lab", "/laboratory")
    ]
    assert found == [False, True, False, True, False]


def test_a_store_on_the_network_is_written_here_and_copied_whole(network: Path) -> None:
    folder = network / "run"
    store = Store.create(folder, "n", 0, {"meta": {"steps": 1}}, {})
    with suppress(RuntimeError), store.running():
        job = store.add_job("start", "a", 0)
        store.finish_job(job, 0.5, 1.0, {"pass_at_1": 0.5})
        with store.phase("warm start"):
            pass
        late = store.add_job("start", "b", 0)
        store.finish_job(late, 0.6, 1.0, {"pass_at_1": 0.6})
        with closing(Store.open(folder)) as copied:  # of the end of the phase
            assert [j["pass_at_1"] for j in copied.rows("SELECT * FROM jobs")] == [0.5]
        raise RuntimeError
    store.close()
    assert sorted(p.name for p in folder.iterdir()) == ["run.db", "run.lock"]  # no log of WAL
    with closing(Store.resume(folder, {})) as again:
        assert len(again.rows("SELECT * FROM jobs")) == 2


def test_what_another_machine_went_on_with_counts(network: Path, tmp_path: Path) -> None:
    folder = network / "run"
    with closing(Store.create(folder, "n", 0, {"meta": {"steps": 1}}, {})) as store:
        store.finish_job(store.add_job("start", "a", 0), 0.5, 1.0, {"pass_at_1": 0.5})
        store.mirror()
    os.environ["XDG_CACHE_HOME"] = str(tmp_path / "other")
    with closing(Store.resume(folder, {})) as other:
        other.finish_job(other.add_job("start", "b", 0), 0.6, 1.0, {"pass_at_1": 0.6})
        other.mirror()
    os.environ["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    with closing(Store.resume(folder, {})) as again:
        assert [j["label"] for j in again.rows("SELECT label FROM jobs")] == ["a", "b"]


# What ends a run is one message.


def ended(tmp_path: Path, limit: Callable[[], None] | None, *sets: str) -> str:
    (tmp_path / "mini.toml").write_text(toml(MINI))
    flags = [part for one in ("executor.kind='inprocess'", *sets) for part in ("--set", one)]
    command = [sys.executable, "-m", "derl_dsl", "meta-train", "mini.toml", "--run-dir", "run"]
    done = subprocess.run(
        [*command, *flags], cwd=tmp_path, capture_output=True, text=True, timeout=600,
        preexec_fn=limit,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.slow
def test_a_meta_optimizer_that_diverges_is_told(tmp_path: Path) -> None:
    said = ended(tmp_path, None, "meta.learning_rate=1e30", "meta.trl.max_grad_norm=0")
    assert "outer step 1, the meta-optimizer: training diverged" in said
    assert "lower [meta] learning_rate" in said
    with closing(Store.open(tmp_path / "run")) as store:
        assert store.checkpoint() is None  # nothing to go on from but the start


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "run", "n", 0, {"meta": {"steps": 1}}, {})
    pages = store.rows("PRAGMA page_count")[0]["page_count"]
    store.db.execute(f"PRAGMA max_page_count = {pages}")

    def fill() -> None:
        with store.running(), store.phase("search"):
            for seed in range(1000):
                store.add_job("start", "x" * 500, seed)

    with pytest.raises(sqlite3.OperationalError, match="full") as error:
        fill()
    assert error.value.__context__ is None  # that very error, and no second one
    store.close()


def test_what_ended_a_run_is_told_though_its_end_cannot_be_written(tmp_path: Path) -> None:
    with closing(Store.create(tmp_path / "run", "n", 0, {}, {})) as store:
        store.db.execute("PRAGMA query_only = 1")
        with pytest.raises(RuntimeError, match="first"), store.running():
            raise RuntimeError("first")
        store.db.execute("PRAGMA query_only = 0")

        def search() -> None:
            with store.running(), store.phase("search"):
                store.db.execute("PRAGMA query_only = 1")
                raise RuntimeError("second")

        with pytest.raises(RuntimeError, match="second"):
            search()


def test_weights_that_find_no_room_are_told(tmp_path: Path) -> None:
    """safetensors and torch have errors of their own for it, which are no OSError."""

    def said(save: Callable[[], None]) -> str:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
            with pytest.raises(Exception) as error:  # noqa: PT011 - of whatever type
                save()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            signal.signal(signal.SIGXFSZ, before)
        return no_room(tmp_path, error.value)

    weights = {"w": torch.zeros(100_000)}
    for save in (
        lambda: save_file(weights, tmp_path / "model.safetensors"),
        lambda: torch.save(weights, tmp_path / "optimizer.pt"),
        lambda: (tmp_path / "text").write_bytes(b"x" * 100_000) and None,
    ):
        assert "cannot be written: " in said(save)
    with pytest.raises(ValueError, match="something else"):
        no_room(tmp_path, ValueError("something else"))


@pytest.mark.slow
def test_a_run_whose_files_reach_their_limit_is_told(tmp_path: Path) -> None:
    size = 60_000  # the store's log alone reaches it
    said = ended(tmp_path, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    assert "cannot be written" in said
    assert "--resume run" in said
