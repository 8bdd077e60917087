"""Configs: what is read, and what is said about mistakes."""

from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest

from derl_trainers.settings import run as c
from derl_trainers.settings.page import page


def load(tmp_path: Path, text: str) -> c.RunConfig:
    path = tmp_path / "run.toml"
    path.write_text(text)
    return c.load_config(path)


def test_builtin_configs_load() -> None:
    assert {"demo", "smollm2"} <= set(c.builtin_configs())
    for name in c.builtin_configs():
        assert c.load_config(name).name == name


def test_values_reach_their_fields(tmp_path: Path) -> None:
    found = load(
        tmp_path, "seed = 3\n[inner]\nlearning_rate = 1\n[policy.tiny.styles]\ndirect = 0.5\n"
    )
    assert (found.seed, found.inner.learning_rate, found.policy.tiny.styles.direct) == (3, 1.0, 0.5)
    assert found.meta == c.MetaSection()


def test_a_config_survives_its_own_json() -> None:
    config = c.load_config("demo")
    assert c.parse_config(config.to_json()) == config


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sead = 1", "unknown key 'sead'; did you mean 'seed'?"),
        ("[inner]\nstep = 1", "unknown key 'step' in [inner]; did you mean 'steps'?"),
        ("[iner]\nsteps = 1", "unknown section [iner]; did you mean 'inner'?"),
        ("[policy.tiny.style]\ndirect = 1",
         "unknown section [policy.tiny.style]; did you mean 'styles'?"),
        ("[policy.styles]\ndirect = 1",
         "unknown section [policy.styles]; it belongs to [policy.tiny]"),
        ("[task]\nterms = 3", "unknown key 'terms' in [task]; it belongs to [task.arithmetic]"),
        ("[task]\nsize = 99", "the task is arithmetic; write [task.arithmetic] size"),
        ("[task]\ndata = 'a.jsonl'", "[task] data: is for data, and the task is arithmetic"),
        ("[task]\nname = 'gsm8k'", "[policy] model: 'tiny' cannot be taught here"),
        ("[task]\nname = 'rows'", "[task] data: name the file or the hub id of the rows"),
        ("[final]\nzzz = 1", "unknown key 'zzz' in [final]; known: confirm, seeds, steps"),
        ("inner = 3", "inner: expected a section [inner], not 3"),
        ("[inner]\nsteps = 2.5", "[inner] steps: expected a whole number, not 2.5"),
        ("[inner]\nsteps = true", "[inner] steps: expected a whole number, not True"),
        ("[inner]\nlearning_rate = '1'", "[inner] learning_rate: expected a number, not '1'"),
        ("[inner]\nlearning_rate = nan", "expected at least 0, not nan"),
        ("[inner]\nlearning_rate = inf", "expected a finite number, not inf"),
        ("[inner]\nsteps = 0", "[inner] steps: expected at least 1, not 0"),
        ("[meta]\ncold_valid = 2", "[meta] cold_valid: expected at most 1, not 2"),
        ("[meta]\npenalty = 'grade'", "expected 'graded' or 'flat', not 'grade'; did you mean"),
        ("[inner]\nupdates = 3", "[inner] updates: expected a divisor of prompts x"),
        ("[policy.tiny]\nhidden_size = 12",
         "[policy.tiny] hidden_size: expected a multiple of 2 x heads"),
        ("suite = 'derl-maths'", "unknown suite 'derl-maths'; did you mean 'derl-math'?"),
        ("suite = 'derl-agent'", "reads 'solved', which arithmetic does not give"),
        ("name = 'a/b'", "name: expected letters"),
        ("primitives = 'x.py'", "primitives: expected a list of texts"),
        ("primitives = [1]", "primitives: expected a list of texts"),
        ("[sandbox]\nengine = 'mony'", "not 'mony'; did you mean 'monty'?"),
        ("[sandbox]\ndeadline = 0", "[sandbox] deadline: expected at least 0.01, not 0"),
        ("[policy.tiny.styles]\n" + "\n".join(f"{f.name} = 0" for f in fields(c.StylesSection)),
         "[policy.tiny.styles]: expected one share above 0"),
        ("seed = ", "not valid TOML"),
    ],
)  # fmt: skip
def test_mistakes_name_file_section_and_key(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(c.ConfigError) as error:
        load(tmp_path, text)
    assert said in str(error.value)
    assert str(error.value).startswith(str(tmp_path / "run.toml"))
    assert "\n" not in str(error.value)


def test_primitives_lie_beside_the_config_and_are_loaded(tmp_path: Path) -> None:
    from derl_dsl.elaborate.custom import REGISTRY, SourceFile

    (tmp_path / "mine.py").write_text("def mine(completion: text) -> bool:\n    return True\n")
    try:
        config = load(
            tmp_path, "primitives = ['mine.py']\n[sandbox]\ndeadline = 0.5\nworkers = 1\n"
        )
        assert config.primitives == (str(tmp_path / "mine.py"),)
        (origin,) = c.load_custom(config)
        assert isinstance(origin, SourceFile)
        assert (origin.settings.deadline, origin.settings.workers) == (0.5, 1)
        assert list(REGISTRY) == ["mine"]
        # What the meta-optimizer starts with calls them, and the suite's names as before.
        from derl_trainers.outer.cold_start import cold_start_formulas
        from derl_trainers.outer.prompts import instruction

        formulas = cold_start_formulas("derl-math", 60, 0)
        assert any("mine(" in formula for formula in formulas)
        assert any("g1" in formula for formula in formulas)
        assert "mine(completion: text) -> bool" in instruction("derl-math")
        with pytest.raises(c.ConfigError, match=r"primitives: cannot read .*other\.py"):
            c.load_custom(load(tmp_path, "primitives = ['other.py']"))
    finally:
        REGISTRY.clear()


def test_a_config_extends_another(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text(
        "extends = 'demo'\nseed = 4\n[meta]\nsteps = 2\n[task.arithmetic]\nterms = 3\n"
    )
    found = load(tmp_path, "extends = 'base.toml'\nname = 'x'\n[meta]\nformulas = 5\n")
    demo = c.load_config("demo")
    assert (found.name, found.seed, found.meta.steps, found.meta.formulas) == ("x", 4, 2, 5)
    assert found.task.arithmetic == replace(demo.task.arithmetic, terms=3)
    assert (found.final, found.suite) == (demo.final, demo.suite)
    for text, said in (
        ("extends = 'run.toml'", "extends: comes back to itself"),
        ("extends = 3", "extends: expected a built-in name or a file, not 3"),
        ("extends = 'dem'", "no such config file; did you mean 'demo'?"),
    ):
        with pytest.raises(c.ConfigError) as error:
            load(tmp_path, text)
        assert said in str(error.value)


@pytest.mark.parametrize(
    ("name", "suite"),
    [("ablation-drop-g3", "derl-math[-g3]"), ("ablation-flip-g3", "derl-math[~g3]")],
)
def test_an_ablation_differs_from_the_demo_in_one_thing(name: str, suite: str) -> None:
    assert c.load_config(name) == replace(c.load_config("demo"), name=name, suite=suite)


def test_settings_of_the_command_line_go_on_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = {"task.data": "train.jsonl", "inner.steps": 3, "task.test": "openai/gsm8k", "seed": 2}
    found = c.load_config("gsm8k", flags)
    assert (found.seed, found.inner.steps) == (2, 3)
    # Found again when the run is resumed from elsewhere.
    assert (found.task.data, found.task.test) == (str(tmp_path / "train.jsonl"), "openai/gsm8k")
    assert c.wants_hub(found)
    for name in ("train.jsonl", "test.jsonl"):
        (tmp_path / name).touch()
    assert not c.wants_hub(c.load_config("gsm8k", {**flags, "task.test": "test.jsonl"}))
    assert not c.wants_hub(c.load_config("demo"))
    assert c.wants_hub(c.load_config("demo", {"policy.model": "a/b"}))
    with pytest.raises(c.ConfigError, match=r"unknown key 'stepps' in \[inner\]"):
        c.load_config("demo", {"inner.stepps": 1})


def test_missing_config_says_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(c.ConfigError, match="did you mean 'demo'"):
        c.load_config("deno")
    with pytest.raises(c.ConfigError, match=r"built in: .*demo, "):
        c.load_config(tmp_path / "other.toml")
    with pytest.raises(c.ConfigError, match="cannot be read"):
        c.load_config(tmp_path)


def test_every_setting_is_documented_and_within_its_own_limits() -> None:
    text = page()
    kinds = [c.RunConfig, *(k for k in vars(c).values() if str(k).endswith("Section'>"))]
    assert len(kinds) > 9  # found at all
    for kind in kinds:
        assert is_dataclass(kind)
        for f in fields(kind):
            if f.metadata:
                assert f"| `{f.name}` |" in text
                assert f.metadata["doc"]
    assert c.parse_config(c.RunConfig().to_json()) == c.RunConfig()
