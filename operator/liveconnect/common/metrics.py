"""`GET /metrics`: the process's Prometheus registry."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder


def exposition(accept: str, registry: CollectorRegistry = REGISTRY) -> tuple[bytes, str]:
    """Render all metrics.

    Args:
        accept: the request's `Accept` header; chooses between Prometheus text and OpenMetrics.
        registry: what is rendered.

    Returns:
        The body and its content type.
    """
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
