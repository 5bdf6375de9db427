"""`podTemplate`: merged by key; the operator's own parts stay what they are."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest

from hack.golden import rendered
from liveconnect.api.podrules import OPERANDS
from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.manifest import Manifest

#: Where the spec speaks of an operand, its workload, its container.
WORKLOADS = [
    (o.field.removeprefix("spec."), name, o.container)
    for o, name in zip(
        OPERANDS,
        ("demo-publisher", "demo-subscriber", "demo-auth", "demo-gateway", "demo-presence"),
        strict=True,
    )
]


def workload(field: str, name: str, template: dict[str, Any]) -> Manifest:
    jwt = {"issuer": "i", "audiences": ["a"], "jwksURI": "https://i/jwks"}
    spec: dict[str, Any] = {"broker": {"image": "b:1"}, "auth": {"tokens": [{"jwt": jwt}]}}
    node = spec
    for part in field.split("."):
        node = node.setdefault(part, {})
    node["podTemplate"] = template
    meta = {"name": "demo", "namespace": "ns", "uid": "u", "generation": 1}
    made = rendered(Cluster.parse({"metadata": meta, "spec": spec}))
    found = next(
        m
        for m in made
        if m["metadata"]["name"] == name and m["kind"] in {"StatefulSet", "Deployment"}
    )
    kubernetes_validate.validate(found, "1.34", strict=True)
    return found


def template(field: str, name: str, added: dict[str, Any]) -> Manifest:
    found: Manifest = workload(field, name, added)["spec"]["template"]
    return found


def named(items: list[Manifest], name: str) -> Manifest:
    return next(item for item in items if item["name"] == name)


each = pytest.mark.parametrize(("field", "name", "container"), WORKLOADS, ids=str)


@each
def test_scheduling_is_the_users(field: str, name: str, container: str) -> None:
    affinity = {
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "Exists"}]}]
            }
        }
    }
    spread = {"maxSkew": 2, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}
    pod = template(field, name, {"spec": {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "mqtt", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": affinity,
        "topologySpreadConstraints": [spread],
        "priorityClassName": "high",
        "terminationGracePeriodSeconds": 120,
        "imagePullSecrets": [{"name": "mine"}],
    }})["spec"]  # fmt: skip
    assert pod["nodeSelector"] == {"disk": "ssd"}
    assert pod["tolerations"] == [{"key": "mqtt", "operator": "Exists", "effect": "NoSchedule"}]
    assert pod["affinity"] == affinity
    assert pod["topologySpreadConstraints"] == [spread]
    assert pod["priorityClassName"] == "high"
    assert pod["terminationGracePeriodSeconds"] == 120
    assert pod["imagePullSecrets"] == [{"name": "mine"}]


@each
def test_containers_and_volumes_are_merged_by_key(field: str, name: str, container: str) -> None:
    plain = template(field, name, {})["spec"]
    pod = template(field, name, {"spec": {
        "containers": [
            {
                "name": container,
                "env": [{"name": "MINE", "value": "1"}],
                "volumeMounts": [{"name": "extra", "mountPath": "/opt/extra", "readOnly": True}],
            },
            {"name": "sidecar", "image": "sidecar:1", "ports": [{"containerPort": 9000}]},
        ],
        "initContainers": [{"name": "first", "image": "init:1", "restartPolicy": "Always"}],
        "volumes": [{"name": "extra", "configMap": {"name": "extra"}}],
    }})["spec"]  # fmt: skip
    mine, before = named(pod["containers"], container), named(plain["containers"], container)
    assert named(mine["env"], "MINE")["value"] == "1"
    assert mine["volumeMounts"][:-1] == before["volumeMounts"]
    assert mine["volumeMounts"][-1]["mountPath"] == "/opt/extra"
    assert mine["command"] == before["command"]
    assert named(pod["containers"], "sidecar")["image"] == "sidecar:1"
    assert named(pod["initContainers"], "first")["restartPolicy"] == "Always"
    assert pod["volumes"] == [*plain["volumes"], {"name": "extra", "configMap": {"name": "extra"}}]


@each
def test_metadata_is_added(field: str, name: str, container: str) -> None:
    meta = template(field, name, {"metadata": {
        "labels": {"team": "mqtt"}, "annotations": {"sidecar.istio.io/inject": "false"},
    }})["metadata"]  # fmt: skip
    assert meta["labels"]["team"] == "mqtt"
    assert meta["labels"]["liveconnect.io/cluster"] == "demo"
    assert meta["annotations"]["sidecar.istio.io/inject"] == "false"
    assert "liveconnect.io/config-hash" in meta["annotations"]


@each
def test_times_of_probes_are_the_users_what_they_ask_is_not(
    field: str, name: str, container: str
) -> None:
    plain = named(template(field, name, {})["spec"]["containers"], container)
    probe = {"periodSeconds": 30, "failureThreshold": 9, "exec": {"command": ["true"]}}
    added = {"spec": {"containers": [{"name": container, "livenessProbe": probe}]}}
    ours = plain["livenessProbe"]
    found = named(workload_unchecked(field, name, added)["spec"]["containers"], container)
    assert found["livenessProbe"]["periodSeconds"] == 30
    assert found["livenessProbe"]["failureThreshold"] == 9
    handler = next(k for k in ours if k in {"httpGet", "tcpSocket"})
    assert found["livenessProbe"][handler] == ours[handler]


def workload_unchecked(field: str, name: str, added: dict[str, Any]) -> Manifest:
    """What the CRD refuses is not valid for Kubernetes either."""
    try:
        return template(field, name, added)
    except kubernetes_validate.ValidationError:
        raise AssertionError("not valid") from None


@each
def test_what_makes_it_an_operand_is_never_replaced(field: str, name: str, container: str) -> None:
    """The CRD refuses all of this by name; an object that is older than a rule changes nothing."""
    plain = template(field, name, {})
    added = {
        "metadata": {"labels": {"liveconnect.io/cluster": "other"}},
        "spec": {
            "securityContext": {"runAsUser": 4711, "fsGroup": 4711},
            "containers": [
                {
                    "name": container,
                    "image": "evil:1",
                    "command": ["sleep"],
                    "env": [{"name": "POD_NAME", "value": "x"}],
                    "securityContext": {"privileged": True, "readOnlyRootFilesystem": False},
                    "resources": {"limits": {"cpu": "1"}},
                }
            ],
        },
    }
    found = template(field, name, added)
    assert found["metadata"]["labels"] == plain["metadata"]["labels"]
    mine = named(found["spec"]["containers"], container)
    ours = named(plain["spec"]["containers"], container)
    assert mine["image"] == ours["image"]
    assert mine["command"] == ours["command"]
    hardened = {k: mine["securityContext"][k] for k in ours["securityContext"]}
    assert hardened == ours["securityContext"]
    identity = found["spec"]["securityContext"]
    assert identity["runAsNonRoot"] is True
    assert identity["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (identity["runAsUser"], identity["fsGroup"]) == (4711, 4711)


@each
def test_the_crd_knows_every_part_that_is_the_operators(
    field: str, name: str, container: str
) -> None:
    """A volume, mount or variable that is added to a template must be added to the rules, too."""
    operand = next(o for o in OPERANDS if o.field == f"spec.{field}")
    workload_body = workload(field, name, {})
    pod = workload_body["spec"]["template"]["spec"]
    mine = named(pod["containers"], container)
    claims = workload_body["spec"].get("volumeClaimTemplates", [])
    volumes = {v["name"] for v in pod["volumes"]} | {c["metadata"]["name"] for c in claims}
    paths = {m["mountPath"] for m in mine["volumeMounts"]}
    folders = tuple(f"{p}/" for p in operand.paths)
    assert not {v for v in volumes if not v.startswith(operand.volumes)}
    assert not {p for p in paths if not f"{p}/".startswith(folders)}
    assert not {
        e["name"] for e in mine.get("env", []) if not e["name"].startswith(operand.variables)
    }


def test_a_change_of_it_rolls_the_pods() -> None:
    before = workload("publishers", "demo-publisher", {})
    after = workload("publishers", "demo-publisher", {"spec": {"nodeSelector": {"a": "b"}}})
    name = "liveconnect.io/template-hash"
    assert before["metadata"]["annotations"].keys() == after["metadata"]["annotations"].keys()
    assert before["metadata"]["annotations"] != after["metadata"]["annotations"], name
