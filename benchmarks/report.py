"""Results as Markdown: a table for a benchmark or for several cases of one; the page README.md."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks import plots, targets
from benchmarks.targets import COPY

_BEGIN, _END = "<!-- results -->", "<!-- end of results -->"
_SCALES = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_MILLION = 1_048_576
Record = dict[str, Any]


def read(results: Path) -> list[Record]:
    """All records of a folder, benchmarks of one table together, its cases from small to large."""
    records = [json.loads(p.read_text("utf-8")) for p in sorted(results.glob("*.json"))]
    return sorted(records, key=lambda r: (r.get("table") or r["name"], _size(r.get("case", ""))))


def _size(case: str) -> int:
    digits = "".join(c for c in case if c.isdigit())
    return int(digits) if digits else 0


def duration(seconds: float) -> str:
    """Seconds with three digits, in s, ms or µs."""
    for scale, unit in _SCALES:
        if seconds >= scale or unit == "µs":
            value = seconds / scale
            return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
    raise AssertionError


def amount(value: float, unit: str) -> str:
    """A figure with its unit."""
    if unit == "s":
        return duration(value)
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"


def tables(records: list[Record]) -> str:
    """All records as Markdown."""
    lines: list[str] = []
    for _, group in groupby(records, key=lambda r: r.get("table") or r["name"]):
        cases = list(group)
        lines += _matrix(cases) if cases[0].get("table") else _single(cases[0])
    return "\n".join(lines)


def _machine(record: Record) -> str:
    told = record["machine"]
    device = f"{told['device']}, CUDA {told['cuda']}, " if "device" in told else ""
    torch = f"torch {told['torch']}, " if "torch" in told else ""
    return (
        f"{device}{told['cpu']}, {told['cores']} cores, {told['system']}, "
        f"Python {told['python']}, {torch}load {record['load']}."
    )


def _single(record: Record) -> list[str]:
    """One benchmark: its contenders with quartiles."""
    unit = record["unit"]
    worst = any("p99" in row for row in record["contenders"])
    heads = ["", "median", "quartiles", *(["p99"] if worst else []), "what it does"]
    lines = [f"### {record['title']}", "", _machine(record), "", _row(heads)]
    lines.append("|---|" + "---:|" * (len(heads) - 2) + "---|")
    for row in record["contenders"]:
        if "median" not in row:
            lines.append(_row([row["name"], *["–"] * (len(heads) - 2), row["does"]]))
            continue
        low, median, high = (amount(row[k], unit) for k in ("low", "median", "high"))
        told = [amount(row["p99"], unit) if "p99" in row else "–"] if worst else []
        lines.append(_row([row["name"], median, f"{low} to {high}", *told, row["does"]]))
    if record["target"] is not None:
        lines += ["", f"Target: {amount(record['target'], unit)}."]
    return [*lines, ""]


def _matrix(cases: list[Record]) -> list[str]:
    """Several cases of one benchmark: a column each, medians."""
    heads = ["", *(r["case"] for r in cases), "what it does"]
    lines = [f"### {cases[0]['table']}", "", _machine(cases[-1]), "", _row(heads)]
    lines.append("|---|" + "---:|" * len(cases) + "---|")
    does: dict[str, list[str]] = {}
    for record in cases:
        for row in record["contenders"]:
            told = does.setdefault(row["name"], [])
            told += [row["does"]] if row["does"] not in told else []
    for name, told in does.items():
        cells = []
        for record in cases:
            rows: dict[str, Record] = {r["name"]: r for r in record["contenders"]}
            row = rows.get(name, {})
            cells.append(amount(row["median"], record["unit"]) if "median" in row else "–")
        lines.append(_row([name, *cells, "; ".join(told)]))
    return [*lines, ""]


def bandwidth(records: list[Record]) -> str:
    """The share of copy bandwidth at the largest size: one row a contender, one column a shape."""
    found: dict[str, dict[str, float]] = {}
    shapes = []
    for record in records:
        medians = {r["name"]: r["median"] for r in record["contenders"] if "median" in r}
        if COPY not in medians or record["name"].endswith("-threads"):
            continue
        shape = record["table"].partition(":")[0].partition(", one")[0]
        shapes.append(shape)
        for name, median in medians.items():
            # float32 moves half the bytes: its share would be of another copy.
            if name != COPY and not name.endswith("f32"):
                found.setdefault(name, {})[shape] = medians[COPY] / median
    if not shapes:
        return ""
    lines = ["### Share of copy bandwidth, B = 1,048,576, one thread each", ""]
    lines += [
        "The time of a copy that reads and writes as many bytes together, over the contender's."
    ]
    lines += ["", _row(["", *shapes]), "|---|" + "---:|" * len(shapes)]
    for name, shares in found.items():
        cells = [f"{100 * shares[s]:.3g} %" if s in shares else "–" for s in shapes]
        lines.append(_row([name, *cells]))
    return "\n".join([*lines, ""])


def device_bandwidth(records: list[Record]) -> str:
    """Share of a device's copy bandwidth, and bytes a second, of a million rollouts and more."""
    large = [r for r in records if "traffic" in r and _size(r["case"]) >= _MILLION]
    if not large:
        return ""
    heads = [f"{r['table'].partition(':')[0].partition(', on')[0]}, {r['case']}" for r in large]
    found: dict[str, list[str]] = {}
    for at, record in enumerate(large):
        medians = {r["name"]: r["median"] for r in record["contenders"] if "median" in r}
        for name, median in medians.items():
            kind = name.rpartition(" ")[2]
            if kind not in record["traffic"]:
                continue
            share = 100 * medians[f"{COPY}, {kind}"] / median
            speed = amount(record["traffic"][kind] / median / 1e9, "GB/s")
            cells = found.setdefault(name, ["–"] * len(large))
            cells[at] = f"{share:.3g} %, {speed}"
    where = large[0]["machine"].get("device", "the CPU")
    lines = [f"### Share of copy bandwidth on {where}, and bytes a second", "", _machine(large[-1])]
    lines += [
        "The bytes are those of the columns and the rewards, each once. A batch of 1,048,576 may "
        "lie in the device's cache: more than its memory gives is possible there."
    ]
    lines += ["", _row(["", *heads]), "|---|" + "---:|" * len(heads)]
    return "\n".join([*lines, *(_row([name, *cells]) for name, cells in found.items()), ""])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write_page(results: Path, folder: Path | None) -> None:
    """Print the tables; with a folder, write them into its README.md, and its plots."""
    records = read(results)
    found = targets.judge(records)
    parts = [bandwidth(records), device_bandwidth(records), tables(records)]
    page = "\n".join([targets.table(found), *(part for part in parts if part)])
    print(page)
    if folder is None:
        return
    told = json.dumps(found, indent=1, ensure_ascii=False)
    (folder / "targets.json").write_text(told + "\n", "utf-8")
    drawn = plots.draw(records, folder / "plots")
    readme = folder / "README.md"
    before, _, rest = readme.read_text("utf-8").partition(_BEGIN)
    after = rest.partition(_END)[2]
    text = "\n\n".join([before + _BEGIN, *drawn, page.strip(), _END + after])
    readme.write_text(text, "utf-8")
