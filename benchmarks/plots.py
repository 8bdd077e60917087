"""Plots of the results as SVG, readable on light and dark pages alike."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Record = dict[str, Any]
# Colours of middle lightness, which stand out on white and on black; ours in strong ones.
_INK = "#7d8590"
_OURS = {
    "derl-dsl native": "#e5484d",
    "derl-dsl vm": "#f08c3a",
    "derl-dsl": "#e5484d",
}
_PEERS = {
    "numba by hand": "#3b82f6",
    "numexpr re_evaluate": "#14a88b",
    "JAX jit": "#a855f7",
    "torch.compile": "#64748b",
    "polars": "#8a9a2b",
    "NumPy": "#0ea5c6",
    "Python eval, text": "#9a7b66",
}
_SHAPES = ("linear", "conditional", "ragged", "group")
_SIZES = {"64": 64, "1k": 1024, "16k": 16_384, "1M": 1_048_576}


def draw(records: list[Record], folder: Path) -> list[str]:
    """Write the plots of what was measured; the Markdown that shows them."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update(STYLE)
    folder.mkdir(exist_ok=True)
    named = {r["name"]: r for r in records}
    shown = []
    for name, title, make in _PLOTS:
        figure = make(named)
        if figure is None:
            continue
        # No date and no random names: the same results give the same file.
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None}, transparent=True)
        shown.append(f"![{title}](plots/{name}.svg)")
    return shown


STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "derl-dsl",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.titlecolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _INK,
    "grid.alpha": 0.25,
    "legend.frameon": False,
}


def _medians(record: Record | None) -> dict[str, float]:
    rows = record["contenders"] if record else []
    return {row["name"]: row["median"] for row in rows if "median" in row}


def _title(record: Record) -> str:
    """The shape alone: what is behind a colon, and the threads, are in the table."""
    return str(record["table"].partition(", one thread")[0].partition(":")[0])


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _calls(named: dict[str, Record]) -> Any:
    """Nanoseconds a rollout over the size of the batch, one panel a shape."""
    from matplotlib.figure import Figure

    if not all(f"kernels-{s}-{n}" in named for s in _SHAPES for n in _SIZES):
        return None
    figure = Figure(figsize=(8, 6.2), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True)
    for shape, axes in zip(_SHAPES, panels.flat, strict=True):
        cases = {n: _medians(named[f"kernels-{shape}-{n}"]) for n in _SIZES}
        for name, colour in {**_PEERS, **_OURS}.items():
            points = [
                (_SIZES[n], found[name] / _SIZES[n] * 1e9)
                for n, found in cases.items()
                if name in found
            ]
            if points:
                strong = name in _OURS
                style = {"linewidth": 2.4, "marker": "o", "markersize": 4} if strong else {}
                axes.plot(*zip(*points, strict=True), color=colour, label=name,
                          **{"linewidth": 1.1, "zorder": 3 if strong else 2, **style})  # fmt: skip
        axes.set(xscale="log", yscale="log", title=_title(named[f"kernels-{shape}-64"]))
        axes.grid(True)
        axes.set_xticks(list(_SIZES.values()), labels=list(_SIZES))
        axes.minorticks_off()
    for axes in panels[:, 0]:
        axes.set_ylabel("ns a rollout")
    for axes in panels[1]:
        axes.set_xlabel("rollouts in the batch")
    lines, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(lines[::-1], labels[::-1], loc="outside lower center", ncols=5)
    return figure


def _growth(named: dict[str, Record]) -> Any:
    """Microseconds of the public call over the size of the batch, one panel a shape."""
    from matplotlib.figure import Figure

    shapes = ("linear", "conditional")
    if not all(f"score-{s}-{n}" in named for s in shapes for n in _SIZES):
        return None
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    colours = {"derl-dsl score": "#e5484d", "derl-dsl score, native": "#f08c3a",
               "derl-dsl score, numba": "#a855f7", "numexpr evaluate": "#14a88b",
               "NumPy": "#0ea5c6"}  # fmt: skip
    for shape, axes in zip(shapes, panels, strict=True):
        cases = {n: _medians(named[f"score-{shape}-{n}"]) for n in _SIZES}
        for name, colour in colours.items():
            points = [(_SIZES[n], found[name] * 1e6) for n, found in cases.items() if name in found]
            if points:
                axes.plot(*zip(*points, strict=True), color=colour, label=name, marker="o",
                          markersize=3, linewidth=2 if "derl" in name else 1.1)  # fmt: skip
        axes.set(xscale="log", yscale="log", title=shape, xlabel="rollouts in the batch")
        axes.grid(True)
        axes.set_xticks(list(_SIZES.values()), labels=list(_SIZES))
        axes.minorticks_off()
    panels[0].set_ylabel("µs a call")
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside lower center", ncols=5)
    return figure


def _bars(
    name: str, label: str, scale: float, keep: Callable[[str], bool] = lambda _: True
) -> Callable[[dict[str, Record]], Any]:
    """Horizontal bars of one benchmark's medians, on a logarithmic axis."""

    def make(named: dict[str, Record]) -> Any:
        from matplotlib.figure import Figure

        found = {k: v * scale for k, v in _medians(named.get(name)).items() if keep(k)}
        if not found:
            return None
        figure = Figure(figsize=(8, 0.6 + 0.3 * len(found)), layout="constrained")
        axes = figure.subplots()
        names = list(found)[::-1]
        colours = ["#e5484d" if n.startswith("derl-dsl") else "#3b82f6" for n in names]
        bars = axes.barh(names, [found[n] for n in names], color=colours, height=0.62)
        axes.bar_label(bars, [_number(found[n]) for n in names], padding=4, color=_INK)
        axes.set(xscale="log", xlabel=label)
        axes.margins(x=0.12)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        return figure

    return make


_PLOTS: tuple[tuple[str, str, Callable[[dict[str, Record]], Any]], ...] = (
    ("calls", "Nanoseconds a rollout by size of batch, four shapes of program", _calls),
    ("score", "Microseconds of the public call by size of batch", _growth),
    (
        "new-formula",
        "From the text of a new formula to 1,024 rewards",
        _bars("kernels-new-formula", "ms from a new text to 1,024 rewards (warm process)", 1e3),
    ),
    (
        "fresh-process",
        "From the start of a process to the first reward",
        _bars("kernels-fresh-process", "ms from the start of a process to the first reward", 1e3),
    ),
)
