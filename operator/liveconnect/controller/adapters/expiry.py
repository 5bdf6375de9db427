"""When certificates expire, as a metric."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Gauge

from liveconnect.api.v1alpha1 import CertificateStatus

_EXPIRY = Gauge(
    "liveconnect_certificate_expiry_timestamp_seconds",
    "When a certificate that a cluster object uses expires (seconds since the epoch).",
    ("namespace", "cluster", "field", "secret"),
)


class ExpiryMetric:
    """The certificates of one cluster object."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str, str, str]] = set()

    def say(self, namespace: str, cluster: str, rows: Iterable[CertificateStatus]) -> None:
        """Say what there is now, and no longer what there was."""
        now = {
            (namespace, cluster, row.field, row.secretName): row.notAfter.timestamp()
            for row in rows
            if row.notAfter is not None
        }
        for labels in self._said - now.keys():
            _EXPIRY.remove(*labels)
        for labels, moment in now.items():
            _EXPIRY.labels(*labels).set(moment)
        self._said = set(now)

    def forget(self) -> None:
        """Say nothing of this object any more."""
        for labels in self._said:
            _EXPIRY.remove(*labels)
        self._said.clear()
