"""Pairs of LaTeX answers, (family, gold, given): written by hand or made by rules, same every time.

`python -m tests.primitives.latex_pairs` writes them to `data/latex_pairs.jsonl`. Each family has
answers that say the same in other words and answers that are near but wrong; which of them are
equal is for math-verify to say, and its verdicts stand in the file.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

FILE = Path(__file__).parent / "data" / "latex_pairs.jsonl"
Pair = tuple[str, str, str]

# One line a family: groups of spellings; each is paired with each other of its group and with the
# first of the next group.
BY_HAND: dict[str, list[list[str]]] = {
    "set": [
        [r"\{1, 2, 3\}", r"\{3, 2, 1\}", "1, 2, 3", r"\left\{1,2,3\right\}", "1, 2 and 3"],
        [r"\{1, 2\}", r"\{2, 1\}", "1,2", "(1,2)"],
        [r"\emptyset", r"\{\}", r"\varnothing"],
        [r"\{-1, \frac{1}{2}\}", r"\{0.5, -1\}", r"-1, \frac12"],
        [r"\{x \mid x > 1\}", r"x > 1", r"(1, \infty)"],
    ],
    "interval": [
        [r"[0, 1)", r"\left[0, 1\right)", r"0 \le x < 1", r"[0,1.0)"],
        [r"(0, 1)", r"0 < x < 1", r"\left(0,1\right)"],
        [r"(-\infty, 3]", r"x \leq 3", r"(-\infty,3]", r"3 \ge x"],
        [r"(-\infty, 1) \cup (2, \infty)", r"(2,\infty)\cup(-\infty,1)", r"x<1 \text{ or } x>2"],
        [r"[-2, 2]", r"-2 \leq x \leq 2", r"[-2,2]", r"|x| \le 2"],
    ],
    "tuple": [
        [r"(1, -2)", r"\left(1, -2\right)", r"(1,-2)", r"1, -2"],
        [r"(2, 3, 5)", r"(2,3,5)", r"(5,3,2)", r"\{2,3,5\}"],
        [r"(\frac{1}{2}, 3)", r"(0.5, 3)", r"\left(\dfrac12, 3\right)"],
    ],
    "unit": [
        [r"12 \text{ cm}", "12", "12 cm", r"12\,\mathrm{cm}", r"12 \mathrm{~cm}"],
        [r"5 \text{ km/h}", "5", r"5\text{ km}", "5 mph"],
        [r"10\text{ square feet}", r"10\text{ ft}^2", "10", r"10\ \text{ft}^{2}"],
        [r"3 \text{ hours}", "3 hours", "3", r"3\text{ h}", "180 minutes"],
        [r"\$5", "5", r"5 \text{ dollars}", "5 dollars", "$5.00"],
        [r"7 \text{ apples}", "7", "7 apples", "seven"],
    ],
    "degree": [
        [r"90^\circ", "90", r"90^{\circ}", r"90 \text{ degrees}", r"90\degree", r"\frac{\pi}{2}"],
        [r"45^\circ", "45", r"45 ^\circ", r"\frac{\pi}{4}"],
    ],
    "percent": [
        [r"50\%", "50", "0.5", r"50 \%", r"\frac{1}{2}", "50 percent", r"50\text{ percent}"],
        [r"12.5\%", "12.5", "0.125", r"\frac{1}{8}"],
        [r"100\%", "1", "100"],
    ],
    "matrix": [
        [
            r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}",
            r"\begin{bmatrix} 1 & 2 \\ 3 & 4 \end{bmatrix}",
            r"\begin{pmatrix}1&2\\3&4\end{pmatrix}",
            r"\left(\begin{matrix}1 & 2\\3 & 4\end{matrix}\right)",
            r"\begin{pmatrix} 1 & 2 \\ 3 & 5 \end{pmatrix}",
        ],
        [
            r"\begin{pmatrix} 1/2 \\ -1 \end{pmatrix}",
            r"\begin{pmatrix} 0.5 \\ -1 \end{pmatrix}",
            r"\begin{pmatrix} \frac12 \\ -1 \end{pmatrix}",
            r"\begin{pmatrix} 1/2 & -1 \end{pmatrix}",
        ],
        [r"\begin{pmatrix} x+1 & 0 \\ 0 & y \end{pmatrix}",
         r"\begin{pmatrix} 1+x & 0 \\ 0 & y \end{pmatrix}"],
    ],
    "text": [
        [r"\text{Monday}", "Monday", r"\text{ monday }", r"\textbf{Monday}", r"\text{Sunday}"],
        [r"\text{(A)}", "A", "(A)", r"\textbf{(A)}", r"\mathrm{A}", "B"],
        [r"\text{yes}", "yes", "Yes", r"\text{no}"],
        [r"\text{east}", r"\text{west}", "east"],
    ],
    "radical": [
        [r"\sqrt{8}", r"2\sqrt{2}", r"2 \sqrt2", r"8^{1/2}", "2.828427", r"\sqrt 8"],
        [r"\frac{1}{\sqrt{2}}", r"\frac{\sqrt{2}}{2}", "0.707107", r"\sqrt{\frac12}"],
        [r"\sqrt[3]{27}", "3", r"27^{\frac{1}{3}}"],
        [r"5 + 2\sqrt{6}", r"(\sqrt{2}+\sqrt{3})^2", r"2\sqrt{6}+5"],
    ],
    "polynomial": [
        [r"x^2 + 2x + 1", r"(x+1)^2", r"1 + 2x + x^2", r"x^2+2x", r"x(x+2)+1", r"x^{2}+2x+1"],
        [r"(x-1)(x+1)", r"x^2 - 1", r"-(1-x^2)", r"x^2+1"],
        [r"a b + a c", r"a(b+c)", r"ab+ac", r"a \cdot (c + b)"],
        [r"\frac{x^2-1}{x-1}", "x+1", "x - 1"],
    ],
    "equation": [
        ["x = 5", "5", "x=5.0", "y = 5", "5 = x"],
        ["y = 2x + 1", "2x + 1", "2x - y + 1 = 0", "y=2x-1"],
        [r"x = 1 \text{ or } x = 2", r"x=1, x=2", "1, 2", r"\{1,2\}"],
        [r"x^2 + y^2 = 4", r"y^2 + x^2 = 4", r"x^2+y^2-4=0"],
        ["x = 2, y = 3", "(2, 3)", "y = 3, x = 2"],
        [r"a + b \geq 2", r"2 \leq a+b", r"a+b > 2"],
    ],
    "constant": [
        [r"\pi", "3.141593", "3.14", r"\frac{22}{7}"],
        [r"2\pi r", r"2 r \pi", r"\pi r^2"],
        [r"e^2", r"\exp(2)", "7.389056"],
        [r"\ln 2", r"\log_e 2", r"\ln(2)", "0.693147"],
        [r"\infty", r"-\infty", r"+\infty", "infinity"],
    ],
    "complex": [
        ["3 + 4i", "4i + 3", "3+4 i", "3 - 4i"],
        ["i", "-i", r"\sqrt{-1}"],
        ["(1+i)^2", "2i"],
    ],
    "trigonometry": [
        [r"\sin(30^\circ)", r"\frac{1}{2}", "0.5"],
        [r"\cos^2 x + \sin^2 x", "1"],
        [r"\tan x", r"\frac{\sin x}{\cos x}"],
        [r"\arctan 1", r"\frac{\pi}{4}"],
    ],
    "combinatorics": [
        [r"\binom{5}{2}", "10", r"\frac{5!}{2!3!}", "{5 \\choose 2}"],
        ["5!", "120", "24"],
        [r"2^{10}", "1024", "1,024"],
    ],
    "calculus": [
        [r"\frac{d}{dx} x^2", "2x", "x"],
        [r"\int_0^1 x dx", r"\frac12", "0.5"],
        [r"\lim_{x \to 0} \frac{\sin x}{x}", "1"],
        [r"\frac{x^3}{3} + C", r"C + \frac{1}{3}x^3", r"\frac{x^3}{3}"],
    ],
    "malformed": [
        [r"\frac{1}{2", "1/2"],
        [r"\sqrt{", "2"],
        [r"1/0", r"\infty", "1/0"],
        [r"x^", "x"],
        ["{}", "0"],
        [r"\frac{}{}", "1"],
        ["?", "?"],
        [r"\text{}", ""],
        ["5 5", "55", "25"],
        ["1..2", "1.2"],
        ["((1)", "1"],
        ["\u0663", "3"],
        ["\u221218", "-18"],
        ["a\ud800b", "ab"],
        ["1\x002", "12"],
    ],
}  # fmt: skip


def by_hand() -> Iterator[Pair]:
    """Each spelling with each other of its group, both ways, and with the next group's first."""
    for family, groups in BY_HAND.items():
        for k, group in enumerate(groups):
            for i, gold in enumerate(group):
                yield from ((family, gold, given) for j, given in enumerate(group) if i != j)
            yield family, group[0], groups[(k + 1) % len(groups)][0]
            yield family, group[0], group[0]


def _fraction(rng: random.Random) -> Pair:
    top, bottom, k = rng.randint(-30, 30), rng.randint(1, 30), rng.randint(2, 4)
    sign, size = "-" if top < 0 else "", abs(top)
    given = rng.choice([
        f"{top}/{bottom}", f"{sign}\\dfrac{{{size}}}{{{bottom}}}", f"\\frac{{{top}}}{{{bottom}}}",
        f"{sign}\\frac{{{size * k}}}{{{bottom * k}}}", f"{top / bottom:.6f}", f"{top / bottom:.2f}",
        f"{sign}\\frac{{{size}}}{{{bottom + 1}}}",
        f"{sign}{size // bottom}\\frac{{{size % bottom}}}{{{bottom}}}",
        f"{sign}\\frac{size}{bottom}", f"\\frac{{{-top}}}{{{-bottom}}}",
    ])  # fmt: skip
    return "fraction", f"{sign}\\frac{{{size}}}{{{bottom}}}", given


def _decimal(rng: random.Random) -> Pair:
    value = rng.randint(-(10**6), 10**6) / 10 ** rng.randint(0, 4)
    given = rng.choice([
        f"{value:,}", f"{value:.6f}", f"{value:.1f}", f"${value}$", f"\\${value}", f"{value}\\%",
        f"{value + 1e-6:.6f}", f"{value + 1e-3:.3f}", f"{value:.2e}", f"+{value}", f"{value}.",
        f"x = {value}", f"{value} \\text{{ cm}}", f"{int(value)}",
    ])  # fmt: skip
    return "decimal", f"{value}", given


def _large(rng: random.Random) -> Pair:
    value = rng.randint(1000, 10 ** rng.randint(4, 18))
    given = rng.choice([
        f"{value:,}", f"{value:,}".replace(",", "{,}"), f"{value:,}".replace(",", "\\,"),
        f"{value:,}".replace(",", " "), f"{value}.0", f"{value + 1}", f"{value:.3e}", f"0{value}",
        f"{value // 1000} \\cdot 10^3", f"{value // 1000} \\times 10^{{3}}",
    ])  # fmt: skip
    return "large", str(value), given


def _list(rng: random.Random) -> Pair:
    items = [rng.choice([str(rng.randint(-9, 9)), f"\\frac{{1}}{{{rng.randint(2, 9)}}}", "x"])
             for _ in range(rng.randint(2, 4))]  # fmt: skip
    other = rng.sample(items, len(items))
    if rng.random() < 0.3:
        other[0] = str(rng.randint(10, 20))
    left, right = rng.choice([("\\{", "\\}"), ("(", ")"), ("", ""), ("[", "]")])
    return "list", f"\\{{{', '.join(items)}\\}}", f"{left}{', '.join(other)}{right}"


def _linear(rng: random.Random) -> Pair:
    a, b, x = rng.randint(-9, 9), rng.randint(-9, 9), rng.choice("xyt")
    given = rng.choice([
        f"{b} + {a}{x}", f"{a}{x} {b:+}", f"{a}{x} {-b:+}", f"{a}\\cdot {x} {b:+}",
        f"({a})({x}) + ({b})", f"y = {a}{x} {b:+}", f"{2 * a}{x}/2 {b:+}",
    ])  # fmt: skip
    return "linear", f"{a}{x} {b:+}", given


def _root(rng: random.Random) -> Pair:
    n, k = rng.randint(2, 12), rng.randint(2, 6)
    given = rng.choice([
        f"{k}\\sqrt{{{n}}}", f"\\sqrt{{{n}}} \\cdot {k}", f"{k}\\sqrt{n}", f"{k * n**0.5:.6f}",
        f"\\sqrt{{{k * n}}}", f"{k}*{n}^{{0.5}}", f"\\frac{{{k * n}}}{{\\sqrt{{{n}}}}}",
    ])  # fmt: skip
    return "root", f"\\sqrt{{{k * k * n}}}", given


def by_rule(count: int = 40) -> Iterator[Pair]:
    """`count` random pairs of each rule."""
    rng = random.Random(5)
    for rule in (_fraction, _decimal, _large, _list, _linear, _root):
        yield from (rule(rng) for _ in range(count))


def pairs() -> list[Pair]:
    """All pairs, each once."""
    return list(dict.fromkeys([*by_hand(), *by_rule()]))


def verdict(gold: str, given: str) -> bool:
    """What math-verify itself says of two answers, each in a box."""
    from math_verify import parse, verify

    read = [parse(f"\\boxed{{{text}}}", parsing_timeout=None) for text in (gold, given)]
    return bool(verify(*read, timeout_seconds=None))


def rows() -> Iterator[dict[str, str | bool]]:
    """The pairs with the verdicts of math-verify."""
    for family, gold, given in pairs():
        yield {"family": family, "gold": gold, "given": given, "equal": verdict(gold, given)}


def main() -> None:
    """Write the file."""
    FILE.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="ascii")


if __name__ == "__main__":
    main()
