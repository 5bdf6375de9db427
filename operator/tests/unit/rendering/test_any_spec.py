"""Whatever spec the models accept: it renders, validates to the letter, and is stable."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hack.golden import rendered
from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.manifest import ObjectKey

WORDS = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
TEXT = st.text(max_size=40)
RESOURCES = st.fixed_dictionaries(
    {}, optional={"requests": st.just({"cpu": "100m"}), "limits": st.just({"memory": "1Gi"})}
)
STORAGE = st.fixed_dictionaries(
    {"size": st.sampled_from(["1Gi", "500Mi", "2.5Gi"])}, optional={"storageClassName": WORDS}
)
LISTENERS = st.lists(
    st.fixed_dictionaries(
        {"name": WORDS, "port": st.integers(1024, 4000)},
        optional={
            "protocol": st.sampled_from(["MQTT", "WS", "MQTTS", "WSS"]),
            "tls": st.fixed_dictionaries(
                {"secretName": WORDS}, optional={"clientCASecretName": WORDS}
            ),
            "servicePort": st.integers(1, 4000),
            "nodePort": st.integers(30000, 32767),
            "proxyProtocol": st.booleans(),
            "maxConnections": st.integers(1, 25_000).map(lambda tens: 10 * tens),
        },
    ),
    min_size=1,
    max_size=4,
    unique_by=(lambda listener: listener["name"], lambda listener: listener["port"]),
)


def by_name(item: Any) -> str:
    name: str = item["name"]
    return name


TEMPLATE = st.fixed_dictionaries(
    {},
    optional={
        "metadata": st.fixed_dictionaries(
            {},
            optional={
                "labels": st.dictionaries(WORDS, WORDS),
                "annotations": st.dictionaries(WORDS, TEXT),
            },
        ),
        "spec": st.fixed_dictionaries(
            {},
            optional={
                "nodeSelector": st.dictionaries(WORDS, WORDS, max_size=2),
                "tolerations": st.lists(st.fixed_dictionaries({"key": WORDS}), max_size=2),
                "priorityClassName": WORDS,
                "terminationGracePeriodSeconds": st.integers(20, 3600),
                "containers": st.lists(
                    st.fixed_dictionaries(
                        {"name": st.sampled_from(["vernemq", "auth", "gateway", "valkey", "mine"])},
                        optional={
                            "image": WORDS,
                            "env": st.lists(
                                st.fixed_dictionaries({"name": WORDS, "value": TEXT}),
                                max_size=2,
                                unique_by=by_name,
                            ),
                            "livenessProbe": st.just({"periodSeconds": 7, "timeoutSeconds": 2}),
                        },
                    ),
                    max_size=3,
                    unique_by=by_name,
                ),
                "volumes": st.lists(
                    st.builds(lambda name: {"name": name, "emptyDir": {}}, WORDS),
                    max_size=2,
                    unique_by=by_name,
                ),
            },
        ),
    },
)
SERVICE = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["LoadBalancer", "NodePort", "ClusterIP"]),
        "annotations": st.dictionaries(WORDS, TEXT, max_size=3),
        "loadBalancerSourceRanges": st.just(["10.0.0.0/8"]),
        "externalTrafficPolicy": st.sampled_from(["Local", "Cluster"]),
    },
)
JWT = st.fixed_dictionaries(
    {"issuer": TEXT.filter(bool), "audiences": st.lists(TEXT.filter(bool), min_size=1, max_size=2)},
    optional={"jwksSecretRef": st.fixed_dictionaries({"name": WORDS, "key": WORDS})},
)
INTROSPECTION = st.fixed_dictionaries(
    {
        "url": st.just("https://login/introspect"),
        "clientID": TEXT.filter(bool),
        "clientSecretRef": st.fixed_dictionaries({"name": WORDS, "key": WORDS}),
    },
    optional={"issuer": TEXT.filter(bool), "audiences": st.just(["a"])},
)
PROVIDER = st.fixed_dictionaries({"jwt": JWT}) | st.fixed_dictionaries(
    {"introspection": INTROSPECTION}
)
ACCOUNT = st.fixed_dictionaries({"namespace": WORDS, "name": WORDS})
SPECS = st.fixed_dictionaries(
    {
        "broker": st.fixed_dictionaries(
            {"image": WORDS},
            optional={
                "config": st.dictionaries(WORDS, WORDS, max_size=3),
                "netsplit": st.sampled_from(["Available", "Consistent"]),
                "imagePullSecrets": st.lists(st.fixed_dictionaries({"name": WORDS}), max_size=2),
            },
        ),
        "publishers": st.fixed_dictionaries(
            {"replicas": st.integers(1, 5)},
            optional={"resources": RESOURCES, "storage": STORAGE, "podTemplate": TEMPLATE},
        ),
        "subscribers": st.fixed_dictionaries(
            {"listeners": LISTENERS, "service": SERVICE}, optional={"storage": STORAGE}
        ),
        "auth": st.fixed_dictionaries({"tokens": st.lists(PROVIDER, min_size=1, max_size=3)}),
        "gateway": st.fixed_dictionaries(
            {},
            optional={
                "callers": st.lists(
                    st.fixed_dictionaries({"serviceAccount": ACCOUNT, "publish": st.just(["a/#"])}),
                    max_size=3,
                )
            },
        ),
    }
)


def cluster(spec: dict[str, Any]) -> Cluster:
    meta = {"name": "any", "namespace": "default", "uid": "u", "generation": 1}
    return Cluster.parse({"metadata": meta, "spec": spec})


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.generate),
)
@given(SPECS)
def test_any_accepted_spec_renders_and_validates(spec: dict[str, Any]) -> None:
    first, second = rendered(cluster(spec)), rendered(cluster(spec))
    assert first == second
    keys = [ObjectKey.of(m) for m in first]
    assert len(keys) == len(set(keys))
    # The golden tests validate every kind; here those whose content depends on the spec's shape.
    for manifest in (m for m in first if m["kind"] in {"Service", "StatefulSet", "Deployment"}):
        kubernetes_validate.validate(manifest, "1.34", strict=True)
