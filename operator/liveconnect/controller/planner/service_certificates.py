"""TLS between services: gateway to publishers, brokers and gateway to auth service.

As with listeners, what is sound is copied into Secrets of the pods' own. The gateway reads its
files for every connection that it makes, the auth service looks at its own every few seconds, and
the brokers take new authorities from theirs within two minutes (Erlang's PEM cache).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from liveconnect.api.v1alpha1 import Cluster
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
from liveconnect.controller.model.tls import (
    HOOKS_AUTHORITY_FILE,
    TlsUse,
    gateway_use,
    hooks_use,
    tls_uses,
)
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
    held = texts(observed, names.gateway_tls)
    server = next(use for use in tls_uses(cluster) if use.pool is Pool.PUBLISHER)
    host = names.host(names.pool(Pool.PUBLISHER))
    who = "the gateway knows the publishers"
    authorities, known = trust(server, host, observed, held.get(AUTHORITY_KEY, ""), who)
    files = {AUTHORITY_KEY: authorities} if authorities else {}
    offers = [*certificates.offers, known]
    use = gateway_use(cluster)
    if use is not None:
        own, offer = pair(use, observed, held, now)
        files |= own
        offers.append(offer)
    return replace(certificates, offers=tuple(offers), gateway=files)


def with_hooks(
    certificates: Certificates,
    cluster: Cluster,
    names: Names,
    observed: Observed,
    placeholder: str,
    now: datetime,
) -> Certificates:
    """The same, with the files of both ends when the auth service has TLS.

    Without a sound certificate the auth service has the placeholder and brokers and gateway know
    nobody: hooks fail, and so does every CONNECT.
    """
    use = hooks_use(cluster)
    if use is None:
        return certificates
    own, offer = pair(use, observed, texts(observed, names.auth_tls), now, placeholder)
    held = texts(observed, names.tls(Pool.SUBSCRIBER)).get(HOOKS_AUTHORITY_FILE, "")
    who = "brokers and gateway know the auth service"
    authorities, known = trust(use, names.host(names.auth), observed, held, who)
    file = {HOOKS_AUTHORITY_FILE: authorities or placeholder}
    return replace(
        certificates,
        offers=(*certificates.offers, offer, known),
        files={pool: {**certificates.files.get(pool, {}), **file} for pool in Pool},
        hooks={**(own or split(placeholder)), AUTHORITY_KEY: authorities or placeholder},
    )


def pair(
    use: TlsUse, observed: Observed, held: Mapping[str, str], now: datetime, placeholder: str = ""
) -> tuple[dict[str, str], Offer]:
    """Certificate and key in files of their own; nothing when there never was a sound pair.

    Args:
        use: What asks for it.
        observed: What the pass has seen, the Secrets in it.
        held: The files as they are.
        now: The time of the pass.
        placeholder: What stands in the files while there is nothing good.
    """
    before = held.get(CERTIFICATE_KEY, "") + held.get(PRIVATE_KEY_KEY, "")
    choice = choose(use, observed.secrets, None if before in {"", placeholder} else before, now)
    certificate = choice.pair.certificate if choice.pair else None
    offer = Offer(use, certificate, None, choice.reason, choice.problem, 0, 0)
    return (split(choice.pair.pem) if choice.pair else {}), offer


def split(pem: str) -> dict[str, str]:
    """Certificate and key of one file in one file each."""
    chain, end, key = pem.rpartition(_PEM_END)
    return {CERTIFICATE_KEY: chain + end, PRIVATE_KEY_KEY: key}


def texts(observed: Observed, secret: str) -> dict[str, str]:
    """Content of a Secret of ours; empty when there is none."""
    return {k: v.decode(errors="replace") for k, v in observed.secrets.get(secret, {}).items()}


def trust(use: TlsUse, host: str, observed: Observed, held: str, who: str) -> tuple[str, Offer]:
    """The authorities by which a server is known, from `ca.crt` beside its own certificate.

    Args:
        use: The server's certificate.
        host: The name that clients connect to.
        observed: What the pass has seen.
        held: The last good authorities.
        who: Whom the authorities are for, in words.
    """
    first: Certificate | None = None
    problem, authorities = "", held
    try:
        if use.secret in observed.secrets:  # else the server's own row says so
            secret = observed.secrets[use.secret]
            authorities, first = read_authorities(secret)
            _check_host(secret, host)
    except CertificateError as error:
        problem = f"{use.path}.{use.named_by}: Secret {use.secret}: {error} ({who} by it)"
    reason = Reason.INVALID_CERTIFICATE if problem else Reason.VALID_CERTIFICATES
    own = replace(use, port=0, authority_secret=None, named_by=f"{use.named_by} (ca.crt)")
    return authorities, Offer(own, first, None, reason, problem, 0, 0)


def _check_host(secret: Mapping[str, bytes], host: str) -> None:
    """See that a server's certificate is for the name that its clients connect to.

    Raises:
        CertificateError: it is not.
    """
    try:
        hosts = read_key_pair(dict(secret)).certificate.hosts
    except CertificateError:
        return  # the listener's own row says so
    parent = host.partition(".")[2]
    if not {host, f"*.{parent}"} & set(hosts):
        raise CertificateError(f"its certificate is not for {host}; add this DNS name")
