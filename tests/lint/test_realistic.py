"""Rewards that people would write, with the findings that a reviewer would make.

The checker is held to both: what it says beyond them is a false alarm, what it keeps to itself is
missed. Hints of severity info count as well.
"""

from __future__ import annotations

from derl_dsl.checker import check_source
from derl_dsl.elaborate.scope import build_scope
from derl_grammar.spans import Source

COLUMNS = {
    "ok": "bool",
    "part": "number[0, 1]",
    "fmt": "bool",
    "cites": "number[0, 1]",
    "style": "number[0, 1]",
    "n": "number{0, 1, 2, 3, 4, 5}",
    "words_": "number[0, 1000000000]",
    "steps": "list[number[0, 1]]",
    "flags": "list[bool]",
    "turns": "number[1, 60]",
    "judge": "number[0, 10]",
}
# The reward, and the codes of lints (5xx) that are right about it.
REWARDS: dict[str, str] = {
    "ok": "",
    "ok + 0.2 * fmt": "",
    "0.8 * ok + 0.1 * fmt + 0.1 * cites": "DRL513",
    "1 if ok else 0.1 * fmt": "",
    "1 if ok else 0.1 * part": "",
    "1 if ok and fmt else 0.3 * part": "DRL503 DRL523",
    "ok if fmt else 0": "DRL503",
    "ok * fmt": "DRL503",
    "ok * part": "DRL503",
    "fmt * (ok + 0.2 * cites)": "DRL503 DRL523",
    "ok + 0.3 * ok * style": "",
    "ok * (1 + 0.2 * style)": "",
    "ok - 0.2 * (1 - fmt)": "",
    "2 * ok - 1": "DRL506",
    "ok + 0.1 * part * (1 - ok)": "",
    "ok + 0.2 * part if not ok else 1": "",
    "ok - 0.3 * part": "",
    "ok + 2 * fmt": "DRL523",
    "0.3 * ok + 0.4 * fmt + 0.3 * style": "DRL513 DRL523",
    "0.2 * ok + judge / 10": "DRL523",
    "ok + judge": "DRL523",
    "ok + 0.05 * judge": "",
    "ok + 0.001 * fmt": "DRL505",
    "ok + 0.004 * style": "DRL505",
    "ok + 0.2 * (1 - ramp(words_, 200, 800))": "",
    "ok * (1 - ramp(words_, 200, 800))": "DRL503",
    "ok * (1 - 0.5 * ramp(words_, 200, 800))": "",
    "ok * (1 - ramp(words_, 400000, 500000))": "",
    "ok / max(words_, 1)": "",
    "ok - 0.001 * words_": "DRL504 DRL523",
    "ok - 0.1 * log(1 + words_)": "",
    "ok + 0.1 / (1 + words_)": "",
    "ok - min(0.2, words_ / 5000)": "",
    "ok - clip(words_ / 2000, 0, 0.5)": "",
    "ok + 0.2 * exp(-words_ / 500)": "",
    "ok + 0.2 * tanh(judge / 5)": "",
    "ok + 0.2 * sigmoid(judge - 5)": "",
    "ok if words_ < 1000 else 0.5 * ok": "",
    "ok if words_ < 1000 else 0": "DRL503",
    "ok + 0.2 if 50 <= words_ <= 500 else ok": "",
    "ok if words_ > 0 else -1": "DRL503 DRL523",
    "ok if 0 < group_mean(ok) < 1 else skip": "",
    "ok if group_std(ok) > 0 else skip": "",
    "ok if judge > 5 else skip": "",
    "ok + 0.1 * fmt if part >= 0.5 else skip": "",
    "ok - group_mean(ok)": "",
    "guard((ok - group_mean(ok)) / group_std(ok), 0)": "",
    "ok + 0.1 * group_rank(-words_)": "",
    "ok + 0.1 * group_rank(style)": "",
    "0.1 * ok + group_rank(style)": "DRL523",
    "ok + 0.2 * (style >= group_quantile(style, 0.75))": "",
    "ok + 0.2 * (style == group_max(style))": "",
    "ok + 0.2 * (words_ == group_min(words_))": "",
    "ok + 0.2 * (words_ <= default(group_mean(words_, where=ok), 500))": "",
    "ok * (1 - 0.3 * group_rank(words_))": "",
    "ok + 0.3 * mean(steps)": "",
    "ok - 2 * mean(steps)": "DRL523",
    "ok + 2 * mean(steps)": "DRL523",
    "ok + 0.3 * all(flags)": "",
    "ok * all(flags)": "DRL503",
    "ok + 0.1 * (mean(flags) == 1)": "",
    "ok + 0.1 * (sum(flags) == count(flags))": "",
    "ok + 0.1 * (max(steps) == 1)": "",
    "ok + 0.1 * (n == 3)": "",
    "ok + 0.1 * (n / 5 == 0.6)": "",
    "ok + 0.1 * (0.1 * part + 0.2 * style == 0.3)": "DRL509",
    "ok + 0.1 * (part * style == cites)": "DRL509",
    "ok + 0.1 * (part - style == 0)": "",
    "ok + 0.1 * min(1, part / (style + 1e-6))": "",
    "ok + 0.1 * clip(part / (style + 1e-6), 0, 1)": "",
    "ok + part / (style + 1e-6)": "DRL504 DRL510 DRL523",
    "ok + 0.1 * part / (1 + style)": "",
    "ok + 0.2 * (turns > 70)": "DRL508",
    "ok + 0.2 * (part > 1)": "DRL508",
    "ok + 0.2 * (judge >= 0)": "DRL508",
    "ok + 0.2 * max(part, 0)": "DRL519",
    "ok + 0.2 * clip(part, 0, 1)": "DRL518",
    "ok + 0.2 * guard(part, 0)": "DRL528",
    "ok + 0.2 * ramp(part, 0.8, 0.2)": "DRL517",
    "ok + 0.2 * fmt if ok else ok + 0.2 * fmt": "DRL507",
    "ok + 0.2 * (fmt and fmt)": "DRL516",
    "ok + 0.2 * part - 0.2 * part + 0.1 * fmt": "DRL515",
    "ok + 0.2 * part + 0.2 * part": "DRL514",
    "ok + 0.2 * (not not fmt)": "DRL521",
    "bonus = 0.2 * fmt\nreward = ok": "DRL527",
    "w = param(0.2, min=0, max=0.5)\nreward = ok + w * fmt": "",
    "done = 1 if ok else 0\nreward = done + 0.1 * fmt": "DRL525",
    "short = 1 - ramp(words_, 100, 900)\nreward = ok * (0.8 + 0.2 * short)": "",
    "ok * (1 - progress) + part * progress": "DRL503 DRL523",
    "ok + 0.3 * (1 - progress) * fmt": "",
    "0.5 * ok + 0.5 * min(part, style)": "",
    "max(ok, 0.5 * part)": "",
    "ok + 0.1 * floor(judge / 2) / 5": "",
    "ok - 0.02 * turns / 60": "",
    "ok * 0.99 ** turns": "",
}


def findings(text: str) -> set[str]:
    """The codes of lints about a reward, and of errors."""
    checked = check_source(Source(text), build_scope(None, COLUMNS, "ok"))
    return {d.code for d in checked.diagnostics if d.code[3] == "5" or d.severity == "error"}


def test_lints_are_right_about_realistic_rewards() -> None:
    assert len(REWARDS) >= 78
    false, missed, right = [], [], 0
    for text, codes in REWARDS.items():
        found, expected = findings(text), set(codes.split())
        false += [f"{text}: {code}" for code in sorted(found - expected)]
        missed += [f"{text}: {code}" for code in sorted(expected - found)]
        right += len(found & expected)
    precision, recall = right / (right + len(false)), right / (right + len(missed))
    told = f"precision {precision:.3f}, recall {recall:.3f}\nfalse: {false}\nmissed: {missed}"
    print(told)
    assert precision >= 0.95, told
    assert recall >= 0.9, told
