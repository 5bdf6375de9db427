"""Which listeners have certificates, from which Secrets, in which files."""

from __future__ import annotations

from dataclasses import dataclass

from liveconnect.api.v1alpha1 import Cluster, TlsVersion
from liveconnect.controller.model.observed import Pool

#: Where broker pods find the certificates of their listeners.
TLS_DIRECTORY = "/etc/liveconnect/tls"


@dataclass(frozen=True)
class TlsUse:
    """One listener with TLS."""

    pool: Pool
    listener: str
    port: int
    path: str
    """The field that asks for it, for messages."""
    secret: str
    """Secret with certificate and key."""
    authority_secret: str | None
    """Secret with the authorities of client certificates; with it, only clients that have one may
    connect."""
    min_version: TlsVersion

    @property
    def pair_file(self) -> str:
        """File with certificate, intermediates and key. No listener has a dot in its name."""
        return f"{self.listener}.pem"

    @property
    def authority_file(self) -> str:
        """File with the authorities of client certificates."""
        return f"{self.listener}.ca.pem"

    @property
    def secrets(self) -> tuple[str, ...]:
        """All Secrets that it needs."""
        return (self.secret, *([self.authority_secret] if self.authority_secret else []))


def tls_uses(cluster: Cluster) -> tuple[TlsUse, ...]:
    """Every listener with TLS."""
    return tuple(
        TlsUse(
            pool=Pool.SUBSCRIBER,
            listener=listener.name,
            port=listener.port,
            path=f"spec.subscribers.listeners[{listener.name}].tls",
            secret=listener.tls.secretName,
            authority_secret=listener.tls.clientCASecretName,
            min_version=listener.tls.minVersion,
        )
        for listener in cluster.spec.subscribers.listeners
        if listener.tls is not None
    )
