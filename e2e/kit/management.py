"""A broker node's management API, as an operator at a terminal would use it."""

from __future__ import annotations

import base64
import http.client
import json
from typing import Any

from e2e.kit.cluster import Cluster
from e2e.kit.portforward import PortForward

_PORT = 8888


def api_key(cluster: Cluster, name: str, namespace: str = "default") -> str:
    """The API key of a LiveConnectCluster's brokers."""
    secret = cluster.existing("secret", f"{name}-broker", namespace)
    return base64.b64decode(secret["data"]["api-key"]).decode()


def ask(cluster: Cluster, pod: str, words: str, key: str, *, timeout: float = 10) -> Any:
    """`vmq-admin <words>` on a node of the default namespace; what it answers.

    Raises:
        AssertionError: When it does not answer 200.
    """
    with PortForward(cluster, "default", f"pod/{pod}", _PORT) as forward:
        connection = http.client.HTTPConnection(*forward.address, timeout=timeout)
        basic = base64.b64encode(f"{key}:".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        try:
            connection.request("GET", f"/api/v1/{words}", headers=headers)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
    assert response.status == 200, body
    return json.loads(body)


def members(cluster: Cluster, pod: str, key: str) -> set[str]:
    """The pods of the running members in a node's own list."""
    rows = ask(cluster, pod, "cluster/show", key)["table"]
    return {row["Node"].partition("@")[2].partition(".")[0] for row in rows if row["Running"]}
