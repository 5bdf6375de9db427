"""HTTPS of the gateway: what it shows to callers, whom it takes, how its pods know each other.

As with listeners, what is sound is copied into a Secret of the gateway's own, which its pods look
at every few seconds. Where callers need certificates, the pods need one for each other, too: it is
made here, signed by nobody, and trusted for being the very same in all of them (docs/adr/0023).
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.certificate import AUTHORITY_KEY
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed
from liveconnect.controller.model.tls import CALLERS_FILE, PEER_FILE, TlsUse, https_use
from liveconnect.controller.planner.certificates import Certificates, Offer, authorities
from liveconnect.controller.planner.reasons import Reason
from liveconnect.controller.planner.service_certificates import pair, split, texts, trust


def lacks_peer_pair(cluster: Cluster, names: Names, observed: Observed) -> bool:
    """Whether the gateway's pods need a certificate for each other and have none."""
    tls = cluster.spec.gateway.tls
    wanted = tls is not None and tls.clientCASecretName is not None
    return wanted and not observed.secrets.get(names.gateway_https, {}).get(PEER_FILE)


def with_https(
    certificates: Certificates,
    cluster: Cluster,
    names: Names,
    observed: Observed,
    placeholder: str,
    now: datetime,
) -> Certificates:
    """The same, with the files of the gateway's HTTPS when it has TLS.

    Without a sound certificate it has the placeholder, which no caller takes; without authorities
    of client certificates it takes no caller.
    """
    use = https_use(cluster)
    if use is None:
        return certificates
    held = texts(observed, names.gateway_https)
    own, offer = pair(use, observed, held, now, placeholder)
    who = "the gateway's pods know each other"
    host = names.host(names.gateway)
    trusted, known = trust(use, host, observed, held.get(AUTHORITY_KEY, ""), who)
    files = {**(own or split(placeholder)), AUTHORITY_KEY: trusted or placeholder}
    if use.authority_secret is not None:
        before = held.get(CALLERS_FILE, "")
        callers, offer = _callers(use, offer, observed, "" if before == placeholder else before)
        peer = held.get(PEER_FILE) or observed.peer_pair
        files |= {CALLERS_FILE: callers or placeholder, PEER_FILE: peer}
    return replace(certificates, offers=(*certificates.offers, offer, known), https=files)


def _callers(use: TlsUse, offer: Offer, observed: Observed, held: str) -> tuple[str, Offer]:
    """The authorities of callers' certificates, and the offer with what is wrong with them."""
    pem, first, trouble = authorities(use, observed, {use.authority_file: held})
    problem = "; ".join(text for text in (offer.problem, trouble) if text)
    wrong = trouble and not offer.problem
    reason = Reason.INVALID_CERTIFICATE if wrong else offer.reason
    return pem, replace(offer, authority=first, reason=reason, problem=problem)
