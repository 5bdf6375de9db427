"""When a LiveConnectCluster is ready."""

from __future__ import annotations

from collections.abc import Callable

from e2e.kit.cluster import Cluster, Manifest, condition
from e2e.kit.eventually import eventually
from e2e.kit.samples import KIND


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
        say: Is told each new message of the Ready condition.
    """
    told: list[str] = [""]

    def ready() -> Manifest | None:
        body = cluster.existing(KIND, name, namespace)
        seen = condition(body, "Ready")
        message = f"{seen.get('status', 'no status')}: {seen.get('message', '')}"
        if say and message != told[0]:
            told[0] = message
            say(message)
        current = seen.get("observedGeneration") == body["metadata"]["generation"]
        assert current, f"status of another generation: {message}"
        assert seen["status"] == "True", message
        return body

    found = eventually(ready, within=within, every=1, what=f"{namespace}/{name} Ready")
    assert found is not None
    return found
