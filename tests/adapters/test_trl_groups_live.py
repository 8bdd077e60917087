"""Group functions in real trainings: two processes of accelerate, RLOO, AsyncGRPO."""

from __future__ import annotations

import json
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
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
from trl import RLOOConfig, RLOOTrainer

import derl_dsl
from derl_dsl.adapters.export import Export, export
from derl_dsl.adapters.targets import TARGETS
from derl_trainers.policy.loading import small_llama
from tests.adapters.test_export import load
from tests.adapters.trl_processes import COLUMNS, NAMED, REWARD

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = (
    "{% for m in messages %}{{ m['content'] }}{% endfor %}{% if add_generation_prompt %}{% endif %}"
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
    # What `accelerate launch` runs for several processes; its own --cpu wants MPI.
    told = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    told += ["--nproc_per_node", str(processes), "-m", "tests.adapters.trl_processes", str(policy)]
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
    logged = json.loads((tmp_path / "two" / "log0.json").read_text())
    for line in logged:
        assert {f"rewards/{name}/mean" for name in NAMED} <= line.keys()
        assert line["parts/short/w"] == pytest.approx(line["rewards/short/mean"])
        assert line["parts/digits/w"] == pytest.approx(10 * line["rewards/digits/mean"])
    assert logged


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


def test_async_grpo_scores_groups_in_its_own_process(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AsyncGRPO's worker at work: its process, its loops, our reward pickled into it."""
    pytest.importorskip("aiohttp")
    from accelerate import PartialState
    from trl.chat_template_utils import llama3_template
    from trl.experimental.async_grpo import async_rollout_worker as home

    PartialState()  # its log wants one
    monkeypatch.setattr(home, "is_vllm_available", lambda: True)  # the server above stands in
    reward = derl_dsl.compile(REWARD, columns=COLUMNS)
    text = export(reward, TARGETS["trl-async-grpo"], Export("lengths.derl", columns=COLUMNS))
    monkeypatch.syspath_prepend(tmp_path)
    module = load(text, tmp_path, "lengths_for_async")
    server = Server(policy)
    tokenizer = AutoTokenizer.from_pretrained(policy, padding_side="left")
    tokenizer.response_template = llama3_template  # text until the end token
    rows = [
        {"prompt": [{"role": "user", "content": f"{k}+{k}="}], "digit": k % 10} for k in range(32)
    ]
    worker = home.AsyncRolloutWorker(
        model_name="policy", dataset=Dataset.from_list(rows), reward_funcs=[module.lengths],
        processing_class=tokenizer, eos_token_ids=[tokenizer.eos_token_id], num_generations=4,
        max_inflight_tasks=4, vllm_server_url=server.url, max_tokens=6,
    )  # fmt: skip
    groups: dict[int, list[Any]] = {}
    worker.start()
    try:
        while sum(len(group) == 4 for group in groups.values()) < 3:
            sample = worker.rollout_buffer.get(timeout=120)
            groups.setdefault(sample.group_id, []).append(sample)
    finally:
        worker.stop()
        server.http.shutdown()
    whole = [group for group in groups.values() if len(group) == 4]
    rewards = [[s.metrics["rewards/lengths"] for s in group] for group in whole]
    # Deviations from a group's mean add up to 0; the ranks of equal digits are all alike.
    assert all(abs(sum(group)) < 0.01 for group in rewards)
    assert any(len(set(group)) > 1 for group in rewards)
    texts = [[_said(s.completion) for s in group] for group in whole]
    for said, found in zip(texts, rewards, strict=True):
        expected = reward.score({"completion": said, "digit": [0] * 4}, group_size=4)
        assert found == pytest.approx(expected.values.tolist(), abs=0.002)


def _said(completion: Any) -> str:
    return completion if isinstance(completion, str) else completion[-1]["content"]


class Attention:
    """The one CUDA kernel that AsyncGRPO asks for, in plain torch: causal attention by segments.

    A segment's queries are the last of its keys (the signature is flash-attention's).
    """

    @staticmethod
    def flash_attn_varlen_func(
        q: Any, k: Any, v: Any, ends_q: Any, ends_k: Any, *_: Any, softmax_scale: Any, **__: Any
    ) -> Any:
        out = []
        for s in range(len(ends_q) - 1):
            one = q[ends_q[s] : ends_q[s + 1]].transpose(0, 1)
            keys, values = (x[ends_k[s] : ends_k[s + 1]].transpose(0, 1) for x in (k, v))
            asked, known = one.shape[1], keys.shape[1]
            mask = torch.ones(asked, known, dtype=torch.bool).tril(known - asked)
            out.append(
                torch.nn.functional.scaled_dot_product_attention(
                    one, keys, values, mask, scale=softmax_scale, enable_gqa=True
                ).transpose(0, 1)
            )
        return torch.cat(out)


class Transfer:
    """Weights handed to the endpoint's model in memory, counted."""

    def __init__(self, server: Server) -> None:
        self.server, self.sent = server, 0

    def send_weights(self, iterator: Any) -> None:
        own = self.server.model.state_dict()
        with torch.no_grad():
            for name, value in iterator:
                own[name].copy_(value)
        self.sent += 1

    def _nothing(self) -> None:
        """The endpoint reads its weights afresh for every token."""

    init_weight_transfer = pause = resume = destroy = _nothing


def test_async_grpo_trains_on_a_group_function(
    policy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """AsyncGRPO whole: its worker's process, its queue, its optimizer, its weight sync."""
    pytest.importorskip("aiohttp")
    from trl.chat_template_utils import llama3_template
    from trl.experimental.async_grpo import AsyncGRPOConfig, AsyncGRPOTrainer, packing
    from trl.experimental.async_grpo import async_grpo_trainer as trainers
    from trl.experimental.async_grpo import async_rollout_worker as home

    monkeypatch.setattr(home, "is_vllm_available", lambda: True)  # the server above stands in
    monkeypatch.setattr(packing, "_flash_attn", Attention)
    monkeypatch.setattr(trainers, "get_peak_flops_per_device", lambda *_: None)
    reward = derl_dsl.compile(REWARD, columns=COLUMNS)
    text = export(reward, TARGETS["trl-async-grpo"], Export("lengths.derl", columns=COLUMNS))
    monkeypatch.syspath_prepend(tmp_path)
    module = load(text, tmp_path, "lengths_for_async_training")
    server = Server(policy)
    transfer = Transfer(server)
    tokenizer = AutoTokenizer.from_pretrained(policy, padding_side="left")
    tokenizer.response_template = llama3_template
    rows = [
        {"prompt": [{"role": "user", "content": f"{k}+{k}="}], "digit": k % 10} for k in range(32)
    ]
    trainer = AsyncGRPOTrainer(
        model=str(policy), reward_funcs=[module.lengths], processing_class=tokenizer,
        train_dataset=Dataset.from_list(rows), weight_transfer=transfer,
        args=AsyncGRPOConfig(
            output_dir=str(tmp_path), use_cpu=True, bf16=False, dtype="float32", report_to=[],
            num_generations=4, max_steps=2, per_device_train_batch_size=4, token_budget=256,
            max_completion_length=6, max_inflight_tasks=8, vllm_server_base_url=server.url,
            save_strategy="no", logging_steps=1, disable_tqdm=True, learning_rate=1e-3,
            gradient_checkpointing=False,
        ),
    )  # fmt: skip
    before = {n: p.detach().clone() for n, p in trainer.model.named_parameters()}
    try:
        trainer.train()
    finally:
        server.http.shutdown()
    assert trainer.state.global_step == 2
    assert transfer.sent >= 2
    assert any(not torch.equal(p, before[n]) for n, p in trainer.model.named_parameters())
    logged = [line for line in trainer.state.log_history if "rewards/lengths" in line]
    assert len(logged) == 2
    assert all(line["reward_std"] > 0 and line["grad_norm"] > 0 for line in logged)
