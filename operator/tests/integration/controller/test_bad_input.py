"""Wrong objects that only the operator, or Kubernetes behind it, can see to be wrong.

For each: the condition names the field, says what is wrong and what to do; another object goes on
being reconciled meanwhile; and when it is corrected, it recovers. What the API server refuses by
itself is in `tests/integration/crd`; here those objects are only shown to disturb nobody.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from e2e.kit.cluster import KubectlError
from tests.integration.controller.conftest import Eventually, Kube, namespaced
from tests.integration.controller.test_reconcile import cluster
from tests.integration.crd.objects import with_field
from tests.integration.crd.test_pod_templates import BAD as BAD_TEMPLATES
from tests.integration.crd.test_refusals import BAD as REFUSED

pytestmark = pytest.mark.integration

Step = Callable[[Kube], object]
_KEYS = '{"keys": [{"kty": "EC", "crv": "P-256", "x": "x", "y": "y"}]}'


def secret(name: str, **content: str) -> Step:
    """Make a Secret, or another content of it."""
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    return lambda kube: kube.apply({**body, "stringData": content})


def raw_secret(name: str, **content: str) -> Step:
    """Make a Secret from base64."""
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
    return lambda kube: kube.apply({**body, "data": content})


def constraint(kind: str, spec: dict[str, Any]) -> Step:
    """Make a ResourceQuota or LimitRange."""
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "bad"}, "spec": spec}
    return lambda kube: kube.apply(body)


def removal(*what: str) -> Step:
    return lambda kube: kube("delete", *what)


def outside(body: dict[str, Any]) -> Step:
    """Make an object of the whole cluster; left behind, its name says whose it was."""
    return lambda kube: kube.plane.kubectl(
        "apply", "--server-side", "-f", "-", stdin=json.dumps(body)
    )


@dataclass(frozen=True)
class Row:
    """One wrong object."""

    path: str
    value: Any
    words: tuple[str, ...]
    """What the condition says, the field among it."""
    before: tuple[Step, ...] = ()
    """What is in the namespace already."""
    correct: Step | None = None
    """What makes it right; another value of the object when None."""
    right: Any = field(default=None)
    """That value; the field goes when None."""
    condition: str = "Ready"
    standing: bool = False
    """It is one more edit of an object that stands; the others are wrong from the beginning."""


JWKS = "spec.auth.tokens.0.jwt"
_FROM_SECRET = {
    "issuer": "https://issuer.example",
    "audiences": ["devices"],
    "jwksSecretRef": {"name": "keys", "key": "jwks.json"},
}
_ASKED = {
    "introspection": {
        "url": "https://issuer.example/introspect",
        "clientID": "auth",
        "clientSecretRef": {"name": "client", "key": "secret"},
    }
}
_STORE = {"external": {"urlSecretRef": {"name": "store", "key": "url"}}}
_PULL = [{"name": "registry"}]


def key_set(wrong: str, *words: str) -> Row:
    """A key set that is none."""
    said = ("spec.auth.tokens[0].jwt.jwksSecretRef: key jwks.json of Secret keys", *words)
    fixed = secret("keys", **{"jwks.json": _KEYS})
    before = (secret("keys", **{"jwks.json": wrong}),)
    return Row(JWKS, _FROM_SECRET, said, before, fixed, standing=True)


def store_url(wrong: str) -> Row:
    """A URL of a presence store that is none."""
    said = ("spec.presence.store.external.urlSecretRef: key url of Secret store", "redis://host")
    fixed = secret("store", url="redis://store:6379/0")
    before = (secret("store", url=wrong),)
    return Row("spec.presence.store", _STORE, said, before, fixed, standing=True)


def template(operand: str, spec: dict[str, Any], *words: str) -> Row:
    """An addition to pods that Kubernetes does not take."""
    path = f"spec.{operand}.podTemplate"
    return Row(path, {"spec": spec}, (path, *words), standing=True)


def mounted(name: str) -> dict[str, Any]:
    return {"name": "auth", "volumeMounts": [{"name": name, "mountPath": "/opt/x"}]}


_AFFINITY = "requiredDuringSchedulingIgnoredDuringExecution"
_MISSING_CLASS = {"storageClassName": "bad-missing"}
_NO_SUCH_CLASS = "there is no StorageClass bad-missing"
_CLASS = outside(
    {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "bad-missing"},
        "provisioner": "test.liveconnect.io/none",
    }
)
_LISTENER = {"name": "mqtt", "port": 1883}
_TLS = {"name": "mqtts", "protocol": "MQTTS", "port": 8883, "tls": {"secretName": "cert"}}

TABLE: dict[str, Row] = {
    # Secrets that are missing or hold something else
    "jwks-secret-missing": Row(
        JWKS, _FROM_SECRET,
        ("spec.auth.tokens[0].jwt.jwksSecretRef: there is no Secret keys; create it",),
        correct=secret("keys", **{"jwks.json": _KEYS}),
    ),
    "jwks-key-missing": Row(
        JWKS, _FROM_SECRET,
        ("spec.auth.tokens[0].jwt.jwksSecretRef: Secret keys has no key jwks.json; add it",),
        (secret("keys", other="{}"),), secret("keys", **{"jwks.json": _KEYS}),
    ),
    "jwks-no-json": key_set("-----BEGIN PUBLIC KEY-----", "is not JSON"),
    "jwks-empty": key_set("", "is not JSON"),
    "jwks-a-list": key_set("[]", "is not JSON; it must be a JSON Web Key Set"),
    "jwks-no-set": key_set('{"kty": "EC"}', "is not a JSON Web Key Set"),
    "jwks-keys-of-nothing": key_set('{"keys": [{}, 1]}', "is not a JSON Web Key Set"),
    "jwks-no-keys": key_set('{"keys": []}', "holds no keys", "put your issuer's there"),
    "jwks-unicode": key_set("größe ✓ 🔑", "is not JSON"),
    "jwks-bytes": Row(
        JWKS, _FROM_SECRET, ("spec.auth.tokens[0].jwt.jwksSecretRef", "is not JSON"),
        (raw_secret("keys", **{"jwks.json": "gP8AAQ=="}),), secret("keys", **{"jwks.json": _KEYS}),
    ),
    "introspection-secret-missing": Row(
        "spec.auth.tokens.0", _ASKED,
        ("spec.auth.tokens[0].introspection.clientSecretRef: there is no Secret client; create",),
        correct=secret("client", secret="s3cret"),
    ),
    "introspection-secret-empty": Row(
        "spec.auth.tokens.0", _ASKED,
        ("spec.auth.tokens[0].introspection.clientSecretRef: key secret", "is empty"),
        (secret("client", secret=" \n"),), secret("client", secret="s3cret"),
    ),
    "introspection-secret-two-lines": Row(
        "spec.auth.tokens.0", _ASKED, ("clientSecretRef", "more than one line"),
        (secret("client", secret="id\ns3cret"),), secret("client", secret="s3cret"),
    ),
    "store-secret-missing": Row(
        "spec.presence.store", _STORE,
        ("spec.presence.store.external.urlSecretRef: there is no Secret store; create it",),
        correct=secret("store", url="redis://store:6379/0"),
    ),
    "store-url-empty": store_url(""),
    "store-url-without-scheme": store_url("store:6379"),
    "store-url-of-http": store_url("http://store:6379"),
    "store-url-with-a-bad-port": store_url("redis://store:port/0"),
    "pull-secret-missing": Row(
        "spec.broker.imagePullSecrets", _PULL,
        ("spec.broker.imagePullSecrets[0]: there is no Secret registry; create it",),
        correct=secret("registry", **{".dockerconfigjson": '{"auths": {}}'}),
    ),
    "pull-secret-of-another-kind": Row(
        "spec.broker.imagePullSecrets", _PULL,
        ("spec.broker.imagePullSecrets[0]: Secret registry has no key .dockerconfigjson",),
        (secret("registry", password="x"),),
        secret("registry", **{".dockerconfigjson": '{"auths": {}}'}),
    ),
    "pull-secret-malformed": Row(
        "spec.broker.imagePullSecrets", _PULL,
        ("spec.broker.imagePullSecrets[0]", "kubectl create secret docker-registry"),
        (secret("registry", **{".dockerconfigjson": "user:password"}),),
        secret("registry", **{".dockerconfigjson": '{"auths": {}}'}),
    ),
    "certificate-missing": Row(
        "spec.subscribers.listeners", [_LISTENER, _TLS],
        ("spec.subscribers.listeners[mqtts].tls.secretName: there is no Secret cert; create it",),
        right=[_LISTENER], condition="CertificatesReady",
    ),
    "certificate-malformed": Row(
        "spec.subscribers.listeners", [_LISTENER, _TLS],
        ("spec.subscribers.listeners[mqtts].tls.secretName: Secret cert",),
        (secret("cert", **{"tls.crt": "no", "tls.key": "no"}),),
        right=[_LISTENER], condition="CertificatesReady",
    ),
    # storage that will never be there
    "class-missing-publishers": Row(
        "spec.publishers.storage", _MISSING_CLASS,
        ("spec.publishers.storage.storageClassName: ", _NO_SUCH_CLASS), correct=_CLASS,
        condition="StorageReady",
    ),
    "class-missing-presence": Row(
        "spec.presence.store.managed.storage", {"storageClassName": "bad-presence"},
        ("spec.presence.store.managed.storage.storageClassName: ", "bad-presence", "create it"),
        correct=outside({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
                         "metadata": {"name": "bad-presence"},
                         "provisioner": "test.liveconnect.io/none"}),
        condition="StorageReady",
    ),
    # pods that Kubernetes does not make or place
    "unsatisfiable-cpu": Row(
        "spec.auth.resources", {"requests": {"cpu": "1000000"}},
        ("demo-auth", "Unschedulable", "Insufficient cpu"),
    ),
    "unsatisfiable-memory": Row(
        "spec.auth.resources", {"requests": {"memory": "1Ei"}},
        ("demo-auth", "Unschedulable", "Insufficient memory"),
    ),
    "unsatisfiable-device": Row(
        "spec.auth.resources", {"limits": {"example.com/gpu": "1"}},
        ("demo-auth", "Unschedulable", "Insufficient example.com/gpu"),
    ),
    "no-such-node": Row(
        "spec.auth.podTemplate", {"spec": {"nodeSelector": {"no": "where"}}},
        ("demo-auth", "Unschedulable", "node affinity/selector"),
    ),
    "no-such-priority": Row(
        "spec.auth.podTemplate", {"spec": {"priorityClassName": "bad-priority"}},
        ("demo-auth", "no PriorityClass with name bad-priority"),
    ),
    "no-such-priority-of-brokers": Row(
        "spec.publishers.podTemplate", {"spec": {"priorityClassName": "bad-priority"}},
        ("publisher pool: 0/2", "no PriorityClass with name bad-priority"),
    ),
    "no-such-runtime": Row(
        "spec.auth.podTemplate", {"spec": {"runtimeClassName": "bad-runtime"}},
        ("demo-auth", "not found", "bad-runtime"),
    ),
    "quota-of-pods": Row(
        "spec.publishers.replicas", 2,
        ("publisher pool: 0/2", "exceeded quota: bad", "limited: pods=0"),
        (constraint("ResourceQuota", {"hard": {"pods": "0"}}),),
        removal("resourcequota", "bad"),
    ),
    "range-of-memory": Row(
        "spec.auth.resources", {"limits": {"memory": "2Gi"}},
        ("demo-auth", "maximum memory usage per Container is 1Gi"),
        (constraint("LimitRange", {"limits": [{"type": "Container", "max": {"memory": "1Gi"}}]}),),
    ),
    # additions to pods
    "affinity-misspelt": template("auth", {"affinity": {"nodeAfinity": {}}}, "nodeAfinity"),
    "affinity-operator": template(
        "auth",
        {"affinity": {"nodeAffinity": {_AFFINITY: {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "a", "operator": "Is"}]}]}}}},
        "operator", "not a valid selector operator",
    ),
    "spread-without-a-choice": template(
        "subscribers", {"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "zone"}]},
        "maxSkew", "must be greater than zero",
    ),
    "mount-of-no-volume": template("auth", {"containers": [mounted("nowhere")]}, "Not found"),
    "volume-of-nothing": template(
        "gateway", {"volumes": [{"name": "x", "configMap": {}}]}, "volumes", "Required value"
    ),
    "volume-of-two-kinds": template(
        "auth", {"volumes": [{"name": "x", "emptyDir": {}, "configMap": {"name": "y"}}]},
        "volumes",
    ),
    "environment-from-nothing": template(
        "publishers", {"containers": [{"name": "vernemq", "env": [
            {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "no.where"}}}]}]},
        "fieldPath",
    ),
    "sidecar-port": template(
        "auth", {"containers": [{"name": "mine", "image": "m:1",
                                 "ports": [{"containerPort": 70000}]}]},
        "containerPort", "must be between 1 and 65535",
    ),
    "sidecar-probe-of-two-kinds": template(
        "auth", {"containers": [{"name": "mine", "image": "m:1", "livenessProbe": {
            "exec": {"command": ["a"]}, "tcpSocket": {"port": 1}}}]},
        "may not specify more than 1 handler type",
    ),
    "host-alias-of-no-address": template(
        "auth", {"hostAliases": [{"ip": "no address", "hostnames": ["a"]}]}, "hostAliases",
    ),
    # the devices' Service
    "node-port-out-of-range": Row(
        "spec.subscribers.listeners", [{**_LISTENER, "nodePort": 80}],
        ("spec.subscribers.listeners and spec.subscribers.service", "valid ports is 30000-32767"),
    ),
    "load-balancer-class": Row(
        "spec.subscribers.service", {"loadBalancerClass": "not a class"},
        ("spec.subscribers.service", "loadBalancerClass"), right={"type": "ClusterIP"},
    ),
    "annotations-too-long": Row(
        "spec.subscribers.service.annotations", {f"a{n}": "x" * 4096 for n in range(64)} ,
        ("spec.subscribers.service", "annotations: Too long"),
        right={"a": "x" * 4096},
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def neighbour(control_plane: Any, operator_process: Any) -> Iterator[Kube]:
    """An object with nothing wrong, in a namespace of its own."""
    with namespaced(control_plane, "neighbour") as kube:
        kube.apply(cluster("sound"))
        yield kube


@pytest.fixture(scope="module")
def standing(control_plane: Any, operator_process: Any) -> Iterator[Kube]:
    """A namespace whose object has been right before."""
    with namespaced(control_plane, "standing") as kube:
        kube.apply(cluster())
        yield kube


def goes_on(neighbour: Kube, eventually: Eventually) -> None:
    """The neighbour's next edit is acted upon; one that restarts nothing, for there are many."""
    note = {"example.com/edit": uuid4().hex}
    neighbour.apply(cluster("sound", subscribers={"service": {"annotations": note}}))

    def acted() -> bool:
        notes: dict[str, str] = neighbour.get("service", "sound-subscriber")["metadata"].get(
            "annotations", {}
        )
        return note.items() <= notes.items()

    eventually(acted)


def message(kube: Kube, kind: str) -> tuple[str, str]:
    conditions = kube.get("lcc", "demo").get("status", {}).get("conditions", [])
    found = next(c for c in conditions if c["type"] == kind)
    return found["status"], found["message"]


@pytest.mark.parametrize("name", TABLE)
def test_said_and_corrected(
    request: pytest.FixtureRequest, eventually: Eventually, neighbour: Kube, name: str
) -> None:
    row = TABLE[name]
    kube: Kube = request.getfixturevalue("standing" if row.standing else "kube")
    for step in row.before:
        step(kube)
    right = cluster()
    kube.apply(with_field(right, row.path, row.value))

    def said() -> bool:
        status, text = message(kube, row.condition)
        return status == "False" and all(words in text for words in row.words)

    try:
        eventually(said, within=60)
    except AssertionError as error:
        raise AssertionError(f"{row.words} not in {message(kube, row.condition)}") from error
    goes_on(neighbour, eventually)
    if row.correct is not None:
        row.correct(kube)
    else:
        kube.apply(with_field(right, row.path, row.right) if row.right is not None else right)
    eventually(lambda: row.words[-1] not in message(kube, row.condition)[1], within=40)


def test_what_the_api_server_refuses_disturbs_nobody(
    kube: Kube, eventually: Eventually, neighbour: Kube
) -> None:
    """An object that stands keeps its last good state, whatever is tried on it."""
    kube.apply(cluster())
    before = eventually(lambda: kube.get("lcc", "demo")["status"]["observedGeneration"])
    rows = [(path, value) for path, value, _, _ in REFUSED if not path.startswith("metadata")]
    rows += [("spec.subscribers.podTemplate", value) for value, _, _ in BAD_TEMPLATES]
    base = cluster()
    base["spec"]["gateway"] = {
        "callers": [{"serviceAccount": {"namespace": "a", "name": "b"}, "publish": ["a/#"]}]
    }
    base["spec"]["broker"] = {"image": "broker:test"}
    refused = 0
    for path, value in rows:
        try:
            kube.apply(with_field(base, path, value))
        except (KubectlError, KeyError):
            refused += 1
    assert refused >= 60
    assert kube.get("lcc", "demo")["spec"]["broker"]["image"] == "broker:test"
    goes_on(neighbour, eventually)
    kube.apply(cluster(gateway={"replicas": 1}))
    eventually(lambda: kube.get("statefulset", "demo-gateway")["spec"]["replicas"] == 1, within=40)
    assert kube.get("lcc", "demo")["status"]["observedGeneration"] >= before


def test_the_longest_names_and_unicode_are_fine(kube: Kube, eventually: Eventually) -> None:
    """At the bounds, not beyond them: everything is made, pods included."""
    name = "a" * 40
    body = cluster(name)
    body["spec"]["subscribers"] = {
        "replicas": 2,
        "listeners": [{"name": "m" * 15, "port": 1883}],
        "service": {"annotations": {"example.com/note": "größe ✓ 🚀"}},
        "podTemplate": {"metadata": {"annotations": {"example.com/note": "ένα 🚀"}}},
    }
    body["spec"]["auth"]["topics"] = [{"filter": "größe/✓/🚀/#", "allow": ["subscribe"]}]
    body["spec"]["auth"]["tokens"][0]["jwt"]["issuer"] = "https://ausgabe.example/größe"
    kube.apply(body)
    eventually(lambda: f"pod/{name}-subscriber-1" in kube.names("pods"), within=30)
    annotations = kube.get("service", f"{name}-subscriber")["metadata"]["annotations"]
    assert annotations["example.com/note"] == "größe ✓ 🚀"
    pod = kube.get("pod", f"{name}-subscriber-1")["metadata"]
    assert pod["annotations"]["example.com/note"] == "ένα 🚀"


def test_the_table_is_long_enough() -> None:
    """Issue 4: at least 60 wrong objects, with their refusal or condition."""
    assert len(TABLE) + len(REFUSED) + len(BAD_TEMPLATES) >= 60
    assert len(TABLE) >= 40
