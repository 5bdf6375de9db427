"""The operator's permissions: one table, each row with its reason; no wildcards, no exec."""

from __future__ import annotations

import yaml

_READ = ["get", "list", "watch"]
_APPLY = [*_READ, "create", "patch", "delete"]

#: API group, resources, verbs, why.
TABLE: list[tuple[str, list[str], list[str], str]] = [
    ("liveconnect.io", ["liveconnectclusters"], _READ, "the objects to reconcile"),
    ("liveconnect.io", ["liveconnectclusters/status"], ["patch"], "what was seen"),
    (
        "liveconnect.io",
        ["liveconnectclusters/finalizers"],
        ["update"],
        "blockOwnerDeletion in owner references, where that admission plugin is on",
    ),
    (
        "",
        ["serviceaccounts", "secrets", "configmaps", "services"],
        _APPLY,
        "children; Secrets are also read for spec.auth and spec.presence",
    ),
    ("", ["pods"], [*_READ, "delete"], "nodes; deleted only with a volume of another life"),
    (
        "",
        ["persistentvolumeclaims"],
        [*_READ, "delete"],
        "volumes of nodes that have left the cluster",
    ),
    ("", ["events"], ["create"], "what happened"),
    ("apps", ["statefulsets", "deployments"], _APPLY, "children"),
    ("policy", ["poddisruptionbudgets"], _APPLY, "children"),
    ("networking.k8s.io", ["networkpolicies"], _APPLY, "children"),
]


def rules_yaml() -> str:
    """The rules as they stand in a Role, with their reasons as comments."""
    parts = []
    for group, resources, verbs, why in TABLE:
        rule = yaml.safe_dump(
            [{"apiGroups": [group], "resources": resources, "verbs": verbs}],
            default_flow_style=None,
            width=1000,
            sort_keys=False,
        )
        body = "".join(f"  {line}\n" for line in rule.splitlines())
        parts.append(f"  # {why}\n{body}")
    return "".join(parts)
