"""Which listeners have certificates, from which Secrets, in which files."""

from __future__ import annotations

from dataclasses import dataclass

from liveconnect.api.v1alpha1 import Cluster, TlsVersion
from liveconnect.controller.model.names import MQTTS_PORT
from liveconnect.controller.model.observed import Pool

#: Where broker pods find the certificates of their listeners.
TLS_DIRECTORY = "/etc/liveconnect/tls"
#: The file there with the authorities of the auth service; files of listeners end in `.pem`.
HOOKS_AUTHORITY_FILE = "hooks-ca.crt"
#: Where the managed store's pod finds its certificate.
STORE_TLS_DIRECTORY = "/etc/liveconnect/tls"
#: In the Secret for the gateway's HTTPS: authorities of callers' certificates, and the certificate
#: with its key by which the pods know each other.
CALLERS_FILE = "callers-ca.crt"
PEER_FILE = "peer.pem"
#: The publisher pool's listener, when it has TLS.
PUBLISHER_LISTENER = "mqtts"


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
    named_by: str = "secretName"
    """Name of the field with the Secret."""

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


@dataclass(frozen=True)
class TlsWays:
    """How one service of ours asks another one."""

    asked: bool
    """Whether it asks by TLS."""
    plain: bool
    """Whether it is answered without TLS, too: that is the only way, or needed still."""


def _publishers(cluster: Cluster) -> tuple[TlsUse, ...]:
    tls = cluster.spec.publishers.tls
    if tls is None:
        return ()
    use = TlsUse(
        pool=Pool.PUBLISHER,
        listener=PUBLISHER_LISTENER,
        port=MQTTS_PORT,
        path="spec.publishers.tls",
        secret=tls.secretName,
        authority_secret=tls.clientCASecretName,
        min_version=tls.minVersion,
    )
    return (use,)


def gateway_use(cluster: Cluster) -> TlsUse | None:
    """The gateway's own certificate, which no listener serves."""
    tls = cluster.spec.publishers.tls
    if tls is None or tls.gatewaySecretName is None:
        return None
    return TlsUse(
        pool=Pool.PUBLISHER,
        listener="gateway",
        port=0,
        path="spec.publishers.tls",
        secret=tls.gatewaySecretName,
        authority_secret=None,
        min_version=tls.minVersion,
        named_by="gatewaySecretName",
    )


def hooks_use(cluster: Cluster) -> TlsUse | None:
    """The auth service's certificate, which it serves itself: to brokers, gateway and backends."""
    tls = cluster.spec.auth.tls
    if tls is None:
        return None
    return TlsUse(
        pool=Pool.SUBSCRIBER,
        listener="hooks",
        port=0,
        path="spec.auth.tls",
        secret=tls.secretName,
        authority_secret=None,
        min_version=TlsVersion.TLS12,
    )


def https_use(cluster: Cluster) -> TlsUse | None:
    """The gateway's certificate for its callers, which it serves itself."""
    tls = cluster.spec.gateway.tls
    if tls is None:
        return None
    return TlsUse(
        pool=Pool.PUBLISHER,
        listener="https",
        port=0,
        path="spec.gateway.tls",
        secret=tls.secretName,
        authority_secret=tls.clientCASecretName,
        min_version=TlsVersion.TLS12,
    )


def store_has_tls(cluster: Cluster) -> bool:
    """Whether there is a managed store that is asked by TLS: wherever the auth service has TLS."""
    return cluster.spec.auth.tls is not None and cluster.spec.presence.store.external is None


def has_certificates(cluster: Cluster) -> bool:
    """Whether anything is served by TLS."""
    found = (*tls_uses(cluster), hooks_use(cluster), https_use(cluster))
    return any(use is not None for use in found)


def tls_uses(cluster: Cluster) -> tuple[TlsUse, ...]:
    """Every listener with TLS, publishers first."""
    return _publishers(cluster) + tuple(
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
