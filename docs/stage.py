"""Stage the pages of the site: the repository's own, those of `docs/pages`, and generated ones.

`python -m docs.stage` writes them to `.site/pages`; `make site` then builds `.site/html`. A page is
written once, where people look for it in the repository; here its links are turned to the site's
pages. What lies in the repository alone (code, folders) keeps its name and loses its link.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from docs.cookbook import cookbook
from docs.from_python import pairs

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / ".site" / "pages"
# Pages of the repository, by what they are called on the site.
PAGES = {
    "language.md": "grammar/README.md",
    "functions.md": "derl_dsl/FUNCTIONS.md",
    "primitives.md": "primitives/PRIMITIVES.md",
    "codes.md": "grammar/CODES.md",
    "cli.md": "derl_dsl/CLI.md",
    "settings.md": "derl_dsl/SETTINGS.md",
    "train.md": "trainers/TRAIN.md",
    "config.md": "trainers/CONFIG.md",
    "testing.md": "derl_dsl/derl_dsl/tools/testing/README.md",
    "search.md": "derl_dsl/derl_dsl/tools/search/README.md",
    "gallery.md": "derl_dsl/derl_dsl/gallery/README.md",
    "editors.md": "derl_dsl/derl_dsl/editors/README.md",
    "meta-training.md": "trainers/README.md",
    "conformance.md": "derl_dsl/derl_dsl/adapters/README.md",
    "benchmarks.md": "benchmarks/README.md",
    "security.md": "SECURITY.md",
    "sandbox.md": "runtime/README.md",
    "compiler.md": "derl_dsl/README.md",
    "primitives-room.md": "primitives/README.md",
    "examples.md": "examples/README.md",
    "data.md": "derl_dsl/derl_dsl/examples/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
# Pages with a place for what is generated: `<!-- here -->`.
WITH: dict[str, Callable[[], str]] = {"cookbook.md": cookbook, "from-python.md": pairs}
_LINK = re.compile(r"(!?)\[((?:[^\[\]\n]|\[[^\]\n]*\])*)\]\(([^)\s]+)\)")
_FENCE = re.compile(r"(^```.*?^```\s*$)", re.M | re.S)
_IMAGES = {".svg", ".png"}
_FRONT = "README.md"
_TUTORIAL = re.compile(r"## Ten minutes.*?<!-- /tutorial -->\n", re.S)


def stage(out: Path = OUT) -> dict[str, str]:
    """Write all pages below `out`, and return them by name."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    pages = {
        name: _moved((ROOT / path).read_text("utf-8"), path, out) for name, path in PAGES.items()
    }
    front = (ROOT / _FRONT).read_text("utf-8")
    tutorial = _TUTORIAL.search(front)
    assert tutorial is not None, "the front page has no tutorial"
    first = tutorial[0].replace("## Ten", "# Ten", 1)
    pages["tutorial.md"] = _moved(first, _FRONT, out)
    link = "The [tutorial](tutorial.md) makes a tested, linted, audited reward in ten minutes.\n"
    pages["index.md"] = _moved(_TUTORIAL.sub("", front), _FRONT, out).replace(
        "## In a trainer", f"{link}\n## In a trainer", 1
    )
    for file in sorted((ROOT / "docs" / "pages").glob("*.md")):
        made = WITH.get(file.name)
        text = _moved(file.read_text("utf-8"), f"docs/pages/{file.name}", out)
        pages[file.name] = text.replace("<!-- here -->", made()) if made else text
    for name, text in pages.items():
        (out / name).write_text(text, "utf-8")
    return pages


def _moved(text: str, path: str, out: Path) -> str:
    """A page of the repository with its links turned to pages of the site."""
    parts = _FENCE.split(text)
    beside = (ROOT / path).parent
    for k in range(0, len(parts), 2):
        parts[k] = _LINK.sub(lambda link: _turned(link, path, beside, out), parts[k])
    return "".join(parts)


def _turned(link: re.Match[str], path: str, beside: Path, out: Path) -> str:
    image, label, target = link.groups()
    if re.match(r"[a-z]+:|#", target):
        return link[0]
    file, _, anchor = target.partition("#")
    found = (beside / file).resolve()
    if not found.exists():
        raise SystemExit(f"{path} links {target}, which is not there")
    name = os.path.relpath(found, ROOT)
    if found.suffix in _IMAGES:
        (out / "images").mkdir(exist_ok=True)
        shutil.copy(found, out / "images" / found.name)
        return f"{image}[{label}](images/{found.name})"
    site = {repo: page for page, repo in PAGES.items()} | {_FRONT: "index.md"}
    if name.startswith("docs/pages/"):
        site[name] = found.name
    folder = f"{name}/README.md"
    page = site.get(name) or site.get(folder)
    if page is None:
        return f"`{label.strip('`')}`"
    return f"[{label}]({page}{'#' + anchor if anchor else ''})"


if __name__ == "__main__":
    written = stage()
    sys.stdout.write(f"{len(written)} pages in {OUT.relative_to(ROOT)}\n")
