"""NeMo Gym: `verify` of a resources server."""

from __future__ import annotations

from derl_dsl.adapters.targets.base import Target

TARGET = Target(
    name="nemo-gym",
    title="NeMo Gym",
    version="0.7",
    package="nemo-gym",
    module="nemo_gym",
    gives=("completion",),
    others="the fields of the request",
    policies=("lowest", "raise"),
    body='''\
import asyncio

from nemo_gym.base_resources_server import (
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from pydantic import ConfigDict


class @CLASS@Request(BaseVerifyRequest):
    """The row of the data set, with all its fields."""

    model_config = ConfigDict(extra="allow")


class @CLASS@Response(BaseVerifyResponse):
    """The reward and its parts; what failed is masked: it counts nowhere."""

    model_config = ConfigDict(extra="allow")
    parts: dict[str, float] = {}


def _text(response):
    """The assistant's text: the output messages' text parts, in order."""
    parts = []
    for item in response.output:
        if getattr(item, "type", "") == "message" and getattr(item, "role", "") == "assistant":
            parts += [part.text for part in item.content if hasattr(part, "text")]
    return "".join(parts)


class @CLASS@Server(SimpleResourcesServer):
    """A resources server that verifies with this reward."""

    async def verify(self, body: @CLASS@Request) -> @CLASS@Response:
        fields = body.model_dump()
        own = {"completion": _text(body.response)}
        found = await asyncio.to_thread(scorer.score, own, fields)
        parts = {name: part for name, part in found.parts.items() if part == part}
        told = {**fields, "reward": found.value, "parts": parts, "mask_sample": found.failed}
        if found.failed:
            told["failure_kind"] = "verifier_error"
            told["failure_reason"] = "the reward could not be computed: its faults are in the log"
        return @CLASS@Response(**told)


if __name__ == "__main__":
    @CLASS@Server.run_webserver()
''',
    settings="""\
resources_servers/@NAME@/app.py is this file; in its config: entrypoint: app.py""",
)
