"""Cluster objects, good and bad."""

from __future__ import annotations

import copy
from typing import Any

#: In place of a value: the field is not there at all.
ABSENT = object()


def good(name: str = "demo") -> dict[str, Any]:
    """A small object with which nothing is wrong."""
    return {
        "apiVersion": "liveconnect.io/v1alpha1",
        "kind": "LiveConnectCluster",
        "metadata": {"name": name},
        "spec": {
            "broker": {"acceptEULA": True},
            "subscribers": {"replicas": 2},
            "auth": {
                "tokens": [
                    {
                        "jwt": {
                            "issuer": "https://login.example.com",
                            "audiences": ["devices"],
                            "jwksURI": "https://login.example.com/jwks.json",
                        }
                    }
                ],
                "topics": [{"filter": "orders/{claims.sub}/+/status", "allow": ["subscribe"]}],
            },
            "gateway": {
                "callers": [
                    {
                        "serviceAccount": {"namespace": "shop", "name": "orders"},
                        "publish": ["orders/#"],
                    }
                ]
            },
        },
    }


def with_field(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The object with another value at a dotted path; numbers are indices of lists.

    The index after the last one adds an item.
    """
    changed = copy.deepcopy(body)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    node: Any = changed
    for part in parents:
        node = node[part] if isinstance(part, int) else node.setdefault(part, {})
    if value is ABSENT:
        del node[last]
    elif isinstance(node, list) and last == len(node):
        node.append(value)
    else:
        node[last] = value
    return changed


def good_topic(name: str = "orders") -> dict[str, Any]:
    """A small topic object with which nothing is wrong."""
    return {
        "apiVersion": "liveconnect.io/v1alpha1",
        "kind": "LiveConnectTopic",
        "metadata": {"name": name},
        "spec": {
            "cluster": {"namespace": "platform", "name": "demo"},
            "rules": [{"filter": "orders/{claims.sub}/+", "allow": ["subscribe"]}],
        },
    }
