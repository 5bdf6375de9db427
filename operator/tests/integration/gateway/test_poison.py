"""A message that ends every connection is put aside, and the others arrive."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from tests.integration.gateway.scripted import PUBLISH, ScriptedBroker, packet_id
from tests.integration.gateway.world import Gateway, running_gateway, write_config
from tests.integration.webhook.world import (
    BACKEND,
    Answer,
    JwksServer,
    Keys,
    backend_claims,
    eventually,
)


def acknowledge(packet: bytes) -> bytes | None:
    if packet[0] >> 4 != PUBLISH:
        return b""
    return None if b"poison" in packet else b"\x40\x02" + packet_id(packet)


def serve_caller(gateway: Gateway, token: str) -> list[int]:
    """Post the poison and others; wait until it is put aside; return the statuses."""

    def post(payload: str) -> Answer:
        body = {"topic": "orders/1", "payload": payload}
        return gateway.post(body, token, Idempotency_Key=payload)

    statuses = [post(payload).status for payload in ("poison", "a", "b")]

    def parked() -> Answer:
        return gateway.request("GET", "/v1/parked", Authorization=f"Bearer {token}")

    eventually(lambda: parked().json["items"], within=40)
    (one,) = parked().json["items"]
    assert "only one under way" in one["reason"]
    eventually(lambda: [post(payload).status for payload in ("a", "b")] == [200, 200])
    assert post("poison").status == 502
    return statuses


async def test_poison(tmp_path: Path) -> None:
    cluster = Keys("cluster-1")
    jwks = JwksServer({"/cluster": cluster.document})
    token = cluster.sign(backend_claims(BACKEND))
    async with ScriptedBroker(answer=acknowledge).running() as broker:
        with contextlib.ExitStack() as stack:
            stack.enter_context(jwks.running())
            config = write_config(tmp_path, jwks, broker.port, cluster)

            running = running_gateway(tmp_path, config)
            gateway = await asyncio.to_thread(running.__enter__)
            try:
                statuses = await asyncio.to_thread(serve_caller, gateway, token)
            finally:
                await asyncio.to_thread(running.__exit__, None, None, None)
    assert statuses[0] == 202
    assert set(statuses) <= {200, 202}
