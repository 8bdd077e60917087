"""NeMo Gym: the file's server with its own web application, asked over HTTP at /verify.

The package asks for Python 3.13.14; what a resources server needs of it runs on 3.11 as well.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

from tests.conformance.probes.loading import Seen, by_path

NEWER = ("nemo-gym==0.7.0",)
PACKAGES = (
    "fastapi", "starlette", "annotated-doc", "pydantic", "pydantic-core",
    "annotated-types", "typing-inspection", "openai==2.44.0", "jiter", "distro", "httpx",
    "httpcore", "h11", "anyio", "sniffio", "omegaconf", "hydra-core",
    "antlr4-python3-runtime==4.9.3", "uvicorn", "httptools", "uvloop", "itsdangerous", "orjson",
    "devtools", "asttokens", "executing", "opentelemetry-api", "yappi", "pydot", "scipy", "wandb",
    "platformdirs",
)  # fmt: skip
ALONE = True
VERSION = "nemo-gym"
JSON = {"Content-Type": "application/json"}  # with NaN, which httpx itself refuses
HOW = "SimpleResourcesServer.setup_webserver, POST /verify"


def drive(file: Path, name: str, rows: list[dict[str, Any]], size: int | None) -> Seen:
    before = sys.path[:]
    warnings.simplefilter("ignore")
    import nemo_gym  # puts its own packages last

    sys.path[:] = before
    from fastapi.testclient import TestClient
    from nemo_gym.base_resources_server import BaseResourcesServerConfig, SimpleResourcesServer
    from nemo_gym.server_utils import BaseServerConfig, ServerClient
    from omegaconf import DictConfig

    assert nemo_gym.__file__
    made = [v for v in vars(by_path(file)).values() if isinstance(v, type)]
    server = next(c for c in made if c.__name__.endswith("RewardServer"))
    assert issubclass(server, SimpleResourcesServer)
    place = {"host": "127.0.0.1", "port": 1}
    head = ServerClient(
        head_server_config=BaseServerConfig(**place), global_config_dict=DictConfig({})
    )
    config = BaseResourcesServerConfig(**place, entrypoint="app.py", name=name, domain="math")
    client = TestClient(server(config=config, server_client=head).setup_webserver())
    out: Seen = []
    for row in rows:
        found = (
            client.post("/verify", content=json.dumps(_request(row)), headers=JSON)
            .raise_for_status()
            .json()
        )
        assert found["mask_sample"] == (found["failure_kind"] == "verifier_error")
        out.append((found["reward"], found["parts"]))
    return out


def _request(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the data set beside the response of the model, as an agent posts them."""
    text = {"type": "output_text", "text": row.get("completion", ""), "annotations": []}
    said = {"id": "m", "type": "message", "role": "assistant", "status": "completed"}
    response = {
        "id": "r", "created_at": 1, "model": "policy", "object": "response", "tools": [],
        "output": [{**said, "content": [text]}], "parallel_tool_calls": False,
        "tool_choice": "auto",
    }  # fmt: skip
    asked = {"input": [{"role": "user", "content": row.get("prompt", "p")}]}
    fields = {k: v for k, v in row.items() if k != "completion"}
    return {**fields, "responses_create_params": asked, "response": response}
