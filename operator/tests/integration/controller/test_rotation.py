"""Rotation of the brokers' secrets, asked for by annotations, against a real API server.

The pods have no broker here: what needs their answers is in the contract tests and the scenarios.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.integration.controller.conftest import Eventually, Kube, Operator
from tests.integration.controller.test_reconcile import cluster

pytestmark = pytest.mark.integration


def secret(kube: Kube) -> dict[str, str]:
    data = kube.get("secret", "demo-broker")["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def rotating(kube: Kube) -> dict[str, Any]:
    status = kube.get("lcc", "demo").get("status") or {}
    found: dict[str, Any] = next(
        (c for c in status.get("conditions", []) if c["type"] == "CredentialsRotating"), {}
    )
    return found


def pods(kube: Kube) -> dict[str, str]:
    path = '{range .items[*]}{.metadata.name}={.metadata.uid}{"\\n"}{end}'
    listed = kube("get", "pods", "-l", "liveconnect.io/broker=true", "-o", f"jsonpath={path}")
    return dict(line.split("=") for line in listed.split())


def ask(kube: Kube, what: str, value: str) -> None:
    kube("annotate", "lcc", "demo", f"liveconnect.io/rotate-{what}={value}", "--overwrite")


def test_a_new_api_key_is_written_down_first_and_survives_the_operator(
    kube: Kube, eventually: Eventually, operator_process: Operator
) -> None:
    kube.apply(cluster())
    before = eventually(lambda: secret(kube))
    template = eventually(lambda: kube.get("statefulset", "demo-subscriber")["spec"]["template"])
    ask(kube, "api-key", "1")
    following = eventually(lambda: secret(kube)["api-key-next"], within=30)
    assert secret(kube)["api-key"] == before["api-key"]
    said = eventually(lambda: (c := rotating(kube)).get("status") == "True" and c)
    assert said["reason"] == "RotatingApiKey"
    operator_process.kill()
    operator_process.start()
    kube("annotate", "lcc", "demo", "liveconnect.io/reconcile=now", "--overwrite")
    eventually(lambda: kube.get("lcc", "demo")["status"].get("reconciled") == "now", within=40)
    # No broker has answered: both keys are as they were, and no pod restarts for a key.
    assert secret(kube) == {**before, "api-key-next": following}
    assert kube.get("statefulset", "demo-subscriber")["spec"]["template"] == template
    for value in (before["api-key"], following):
        assert value not in operator_process.log.read_text()
        assert value not in str(kube.get("lcc", "demo"))


def test_a_new_cookie_replaces_all_pods_at_once(kube: Kube, eventually: Eventually) -> None:
    kube.apply(cluster())
    cookie = eventually(lambda: secret(kube)["cookie"])
    old = eventually(lambda: len(found := pods(kube)) == 4 and found, within=30)
    ask(kube, "cookie", "1")
    eventually(lambda: secret(kube)["cookie"] != cookie, within=30)

    def replaced() -> bool:
        now = pods(kube)
        return len(now) == 4 and not set(now.values()) & set(old.values())

    eventually(replaced, within=90)
    template = kube.get("pod", "demo-subscriber-0")["metadata"]["annotations"]
    assert len(template["liveconnect.io/cookie"]) == 16
    eventually(lambda: rotating(kube)["status"] == "False", within=30)
    told = ("get", "events", "-o", "jsonpath={.items[*].message}")
    eventually(lambda: "every client is disconnected" in kube(*told))
    # Once: the same value asks for nothing more.
    settled = secret(kube)["cookie"]
    kube("annotate", "lcc", "demo", "liveconnect.io/reconcile=again", "--overwrite")
    eventually(lambda: kube.get("lcc", "demo")["status"].get("reconciled") == "again", within=60)
    assert secret(kube)["cookie"] == settled


def test_a_new_object_with_the_annotation_has_nothing_to_rotate(
    kube: Kube, eventually: Eventually
) -> None:
    body = cluster()
    body["metadata"]["annotations"] = {"liveconnect.io/rotate-api-key": "1"}
    kube.apply(body)
    eventually(lambda: rotating(kube).get("status") == "False", within=30)
    assert "api-key-next" not in eventually(lambda: secret(kube))
