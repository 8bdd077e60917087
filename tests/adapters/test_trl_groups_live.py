"""Group functions in real trainings: two processes of accelerate, RLOO, AsyncGRPO."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import RLOOConfig, RLOOTrainer

import derl_dsl
from derl_dsl.adapters.export import Export, export
from derl_dsl.adapters.targets import TARGETS
from derl_trainers.policy.loading import small_llama
from tests.adapters.test_export import load
from tests.adapters.trl_processes import REWARD
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = {"completion": "text", "digit": "number[0, 9]"}
TEMPLATE = (
    "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}{% endif %}"
)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of characters, saved as any model is."""
    folder = tmp_path_factory.mktemp("policy")
    letters = ["<pad>", "<eos>", *"0123456789+=-. ab"]
    raw = Tokenizer(models.WordLevel({c: k for k, c in enumerate(letters)}, unk_token="."))
    raw.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    raw.decoder = decoders.Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, pad_token="<pad>", eos_token="<eos>", unk_token="."
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    small_llama(tokenizer, 32, 64, 1, 2, 64).save_pretrained(folder)
    return folder


def launched(policy: Path, folder: Path, processes: int) -> list[list[dict[str, Any]]]:
    """What each process recorded, call by call."""
    folder.mkdir()
    told = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_machines", "1"]
    told += ["--num_processes", str(processes), "--mixed_precision", "no", "--dynamo_backend", "no"]
    told += ["--main_process_port", "0", "-m", "tests.adapters.trl_processes", str(policy)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [*told, str(folder)], cwd=ROOT, env=env, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-3000:]
    files = [folder / f"rank{rank}.jsonl" for rank in range(processes)]
    return [[json.loads(line) for line in file.read_text().splitlines()] for file in files]


def test_two_processes_score_as_one(policy: Path, tmp_path: Path) -> None:
    reward = derl_dsl.compile(REWARD, columns=COLUMNS)
    calls = list(zip(*launched(policy, tmp_path / "two", 2), strict=True))
    assert calls
    for first, second in calls:
        assert len(first["texts"]) == len(second["texts"])
        assert len(first["texts"]) % 8  # the groups are cut, each process holds a part of one
        whole = {
            "completion": first["texts"] + second["texts"],
            "digit": first["digit"] + second["digit"],
        }
        expected = reward.score(whole, group_size=8).values.tolist()
        assert first["said"] + second["said"] == expected
        assert len({round(v, 6) for v in expected}) > 2


def test_rloo_says_its_groups_too(policy: Path, tmp_path: Path) -> None:
    reward = derl_dsl.compile(
        "n = chars(completion)\nreward = n - group_mean(n)", columns={"completion": "text"}
    )
    trainer = RLOOTrainer(
        model=AutoModelForCausalLM.from_pretrained(policy),
        processing_class=AutoTokenizer.from_pretrained(policy, padding_side="left"),
        reward_funcs=[reward],
        train_dataset=Dataset.from_list([{"prompt": f"{k}+1="} for k in range(8)]),
        args=RLOOConfig(
            output_dir=str(tmp_path), use_cpu=True, report_to=[], num_generations=4, max_steps=2,
            per_device_train_batch_size=8, max_completion_length=8, save_strategy="no",
            logging_steps=1, disable_tqdm=True,
        ),
    )  # fmt: skip
    trainer.train()
    logged = [line for line in trainer.state.log_history if "reward" in line]
    assert len(logged) == 2
    # The rewards of a group add up to 0, whatever was sampled; the part is logged.
    assert all(abs(line["reward"]) < 1e-5 for line in logged)
    assert all(line["parts/n"] > 0 for line in logged)


class Server:
    """The endpoint that AsyncGRPO samples from, over a transformers model."""

    def __init__(self, policy: Path) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(policy)
        self.tokenizer = AutoTokenizer.from_pretrained(policy)
        outer = self
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    body = json.dumps(outer.sample(told)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @torch.no_grad()
    def sample(self, told: dict[str, Any]) -> dict[str, Any]:
        """One completion with its log-probabilities."""
        ids = list(told["prompt"])
        new: list[int] = []
        logged: list[float] = []
        for _ in range(told["max_tokens"]):
            logits = self.model(torch.tensor([ids + new])).logits[0, -1].log_softmax(-1)
            token = int(torch.multinomial(logits.exp(), 1))
            new.append(token)
            logged.append(float(logits[token]))
            if token == self.tokenizer.eos_token_id:
                break
        choice = {"token_ids": new, "logprobs": {"token_logprobs": logged}, "finish_reason": "stop"}
        return {"choices": [choice]}


class NoTransfer:
    """The server keeps the weights it began with: what is tested here is the scoring."""

    def init_weight_transfer(self) -> None: ...
    def pause(self) -> None: ...
    def send_weights(self, iterator: Any) -> None:
        list(iterator)

    def resume(self) -> None: ...
    def destroy(self) -> None: ...


def test_async_grpo_scores_groups_in_its_own_process(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aiohttp")
    from trl.experimental.async_grpo import AsyncGRPOConfig, AsyncGRPOTrainer
    from trl.experimental.async_grpo import async_rollout_worker as worker

    monkeypatch.setattr(worker, "is_vllm_available", lambda: True)  # the server above stands in
    reward = derl_dsl.compile(REWARD, columns=COLUMNS)
    text = export(reward, TARGETS["trl-async-grpo"], Export("lengths.derl", columns=COLUMNS))
    monkeypatch.syspath_prepend(tmp_path)
    module = load(text, tmp_path, "lengths_for_async")
    server = Server(policy)
    rows = [
        {"prompt": [{"role": "user", "content": f"{k}+{k}="}], "digit": k % 10} for k in range(32)
    ]
    trainer = AsyncGRPOTrainer(
        model=str(policy),
        processing_class=AutoTokenizer.from_pretrained(policy, padding_side="left"),
        reward_funcs=[module.lengths],
        train_dataset=Dataset.from_list(rows),
        weight_transfer=NoTransfer(),
        args=AsyncGRPOConfig(
            output_dir=str(tmp_path / "out"), use_cpu=True, report_to=[], num_generations=4,
            max_steps=2, per_device_train_batch_size=4, max_completion_length=6, token_budget=0,
            save_strategy="no", logging_steps=1, disable_tqdm=True, bf16=False,
            vllm_server_base_url=server.url,
        ),
    )  # fmt: skip
    try:
        trainer.train()
    finally:
        server.http.shutdown()
    logged = [line for line in trainer.state.log_history if "reward" in line]
    assert len(logged) == 2
    # A group's deviations from its mean add up to 0; the ranks of equal digits are all alike.
    assert all(abs(line["reward"]) < 0.01 for line in logged)
    assert all(math.isfinite(line["reward_std"]) for line in logged)
    assert any(line["reward_std"] > 0 for line in logged)
