"""The samples' rules let the use cases' apps do what they do, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hack.golden import SAMPLES
from liveconnect.cli.identity import backend, device
from liveconnect.cli.objects import Objects, from_files
from liveconnect.cli.question import Message, Simulator, Wanted

_ANN = {"client_id": "phone-ann", "sub": "ann", "customer": "42"}
_BO = {"client_id": "tablet-bo", "sub": "bo", "groups": ["doctors"]}

MAY: list[tuple[dict[str, Any], str, str]] = [
    (_ANN, "subscribe", "orders/42/+/status"),
    (_ANN, "subscribe", "clients/phone-ann/inbox"),
    (_ANN, "subscribe", "clients/phone-ann/requests/#"),
    (_ANN, "subscribe", "consultations/ann/+/to-patient"),
    (_ANN, "publish", "consultations/ann/bo/to-doctor"),
    (_ANN, "publish", "clients/phone-ann/replies/0/abc"),
    (_BO, "subscribe", "groups/doctors/inbox"),
    (_BO, "subscribe", "consultations/+/bo/to-doctor"),
    (_BO, "publish", "consultations/ann/bo/to-patient"),
]
MAY_NOT: list[tuple[dict[str, Any], str, str]] = [
    (_ANN, "subscribe", "orders/43/+/status"),
    (_ANN, "subscribe", "orders/#"),
    (_ANN, "publish", "orders/42/7/status"),
    (_ANN, "subscribe", "clients/tablet-bo/inbox"),
    (_ANN, "publish", "clients/tablet-bo/inbox"),
    (_ANN, "publish", "clients/tablet-bo/requests/0/abc"),
    (_ANN, "publish", "clients/tablet-bo/replies/0/abc"),
    (_ANN, "subscribe", "groups/doctors/inbox"),
    (_ANN, "subscribe", "consultations/dee/+/to-patient"),
    (_ANN, "subscribe", "consultations/+/ann/to-doctor"),
    (_ANN, "publish", "consultations/dee/bo/to-doctor"),
    (_ANN, "publish", "consultations/ann/bo/to-patient"),
    (_BO, "subscribe", "consultations/+/cy/to-doctor"),
    (_BO, "publish", "consultations/ann/cy/to-patient"),
    (_BO, "publish", "groups/doctors/inbox"),
]
BACKENDS = [
    ("shop:orders", "orders/42/7/status", True),
    ("shop:orders", "clients/phone-ann/inbox", False),
    ("clinic:desk", "groups/doctors/inbox", True),
    ("clinic:desk", "clients/phone-ann/inbox", True),
    ("clinic:desk", "clients/phone-ann/requests/0/abc", False),
    ("support:diagnostics", "clients/phone-ann/requests/0/abc", True),
    ("support:diagnostics", "clients/phone-ann/inbox", False),
]


@pytest.fixture(scope="module")
def objects() -> Objects:
    return from_files(sorted((SAMPLES / "usecases").glob("*.yaml")), "default", "platform")


def asked(objects: Objects, path: Path, claims: dict[str, Any], what: str, topic: str) -> bool:
    path.write_text(json.dumps(claims))
    who, simulator = device(objects.cluster, path, None), Simulator(objects)
    if what == "subscribe":
        (answer,) = simulator.subscribe(who, [Wanted(topic, 1)])
    else:
        message = Message(who.client_id, topic, 1, retain=False, payload_bytes=100)
        answer = simulator.publish(who, message)
    return answer.allowed


def test_all_teams_rules_are_in_force(objects: Objects) -> None:
    verdicts = Simulator(objects).rules.verdicts
    assert len(verdicts) == 3
    assert all(verdict.accepted for verdict in verdicts), verdicts


@pytest.mark.parametrize(("claims", "what", "topic"), MAY)
def test_apps_may(
    objects: Objects, tmp_path: Path, claims: dict[str, Any], what: str, topic: str
) -> None:
    assert asked(objects, tmp_path / "claims.json", claims, what, topic)


@pytest.mark.parametrize(("claims", "what", "topic"), MAY_NOT)
def test_apps_may_not(
    objects: Objects, tmp_path: Path, claims: dict[str, Any], what: str, topic: str
) -> None:
    assert not asked(objects, tmp_path / "claims.json", claims, what, topic)


@pytest.mark.parametrize(("account", "topic", "allowed"), BACKENDS)
def test_backends(objects: Objects, account: str, topic: str, *, allowed: bool) -> None:
    message = Message("backend", topic, 1, retain=False, payload_bytes=100)
    answer = Simulator(objects).publish(backend(account, "backend"), message)
    assert answer.allowed is allowed
