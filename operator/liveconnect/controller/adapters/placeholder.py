"""Certificates that the operator makes itself: self-signed, for purposes of its own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_NEVER = datetime(2000, 1, 1, tzinfo=UTC)
_CLOCKS = timedelta(hours=1)
_FOR_GOOD = timedelta(days=36500)


def make_placeholder() -> str:
    """Certificate and key (PEM), self-signed, of no name, valid for no moment.

    For listeners that have none: every client that looks at certificates refuses it, as it should
    while there is none. Its maker throws nothing open with it.
    """
    return _self_signed("no certificate yet", _NEVER, _NEVER)


def make_peer_pair(name: str, now: datetime) -> str:
    """Certificate and key (PEM) of pods that know each other by having the same; for clients only.

    Nobody looks after it, so it does not expire: whoever replaces its Secret replaces it.

    Args:
        name: Its common name, for people.
        now: When it begins.
    """
    client = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    return _self_signed(name, now - _CLOCKS, now + _FOR_GOOD, client)


def make_server_pair(host: str, now: datetime) -> str:
    """Certificate and key (PEM) of a server whose only clients have this very certificate.

    Nobody looks after it, so it does not expire: whoever replaces its Secret replaces it.

    Args:
        host: The name that clients connect to.
        now: When it begins.
    """
    server = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return _self_signed(host, now - _CLOCKS, now + _FOR_GOOD, server, host)


def _self_signed(
    name: str,
    begin: datetime,
    end: datetime,
    usage: x509.ExtendedKeyUsage | None = None,
    host: str = "",
) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
    )
    if usage is not None:
        signs_nobody = x509.BasicConstraints(ca=False, path_length=None)
        builder = builder.add_extension(signs_nobody, critical=True)
        builder = builder.add_extension(usage, critical=False)
    if host:
        named = x509.SubjectAlternativeName([x509.DNSName(host)])
        builder = builder.add_extension(named, critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return (certificate.public_bytes(serialization.Encoding.PEM) + private).decode()
