"""The operator's permissions: one table, each row with its reason; no wildcards, no exec."""

from __future__ import annotations

import yaml

_READ = ["get", "list", "watch"]
_APPLY = [*_READ, "create", "patch", "delete"]
Row = tuple[str, list[str], list[str], str]

#: API group, resources, verbs, why.
TABLE: list[Row] = [
    ("liveconnect.io", ["liveconnectclusters"], _READ, "the objects to reconcile"),
    ("liveconnect.io", ["liveconnectclusters/status"], ["patch"], "what was seen"),
    (
        "liveconnect.io",
        ["liveconnectclusters/finalizers"],
        ["update"],
        "blockOwnerDeletion in owner references, where that admission plugin is on",
    ),
    ("liveconnect.io", ["liveconnecttopics"], _READ, "rules that application teams own"),
    ("liveconnect.io", ["liveconnecttopics/status"], ["patch"], "whether they are in force"),
    ("", ["namespaces"], _READ, "their labels: spec.auth.delegations may be by label"),
    (
        "",
        ["nodes"],
        _READ,
        "brokers on cordoned ones are drained before they are evicted; of no effect in a Role",
    ),
    (
        "",
        ["serviceaccounts", "secrets", "configmaps", "services"],
        _APPLY,
        "children; Secrets are also read for spec.auth and spec.presence",
    ),
    (
        "",
        ["pods"],
        [*_READ, "patch", "delete"],
        "deleted with a volume of another life; annotated so that the kubelet brings new rules",
    ),
    (
        "",
        ["persistentvolumeclaims"],
        [*_READ, "patch", "delete"],
        "volumes grow; those of nodes that have left the cluster go or are marked",
    ),
    (
        "storage.k8s.io",
        ["storageclasses"],
        ["get"],
        "whether volumes can grow; without it, in a Role, they are tried",
    ),
    ("", ["events"], ["list", "create"], "why a StatefulSet makes no pods; what happened"),
    ("apps", ["statefulsets", "deployments"], _APPLY, "children"),
    ("policy", ["poddisruptionbudgets"], _APPLY, "children"),
    ("networking.k8s.io", ["networkpolicies"], _APPLY, "children"),
]


#: For the election, in the operator's own namespace; a `create` cannot be restricted to a name.
ELECTION: list[Row] = [
    ("coordination.k8s.io", ["leases"], ["create"], "the Lease of the pod that acts"),
    ("coordination.k8s.io", ["leases"], ["get", "update"], "its renewal"),
]
_LEASE_NAME = '{{ include "operator.name" . }}'


def rules_yaml() -> str:
    """The rules as they stand in a Role, with their reasons as comments."""
    return "".join(_rule(row) for row in TABLE)


def election_yaml() -> str:
    """The rules of the election; a template, because the Lease has the release's name."""
    return "".join(_rule(row, *([] if row[2] == ["create"] else [_LEASE_NAME])) for row in ELECTION)


def _rule(row: Row, *names: str) -> str:
    group, resources, verbs, why = row
    rule: dict[str, object] = {"apiGroups": [group], "resources": resources}
    if names:
        rule["resourceNames"] = list(names)
    text = yaml.safe_dump(
        [{**rule, "verbs": verbs}], default_flow_style=None, width=1000, sort_keys=False
    )
    body = "".join(f"  {line}\n" for line in text.splitlines())
    return f"  # {why}\n{body}"
