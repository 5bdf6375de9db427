"""Certificates of listeners in words: status, condition, events."""

from __future__ import annotations

from datetime import datetime, timedelta

from liveconnect.api.v1alpha1 import CertificateStatus, ConditionStatus
from liveconnect.controller.model.certificate import Certificate
from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.planner.certificates import Certificates, Offer, moment
from liveconnect.controller.planner.reasons import Reason

_WARNING = timedelta(days=14)
#: cert-manager renews when two thirds of the life are over; at four fifths nobody has.
_WARNING_SHARE = 5


def certificate_rows(certificates: Certificates) -> list[CertificateStatus]:
    """`status.certificates`."""
    return [row for offer in certificates.offers for row in _rows(offer)]


def _rows(offer: Offer) -> list[CertificateStatus]:
    certificate, authority = offer.certificate, offer.authority
    rows = [
        CertificateStatus(
            field=f"{offer.use.path}.{offer.use.named_by}",
            secretName=offer.use.secret,
            serial=certificate.serial if certificate else "",
            notAfter=certificate.not_after if certificate else None,
            served=f"{offer.serving}/{offer.asked}" if offer.use.port else "",
            problem=offer.problem,
        )
    ]
    if offer.use.authority_secret is not None:
        rows.append(
            CertificateStatus(
                field=f"{offer.use.path}.clientCASecretName",
                secretName=offer.use.authority_secret,
                serial=authority.serial if authority else "",
                notAfter=authority.not_after if authority else None,
            )
        )
    return rows


def certificate_verdict(
    certificates: Certificates, now: datetime
) -> tuple[ConditionStatus, Reason, str]:
    """What the condition `CertificatesReady` says."""
    offers = certificates.offers
    if not offers:
        return ConditionStatus.TRUE, Reason.NO_CERTIFICATES, "no listener has TLS"
    wrong = [offer for offer in offers if offer.problem]
    if wrong:
        text = "; ".join(offer.problem for offer in wrong)
        return ConditionStatus.FALSE, wrong[0].reason, text
    late = [text for offer in offers for text in _expiring(offer, now)]
    if late:
        return ConditionStatus.TRUE, Reason.EXPIRING_CERTIFICATE, "; ".join(late)
    renewing = [
        f"{o.use.listener}: {o.serving}/{o.asked} nodes serve the renewed certificate so far"
        for o in offers
        if o.renewing
    ]
    if renewing:
        return ConditionStatus.TRUE, Reason.RENEWING_CERTIFICATE, "; ".join(renewing)
    names = ", ".join(dict.fromkeys(offer.use.listener for offer in offers))
    return ConditionStatus.TRUE, Reason.VALID_CERTIFICATES, f"valid on {names}"


def certificate_news(
    certificates: Certificates, old_status: Manifest, now: datetime
) -> tuple[tuple[str, Reason, str], ...]:
    """Type, reason and message of the events: what the condition became, and what was renewed."""
    status, reason, message = certificate_verdict(certificates, now)
    old = {c["type"]: c for c in old_status.get("conditions") or []}.get("CertificatesReady", {})
    alarming = status is ConditionStatus.FALSE or reason is Reason.EXPIRING_CERTIFICATE
    changed = (old.get("reason"), old.get("message")) != (reason, message)
    alarms = [("Warning", reason, message)] if alarming and changed else []
    before = {c["field"]: c.get("serial") for c in old_status.get("certificates") or []}
    renewed = [
        (
            "Normal",
            Reason.RENEWED_CERTIFICATE,
            f"{row.field}: serial {row.serial} replaces {before[row.field]}; connections stay",
        )
        for row in certificate_rows(certificates)
        if row.serial and before.get(row.field) and before[row.field] != row.serial
    ]
    return (*alarms, *renewed)


def _expiring(offer: Offer, now: datetime) -> tuple[str, ...]:
    """What should have been renewed by now."""
    secrets = {offer.use.secret: offer.certificate, offer.use.authority_secret: offer.authority}
    return tuple(
        f"{offer.use.path}: the certificate in Secret {secret} expires on "
        f"{moment(certificate.not_after)}; renew it"
        for secret, certificate in secrets.items()
        if certificate is not None and _is_late(certificate, now)
    )


def _is_late(certificate: Certificate, now: datetime) -> bool:
    life = certificate.not_after - certificate.not_before
    left = certificate.not_after - now
    return timedelta(0) < left < min(_WARNING, life / _WARNING_SHARE)
