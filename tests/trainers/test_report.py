"""The report: its numbers are the store's, it needs nothing else, it says how a run ended."""

import json
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

import derl_dsl
from derl_dsl.cli.app import register
from derl_trainers.cli.commands import COMMANDS
from derl_trainers.estimates import change, interval, wilson
from derl_trainers.outer.judge import judge
from derl_trainers.report import export, write_report
from derl_trainers.report.classes import structure_class
from derl_trainers.report.effects import effects
from derl_trainers.report.facts import read_facts
from derl_trainers.report.plots import ticks
from derl_trainers.runs.store import Store
from derl_trainers.runs.store.schema import VERSION
from derl_trainers.settings.run import parse_config

CONFIG = parse_config({"name": "small", "meta": {"steps": 3}}).to_json()
GROUPS = [
    ["g1 + g9", "g1 + 0.5 * g3", "2 * g1 + g3 + 7", "(g1", "g4", "2 * g1"],
    ["0.5 * g3 + g1", "g1 * g2", "g2 - g1", "1 if g1 > 0.5 else 0.1 * g2", "g1 / (g3 - g4)", "g3"],
    ["<script>alert('x')</script>\u202e", "tanh(g1 + g2)", "", "g1*g1", "g4", "g1"],
]
SCORES = {"g1": 0.5, "g1 + 0.5 * g3": 0.625, "g4": 0.125, "g1 * g2": 0.25, "g2 - g1": 0.03125,
          "1 if g1 > 0.5 else 0.1 * g2": 0.5625, "tanh(g1 + g2)": 0.375}  # fmt: skip
FINAL = {"best formula": (0.7, 0.8, 0.75), "outcome only": (0.6, 0.5, 0.55)}


def train(store: Store, kind: str, label: str, formula: str, seed: int = 0) -> int:
    """A finished inner run, as a worker reports it."""
    key = judge(formula, "derl-math").key
    job = store.add_job(kind, label, seed, formula, key)
    score = SCORES.get(formula, 0.25)
    times = {"seconds": 2.0, "generate_seconds": 1.0, "reward_seconds": 0.05,
             "update_seconds": 0.75, "eval_seconds": 0.2}  # fmt: skip
    store.finish_job(job, score, 2.0, {"pass_at_1": score, **times})
    return job


def propose(store: Store, step: int, formulas: list[str], scored: bool = True) -> None:
    """A step of the search: equal rewards are served by the first of them, `g3` breaks."""
    verdicts = [judge(formula, "derl-math") for formula in formulas]
    ids = store.add_proposals(step, [{"completion": v.formula, **v.to_json()} for v in verdicts])
    for verdict, name in zip(verdicts, ids, strict=True):
        if verdict.key is None or not scored:
            continue
        earlier = store.find_score(verdict.key, 0, "")
        if verdict.formula == "g3":
            job = store.add_job("search", f"outer step {step}", 0, "g3", verdict.key)
            store.fail_job(job, "WorkerDied: killed by signal 9\nmore of <it>")
            store.score_proposal(name, "faulted", job, None)
        elif earlier is not None:
            store.score_proposal(name, "reused", earlier, store.job(earlier)["pass_at_1"])
        else:
            job = train(store, "search", f"outer step {step}", verdict.formula)
            store.score_proposal(name, "trained", job, SCORES.get(verdict.formula, 0.25))


def begin(folder: Path) -> Store:
    store = Store.create(folder, "small", 0, CONFIG, {})
    start = store.add_job("start", "start policy: score", 0)
    store.finish_job(start, 0.1875, 0.5, {"pass_at_1": 0.1875, "problems": 32})
    train(store, "baseline", "outcome only", "g1")
    return store


def finish(store: Store) -> None:
    for step, formulas in enumerate(GROUPS, 1):
        propose(store, step, formulas)
        store.add_update(step, {"loss": 0.1, "kl": None, "grad_norm": 0.5, "seconds": 3.0})
    for seed in (1, 2):
        train(store, "search", "confirmation", "g1 + 0.5 * g3", seed)
    for seed in range(3):
        for label, scores in FINAL.items():
            job = store.add_job("final", label, 1000 + seed, "g1")
            faults = [{"name": "g1", "kind": "timeout", "batches": 1, "rows": 3, "sample": "row 1"}]
            found = {"faults": faults if seed == 0 else [], "problems": 64}
            store.finish_job(job, scores[seed], 2.0, found)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("report") / "run"
    with closing(begin(folder)) as store, store.running(), store.phase("search"):
        store.add_probe(-1, {"formulas": 40, "valid": 1, "monotone": 0, "distinct_keys": 1})
        store.add_probe(0, {"formulas": 40, "valid": 20, "monotone": 10, "distinct_keys": 9})
        finish(store)
        store.add_probe(3, {"formulas": 40, "valid": 36, "monotone": 30, "distinct_keys": 7})
    return folder


@pytest.fixture(scope="module")
def html(run: Path) -> str:
    return write_report(run, run.parent / "page.html").read_text("utf-8")


@pytest.fixture
def db(run: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"file:{run}/run.db?mode=ro", uri=True)) as found:
        yield found


class Page(HTMLParser):
    """Rows of tables by the table's name, ids, links; tags that are never closed are an error."""

    OPEN_ENDED = frozenset({"td", "dd", "dt"})
    VOID = frozenset({"meta", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tables: dict[str, list[list[tuple[str, str | None]]]] = {}
        self.ids: list[str] = []
        self.links: list[str] = []
        self.scripts = 0
        self.rows: list[list[tuple[str, str | None]]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.scripts += tag == "script"
        self.ids += [v for k, v in attrs if k == "id" and v]
        self.links += [v or "" for k, v in attrs if k in ("href", "src", "action", "data")]
        if tag == "table":
            self.rows = self.tables.setdefault((values["class"] or "").split()[0], [])
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append(("", values.get("data-v")))
        if tag not in self.VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self.stack[-1] != tag:
            assert self.stack.pop() in self.OPEN_ENDED, (tag, self.stack)
        self.stack.pop()

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An SVG shape."""

    def handle_data(self, data: str) -> None:
        if "tr" in self.stack and self.rows and self.rows[-1] and "title" not in self.stack:
            text, value = self.rows[-1][-1]
            self.rows[-1][-1] = (text + data, value)


def numbers(page: Page, table: str, column: int) -> list[float | None]:
    rows = [row for row in page.tables[table][1:] if row[column : column + 1]]
    return [None if row[column][1] is None else float(row[column][1] or 0) for row in rows]


def test_the_page_is_well_formed_and_needs_nothing_else(html: str) -> None:
    page = Page(html)
    assert page.stack == []
    assert len(page.ids) == len(set(page.ids))
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert page.scripts == 1
    assert "default-src 'none'" in html
    assert not re.search(r"https?:|url\(|@import|<link|<img|<iframe", html)
    # What a model wrote is shown, not run.
    assert "&lt;script&gt;alert(" in html
    assert "\u202e" not in html


def test_its_numbers_are_queries_over_the_store(html: str, db: sqlite3.Connection) -> None:
    page = Page(html)

    def sql(query: str) -> list[Any]:
        return [row[0] for row in db.execute(query)]

    assert numbers(page, "formulas", 3) == sql(
        "SELECT meta_reward FROM proposals ORDER BY step, idx"
    )
    assert numbers(page, "rewards", 1) == sql("SELECT mean_reward FROM steps ORDER BY step")
    assert numbers(page, "rewards", 4) == sql("SELECT best_reward FROM steps ORDER BY step")
    assert numbers(page, "valid", 1) == sql("SELECT share_valid FROM steps ORDER BY step")
    assert numbers(page, "probes", 2) == sql("SELECT valid FROM probes ORDER BY step")
    assert numbers(page, "comparison", 2)[:2] == pytest.approx(
        sql(
            "SELECT AVG(pass_at_1) FROM jobs WHERE kind = 'final' AND status = 'done'"
            " GROUP BY label ORDER BY MIN(id)"
        )
    )
    assert numbers(page, "cost", 1) == sql(
        "SELECT COUNT(*) FROM jobs GROUP BY kind ORDER BY MIN(id)"
    )
    assert numbers(page, "cost", 5) == sql(
        "SELECT SUM(seconds) FROM jobs GROUP BY kind ORDER BY MIN(id)"
    )
    assert (
        sum(n or 0 for n in numbers(page, "lineage", 3))
        == sql("SELECT COUNT(*) FROM proposals WHERE key IS NOT NULL")[0]
    )
    assert html.count("<details class=folds open>") == 2  # both long tables fold on a phone
    mean, half = interval([0.7, 0.8, 0.75])
    assert f"{mean:.3f} ± {half:.3f}" in page.tables["comparison"][1][2][0]
    repeats = sql("SELECT COUNT(*) FROM proposals WHERE status = 'reused'")[0]
    assert repeats == 6
    assert f"<b>{repeats}</b> of 13 usable formulas were served" in html
    assert "reward 2.5%" in html
    assert "validation pass@1 <b>0.625</b>, mean of 3 runs" in html
    assert "<b>0.625</b> (0.625, 0.625, 0.625)" in html


def test_what_formulas_pay_for(html: str) -> None:
    # Of step 1: g1 + g3/2 twice (two thirds and a third of its range), g4, 2*g1.
    rows = [[text for text, _ in row] for row in Page(html).tables["effects"][1:]]
    first = {row[0]: row[2:] for row in rows if row[1] == "1"}
    assert first == {
        "g1": ["+0.583", "4"], "g2": ["+0.000", "4"], "g3": ["+0.167", "4"], "g4": ["+0.250", "4"],
    }  # fmt: skip
    # Of step 2, where g2 - g1 pays less for what is right.
    graph = derl_dsl.compile("g2 - g1", suite="derl-math").graph
    assert effects(graph) == {"g1": -0.5, "g2": 0.5}
    compares = derl_dsl.compile("g2 + group_mean(g1)", suite="derl-math").graph
    assert effects(compares) is None


def test_the_probe_before_the_cold_start_says_nothing_of_the_search(html: str) -> None:
    page = Page(html)
    assert [row[0][0] for row in page.tables["probes"][1:]] == [
        "before the cold start", "before the search", "after step 3",
    ]  # fmt: skip
    assert "50% → 90%" in html


def test_every_formula_says_what_came_of_it(html: str) -> None:
    rows = {row[1][0].split(" finding")[0].rstrip("0123456789"): [c[0] for c in row]
            for row in Page(html).tables["formulas"][1:]}  # fmt: skip
    assert rows["g1 + g"][2:4] == ["fails: names", "-0.800"]
    assert rows["0.5 * g3 + g"][2:4] == ["equal to 1.02", "0.625"]
    assert rows["2 * g"][2] == "equal to outcome only"
    assert rows["g"][2] in ("its run broke", "equal to 1.05", "equal to outcome only")
    assert rows["g1 * g"][4:] == ["veto product", "1e-12 to 1", "never falls", "0", "g2"]
    assert rows["g2 - g"][4:7] == ["inverted", "-1 to 1", "can fall"]
    assert rows["(nothing)"][2] == "fails: syntax"


def test_failures_structure_and_faults(html: str, run: Path) -> None:
    with closing(Store.open(run)) as store:
        facts = read_facts(store)
    groups = [f.group for f in facts.formulas if f.group]
    assert groups.count("linear or normalised") == 9
    assert [groups.count(g) for g in ("inverted", "conditional", "veto product")] == [1, 1, 1]
    tables = Page(html).tables
    # Failures and structure are stacks of the same kind of table, in this order.
    failures = [[c[0] for c in row] for row in tables["counts"][:4]]
    assert failures[0] == ["Step", "syntax", "names", "unsafe", "run broke", "of"]
    assert ["".join(row) for row in failures[1:]] == ["111006", "200116", "320006"]
    assert "WorkerDied: killed by signal 9" in html
    assert "more of &lt;it&gt;" in html
    assert "timeout" in html


@pytest.mark.parametrize(
    ("formula", "group"),
    [
        ("g1 + g2 / 3 - 0.1 * (1 - g3)", "linear or normalised"),
        ("sigmoid(g1 + 0.5 * g3)", "linear or normalised"),
        ("(g1 - group_mean(g1)) / (group_std(g1) + 0.1)", "linear or normalised"),
        ("g1 / (1 + g3)", "other"),
        ("g1 + sqrt(g2)", "other"),
        ("g1 + 0.1 * (g2 > 0.5)", "conditional"),
        ("g1 - group_mean(g1, where=g3 > 0.5)", "conditional"),
        ("g1 if g3 > 0.5 else 0", "veto product"),
        ("g1 * g4", "veto product"),
        ("0.5 - g1", "inverted"),
    ],
)
def test_structure_classes(formula: str, group: str) -> None:
    reward = derl_dsl.compile(formula, suite="derl-math")
    assert structure_class(reward.graph, reward.certificate.to_json()) == group


def test_intervals_of_shares() -> None:
    # R: prop.test(15, 50, correct = FALSE) and Newcombe's (1998) example of 56/70 and 48/80.
    assert wilson(15, 50) == pytest.approx((0.1910, 0.4375), abs=1e-4)
    assert wilson(0, 5)[0] == 0
    assert wilson(5, 5)[1] == 1
    assert change(48, 80, 56, 70) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    for low, high in ((0.3, 0.3), (-1, 0.7), (0.031, 0.032), (-1e6, 12), (0, 1)):
        found = ticks(low, high)
        assert found[0] <= low
        assert found[-1] >= high
        assert 2 <= len(found) <= 8


@pytest.mark.parametrize("status", ["running", "died", "interrupted", "failed"])
def test_an_unfinished_run_says_so(tmp_path: Path, status: str) -> None:
    store = begin(tmp_path / "run")
    propose(store, 1, GROUPS[0])
    propose(store, 2, GROUPS[1], scored=False)
    if status == "died":
        gone = subprocess.Popen(["true"])
        gone.wait()
        with store.db:
            store.db.execute("UPDATE run SET pid = ?", (gone.pid,))
    elif status != "running":
        error = KeyboardInterrupt() if status == "interrupted" else ValueError("no <memory>")
        with pytest.raises(type(error)), store.running():
            raise error
    store.close()
    text = write_report(tmp_path / "run").read_text("utf-8")
    page = Page(text)
    assert f'data-status="{status}"' in text
    assert "2 of 3 outer steps (5 formulas of the last one have no score yet)" in text
    assert "the final comparison has not begun" in text
    assert ("ValueError: no &lt;memory&gt;" in text) == (status == "failed")
    # The step that was cut off is no point of the curve: its mean would be of the failed alone.
    assert page.tables["rewards"][2][2][0] == "cut off: not all are scored"
    assert "mean of all, step 1:" in text
    assert "mean of all, step 2:" not in text


def test_a_run_that_broke_in_its_comparison_shows_what_there_is(tmp_path: Path) -> None:
    store = begin(tmp_path / "run")
    finish(store)
    store.fail_job(store.add_job("final", "best formula", 1003, "g1"), "MemoryError: no")
    with pytest.raises(RuntimeError), store.running():
        raise RuntimeError("a run of the comparison broke")
    store.close()
    text = write_report(tmp_path / "run").read_text("utf-8")
    assert "of the final comparison 6 of 7 runs are done" in text
    assert Page(text).tables["failures"][-1][-1][0] == "MemoryError: no"
    assert len(numbers(Page(text), "comparison", 2)) == 3  # two rewards and the axis


def test_a_run_that_did_nothing_has_a_page(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "run", "t", 0, {"meta": {"steps": 9}}, {})
    with pytest.raises(RuntimeError), store.running():
        raise RuntimeError("at once")
    text = write_report(tmp_path / "run").read_text("utf-8")
    assert Page(text).stack == []
    assert "No outer step was begun" in text
    assert "RuntimeError: at once" in text


def test_a_formula_whose_names_are_gone_is_unknown(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "run", "t", 0, {**CONFIG, "suite": "length"}, {})
    propose(store, 1, ["g1 + g2"])
    found = read_facts(store).formulas
    assert [f.group for f in found] == ["unknown"]


def test_tables_as_parquet(run: Path, db: sqlite3.Connection, tmp_path: Path) -> None:
    files = export(run, tmp_path / "out")
    names = {"run", "phases", "jobs", "proposals", "updates", "probes", "steps", "leaderboard",
             "starts"}  # fmt: skip
    assert names <= {path.stem for path in files}
    db.row_factory = sqlite3.Row
    for path in files:
        assert pq.read_table(path).to_pylist() == [
            dict(row) for row in db.execute(f"SELECT * FROM {path.stem}")
        ]
    schema = pq.read_schema(tmp_path / "out" / "updates.parquet")
    # A column without a single value has its declared type.
    assert {schema.field(n).type for n in ("kl", "loss")} == {schema.field("seconds").type}
    assert export(run, tmp_path / "out") == files


def cli(*arguments: str) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app, COMMANDS)
    return CliRunner().invoke(app, list(arguments))


def test_commands(run: Path, tmp_path: Path) -> None:
    done = cli("report", str(run), "-o", str(tmp_path / "a.html"))
    assert (done.exit_code, done.stdout) == (0, f"wrote {tmp_path / 'a.html'}\n")
    assert (tmp_path / "a.html").read_text().startswith("<!doctype html>")
    done = cli("runs", "export", str(run), "--to", str(tmp_path / "out"))
    assert done.exit_code == 0
    assert "proposals" in done.stdout
    assert (tmp_path / "out" / "proposals.parquet").is_file()


def test_mistakes_are_one_message(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    old = tmp_path / "old"
    old.mkdir()
    with closing(sqlite3.connect(old / "run.db")) as made:
        made.execute(f"PRAGMA user_version = {VERSION}")
    for said, *arguments in (
        ("no run here", "report", str(tmp_path)),
        ("cannot write", "report", str(run), "-o", str(tmp_path / "no" / "a.html")),
        ("is none of its tables and views", "report", str(old)),
        ("no run here", "runs", "export", str(tmp_path), "--to", str(tmp_path / "x")),
        ("cannot write the tables", "runs", "export", str(run), "--to", str(tmp_path / "file")),
        ("usage: derl-dsl runs", "runs", "export", str(run)),
    ):
        done = cli(*arguments)
        assert done.exit_code == 2, arguments
        assert said in done.stderr
        assert done.stderr.count("\n") == 1


_PROBE = """<!doctype html><iframe src=page.html style="width:WIDTHpx;height:900px"></iframe>
<pre></pre><script>
onload = () => {
  const page = document.querySelector("iframe").contentDocument;
  const rows = () => Array.from(page.querySelector("table.formulas").tBodies[0].rows);
  const column = () => rows().filter(r => !r.hidden).map(r => r.cells[3].dataset.v ?? null);
  const found = {
    wide: page.documentElement.scrollWidth,
    open: Array.from(page.querySelectorAll("details.folds")).some(d => d.open),
    shown: page.querySelector("output").textContent,
    paper: page.defaultView.getComputedStyle(page.body).backgroundColor};
  page.querySelectorAll("table.formulas th button")[3].click();
  found.sorted = column();
  const form = page.querySelector("form.controls");
  form.elements.status.value = "failed";
  form.dispatchEvent(new Event("input"));
  found.filtered = column();
  document.querySelector("pre").textContent = JSON.stringify(found);
};</script>"""


@pytest.mark.parametrize(("width", "scheme"), [(420, "dark"), (1280, "light")])
def test_in_chromium(run: Path, html: str, tmp_path: Path, width: int, scheme: str) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser",
                                                   "google-chrome"))), None)  # fmt: skip
    if browser is None:
        pytest.skip("no Chromium on this machine: the page was not opened in one")
    (tmp_path / "page.html").write_text(html)
    (tmp_path / "probe.html").write_text(_PROBE.replace("WIDTH", str(width)))
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
        f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=4000", "--dump-dom",
        f"--blink-settings=preferredColorScheme={0 if scheme == 'dark' else 1}",
        f"--window-size={width + 60},1000", (tmp_path / "probe.html").as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    match = re.search(r"<pre>(.*)</pre>", done.stdout)
    assert match, done.stderr
    found = json.loads(match[1])
    assert found["wide"] <= width
    assert found["open"] == (width > 640)
    assert found["shown"] == "18 of 18"
    assert found["paper"] == ("rgb(21, 23, 26)" if scheme == "dark" else "rgb(255, 255, 255)")
    with closing(Store.open(run)) as store:
        rewards = [r["meta_reward"] for r in store.rows("SELECT meta_reward FROM proposals")]
        failed = [r["meta_reward"] for r in store.rows(
            "SELECT meta_reward FROM proposals WHERE status = 'failed'")]  # fmt: skip
    known = sorted((r for r in rewards if r is not None), reverse=True)
    assert [float(v) for v in found["sorted"] if v is not None] == known
    assert found["sorted"][-1] is None
    assert [float(v) for v in found["filtered"]] == sorted(failed, reverse=True)
