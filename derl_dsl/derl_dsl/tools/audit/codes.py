"""The codes of audits (6xx).

Each example is a program, then rows; `× n` repeats a row. `ok` is the outcome, `id` the group.
"""

from derl_grammar.diagnostics import Code, Severity, define


def _audit(
    code: str,
    title: str,
    severity: Severity,
    *,
    why: str,
    passed: str,
    fix: str,
    bad: str,
    good: str,
) -> Code:
    FIXES[code] = fix
    PASSED[code] = passed
    return define(
        code,
        title,
        stage="degenerate",
        severity=severity,
        why=why,
        bad=bad,
        good=good,
        suite=None,
    )


# What to do about a finding, by code.
FIXES: dict[str, str] = {}
# What holds where nothing was found, by code.
PASSED: dict[str, str] = {}

STUCK_COMPONENT = _audit(
    "DRL601",
    "component never varies",
    "warning",
    why="A component that is the same in every row shifts the reward and teaches nothing.",
    passed="component varies",
    fix="drop the component, or find rollouts in which it differs",
    bad='ok + 0.1 * boxed\n{"ok": 1, "boxed": 0}\n{"ok": 0, "boxed": 0}',
    good='ok + 0.1 * boxed\n{"ok": 1, "boxed": 1}\n{"ok": 0, "boxed": 0}',
)
STUCK_REWARD = _audit(
    "DRL602",
    "reward never varies",
    "error",
    why="Equal rewards have zero advantage: on rollouts like these nothing is learned.",
    passed="reward varies",
    fix="find the factor or branch that switches the rest off",
    bad='ok * boxed\n{"ok": 1, "boxed": 0}\n{"ok": 0, "boxed": 1}',
    good='ok + boxed\n{"ok": 1, "boxed": 0}\n{"ok": 0, "boxed": 0}',
)
FLAT_GROUPS = _audit(
    "DRL603",
    "groups all equal",
    "error",
    why="A group whose rewards are all equal has zero advantage: its rollouts were for nothing.",
    passed="most groups vary",
    fix="take problems of middling difficulty, more rollouts a group, or a finer reward",
    bad='1 * ok\n{"id": 1, "ok": 1}\n{"id": 1, "ok": 1}\n{"id": 2, "ok": 0}\n{"id": 2, "ok": 0}',
    good='1 * ok\n{"id": 1, "ok": 1}\n{"id": 1, "ok": 0}\n{"id": 2, "ok": 0}\n{"id": 2, "ok": 0}',
)
CONTRARY = _audit(
    "DRL604",
    "pays for being wrong",
    "warning",
    why="The reward rises with a component that is higher where the outcome is worse.",
    passed="pays for being right",
    fix="turn its sign, pay it to right rollouts only, or make its share small",
    bad="ok + 0.5 * long\n"
    '{"ok": 1, "long": 0}  × 3\n{"ok": 1, "long": 1}\n{"ok": 0, "long": 1}  × 4',
    good="ok - 0.5 * long\n"
    '{"ok": 1, "long": 0}  × 3\n{"ok": 1, "long": 1}\n{"ok": 0, "long": 1}  × 4',
)
INVERTED = _audit(
    "DRL605",
    "outcome not followed",
    "error",
    why="Training raises the reward; what the reward does not follow will not rise with it.",
    passed="follows the outcome",
    fix="make the outcome the largest term and check its sign",
    bad='1 - ok\n{"ok": 1}  × 3\n{"ok": 0}  × 3',
    good='1 * ok\n{"ok": 1}  × 3\n{"ok": 0}  × 3',
)
MISORDERED = _audit(
    "DRL606",
    "wrong outscores right",
    "error",
    why="In such a pair the wrong rollout gets the larger advantage, so it is the one reinforced.",
    passed="right outscores wrong",
    fix="keep all bonuses together below what being right pays, or pay them only to right ones",
    bad='0.2 * ok + 0.8 * long\n{"id": 1, "ok": 1, "long": 0.1}\n{"id": 1, "ok": 0, "long": 0.9}',
    good='0.8 * ok + 0.2 * long\n{"id": 1, "ok": 1, "long": 0.1}\n{"id": 1, "ok": 0, "long": 0.9}',
)
SATURATED = _audit(
    "DRL607",
    "component at its bound",
    "warning",
    why="A component that nearly always sits at one end tells almost no rollout from another.",
    passed="within its bounds",
    fix="move the bounds of its clip or ramp to where the rollouts are",
    bad='size = clip(n / 200, 0, 1)\nreward = ok + size\n{"ok": 1, "n": 900}  × 40\n'
    '{"ok": 0, "n": 100}',
    good='size = clip(n / 1000, 0, 1)\nreward = ok + size\n{"ok": 1, "n": 900}  × 20\n'
    '{"ok": 0, "n": 100}  × 20',
)
OUTLIERS = _audit(
    "DRL608",
    "outliers",
    "warning",
    why="A few extreme values take most of a component's range, and of its group's spread.",
    passed="no outliers",
    fix="clip the component to where nearly all of its values lie",
    bad='n\n{"n": 1}  × 4\n{"n": 2}  × 4\n{"n": 3}  × 4\n{"n": 5000}',
    good='clip(n, 0, 10)\n{"n": 1}  × 4\n{"n": 2}  × 4\n{"n": 3}  × 4\n{"n": 8}',
)
NOT_APPLICABLE = _audit(
    "DRL609",
    "rows without a reward",
    "error",
    why="A row without a reward is left out of training, whatever it could have taught.",
    passed="every row has a reward",
    fix="give the input a value in those rows, or say what they are worth with default(…)",
    bad='ok + n\n{"ok": 1, "n": 3}\n{"ok": 0, "n": null}',
    good='ok + n\n{"ok": 1, "n": 3}\n{"ok": 0, "n": 0}',
)
FAULTS = _audit(
    "DRL610",
    "faults while scoring",
    "error",
    why="An input broke its declared type or range; its rows score nothing.",
    passed="no faults",
    fix="fix the data, or declare the type that the column really has",
    bad='ok + n\n{"ok": 1, "n": 3}\n{"ok": 0, "n": Infinity}',
    good='ok + n\n{"ok": 1, "n": 3}\n{"ok": 0, "n": 4}',
)
LENGTH = _audit(
    "DRL611",
    "length beats the outcome",
    "error",
    why="A reward that goes with length more than with being right trains length.",
    passed="outcome beats length",
    fix="cap or drop what grows with length, or compare lengths only among right ones",
    bad="0.1 * ok + n\n"
    '{"ok": 1, "n": 2, "completion": "ab"}  × 2\n{"ok": 0, "n": 9, "completion": "abcdefghi"}\n'
    '{"ok": 1, "n": 8, "completion": "abcdefgh"}\n{"ok": 0, "n": 1, "completion": "a"}  × 2',
    good="10 * ok + 0.1 * n\n"
    '{"ok": 1, "n": 2, "completion": "ab"}  × 2\n{"ok": 0, "n": 9, "completion": "abcdefghi"}\n'
    '{"ok": 1, "n": 8, "completion": "abcdefgh"}\n{"ok": 0, "n": 1, "completion": "a"}  × 2',
)
ONE_OUTCOME = _audit(
    "DRL612",
    "outcome never varies",
    "warning",
    why="Where all rollouts are right, or all wrong, nothing shows what the reward prefers.",
    passed="outcome varies",
    fix="audit on rollouts of which some are right and some are wrong",
    bad='ok + n\n{"ok": 1, "n": 3}\n{"ok": 1, "n": 4}',
    good='ok + n\n{"ok": 1, "n": 3}\n{"ok": 0, "n": 4}',
)
