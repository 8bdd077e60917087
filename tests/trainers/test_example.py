"""examples/train_trl.py trains as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.test_examples import run

pytest.importorskip("trl")


def test_training_with_trl(tmp_path: Path) -> None:
    printed = run("train_trl.py", tmp_path, "--steps", "1")
    assert "margin between right and wrong: 0.9, proven" in printed
    assert "parts/ok:" in printed
