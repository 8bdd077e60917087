"""Proposers side by side: whole small searches, one of them gone on with; the figures by hand."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from derl_trainers.outer.compare import (
    Outcome,
    Search,
    against,
    estimate,
    paired,
    read_result,
    rise,
    write_result,
)
from derl_trainers.report import write_report
from derl_trainers.runs.store import Store, StoreError
from tests.trainers.test_meta import MINI, toml

pytestmark = pytest.mark.xdist_group("training")
CONFIG = {**MINI, "meta": {**MINI["meta"], "formulas": 4}, "executor": {"workers": 1}}


def compare(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "derl_dsl", "compare", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )


def test_two_proposers_over_two_seeds(tmp_path: Path) -> None:
    (tmp_path / "mini.toml").write_text(toml(CONFIG))
    wanted = ("mini.toml", "--proposers", "evolution,graph-rl", "--seeds", "2", "--dir", "out")
    done = compare(tmp_path, *wanted, "--parallel", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert [(o["proposer"], o["seed"]) for o in found] == [
        ("evolution", 0), ("evolution", 1), ("graph-rl", 0), ("graph-rl", 1),
    ]  # fmt: skip
    for o in found:
        with closing(Store.open(tmp_path / "out" / f"{o['proposer']}-{o['seed']}")) as store:
            assert json.loads(store.run()["config"])["proposer"]["kind"] == o["proposer"]
            steps = store.steps()
        assert o["valid"] == [s.share_valid for s in steps] == [1.0, 1.0]
        assert o["rewards"] == [s.mean_reward for s in steps]
        assert o["sampled"] == o["monotone"] == []  # nothing writes text there
        assert set(o["test"]) >= {"outcome only", "mean of primitives", "best formula"}
    # A seed's baselines are one run, whoever searched.
    assert found[0]["test"]["outcome only"] == found[2]["test"]["outcome only"]
    with closing(Store.open(tmp_path / "out" / "graph-rl-0")) as store:
        query = "SELECT COUNT(*) AS n FROM jobs WHERE kind = 'final' AND worker IS NULL"
        served = store.rows(query)
    assert served[0]["n"] > 0
    assert "Test pass@1 of the best formula, 2 searches each" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    # Again: nothing is left to do, and the tables are the same.
    again = compare(tmp_path, *wanted)
    assert again.stdout.partition("Test pass@1")[2] == done.stdout.partition("Test pass@1")[2]


def test_sigterm_ends_its_searches_and_it_goes_on_with_them(tmp_path: Path) -> None:
    endless = {**CONFIG, "inner": {**MINI["inner"], "steps": 100_000}}
    (tmp_path / "mini.toml").write_text(toml(endless))
    command = [sys.executable, "-m", "derl_dsl", "compare", "mini.toml", "--dir", "out"]
    with subprocess.Popen(
        [*command, "--proposers", "evolution", "--seeds", "1"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        search = Search("evolution", 0, tmp_path / "out" / "evolution-0")
        pids = _searching(search.folder)
        process.terminate()
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert errors.strip() == "derl-dsl: interrupted; go on with it: --dir out"
    assert search.status() == "interrupted"
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert search.command("mini.toml", [])[4:6] == ["--quiet", "--resume"]


def _searching(folder: Path) -> list[int]:
    """The process of a search and that of its worker, once it trains a baseline."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        with suppress(StoreError, sqlite3.Error), closing(Store.open(folder)) as store:
            query = "SELECT worker FROM jobs WHERE kind = 'baseline' AND status = 'running'"
            if found := store.rows(query):
                return [store.run()["pid"], found[0]["worker"]]
        time.sleep(0.2)
    raise AssertionError("no baseline is running")


def test_mistakes_are_told(tmp_path: Path) -> None:
    done = compare(tmp_path, "demo", "--proposers", "grpo,evolutoin")
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown evolutoin; there are grpo, frozen" in done.stderr
    done = compare(tmp_path, "dmo")
    assert "did you mean 'demo'?" in done.stderr


def test_a_comparison_has_a_page(tmp_path: Path) -> None:
    trained = [made(0, 0.6, 0.5, (0.0, 0.2)), made(1, 0.8, 0.5, (0.0, 0.5))]
    trained = [
        replace(o, sampled=(0.5, share), best_formula="g1 < <b>")
        for o, share in zip(trained, (0.75, 0.875), strict=True)
    ]
    frozen = [replace(o, proposer="frozen", rewards=(0.0, 0.1), sampled=()) for o in trained]
    write_result(tmp_path, [*trained, *frozen])
    assert read_result(tmp_path) == [*trained, *frozen]
    (tmp_path / "p-1").mkdir()
    (tmp_path / "p-1" / "report.html").write_text("")
    page = write_report(tmp_path).read_text("utf-8")
    assert "p, frozen · 2 searches each" in page
    # Mean .2 and .25, t of one degree of freedom.
    assert "+0.200 ± 1.271<br><small>no difference shown" in page
    assert "50% → 81%<br><small>+0.312 ± 0.794</small>" in page
    assert "+0.250 ± 1.906" in page  # the late meta-reward, less that of frozen
    assert page.count("<code>g1 &lt; &lt;b&gt;</code>") == 4
    assert '<a href="p-1/report.html">1</a>' in page
    assert "p-0/report.html" not in page
    assert "Best score so far" not in page  # figures of before costs were kept
    ledger = ((0, 0, 0.0, 0.1, 0), (1, 9, 2.0, 0.25, 0), (2, 18, 4.0, 0.75, 0))
    write_result(tmp_path, [replace(o, ledger=ledger, yards=(0.25,)) for o in trained])
    page = write_report(tmp_path).read_text("utf-8")
    assert "Best score so far over the inner runs" in page
    assert "0.750 ± 0.000" in page
    assert not re.search(r"(src|href)=[\"']?(https?:)?//", page)
    (tmp_path / "compare.json").write_text("[{}]")
    with pytest.raises(StoreError, match=r"compare\.json: not the figures of a comparison"):
        write_report(tmp_path)


def made(seed: int, best: float, outcome: float, rewards: tuple[float, ...]) -> Outcome:
    test = {"best formula": best, "outcome only": outcome}
    return Outcome("p", seed, (0.5,), rewards, "g1", best, test, 1, 0, 1.0)


def test_figures_by_hand() -> None:
    ours = [made(0, 0.6, 0.5, (0.0, 0.2)), made(1, 0.8, 0.5, (0.0, 0.4))]
    theirs = [made(0, 0.1, 0.5, (0.1, 0.1)), made(2, 0.1, 0.5, (0.0, 0.0))]
    found = against(ours, "outcome only")
    assert found is not None
    # Mean .2, standard error .1, and t of one degree of freedom.
    assert (found.mean, found.half) == (pytest.approx(0.2), pytest.approx(12.706 * 0.1, rel=1e-3))
    assert rise((0.0, 0.4, 0.2)) == pytest.approx(0.2)
    difference = paired(ours, theirs, lambda o: rise(o.rewards))
    assert difference is not None
    assert (difference.mean, difference.half) == (pytest.approx(0.2), None)
    assert str(estimate([0.5])) == "0.500"
