"""The table of proposers: who may write the formulas of a search, and their sections."""

from __future__ import annotations

from dataclasses import dataclass, field

from derl_grammar.settings import setting

# Whose value may be sent to an endpoint: a config that names another variable would give it away.
KEY_VARIABLES = (
    "OPENAI_API_KEY", "OPENROUTER_API_KEY", "TOGETHER_API_KEY", "GROQ_API_KEY", "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY", "FIREWORKS_API_KEY", "VLLM_API_KEY",
)  # fmt: skip
KEY_PREFIX = "DERL_"
_HERE = "derl_trainers.outer.proposers"


@dataclass(frozen=True, slots=True)
class Kind:
    """A proposer: module and class, imported when it is asked for, and what it does."""

    place: str
    doc: str


PROPOSERS = {
    "grpo": Kind(f"{_HERE}.grpo:Grpo", "trains `[meta] model`"),
    "frozen": Kind(f"{_HERE}.frozen:Frozen", "only samples from it"),
    "prompted": Kind(f"{_HERE}.prompted:Prompted", "shows it what came of earlier formulas"),
    "evolution": Kind(f"{_HERE}.evolution:Evolution", "works on syntax trees"),
    "graph-rl": Kind(f"{_HERE}.graph_rl:GraphRL", "moves the weights of a small network of scores"),
    "graph-fit": Kind(f"{_HERE}.graph_fit:GraphFit", "fits them to what trained well"),
}


@dataclass(frozen=True, slots=True)
class PromptedSection:
    """`prompted`: a language model that sees past formulas and scores, and is never trained."""

    url: str = setting(
        "",
        "base of an OpenAI-compatible endpoint, e.g. `http://localhost:8000/v1`; "
        "empty = the untrained `[meta] model`",
    )
    model: str = setting("", "the endpoint's name of the model")
    key_variable: str = setting(
        "OPENAI_API_KEY",
        "environment variable with the endpoint's key, sent if it is set: a known provider's, "
        "or one that begins with DERL_",
    )
    timeout: float = setting(60.0, "seconds a request", least=0.1)
    tries: int = setting(4, "requests before an overloaded endpoint ends the run", least=1)
    history: int = setting(12, "best formulas so far, with their scores, that it sees", least=0)


@dataclass(frozen=True, slots=True)
class EvolutionSection:
    """`evolution`: mutation and crossover of syntax trees, parents chosen by tournament."""

    tournament: int = setting(3, "formulas drawn, of which the best is a parent", least=1)
    crossover: float = setting(0.4, "share of offspring from two parents", least=0, most=1)
    fresh: float = setting(0.1, "share of formulas drawn anew", least=0, most=1)


@dataclass(frozen=True, slots=True)
class GraphSection:
    """`graph-rl` and `graph-fit`: a small network over the scores, written as a formula."""

    sigma: float = setting(0.3, "standard deviation of the weights that are tried", least=0.01)
    learning_rate: float = setting(1.5, "`graph-rl`: of the means of the weights", least=0)
    rollouts: int = setting(256, "`graph-fit`: rollouts of the start policy to fit on", least=8)
    fit_steps: int = setting(200, "`graph-fit`: steps of Adam a fit", least=1)
    fit_starts: int = setting(4, "`graph-fit`: starts of a fit, of which the best counts", least=1)


@dataclass(frozen=True, slots=True)
class ProposerSection:
    """Who writes the formulas of a step."""

    kind: str = setting(
        "grpo",
        "; ".join(f"`{name}` {kind.doc}" for name, kind in PROPOSERS.items()),
        choices=tuple(PROPOSERS),
    )
    prompted: PromptedSection = field(default_factory=PromptedSection)
    evolution: EvolutionSection = field(default_factory=EvolutionSection)
    graph: GraphSection = field(default_factory=GraphSection)
