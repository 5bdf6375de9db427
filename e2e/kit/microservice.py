"""A microservice: posts to the gateway, asks for presence, has its ServiceAccount's token."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from e2e.kit.cluster import Cluster
from e2e.kit.phone import Address
from e2e.kit.portforward import PortForward

AUDIENCE = "liveconnect"
_PORT = 8080


@dataclass(frozen=True)
class Answer:
    """An HTTP answer."""

    status: int
    content_type: str
    body: Any
    """Parsed JSON, or the text."""


class Microservice:
    """Talks to the gateway and the auth service of one LiveConnectCluster."""

    def __init__(
        self, cluster: Cluster, namespace: str, name: str, account: tuple[str, str]
    ) -> None:
        """Prepare a microservice.

        Args:
            cluster: Where.
            namespace: Of the LiveConnectCluster.
            name: Of the LiveConnectCluster.
            account: Namespace and name of its own ServiceAccount.
        """
        self._cluster = cluster
        self._account = account
        self._token = ""
        self._gateway = PortForward(cluster, namespace, f"service/{name}-gateway", _PORT)
        self._auth = PortForward(cluster, namespace, f"service/{name}-auth", _PORT)

    def close(self) -> None:
        """End its ways into the cluster."""
        self._gateway.close()
        self._auth.close()

    @property
    def token(self) -> str:
        """Its ServiceAccount token, as `kubectl create token` makes it."""
        if not self._token:
            self._token = self._cluster.token(*self._account, AUDIENCE)
        return self._token

    def publish(self, topic: str, payload: str, qos: int = 1, **more: Any) -> Answer:
        """Post a message to the gateway."""
        message = {"topic": topic, "payload": payload, "qos": qos, **more}
        return self.post(json.dumps(message), self.token)

    def post(self, body: str, token: str | None) -> Answer:
        """Post any body with any token to the gateway."""
        return _request(self._gateway.address, "POST", "/v1/publish", token, body)

    def publish_all(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Post a batch of messages; one result for each, in their order."""
        body = "".join(f"{json.dumps(m)}\n" for m in messages)
        answer = _request(
            self._gateway.address,
            "POST",
            "/v1/publish/batch",
            self.token,
            body,
            content_type="application/x-ndjson",
            timeout=120,
        )
        assert answer.status == 200, answer
        return [json.loads(line) for line in answer.body.splitlines()]

    def everybody(self, prefix: str) -> list[dict[str, Any]]:
        """Every client whose id begins with this, page by page.

        Raises:
            OSError: When presence cannot be asked now.
        """
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            path = f"/v1/clients?prefix={quote(prefix, safe='')}&limit=1000{cursor}"
            answer = _request(self._auth.address, "GET", path, self.token)
            if answer.status != 200:
                raise OSError(f"{path}: HTTP {answer.status}")
            found += answer.body["items"]
            if answer.body["next"] is None:
                return found
            cursor = f"&cursor={answer.body['next']}"

    def presence(self, client_id: str, token: str | None = None) -> Answer:
        """Ask whether a client is online."""
        path = f"/v1/clients/{quote(client_id, safe='')}"
        return _request(self._auth.address, "GET", path, token or self.token)

    def revoke(self, order: dict[str, str], token: str | None) -> Answer:
        """Order a revocation from the auth service, with any token."""
        body = json.dumps(order)
        return _request(self._auth.address, "POST", "/v1/revocations", token, body)


def _request(  # noqa: PLR0913 - an HTTP request
    address: Address,
    method: str,
    path: str,
    token: str | None,
    body: str | None = None,
    *,
    content_type: str = "application/json",
    timeout: float = 15,
) -> Answer:
    connection = http.client.HTTPConnection(address.host, address.port, timeout=timeout)
    headers = {"Content-Type": content_type} if body is not None else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        answered = response.getheader("Content-Type", "")
    finally:
        connection.close()
    return Answer(response.status, answered, _parsed(text, answered))


def _parsed(text: str, content_type: str) -> Any:
    one = "json" in content_type and "ndjson" not in content_type
    return json.loads(text) if one and text else text
