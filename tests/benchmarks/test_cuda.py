"""The benchmarks of the torch backend: records as they are made, the table of bandwidth."""

import json

import pytest

torch = pytest.importorskip("torch")

from benchmarks import cuda, report  # noqa: E402 - they need torch


def test_each_benchmark_leaves_its_record_until_the_time_is_up(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cuda, "SIZES", {64: "64"})
    cuda.run("cpu", quick=True, seconds=60, to=tmp_path)
    records = report.read(tmp_path)
    assert [r["name"] for r in records] == [
        f"cpu-{shape}-64" for shape in ("linear", "conditional", "ragged", "group")
    ]
    names = [row["name"] for row in records[0]["contenders"] if "median" in row]
    assert names[:2] == ["derl-dsl native", "derl-dsl torch eager float64"]
    assert records[0]["traffic"] == {"float64": 64 * 40, "float32": 64 * 20}
    assert records[0]["machine"]["torch"] == torch.__version__
    assert "of copy bandwidth" in capsys.readouterr().out
    cuda.run("cpu", quick=True, seconds=-1, to=tmp_path / "nowhere")
    assert "not measured any more: cpu-linear-64" in capsys.readouterr().out


def test_unequal_rewards_stop_their_benchmark_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(cuda, "SIZES", {64: "64"})
    monkeypatch.setattr(cuda, "KINDS", {"float64": 1e-9, "float32": -1.0})
    with pytest.raises(SystemExit, match=r"cpu-linear-64: .* is not equal to derl-dsl native"):
        cuda.run("cpu", quick=True, seconds=60, to=tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_a_device_cannot_do_is_told():
    def fails():
        raise RuntimeError("no compiler here\nand more")

    found = cuda._contender("torch.compile", fails, "fused", 1e-9, True)
    assert (found.run, found.does) == (None, "failed: RuntimeError: no compiler here")


def test_the_table_has_shares_and_bytes_a_second_of_large_batches():
    def record(rows: int, copy: float, ours: float) -> dict:
        return {
            "table": "E1, linear, on a device",
            "case": f"B = {rows:,}",
            "load": 0.1,
            "machine": {"cpu": "C", "cores": "2", "system": "Linux", "python": "3", "torch": "2",
                        "device": "a device", "cuda": "13"},
            "traffic": {"float64": rows * 40},
            "contenders": [
                {"name": "derl-dsl torch eager float64", "median": ours},
                {"name": "copy of as many bytes, float64", "median": copy},
                {"name": "derl-dsl CUDA graph float64", "does": "failed"},
            ],
        }  # fmt: skip

    small, large = record(64, 1e-6, 1e-6), record(1_048_576, 2e-5, 4e-5)
    shown = report.device_bandwidth([json.loads(json.dumps(r)) for r in (small, large)])
    assert "| derl-dsl torch eager float64 | 50 %, 1,049 GB/s |" in shown
    assert "a device, CUDA 13" in shown
    assert "B = 64" not in shown
    assert report.device_bandwidth([small]) == ""
