"""What is counted."""

from __future__ import annotations

from typing import Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

from liveconnect.common.tallies import Durations, Tally
from liveconnect.gateway.outbox import (
    KeyReusedError,
    OutboxFailedError,
    OutboxFullError,
)
from liveconnect.gateway.publishing import (
    AckTimeoutError,
    BusyError,
    LinkDownError,
    NotTakenError,
    PublishError,
    Receipt,
    RefusedError,
    ShareError,
)

PUBLISHES: Final = Tally(
    "liveconnect_gateway_publishes",
    "Messages that callers were allowed to publish, by QoS and what became of them.",
    ("qos", "outcome"),
)
REFUSALS: Final = Counter(
    "liveconnect_gateway_refused_requests_total",
    "Requests that were refused before anything was published, by HTTP status.",
    ["status"],
)
SECONDS: Final = Durations(
    "liveconnect_gateway_publish_duration_seconds",
    "From the request's last byte to the answer, of what was acknowledged (QoS 0: sent).",
    "qos",
    (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
REGISTRY.register(PUBLISHES)
REGISTRY.register(SECONDS)
CONNECTS: Final = Counter(
    "liveconnect_gateway_connects_total",
    "Attempts to connect to the publisher pool, by outcome (ok, failed).",
    ["outcome"],
)
LINK_UP: Final = Gauge(
    "liveconnect_gateway_link_up", "1 while there is a connection to the publisher pool."
)
WAITING: Final = Gauge(
    "liveconnect_gateway_waiting_messages", "Messages that wait for a broker's acknowledgement."
)

OUTBOX: Final = Gauge(
    "liveconnect_gateway_outbox_messages", "Messages in the outbox that are not published yet."
)
FROM_OUTBOX: Final = Counter(
    "liveconnect_gateway_outbox_published_total",
    "Messages of the outbox that a broker has acknowledged, by QoS.",
    ["qos"],
)
PARKED: Final = Gauge(
    "liveconnect_gateway_parked_messages",
    "Messages that cannot be published and were put aside; see /v1/parked.",
)

READY_PODS: Final = Gauge(
    "liveconnect_gateway_ready_pods",
    "Pods of the gateway that are ready, as this one sees them: they share callers' quotas. All "
    "while no caller has a quota.",
)

REQUESTS: Final = Counter(
    "liveconnect_gateway_requests_total",
    "Requests to devices by what became of them (answered, expired, abandoned, failed).",
    ["outcome"],
)
REQUEST_SECONDS: Final = Histogram(
    "liveconnect_gateway_request_duration_seconds",
    "From a request to its answer.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600),
)
REQUESTS_PENDING: Final = Gauge(
    "liveconnect_gateway_requests_pending", "Requests to devices that wait for an answer."
)
REPLIES: Final = Counter(
    "liveconnect_gateway_replies_total",
    "Messages on the topics of answers: taken, or why they were dropped.",
    ["outcome"],
)
HEARING: Final = Gauge("liveconnect_gateway_hearing", "1 while devices' answers can be received.")

_OUTCOMES: Final[dict[type[PublishError], str]] = {
    LinkDownError: "link-down",
    BusyError: "busy",
    AckTimeoutError: "timeout",
    RefusedError: "refused",
    NotTakenError: "not-taken",
    OutboxFullError: "outbox-full",
    ShareError: "share-full",
    OutboxFailedError: "outbox-failed",
    KeyReusedError: "key-reused",
}

_QOS: Final = ("0", "1", "2")


def published(qos: int, receipt: Receipt, seconds: float) -> None:
    """Count a message for which there is a receipt."""
    if receipt is Receipt.STORED:
        PUBLISHES.count(_QOS[qos], "stored")
        return
    PUBLISHES.count(_QOS[qos], "ok")
    SECONDS.observe(_QOS[qos], seconds)


def published_one(qos: int, receipt: Receipt) -> None:
    """Count a message of a batch, or a request, for which there is a receipt."""
    PUBLISHES.count(_QOS[qos], "stored" if receipt is Receipt.STORED else "ok")


def delivered_from_outbox(qos: int) -> None:
    """Count a message of the outbox that a broker has taken."""
    FROM_OUTBOX.labels(qos).inc()


def not_published(qos: int, error: PublishError) -> None:
    """Count a message that was not acknowledged."""
    PUBLISHES.count(_QOS[qos], _OUTCOMES.get(type(error), "failed"))


def refused(status: int) -> None:
    """Count a request that was refused."""
    REFUSALS.labels(str(status)).inc()


def request_ended(outcome: str) -> None:
    """Count a request to a device."""
    REQUESTS.labels(outcome).inc()


def request_answered(seconds: float) -> None:
    """Count a request that was answered."""
    REQUESTS.labels("answered").inc()
    REQUEST_SECONDS.observe(seconds)


def heard(outcome: str) -> None:
    """Count a message on a topic of answers."""
    REPLIES.labels(outcome).inc()
