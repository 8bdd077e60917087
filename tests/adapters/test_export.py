"""`derl-dsl export`: files that import anywhere, score as the reward does, and refuse aloud.

Files whose trainer needs no package of its own are called here as that trainer calls them; the
others run in `make conformance`, through the trainer's own loader.
"""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from typer.testing import CliRunner

import derl_dsl
from derl_dsl.adapters.export import Export, export, problems
from derl_dsl.adapters.rows import FaultError, Scorer
from derl_dsl.adapters.targets import TARGETS
from derl_dsl.cli import app as cli
from derl_runtime.sandbox import Refused
from tests.adapters.rewards import ALONE, GROUPED, build, rows

ROWS = rows()
COLUMNS = {"weight": "number[0, 1]"}
WHAT = Export("reward.derl", "math", COLUMNS)
SAMPLES = [dict(zip(ROWS, values, strict=True)) for values in zip(*ROWS.values(), strict=True)]


def load(text: str, folder: Path, name: str = "exported") -> ModuleType:
    file = folder / f"{name}.py"
    file.write_text(text, "utf-8")
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # what pickles by name is found
    spec.loader.exec_module(module)
    return module


def exported(text: str, target: str, folder: Path, **more) -> ModuleType:
    what = Export("reward.derl", "math", COLUMNS, **more)
    return load(export(build(text), TARGETS[target], what), folder)


@pytest.fixture(params=ALONE.values(), ids=ALONE.keys())
def text(request):
    return request.param


def by_verl(module, samples):
    return [
        module.compute_score(
            data_source="gsm8k", solution_str=s["completion"], ground_truth=s["answer"],
            extra_info={"weight": s["weight"], "num_turns": None},
        )["score"]
        for s in samples
    ]  # fmt: skip


def by_trl(module, samples):
    columns = {name: [s[name] for s in samples] for name in samples[0]}
    return module.reward(
        prompts=columns.pop("prompt"), completions=columns.pop("completion"),
        completion_ids=None, **columns,
    )  # fmt: skip


def by_openrlhf(module, samples):
    pytest.importorskip("torch")
    found = []
    for s in samples:
        label = {"answer": s["answer"], "weight": s["weight"]}
        query = f"<s>{s['prompt']}{s['completion']}"
        out = module.reward_func([query], [s["prompt"]], [label])
        assert 0 <= out["scores"].item() <= 1
        found.append(out["rewards"].tolist()[0])
    return found


def sample_of(s):
    status = SimpleNamespace(value="completed")
    return SimpleNamespace(
        response=s["completion"], prompt=s["prompt"], label=s["answer"],
        metadata={"weight": s["weight"]}, status=status,
    )  # fmt: skip


def by_slime(module, samples):
    return [asyncio.run(module.reward(None, sample_of(s)))["score"] for s in samples]


def by_areal(module, samples):
    score = pickle.loads(pickle.dumps(module.reward))
    return [
        score(s["prompt"], s["completion"], [1], [2], answer=s["answer"], weight=s["weight"])
        for s in samples
    ]


BY_HAND = {
    "trl": by_trl,
    "trl-async-grpo": by_trl,
    "verl": by_verl,
    "openrlhf": by_openrlhf,
    "slime": by_slime,
    "miles": by_slime,
    "areal": by_areal,
}


@pytest.mark.parametrize("target", BY_HAND)
def test_the_same_numbers(text, target, tmp_path):
    found = BY_HAND[target](exported(text, target, tmp_path), SAMPLES)
    expected = build(text).score(ROWS).values.tolist()
    assert len(set(expected)) > 3
    # OpenRLHF's protocol is torch's float32.
    assert found == (pytest.approx(expected, abs=1e-6) if target == "openrlhf" else expected)


@pytest.mark.parametrize("target", TARGETS)
def test_a_file_is_python_and_says_what_it_is(target):
    reward = build(ALONE["sum"])
    written = export(reward, TARGETS[target], WHAT)
    ast.parse(written)
    assert reward.key in written
    assert "never punishes being right" in written
    assert f"# Settings of {TARGETS[target].title} {TARGETS[target].version}" in written
    assert not [word for word in ("@NAME@", "@FILE@", "@CLASS@", "@PARTS@") if word in written]


HOSTILE = [
    "ok = contains(completion, \"'''\")",
    'ok = contains(completion, "\\"\\"\\"")',
    'ok = contains(completion, "</script>")',
    "ok = boxed(completion)  # \"\"\" ''' \\ \\N{DASH} \\x00",
    "ok = boxed(completion)  # \u202e reversed \u2028 line",
    'ok = ends_with(completion, "\\\\")',
]


@pytest.mark.parametrize("line", HOSTILE)
@pytest.mark.parametrize(
    "path", ['a"""b.derl', "x\nimport os.derl", "C:\\new\\reward.derl", "é.derl"]
)
def test_texts_and_names_cannot_leave_the_file(line, path, tmp_path):
    reward = derl_dsl.compile(f"{line}\nreward = ok + 1", suite="math")
    written = export(reward, TARGETS["verl"], Export(path, "math"))
    before = set(sys.modules)
    module = load(written, tmp_path, "hostile")
    assert "os" in before  # nothing of the path ran: it stands in a comment, escaped
    assert "\nimport os.derl" not in written
    samples = ["\"\"\" ''' </script> \\", "\\boxed{1}"]
    expected = reward.score({"completion": samples}).values.tolist()
    assert [module.compute_score("d", s, "1")["score"] for s in samples] == expected
    assert reward.text == module.REWARD


@pytest.mark.parametrize("line", HOSTILE)
@pytest.mark.parametrize("target", TARGETS)
def test_no_text_leaves_the_literal_of_any_file(target, line):
    """Every statement is the one of a harmless reward's file, but for the literal itself."""
    harmless, hostile = (
        ast.parse(export(derl_dsl.compile(text, suite="math"), TARGETS[target], what))
        for text, what in (
            ("ok = boxed(completion)\nreward = ok + 1", Export("a.derl", "math")),
            (f"{line}\nreward = ok + 1", Export('a\n"""\nimport os.derl', "math", name="a")),
        )
    )
    for tree in (harmless, hostile):
        (literal,) = (
            n
            for n in tree.body
            if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "REWARD"
        )
        assert isinstance(literal.value, ast.Constant)
        tree.body.remove(literal)
    assert ast.dump(harmless) == ast.dump(hostile)


def test_names_are_names():
    names = {"My reward.derl": "my_reward", "2nd.derl": "reward_2nd", "class.derl": "class_",
             "é.derl": "reward", "/a/b/len_v2.derl": "len_v2", "scorer": "scorer_"}  # fmt: skip
    assert {path: Export(path).called for path in names} == names


def test_what_cannot_be_carried_is_refused():
    cases = {
        GROUPED: "DRL801",
        "exact(completion, answer) + progress": "DRL802",
        "exact(completion, answer) if boxed(completion) else skip": "DRL803",
        "exact(completion, answer)": None,
    }
    for text, code in cases.items():
        reward = build(text)
        for target in TARGETS.values():
            carried = {None: True, "DRL801": target.groups, "DRL802": target.progress,
                       "DRL803": target.skips}[code]  # fmt: skip
            found = [d.code for d in problems(reward, target)]
            assert found == ([] if carried else [code]), (target.name, text)
            if not carried:
                with pytest.raises(ValueError, match=r"group|progress|applicable"):
                    export(reward, target, WHAT)
    (found,) = problems(build(GROUPED), TARGETS["verl"])
    assert (found.line, found.column) == (2, 21)
    (found,) = problems(build(GROUPED), TARGETS["slime"])
    assert "slime-group" in found.hints[0]


def test_step_rewards_are_refused_where_a_trainer_takes_none():
    reward = derl_dsl.compile("steps = gain(scores)\nreward = solved", suite="agent")
    assert [n for n, t in TARGETS.items() if t.steps] == ["openenv-trajectory", "areal-agent"]
    for target in TARGETS.values():
        if target.steps:
            assert not problems(reward, target)
            continue
        (found,) = problems(reward, target)
        assert "openenv-trajectory, areal-agent" in found.hints[0]
        assert (found.code, found.line) == ("DRL804", 1)
        assert target.title in found.message
        with pytest.raises(ValueError, match="`steps` is one a step"):
            export(reward, target, WHAT)


def test_an_agent_of_areal_gets_a_reward_a_completion(tmp_path):
    columns = {"scores": "list[number[0, 1]]", "solved": "bool"}
    reward = derl_dsl.compile("steps = 0.5 * scores\nreward = 2 * solved", columns=columns)
    text = export(reward, TARGETS["areal-agent"], Export("r.derl", columns=columns))
    module = load(text, tmp_path, "for_agents")
    given = {"scores": [0.5, 1.0], "solved": True}
    assert asyncio.run(module.r(["a", "b"], **given)) == {"a": 0.25, "b": 2.5}
    with pytest.raises(FaultError, match="2 step rewards for 3 steps"):
        asyncio.run(module.r(["a", "b", "c"], **given))
    with pytest.raises(FaultError, match="could not be computed"):
        asyncio.run(module.r(["a", "b"], scores=None, solved=True))
    whole = export(build("1 * exact(completion, answer)"), TARGETS["areal-agent"], WHAT)
    module = load(whole, tmp_path, "for_agents")
    assert asyncio.run(module.reward(["a", "b"], completion="5", answer="5")) == {"b": 1.0}


@pytest.mark.parametrize("code", ["DRL801", "DRL802", "DRL803", "DRL804"])
def test_examples_of_the_codes(code):
    from derl_grammar.diagnostics import CODES

    for text, expected in ((CODES[code].bad, [code]), (CODES[code].good, [])):
        reward = derl_dsl.compile(text, suite=CODES[code].suite)
        assert [d.code for d in problems(reward, TARGETS["verl"])] == expected


def test_a_fault_is_what_the_policy_says_and_never_0():
    text = "exact(completion, answer) - 2"
    lowest, raising = (Scorer(text, suite="math", on_fault=p) for p in ("lowest", "raise"))
    assert lowest.score({"completion": "5", "answer": "5"}).value == -1.0
    missing = {"completion": "5", "answer": None}
    found = lowest.score(missing)
    assert (found.value, found.failed) == (-2.0, True)
    with pytest.raises(FaultError, match="missing in"):
        raising.score(missing)
    skipping = Scorer(text, suite="math", on_fault="skip")
    assert skipping.score(missing).value is None
    with pytest.raises(derl_dsl.score.reward.ColumnError, match="no 'answer'; it has: completion"):
        lowest.score({"completion": "5"})
    with pytest.raises(ValueError, match="unknown policy"):
        Scorer(text, on_fault="zero")
    again = pickle.loads(pickle.dumps(lowest))
    assert again.score(missing).value == -2.0


def test_verl_gets_what_its_filters_read(tmp_path):
    module = exported("score = exact(completion, answer)\nreward = score + 1", "verl", tmp_path)
    found = module.compute_score("d", "5", {"answer": "5"}, None)
    assert found == {"score": 2.0, "acc": 1.0, "part_score": 1.0, "failed": 0.0}
    failed = module.compute_score("d", "5", None)
    assert (failed["score"], failed["failed"]) == (1.0, 1.0)


def by_verifiers(module, samples):
    found = []
    for s in samples:
        said = SimpleNamespace(content=s["completion"])
        trace = SimpleNamespace(
            assistant_messages=[said], root_reply=s["completion"], is_truncated=False, info={},
            record_metric=lambda name, part: None,
        )  # fmt: skip
        task = SimpleNamespace(prompt="p", model_dump=lambda s=s: {"answer": s["answer"]})
        found.append(asyncio.run(module.reward(task, trace)))
    return found


# Rows that cost a worker its time each. Three in a row once put the verdict under quarantine.
TOWERS = [{"completion": rf"\boxed{{2^{{3^{{{k}}}}}}}", "answer": "42"} for k in (2005, 2006, 2007)]


@pytest.mark.parametrize("by", [by_verl, by_verifiers], ids=["verl", "verifiers"])
def test_a_right_row_after_three_that_time_out_is_right(by, tmp_path):
    text = "math_equal(completion, answer) - 0.25"
    what = Export("reward.derl", "verify")
    reward = derl_dsl.compile(text, suite="verify")
    module = load(export(reward, TARGETS[by.__name__.removeprefix("by_")], what), tmp_path)
    right = {"completion": r"so \boxed{\frac{84}{2}}", "answer": "42"}
    samples = [{**s, "weight": 0} for s in (*TOWERS, right)]
    assert by(module, samples) == [-0.25, -0.25, -0.25, 0.75]


def test_one_file_can_have_each_policy(tmp_path):
    raising = exported("exact(completion, answer)", "verl", tmp_path, on_fault="raise")
    with pytest.raises(FaultError):
        raising.compute_score("d", "5", None)
    with pytest.raises(ValueError, match="verl cannot skip what fails; it can: lowest, raise"):
        exported("exact(completion, answer)", "verl", tmp_path, on_fault="skip")


def test_openrlhf_needs_its_prompt(tmp_path):
    pytest.importorskip("torch")
    module = exported("exact(completion, answer)", "openrlhf", tmp_path)
    with pytest.raises(FaultError, match="lacks its prompt"):
        module.reward_func(["5"], ["Q: 2+3?"], ["5"])
    brace = module.reward_func(["Q{1}"], ["Q"], ["{1}"])
    assert brace["rewards"].tolist() == [1.0]  # a gold that begins with a brace is a gold


def right(samples):
    columns = {name: [s[name] for s in samples] for name in ROWS}
    return (
        derl_dsl.compile("exact(completion, answer)", suite="math").score(columns).values.tolist()
    )


def test_whole_groups_of_slime_and_tinker_and_art(tmp_path):
    reward = build(GROUPED)
    first = next(k for k in range(0, 60, 4) if len(set(right(SAMPLES[k : k + 4]))) > 1)
    group_of = SAMPLES[first : first + 4]
    columns = {name: [s[name] for s in group_of] for name in ROWS}
    expected = reward.score(columns, group_size=4).values.tolist()
    slime = exported(GROUPED, "slime-group", tmp_path)
    samples = [sample_of(s) for s in group_of]
    assert asyncio.run(slime.reward(None, samples)) == expected

    tinker = exported(GROUPED, "tinker", tmp_path)

    class Inner:
        async def make_envs(self):
            return [SimpleNamespace(columns=lambda s=s: s) for s in group_of]

        def logging_tags(self):
            return ["math"]

    builder = tinker.Reward(Inner())
    envs = asyncio.run(builder.make_envs())
    found = asyncio.run(builder.compute_group_rewards([None] * 4, envs))
    assert [value for value, _ in found] == expected
    assert found[0][1]["failed"] == 0.0

    art = exported(GROUPED, "art", tmp_path)
    made = [
        SimpleNamespace(
            messages=lambda s=s: [{"role": "assistant", "content": s["completion"]}],
            metadata={"answer": s["answer"]}, metrics={}, reward=0.0,
        )
        for s in group_of
    ]  # fmt: skip
    group = SimpleNamespace(trajectories=made)
    kept = asyncio.run(art.reward(group))
    assert [t.reward for t in kept.trajectories] == expected


def test_async_grpo_logs_parts_and_takes_each_call_for_a_group(tmp_path, caplog):
    module = exported(GROUPED, "trl-async-grpo", tmp_path)
    score = pickle.loads(pickle.dumps(module.reward))
    with caplog.at_level("INFO", "derl_dsl.adapters.rows"):
        found = by_trl(SimpleNamespace(reward=score), SAMPLES[:4])
    assert found == build(GROUPED).score(
        {n: v[:4] for n, v in ROWS.items()}, group_size=4
    ).values.tolist()  # fmt: skip
    assert "reward parts/ok" in caplog.text


def run(*told: str):
    cli.register(cli.app, cli.COMMANDS)
    return CliRunner().invoke(cli.app, ["export", *told])


def test_the_command_reports_like_check(tmp_path):
    path = tmp_path / "r.derl"
    path.write_text(GROUPED)
    result = run(str(path), "--for", "verl", "-s", "math")
    assert result.exit_code == 1
    assert "error DRL801: group_mean needs a group" in result.stderr
    result = run("-e", "g1 + g9", "--for", "verl", "-s", "derl-math")
    assert result.exit_code == 1
    assert "DRL101" in result.stderr
    assert run("-e", "g1", "--for", "verl", "-s", "derl-math", "-o", str(tmp_path)).exit_code == 2
    result = run("-e", "g1", "--for", "verll", "-s", "derl-math")
    assert result.exit_code == 2
    assert "did you mean verl?" in result.stderr
    result = run("-e", "g1", "--for", "verl", "-s", "derl-math", "--on-fault", "skip")
    assert result.exit_code == 2
    assert "verl can do with a fault: lowest, raise" in result.stderr


def test_the_command_prints_the_settings(tmp_path):
    (tmp_path / "short.derl").write_text(
        "# suite: math\nok = exact(completion, answer)\nreward = ok"
    )
    out = tmp_path / "short.py"
    result = run(str(tmp_path / "short.derl"), "--for", "verl", "-o", str(out))
    assert result.exit_code == 0, result.output
    assert f"reward.custom_reward_function.path={out}" in result.stdout
    assert "algorithm.gdpo_reward_keys=[ok]" in result.stdout
    listed = run("--for", "list")
    assert listed.exit_code == 0
    assert "skyrl-gym" in listed.stdout


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
        text = export(reward, TARGETS["verl"], Export("r.derl", columns=columns))
    finally:
        derl_dsl.elaborate.custom.REGISTRY.clear()
    source.unlink()
    (tmp_path / "for_verl.py").write_text(text)
    call = "import for_verl; print(for_verl.compute_score('d', 'please', '5')['score'])"
    told = [sys.executable, "-c", call]
    found = subprocess.run(told, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert found.stdout == "0.5\n"
