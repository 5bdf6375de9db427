"""What is told of decisions: metrics of all, a log entry of each refusal."""

from __future__ import annotations

from typing import Final

from prometheus_client import REGISTRY, Counter

from liveconnect.common.logs import get_logger
from liveconnect.common.policy import Pool
from liveconnect.common.tallies import Durations, Tally
from liveconnect.webhook.contract import Hook

DECISIONS: Final = Tally(
    "liveconnect_webhook_decisions",
    "Decisions by hook, outcome (allowed, refused) and reason of a refusal.",
    ("hook", "pool", "outcome", "reason"),
)
SECONDS: Final = Durations(
    "liveconnect_webhook_hook_duration_seconds",
    "Time to answer a hook, from its last byte to the answer.",
    "hook",
    (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 2.5, 5),
)
REGISTRY.register(DECISIONS)
REGISTRY.register(SECONDS)
INVALID: Final = Counter(
    "liveconnect_webhook_invalid_requests_total",
    "Hook requests that no VerneMQ would send, by HTTP status.",
    ["status"],
)

_log = get_logger(__name__)


def allowed(hook: Hook, pool: Pool) -> None:
    """Count a yes."""
    DECISIONS.count(hook, pool, "allowed", "")


def refused(hook: Hook, pool: Pool, node: str, client_id: str, reason: str) -> None:
    """Count and log a no. The client is never told the reason; whoever runs the platform is."""
    DECISIONS.count(hook, pool, "refused", reason)
    _log.info(
        "refused", hook=hook.value, reason=reason, client_id=client_id, pool=pool.value, node=node
    )


def refused_filter(
    hook: Hook, pool: Pool, node: str, client_id: str, reason: str, topic: str
) -> None:
    """Count and log a refused filter of a SUBSCRIBE, or topic of a PUBLISH."""
    DECISIONS.count(hook, pool, "refused", reason)
    _log.info(
        "refused",
        hook=hook.value,
        reason=reason,
        client_id=client_id,
        pool=pool.value,
        node=node,
        topic=topic,
    )


def answered(hook: Hook, seconds: float) -> None:
    """Note how long an answer took."""
    SECONDS.observe(hook, seconds)


def invalid(status: int) -> None:
    """Count a request that is none of VerneMQ's."""
    INVALID.labels(str(status)).inc()
