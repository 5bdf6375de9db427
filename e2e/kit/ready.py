"""When a LiveConnectCluster is ready."""

from __future__ import annotations

from collections.abc import Callable

from e2e.kit.cluster import Cluster, Manifest, condition
from e2e.kit.eventually import eventually
from e2e.kit.samples import KIND

_PARTS = ("MeshVerified", "AuthReady", "GatewayReady", "PresenceReady")


def wait_ready(
    cluster: Cluster,
    name: str,
    namespace: str = "default",
    *,
    within: float,
    say: Callable[[str], None] | None = None,
) -> Manifest:
    """Wait until the object is Ready in its current generation, and return it.

    Args:
        cluster: Where.
        name: Of the object.
        namespace: Of the object.
        within: Seconds to wait at most.
        say: Is told of progress, in a line.
    """
    told: list[str] = [""]

    def ready() -> Manifest | None:
        body = cluster.existing(KIND, name, namespace)
        seen = condition(body, "Ready")
        message = f"{seen.get('status', 'no status')}: {seen.get('message', '')}"
        progress = _progress(body)
        if say and progress != told[0]:
            told[0] = progress
            say(progress)
        current = seen.get("observedGeneration") == body["metadata"]["generation"]
        assert current, f"status of another generation: {message}"
        assert seen["status"] == "True", message
        return body

    found = eventually(ready, within=within, every=1, what=f"{namespace}/{name} Ready")
    assert found is not None
    return found


def _progress(body: Manifest) -> str:
    """How far it is: nodes of both pools, and the parts that are not ready."""
    status = body.get("status") or {}
    pools = [f"{p} {status[p]['summary']}" for p in ("publishers", "subscribers") if status.get(p)]
    if not pools:
        return str(condition(body, "Ready").get("message", "no status yet"))
    waiting = [
        c["type"].removesuffix("Ready").lower()
        for c in status["conditions"]
        if c["type"] in _PARTS and c["status"] != "True"
    ]
    return f"{', '.join(pools)}" + (f"; not ready: {', '.join(waiting)}" if waiting else "")
