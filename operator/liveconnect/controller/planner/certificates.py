"""Certificates of listeners: what is served, what is wrong with it, whom to tell.

A pod never mounts the user's Secret. What is sound in it is copied into a Secret of the pool's own,
so a Secret that is missing or broken changes nothing that is served: the last good certificate
stays, and the listeners beside it do not notice (ADR 0011).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.actions import ReloadCertificates
from liveconnect.controller.model.certificate import (
    CERTIFICATE_KEY,
    PRIVATE_KEY_KEY,
    Certificate,
    CertificateError,
    KeyPair,
    read_authorities,
    read_key_pair,
)
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed, Pool
from liveconnect.controller.model.tls import TlsUse, tls_uses
from liveconnect.controller.planner.reasons import Reason

#: Nodes are told to read their certificates anew no more often than this: the kubelet brings the
#: new files within a minute or two, and nobody says when.
RELOAD_INTERVAL = timedelta(seconds=5)


@dataclass(frozen=True)
class Offer:
    """One listener's certificate."""

    use: TlsUse
    certificate: Certificate | None
    """What shall be served; None while there is nothing but the placeholder."""
    authority: Certificate | None
    """The authority of client certificates that expires first."""
    reason: Reason
    problem: str
    """What is wrong with the Secrets and what to do; empty when nothing is."""
    serving: int
    """Nodes that were seen to serve it."""
    asked: int
    """Nodes that could be asked."""

    @property
    def renewing(self) -> bool:
        """Whether a node serves something else still."""
        return self.certificate is not None and self.serving < self.asked


@dataclass(frozen=True)
class Certificates:
    """All listeners' certificates."""

    offers: tuple[Offer, ...]
    files: Mapping[Pool, Mapping[str, str]]
    """Content of the pools' own Secrets; a pool without TLS has none."""
    actions: tuple[ReloadCertificates, ...]
    reloads: Mapping[str, datetime]
    """When each pod was told to read its certificates anew, for `Memory`."""
    gateway: Mapping[str, str] | None = None
    """Content of the gateway's own Secret: how it knows the publishers, and who it is."""
    hooks: Mapping[str, str] | None = None
    """Content of the auth service's own Secret: its certificate, and by whom it is known."""
    store: Mapping[str, str] | None = None
    """Content of the managed store's own Secret: its certificate."""
    https: Mapping[str, str] | None = None
    """Content of the Secret for the gateway's HTTPS: what it shows, and whom it takes."""

    def __repr__(self) -> str:
        return f"Certificates({self.offers!r})"


@dataclass(frozen=True)
class Choice:
    """What to serve, and what is wrong with what should be."""

    pair: KeyPair | None
    reason: Reason = Reason.VALID_CERTIFICATES
    problem: str = ""


def plan_certificates(
    cluster: Cluster, names: Names, observed: Observed, placeholder: str, now: datetime
) -> Certificates:
    """Choose what every listener with TLS serves.

    Args:
        cluster: The object.
        names: Names of its children.
        observed: What the pass has seen, the Secrets in it.
        placeholder: Certificate and key that nobody trusts, for a listener whose Secret was never
            sound: it is there, and refuses everybody who looks.
        now: The time of the pass.
    """
    files: dict[Pool, dict[str, str]] = {}
    offers: list[Offer] = []
    for use in tls_uses(cluster):
        held = _held(names, use.pool, observed, placeholder)
        choice = choose(use, observed.secrets, held.get(use.pair_file), now)
        content = files.setdefault(use.pool, {})
        content[use.pair_file] = choice.pair.pem if choice.pair else placeholder
        wrong = choice.problem
        reason = choice.reason
        authority: Certificate | None = None
        if use.authority_secret is not None:
            pem, authority, trouble = authorities(use, observed, held)
            content[use.authority_file] = pem or placeholder
            reason = reason if wrong or not trouble else Reason.INVALID_CERTIFICATE
            wrong = "; ".join(text for text in (wrong, trouble) if text)
        shown = _shown(use, observed)
        offers.append(_offer(use, choice, authority, shown, (reason, wrong)))
    stale = _stale_pods(offers, observed)
    reloads = {p: at for p, at in observed.memory.reloads.items() if p in stale}
    due = [
        p for p in sorted(stale) if now - reloads.get(p, now - RELOAD_INTERVAL) >= RELOAD_INTERVAL
    ]
    return Certificates(
        offers=tuple(offers),
        files=files,
        actions=tuple(ReloadCertificates(pod) for pod in due),
        reloads={**reloads, **dict.fromkeys(due, now)},
    )


def _held(names: Names, pool: Pool, observed: Observed, placeholder: str) -> Mapping[str, str]:
    """What the pool's own Secret holds: the last good certificates."""
    content = observed.secrets.get(names.tls(pool), {})
    held = {name: value.decode(errors="replace") for name, value in content.items()}
    return {name: value for name, value in held.items() if value != placeholder}


def choose(
    use: TlsUse, secrets: Mapping[str, dict[str, bytes]], held: str | None, now: datetime
) -> Choice:
    """The Secret's pair when it is sound, else the last good one."""
    if use.secret not in secrets:
        before = _last_good(held)
        text = f"{use.path}.{use.named_by}: there is no Secret {use.secret}; create it"
        return Choice(before, Reason.MISSING_REFERENCE, text + _still(before))
    try:
        pair = read_key_pair(secrets[use.secret])
    except CertificateError as error:
        before = _last_good(held)
        text = f"{use.path}.{use.named_by}: Secret {use.secret}: {error}"
        return Choice(before, Reason.INVALID_CERTIFICATE, text + _still(before))
    wrong = _untimely(pair.certificate, now)
    if not wrong:
        return Choice(pair)
    before = _last_good(held)
    # Better one that is valid still; else there is no better one than the Secret's.
    kept = before if before and not _untimely(before.certificate, now) else pair
    text = f"{use.path}.{use.named_by}: Secret {use.secret}: {wrong}"
    return Choice(kept, Reason.EXPIRED_CERTIFICATE, text + (_still(kept) if kept is before else ""))


def _last_good(held: str | None) -> KeyPair | None:
    if held is None:
        return None
    content = held.encode()
    try:
        return read_key_pair({CERTIFICATE_KEY: content, PRIVATE_KEY_KEY: content})
    except CertificateError:
        return None


def _still(pair: KeyPair | None) -> str:
    if pair is None:
        return "; until then this listener has no certificate that anybody trusts"
    return f"; the last good one is served, it expires on {moment(pair.certificate.not_after)}"


def _untimely(certificate: Certificate, now: datetime) -> str:
    if now >= certificate.not_after:
        return f"its certificate expired on {moment(certificate.not_after)}; renew it"
    if now < certificate.not_before:
        begin = moment(certificate.not_before)
        return f"its certificate is valid only from {begin}; correct it or wait"
    return ""


def moment(at: datetime) -> str:
    """A time for people."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def authorities(
    use: TlsUse, observed: Observed, held: Mapping[str, str]
) -> tuple[str, Certificate | None, str]:
    """The authorities of client certificates, the first to expire, and what is wrong with them.

    Without any, the placeholder stands in: it has signed nobody, so all are refused.
    """
    name = str(use.authority_secret)
    field = f"{use.path}.clientCASecretName"
    try:
        if name not in observed.secrets:
            raise CertificateError("does not exist; create it")  # noqa: TRY301 - one way to say it
        pem, first = read_authorities(observed.secrets[name])
    except CertificateError as error:
        before = held.get(use.authority_file, "")
        kept = "the last good one is used" if before else "until then every client is refused"
        return before, None, f"{field}: Secret {name}: {error}; {kept}"
    return pem, first, ""


def _offer(
    use: TlsUse,
    choice: Choice,
    authority: Certificate | None,
    shown: Mapping[str, str],
    verdict: tuple[Reason, str],
) -> Offer:
    certificate = choice.pair.certificate if choice.pair else None
    wanted = certificate.fingerprint if certificate else None
    return Offer(
        use=use,
        certificate=certificate,
        authority=authority,
        reason=verdict[0],
        problem=verdict[1],
        serving=sum(fingerprint == wanted for fingerprint in shown.values()),
        asked=len(shown),
    )


def _shown(use: TlsUse, observed: Observed) -> dict[str, str]:
    """Fingerprint by pod, of those whose port is open; empty where the handshake failed."""
    return {
        pod.name: observed.handshakes[pod.name, use.port]
        for pod in observed.pool(use.pool)
        if (pod.name, use.port) in observed.handshakes
    }


def _stale_pods(offers: list[Offer], observed: Observed) -> set[str]:
    """Pods that show something else than they should."""
    return {
        pod
        for offer in offers
        if offer.certificate is not None
        for pod, shown in _shown(offer.use, observed).items()
        if shown != offer.certificate.fingerprint
    }
