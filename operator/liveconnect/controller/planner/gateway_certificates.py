"""The gateway's side of TLS to the publishers: whom it trusts, and its own certificate.

As with listeners, what is sound is copied into a Secret of the gateway's own. It reads the files
for every connection that it makes, so nothing is told when they change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from liveconnect.api.v1alpha1 import Cluster, PublisherTls
from liveconnect.controller.model.certificate import (
    AUTHORITY_KEY,
    CERTIFICATE_KEY,
    PRIVATE_KEY_KEY,
    Certificate,
    CertificateError,
    read_authorities,
    read_key_pair,
)
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed, Pool
from liveconnect.controller.model.tls import TlsUse, gateway_use
from liveconnect.controller.planner.certificates import Certificates, Offer, choose
from liveconnect.controller.planner.reasons import Reason

_PEM_END = "-----END CERTIFICATE-----\n"


def with_gateway(
    certificates: Certificates, cluster: Cluster, names: Names, observed: Observed, now: datetime
) -> Certificates:
    """The same, with the gateway's files when the publishers have TLS."""
    tls = cluster.spec.publishers.tls
    if tls is None:
        return certificates
    held = {k: v.decode() for k, v in observed.secrets.get(names.gateway_tls, {}).items()}
    authorities, trust = _trust(tls, names, observed, held)
    files = {AUTHORITY_KEY: authorities} if authorities else {}
    offers = [*certificates.offers, trust]
    use = gateway_use(cluster)
    if use is not None:
        before = held.get(CERTIFICATE_KEY, "") + held.get(PRIVATE_KEY_KEY, "")
        choice = choose(use, observed.secrets, before or None, now)
        if choice.pair is not None:
            chain, end, key = choice.pair.pem.rpartition(_PEM_END)
            files |= {CERTIFICATE_KEY: chain + end, PRIVATE_KEY_KEY: key}
        certificate = choice.pair.certificate if choice.pair else None
        offers.append(Offer(use, certificate, None, choice.reason, choice.problem, 0, 0))
    return replace(certificates, offers=tuple(offers), gateway=files)


def _trust(
    tls: PublisherTls, names: Names, observed: Observed, held: Mapping[str, str]
) -> tuple[str, Offer]:
    """The authorities that the gateway knows the publishers by."""
    use = TlsUse(
        pool=Pool.PUBLISHER,
        listener="gateway",
        port=0,
        path="spec.publishers.tls",
        secret=tls.secretName,
        authority_secret=None,
        min_version=tls.minVersion,
        named_by="secretName (ca.crt)",
    )
    first: Certificate | None = None
    problem, authorities = "", held.get(AUTHORITY_KEY, "")
    try:
        if tls.secretName in observed.secrets:  # else the listener's own row says so
            secret = observed.secrets[tls.secretName]
            authorities, first = read_authorities(secret)
            _check_host(secret, names)
    except CertificateError as error:
        problem = (
            f"spec.publishers.tls.secretName: Secret {tls.secretName}: {error} "
            "(the gateway knows the publishers by it)"
        )
    reason = Reason.INVALID_CERTIFICATE if problem else Reason.VALID_CERTIFICATES
    return authorities, Offer(use, first, None, reason, problem, 0, 0)


def _check_host(secret: Mapping[str, bytes], names: Names) -> None:
    """See that the publishers' certificate is for the name that the gateway connects to.

    Raises:
        CertificateError: it is not.
    """
    host = names.host(names.pool(Pool.PUBLISHER))
    try:
        hosts = read_key_pair(dict(secret)).certificate.hosts
    except CertificateError:
        return  # the listener's own row says so
    parent = host.partition(".")[2]
    if not {host, f"*.{parent}"} & set(hosts):
        raise CertificateError(f"its certificate is not for {host}; add this DNS name")
