"""The simulator knows the built-in rule of answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.test_commands import CLAIMS, CLUSTER, Shell

ON = {
    **CLUSTER,
    "spec": {**CLUSTER["spec"], "gateway": {"requests": {"maxReplyBytes": 9}}},
}
SOURCE = "spec.gateway.requests"
OWN = "clients/phone/replies/0/1"
GATEWAY = f"{CLUSTER['metadata']['namespace']}:{CLUSTER['metadata']['name']}-gateway"
HEARD = "subscribe clients/+/replies/0/+"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path)
    made.objects = made.yaml(ON)
    return made


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (f"publish {OWN} --payload-bytes 9", f"yes: publish {OWN} – {SOURCE}"),
        (f"publish {OWN} --payload-bytes 10", f"payload-size – {SOURCE}"),
        (f"publish {OWN} --payload-bytes 1 --retain", f"retain – {SOURCE}"),
        ("publish clients/other/replies/0/1 --payload-bytes 1", "no-rule"),
    ],
)
def test_devices(shell: Shell, arguments: str, answer: str) -> None:
    assert answer in shell.may(*arguments.split()).stdout


@pytest.mark.parametrize(
    ("arguments", "account", "answer"),
    [
        (f"{HEARD} --client-id demo-gateway-0", GATEWAY, f"with QoS 1 – {SOURCE}"),
        (f"{HEARD} --client-id demo-gateway-1", GATEWAY, "subscribe-on-publisher-pool"),
        (HEARD, GATEWAY, "subscribe-on-publisher-pool"),
        (f"publish {OWN}", GATEWAY, f"reply-topic – {SOURCE}"),
        ("publish clients/phone/requests/0/1", GATEWAY, "yes: "),
    ],
)
def test_backends(shell: Shell, arguments: str, account: str, answer: str) -> None:
    words = [*arguments.split(), "--as-service-account", account, "-f", shell.objects]
    assert answer in shell.run("may-i", *words).stdout


def test_listed_among_the_rules(shell: Shell) -> None:
    result = shell.run("rules", "--as-claims", shell.claims, "-f", shell.objects, "--json")
    rules = {rule["filter"]: rule for rule in json.loads(result.stdout)}
    assert rules["clients/phone/replies/+/+"]["source"] == SOURCE
    assert rules["clients/phone/replies/+/+"]["maxPayloadBytes"] == 9
    assert CLAIMS["client_id"] == "phone"
