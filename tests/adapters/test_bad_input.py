"""`derl-dsl export` and its files where something is wrong: one sentence that says what to set.

A run never goes on with another reward than the one asked for: no file hides a module, no name is
one of a trainer's own rewards, a setting that is printed reads back.
"""

from __future__ import annotations

import asyncio
import doctest
import math
import os
import shlex
import tomllib
from pathlib import Path
from types import SimpleNamespace

import pytest

from derl_dsl.adapters import made_for as requirement
from derl_dsl.adapters import outputs, texts
from derl_dsl.adapters.export import Export, export
from derl_dsl.adapters.rows import Scorer, each, lowest, whole_groups
from derl_dsl.adapters.targets import TARGETS
from derl_dsl.score.reward import ColumnError
from tests.adapters.rewards import ALONE, GROUPED, build
from tests.adapters.test_export import COLUMNS, exported, run

OK = "# suite: math\nok = exact(completion, answer)\nreward = ok\n"


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ok.derl").write_text(OK)
    return tmp_path / "ok.derl"


def fails(code: int, *told: str) -> str:
    """The one line that the command says on its way out."""
    result = run(*told)
    assert result.exit_code == code, result.output
    (line,) = result.stderr.splitlines()
    assert "Traceback" not in result.output
    return line


def test_trainers_and_policies_that_there_are_none_of(file):
    assert "unknown trainer 'Verl'; did you mean verl? One of: trl," in fails(
        2, "ok.derl", "--for", "Verl"
    )
    assert "unknown trainer 'zzz'. One of: trl," in fails(2, "ok.derl", "--for", "zzz")
    for target in TARGETS.values():
        line = fails(2, "ok.derl", "--for", target.name, "--on-fault", "lowset")
        told = f"{target.title} can do with a fault: {', '.join(target.policies)}"
        assert f"'lowset' is no policy; {told}" in line


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my-reward.py", "its name is one of Python: my_reward.py"),
        ("class.py", "its name is one of Python: reward_class.py"),
        ("2nd.py", "its name is one of Python: reward_2nd.py"),
        ("reward.txt", "its name is one of Python: reward.py"),
        ("ok.derl", "its name is one of Python: ok.py"),
        ("json.py", "it would hide the module 'json' from verl: json_reward.py"),
        ("verl.py", "it would hide the module 'verl' from verl: verl_reward.py"),
        ("numpy.py", "it would hide the module 'numpy' from verl: numpy_reward.py"),
        ("mine.py", "it is there and is no exported reward; take another name, or delete it"),
        (".", "it is a folder; name the file in it: reward.py"),
        ("a\nb.py", "cannot write 'a\\nb.py': its path has characters that no setting can name"),
        ("a\udcff.py", "its path has characters that no setting can name"),
        ("a,b.py", "its path has characters that no setting can name"),
        ("none/ok.py", "No such file or directory"),
        ("ok.derl/ok.py", "Not a directory"),
    ],
)
def test_files_that_cannot_be_written(file, name, said):
    Path("mine.py").write_text("precious = 1\n")
    assert said in fails(2, "ok.derl", "--for", "verl", "-o", name)
    assert Path("mine.py").read_text() == "precious = 1\n"
    assert file.read_text() == OK


def test_a_folder_without_rights(file, monkeypatch):
    def refused(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("derl_dsl.cli.export.write_whole", refused)
    assert fails(2, "ok.derl", "--for", "verl", "-o", "a.py").endswith("a.py: Permission denied")
    Path("b.py").touch()
    may = os.access  # root may write what is read-only
    monkeypatch.setattr("os.access", lambda at, mode: mode != os.W_OK and may(at, mode))
    assert "b.py: it is read-only" in fails(2, "ok.derl", "--for", "verl", "-o", "b.py")


def test_an_exported_file_is_written_anew(file):
    for _ in range(2):
        assert run("ok.derl", "--for", "verl", "-o", "a.py").exit_code == 0
    assert Path("a.py").read_text().startswith("# A reward for verl")


@pytest.mark.parametrize("folder", ["plain", "with space", "it's=a {b}", 'q"uote\\'])
def test_printed_paths_read_back(file, folder):
    Path(folder).mkdir()
    at = str(Path(folder, "a.py").absolute())
    printed = {
        name: run("ok.derl", "--for", name, "-o", f"{folder}/a.py").stdout.partition("\n\n")[2]
        for name in ("verl", "verifiers", "openrlhf", "ms-swift")
    }
    told = tomllib.loads(printed["verifiers"])["env"]["taskset"]["task"]["rewards"]
    assert told == {"ok": {"fn": f"{at}:ok", "weight": 1.0}}
    assert shlex.split(printed["openrlhf"]) == ["--reward.remote_url", at]
    words = shlex.split(printed["ms-swift"])
    assert words[words.index("--external_plugins") + 1] == at
    path, *others = shlex.split(printed["verl"], comments=True)
    value = path.removeprefix("reward.custom_reward_function.path=")
    if value.startswith('"'):  # as Hydra reads it
        value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    assert value == at
    assert others[-1] == "+algorithm.gdpo_reward_keys=[ok]"


def test_a_fault_must_have_a_number_to_score(file):
    told = ("-e", "x", "-c", "x:number", "--for", "verl")
    assert "which has no bound: hold the reward with max(…)" in fails(2, *told)
    assert run(*told, "--on-fault", "raise").exit_code == 0
    long = run("-e", "-words(completion)", "-s", "math", "--for", "verl")
    assert long.exit_code == 0
    assert "a fault will score -1e+09: hold the reward with max(…)" in long.stderr


def test_the_version_that_is_here(file, monkeypatch):
    versions = {"verl": "0.8.1", "trl": "2.0.0.dev0"}
    monkeypatch.setattr(requirement.importlib.metadata, "version", versions.__getitem__)
    older = run("ok.derl", "--for", "verl")
    assert "verl 0.8.1 is here, older than verl 0.9, whose settings these are: " in older.stderr
    assert "pip install 'verl==0.9.*'" in older.stderr
    newer = run("ok.derl", "--for", "trl")
    assert "trl 2.0.0.dev0 is here, newer than TRL 1.16" in newer.stderr
    versions["verl"] = "0.9.7"
    assert run("ok.derl", "--for", "verl").stderr == ""


IMPORTING = ("skyrl-gym", "openenv", "atropos", "ms-swift", "nemo-gym", "nemo-rl", "torchtitan")


@pytest.mark.parametrize("target", IMPORTING)
def test_a_trainer_that_is_not_here_is_named(target, tmp_path):
    module = TARGETS[target].module
    if requirement.importlib.util.find_spec(module) is not None:
        pytest.skip(f"{module} is installed")
    with pytest.raises(ImportError, match="which is not installed here: ") as caught:
        exported(ALONE["sum"], target, tmp_path)
    told = f"this file is for {TARGETS[target].title} {TARGETS[target].version}, "
    assert str(caught.value).startswith(told)


def test_a_trainer_that_is_old_or_broken_is_named(monkeypatch):
    monkeypatch.setattr(requirement.importlib.metadata, "version", lambda _: "3.9.1")
    with (
        pytest.raises(ImportError, match=r"and ms-swift 3.9.1 is here: pip install 'ms-swift>=4"),
        requirement.made_for("ms-swift", "4.6", "ms-swift", "json"),
    ):
        raise ImportError("no orms")
    with (
        pytest.raises(ImportError, match=r"cannot be imported \(no orms\)"),
        requirement.made_for("ms-swift", "3.9", "ms-swift", "json"),
    ):
        raise ImportError("no orms")


def test_a_missing_column_says_where_it_comes_from(tmp_path):
    module = exported(ALONE["column"], "verl", tmp_path)
    with pytest.raises(ColumnError, match=r"no 'weight'; .* it comes from ground_truth where it"):
        module.compute_score("d", "5", "5")
    module = exported(ALONE["column"], "areal", tmp_path)
    with pytest.raises(ColumnError, match=r"no 'weight'; .* it comes from the dataset's columns"):
        module.reward("p", "5", [1], [2], answer="5")
    whole = Scorer(ALONE["column"], suite="math", columns=COLUMNS, others="the moon")
    with pytest.raises(ColumnError, match="it comes from the moon"):
        whole.score_rows([{"completion": "5", "answer": "5"}])


def test_a_list_that_is_no_column_of_the_call_is_refused():
    with pytest.raises(ColumnError, match="'answer' has 3 values for 2 completions"):
        each({"completion": ["5", "6"], "answer": ["5", "6", "7"]})


def test_groups_of_training_and_of_evaluation():
    assert whole_groups(list("aabb"), 4, 2) == list("aabb")
    with pytest.raises(ColumnError, match=r"groups of \[3\] completions instead of 4"):
        whole_groups(list("aaabbb"), 4, 2)


def test_no_name_is_a_reward_of_the_trainer_or_of_python(tmp_path):
    assert Export("len.derl").called == "len_"
    assert Export("made_for.derl").called == "made_for_"
    reward = build(ALONE["sum"])
    for target in ("skyrl-gym", "atropos", "ms-swift", "nemo-rl"):
        written = export(reward, TARGETS[target], Export("gsm8k_reward.derl", "math", COLUMNS))
        assert '"gsm8k_reward_derl"' in written  # Atropos cuts names that end in "reward"
        assert '"gsm8k_reward"' not in written
    slime = exported(ALONE["sum"], "slime", tmp_path, name="len")
    sample = SimpleNamespace(response="5", prompt="p", label="5", metadata={}, status=None)
    assert asyncio.run(slime.len_(None, sample))["failed"] == 0.0


def test_verl_gets_no_nan(tmp_path):
    text = (
        "ok = exact(completion, answer)\nfit = 2 * ok - 1\n"
        "part = ok if words(completion) > 3 else skip\nfloor = param(0.1, min=0, max=1)\n"
        "reward = fit + floor + default(part, 0)"
    )
    module = exported(text, "verl", tmp_path)
    failed = module.compute_score("d", "5", None)
    assert failed == {
        "score": -1.0, "acc": 0.0, "ok": 0.0, "fit": -1.0, "part": None, "floor": 0.1,
        "failed": 1.0,
    }  # fmt: skip
    # What does not apply somewhere, and what is a constant, is no advantage of GDPO.
    assert "gdpo_reward_keys=[ok,fit]" in Path(str(module.__file__)).read_text()
    assert lowest(build(text)) == {"ok": 0.0, "fit": -1.0}
    named = exported("score = exact(completion, answer)\nreward = 2 * score", "verl", tmp_path)
    assert "gdpo_reward_keys=[part_score]" in Path(str(named.__file__)).read_text()


def test_openrlhf_gets_an_outcome_for_what_failed(tmp_path):
    pytest.importorskip("torch")
    text = "ok = exact(completion, answer)\nreward = 2 * ok - 1"
    module = exported(text, "openrlhf", tmp_path)
    found = module.reward_func(["Q5"], ["Q"], [{"answer": None}])
    assert (found["rewards"].item(), found["scores"].item()) == (-1.0, 0.0)
    assert (found["extra_logs"]["ok"].item(), found["extra_logs"]["failed"].item()) == (0.0, 1.0)


STOPPED = "chars(completion) / 100"


def test_stop_tokens_are_no_part_of_a_completion(tmp_path):
    reward = build(STOPPED)
    expected = reward.score({"completion": ["12345"]}).values.tolist()
    said = "12345<|im_end|>"
    areal = exported(STOPPED, "areal", tmp_path)
    assert [areal.reward("p", said, [1], [2])] == expected
    sample = SimpleNamespace(response=said, prompt="p", label="5", metadata=None, status=None)
    slime = exported(STOPPED, "slime", tmp_path)
    assert [asyncio.run(slime.reward(None, sample))["score"]] == expected
    group = exported(STOPPED, "slime-group", tmp_path)
    assert asyncio.run(group.reward(None, [sample])) == expected
    pytest.importorskip("torch")
    openrlhf = exported(STOPPED, "openrlhf", tmp_path)
    found = openrlhf.reward_func([f"<s>Q{said}"], ["Q"], ["5"])
    assert found["rewards"].tolist() == pytest.approx(expected)
    assert openrlhf.reward_func([said], [""], ["5"])["rewards"].tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("5</s><pad><pad>", "5"),
        ("5<|eot_id|>", "5"),
        ("<|im_end|> 5", "<|im_end|> 5"),
        ("5 |>", "5 |>"),
        ("5 <|a b|>", "5 <|a b|>"),
        ("5 <|>", "5 <|>"),
        ("", ""),
        ("</s>" * 100_000, ""),
        ("<|" * 100_000 + "|>", "<|" * 100_000 + "|>"),
    ],
)
def test_what_is_a_stop_token(text, kept):
    assert texts.without_stop(text) == kept


def test_a_group_function_in_a_file_names_what_to_set(tmp_path):
    module = exported(GROUPED, "trl", tmp_path)
    with pytest.raises(ColumnError, match="say it once"):
        module.reward(prompts=["p"] * 4, completions=["5"] * 4, answer=["5"] * 4)


def test_an_empty_trajectory_and_values_of_another_type(tmp_path):
    module = exported(ALONE["column"], "verl", tmp_path)
    with pytest.raises(ColumnError, match=r"'weight' must be number\[0, 1\], but row 0 holds str"):
        module.compute_score("d", "5", "5", {"weight": "0.5"})
    found = module.compute_score("d", "5", "5", {"weight": math.nan})
    assert (found["score"], found["failed"]) == (0.0, 1.0)


def test_examples():
    for module in (requirement, outputs, texts):
        assert doctest.testmod(module).failed == 0
