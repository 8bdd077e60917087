"""Runs in a target's environment: drives exported files through the target, writes what it saw.

python -m tests.conformance.child PROBE JOBS.json RESULTS.json
"""

from __future__ import annotations

import importlib
import json
import sys
import traceback
from pathlib import Path
from typing import Any


def main(probe: str, jobs: str, results: str) -> None:
    """Drive each job; an exception of the target or of the file is a result too."""
    sys.argv = sys.argv[:1]
    found: list[dict[str, Any]] = []
    try:
        module = importlib.import_module(f"tests.conformance.probes.{probe}")
    except Exception as error:  # noqa: BLE001 - what it raises is what is reported
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = f"{type(error).__name__}: {error} ({last.filename}:{last.lineno})"
        Path(results).write_text(json.dumps({"import": text}))
        return
    for job in json.loads(Path(jobs).read_text()):
        try:
            rows = [dict(row) for row in job["rows"]]
            seen = module.drive(Path(job["file"]), job["name"], rows, job["size"])
            found.append({"job": job["job"], "seen": seen})
        except Exception as error:  # noqa: BLE001 - what it raises is what is reported
            found.append({"job": job["job"], "error": f"{type(error).__name__}: {error}"})
    took: Any = None
    if hasattr(module, "setting"):
        try:
            took = module.setting(Path(json.loads(Path(jobs).read_text())[0]["file"]))
        except Exception as error:  # noqa: BLE001 - what it raises is what is reported
            took = f"{type(error).__name__}: {error}"
    Path(results).write_text(json.dumps({"jobs": found, "setting": took}))


if __name__ == "__main__":
    main(*sys.argv[1:4])
