"""`podTemplate`: contradictions of the operator's own parts are refused, each by its name."""

from __future__ import annotations

from typing import Any

import pytest

from liveconnect.api.podrules import OPERANDS, Operand
from tests.integration.crd.conftest import ApiServer
from tests.integration.crd.objects import good, with_field

pytestmark = pytest.mark.integration

_PATHS = {operand.field: f"{operand.field.replace('[]', '.0')}.podTemplate" for operand in OPERANDS}
#: What is wrong with the operator's container, the field that is named, words of the message.
OWN_CONTAINER: list[tuple[dict[str, Any], str, str]] = [
    ({"image": "mine:1"}, "image", "remove it"),
    ({"command": ["sleep"]}, "command", "its command is fixed"),
    ({"args": ["-v"]}, "args", "its command is fixed"),
    ({"workingDir": "/x"}, "workingDir", "its working directory is fixed"),
    ({"ports": [{"containerPort": 9}]}, "ports", "its ports are"),
    ({"resources": {"limits": {"cpu": "1"}}}, "resources", ".resources instead"),
    ({"securityContext": {"privileged": True}}, "securityContext", "it is hardened"),
    ({"lifecycle": {"preStop": {}}}, "lifecycle", "how it ends is fixed"),
    ({"livenessProbe": {"exec": {"command": ["true"]}}}, "livenessProbe", "only its times"),
]


def refusal(api: ApiServer, operand: Operand, template: dict[str, Any]) -> str:
    return api.refusal(with_field(good(), _PATHS[operand.field], template))


each = pytest.mark.parametrize("operand", OPERANDS, ids=lambda o: o.field)


@each
@pytest.mark.parametrize("row", OWN_CONTAINER, ids=lambda r: r[1])
def test_the_operators_container_is_not_replaced(
    api_server: ApiServer, operand: Operand, row: tuple[dict[str, Any], str, str]
) -> None:
    change, field, words = row
    container = {"name": operand.container, **change}
    said = refusal(api_server, operand, {"spec": {"containers": [container]}})
    assert f"{operand.field}.podTemplate.spec.containers[0].{field}" in said
    assert words in said
    assert operand.container in said


@each
def test_names_that_are_taken(api_server: ApiServer, operand: Operand) -> None:
    spec = f"{operand.field}.podTemplate.spec"
    for volume in operand.volumes:
        name = f"{volume}0" if volume.endswith("-") else volume
        said = refusal(api_server, operand, {"spec": {"volumes": [{"name": name, "emptyDir": {}}]}})
        assert f"{spec}.volumes[0].name" in said
    for variable in operand.variables:
        env = [{"name": f"{variable}X" if variable.endswith("_") else variable, "value": "1"}]
        container = {"name": operand.container, "env": env}
        said = refusal(api_server, operand, {"spec": {"containers": [container]}})
        assert f"{spec}.containers[0].env" in said
        assert variable in said
    for path in operand.paths:
        mounts = [{"name": "x", "mountPath": f"{path}/sub"}]
        container = {"name": operand.container, "volumeMounts": mounts}
        said = refusal(api_server, operand, {"spec": {"containers": [container]}})
        assert f"{spec}.containers[0].volumeMounts" in said
        assert path in said
    first = [{"name": operand.container, "image": "mine:1"}]
    assert f"{spec}.initContainers[0].name" in refusal(
        api_server, operand, {"spec": {"initContainers": first}}
    )


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"metadata": {"labels": {"liveconnect.io/pool": "x"}}}, "metadata.labels",
     "liveconnect.io/pool: set by the operator"),
    ({"metadata": {"labels": {"app.kubernetes.io/name": "x"}}}, "metadata.labels",
     "app.kubernetes.io/name: set by the operator"),
    ({"metadata": {"labels": {"a": "not a value"}}}, "metadata.labels.a", "should match"),
    ({"metadata": {"annotations": {"liveconnect.io/config-hash": "x"}}}, "metadata.annotations",
     "set by the operator"),
    ({"metadata": {"name": "x"}}, "metadata.name", "not declared in schema"),
    ({"spec": {"serviceAccountName": "admin"}}, "spec.serviceAccountName", "not declared"),
    ({"spec": {"hostNetwork": True}}, "spec.hostNetwork", "not declared"),
    ({"spec": {"securityContext": {"runAsUser": 0}}}, "spec.securityContext.runAsUser",
     "greater than or equal to 1"),
    ({"spec": {"securityContext": {"runAsNonRoot": False}}}, "spec.securityContext.runAsNonRoot",
     "not declared"),
    ({"spec": {"terminationGracePeriodSeconds": 1}}, "spec.terminationGracePeriodSeconds",
     "greater than or equal to 20"),
    ({"spec": {"containers": [{"name": "mine"}]}}, "spec.containers[0].image",
     "a container of yours needs an image"),
    ({"spec": {"initContainers": [{"name": "mine"}]}}, "spec.initContainers[0].image",
     "a container of yours needs an image"),
    ({"spec": {"containers": [{"name": "Mine", "image": "a"}]}}, "spec.containers[0].name",
     "should match"),
    ({"spec": {"containers": [{"name": "a", "image": "a"}, {"name": "a", "image": "b"}]}},
     "spec.containers", "duplicate entries"),
    ({"spec": {"containers": [{"name": "a", "image": "a",
                               "env": [{"name": "A=", "value": "1"}]}]}},
     "spec.containers[0].env[0].name", "should match"),
    ({"spec": {"containers": [{"name": "a", "image": "a",
                               "env": [{"name": "A", "value": "1", "valueFrom": {}}]}]}},
     "spec.containers[0].env[0].valueFrom", "either value or valueFrom"),
    ({"spec": {"tolerations": [{"operator": "Equal"}]}}, "spec.tolerations[0].key", "use Exists"),
    ({"spec": {"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]}},
     "spec.tolerations[0].value", "Exists matches every value"),
    ({"spec": {"tolerations": [{"key": "a", "effect": "Never"}]}}, "spec.tolerations[0].effect",
     '"NoSchedule"'),
    ({"spec": {"containers": [{"name": f"c{n}", "image": "a"} for n in range(9)]}},
     "spec.containers", "at most 8 items"),
]  # fmt: skip


@pytest.mark.parametrize("row", BAD, ids=lambda r: r[1])
def test_what_is_wrong_is_named(
    api_server: ApiServer, row: tuple[dict[str, Any], str, str]
) -> None:
    template, field, words = row
    said = refusal(api_server, OPERANDS[1], template)
    assert f"spec.subscribers.podTemplate.{field}" in said
    assert words in said


@each
def test_what_is_meant_for_it_is_accepted(api_server: ApiServer, operand: Operand) -> None:
    template = {
        "metadata": {"labels": {"team": "mqtt"}, "annotations": {"example.com/note": "größe ✓"}},
        "spec": {
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b"}],
            "affinity": {"nodeAffinity": {}},
            "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone"}],
            "priorityClassName": "high",
            "securityContext": {"runAsUser": 1000},
            "containers": [
                {
                    "name": operand.container,
                    "env": [{"name": "TZ", "value": "UTC"}],
                    "livenessProbe": {"periodSeconds": 30},
                    "volumeMounts": [{"name": "extra", "mountPath": "/opt/extra"}],
                },
                {
                    "name": "sidecar",
                    "image": "s:1",
                    "env": [{"name": "POD_NAME", "value": "x"}],
                    "volumeMounts": [{"name": "extra", "mountPath": "/opt"}],
                    "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
                },
            ],
            "volumes": [{"name": "extra", "emptyDir": {"sizeLimit": "1Mi"}}],
        },
    }
    assert not refusal(api_server, operand, template)
