"""Start and end of the process."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.webhook.world import (
    Answer,
    JwksServer,
    Keys,
    Redis,
    Service,
    World,
    eventually,
    free_port,
    register_body,
    running_service,
    write_config,
)


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"cluster": 1}', '{"surprise": true}'])
def test_a_configuration_that_cannot_be_used_ends_the_process(
    tmp_path: Path, content: str | None
) -> None:
    config = tmp_path / "config.json"
    if content is not None:
        config.write_text(content)
    done = subprocess.run(
        [sys.executable, "-m", "liveconnect.webhook"],
        env={**os.environ, "LIVECONNECT_CONFIG_FILE": str(config)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    last = json.loads((done.stdout + done.stderr).splitlines()[-1])
    assert last["message"] == "the configuration cannot be used"
    assert str(config) in last["reason"]


def test_draining_ends_connections_with_their_answers(own_world: World) -> None:
    world = own_world
    address = urlsplit(world.service.url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=10)
    body = json.dumps(register_body(world.device(), "phone-1"))

    def call() -> http.client.HTTPResponse:
        path, headers = "/hooks/auth/subscriber/n-0", {"vernemq-hook": "auth_on_register"}
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        assert json.loads(answer.read())["result"] == "ok"
        return answer

    assert call().headers["Connection"] is None
    world.service.process.send_signal(signal.SIGTERM)
    eventually(lambda: "draining" in world.service.log.read_text())
    assert call().headers["Connection"] == "close"
    connection.close()
    assert world.service.process.wait(10) == 0


def test_not_ready_while_draining(own_world: World) -> None:
    world = own_world
    world.service.process.send_signal(signal.SIGTERM)

    def refusal() -> Answer | None:
        found = world.service.request("GET", "/readyz")
        return found if found.status == 503 else None

    answer = eventually(refusal)
    assert answer is not None
    assert answer.json["reason"] == "draining"


def test_hooks_have_a_port_that_nobody_else_needs_to_reach(own_world: World) -> None:
    """A policy lets readers to the one port and brokers to the other."""
    hooks_port = free_port()
    environment = {"LIVECONNECT_HOOKS_PORT": str(hooks_port)}
    config = own_world.folder / "config.json"
    with running_service(own_world.folder, config, **environment) as clients:
        hooks = Service(f"http://127.0.0.1:{hooks_port}", clients.log, clients.process)
        body = register_body(own_world.device(), "phone-1")
        assert hooks.hook("auth_on_register", body).json["result"] == "ok"
        assert clients.hook("auth_on_register", body).status == 404
        assert clients.request("GET", "/v1/clients/phone-1").status == 401
        for path in ("/v1/clients/phone-1", "/metrics", "/readyz", "/hooks"):
            assert hooks.request("GET", path).status == 404


def test_not_ready_while_no_devices_token_can_be_checked(tmp_path: Path) -> None:
    """Without the devices' keys it would refuse everybody; others, which have them, go on."""
    issuer, cluster, redis = Keys("device-1"), Keys("cluster-1"), Redis(tmp_path)
    jwks = JwksServer({"/cluster": cluster.document})
    redis.start()
    try:
        with jwks.running():
            config = write_config(tmp_path, jwks, redis, cluster)
            with running_service(tmp_path, config, wait="/healthz") as service:
                answer = service.request("GET", "/readyz")
                assert answer.status == 503
                assert "no device's token can be verified" in answer.json["reason"]
                jwks.documents["/devices"] = issuer.document
                eventually(lambda: service.request("GET", "/readyz").status == 200)
    finally:
        redis.stop()
