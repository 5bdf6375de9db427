"""X.509 certificates as Secrets hold them (RFC 5280, PEM of RFC 7468): read, never trusted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

#: Keys of a Secret of type kubernetes.io/tls; cert-manager adds the third.
CERTIFICATE_KEY = "tls.crt"
PRIVATE_KEY_KEY = "tls.key"
AUTHORITY_KEY = "ca.crt"

_SIGNING_KEYS = (
    rsa.RSAPrivateKey,
    ec.EllipticCurvePrivateKey,
    ed25519.Ed25519PrivateKey,
    ed448.Ed448PrivateKey,
)


class CertificateError(ValueError):
    """A Secret's content that cannot be served; says what is wrong and what to do."""


@dataclass(frozen=True)
class Certificate:
    """What is public of a certificate."""

    fingerprint: str
    """SHA-256 of its DER, hexadecimal: what an open connection shows, too."""
    serial: str
    """Serial number, hexadecimal."""
    not_before: datetime
    not_after: datetime
    hosts: tuple[str, ...]
    """DNS names of its subject alternative name."""

    @classmethod
    def of(cls, parsed: x509.Certificate) -> Certificate:
        """From a parsed certificate."""
        der = parsed.public_bytes(serialization.Encoding.DER)
        return cls(
            fingerprint=hashlib.sha256(der).hexdigest(),
            serial=f"{parsed.serial_number:x}",
            not_before=parsed.not_valid_before_utc,
            not_after=parsed.not_valid_after_utc,
            hosts=_hosts(parsed),
        )


@dataclass(frozen=True)
class KeyPair:
    """A certificate with its key, as one file."""

    certificate: Certificate
    pem: str
    """Certificate, intermediates, key: VerneMQ reads all from one file, so that it can never serve
    the certificate of one renewal with the key of another (ADR 0011)."""

    def __repr__(self) -> str:
        return f"KeyPair({self.certificate!r}, …)"


def read_key_pair(secret: dict[str, bytes]) -> KeyPair:
    """Read `tls.crt` and `tls.key`.

    Raises:
        CertificateError: one is missing, is no PEM, or they do not belong together.
    """
    chain = _chain(secret, CERTIFICATE_KEY)
    key = _private_key(secret)
    own = (
        chain[0]
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    of_key = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    if own != of_key:
        raise CertificateError(
            "tls.key is not the key of the first certificate in tls.crt; "
            "put a certificate and its own key there"
        )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return KeyPair(Certificate.of(chain[0]), _pem(chain) + private.decode())


def read_authorities(secret: dict[str, bytes]) -> tuple[str, Certificate]:
    """Read `ca.crt`: all of it as PEM, and the authority that expires first.

    Raises:
        CertificateError: it is missing or no PEM.
    """
    chain = _chain(secret, AUTHORITY_KEY)
    return _pem(chain), min((Certificate.of(c) for c in chain), key=lambda c: c.not_after)


def _chain(secret: dict[str, bytes], key: str) -> list[x509.Certificate]:
    if key not in secret:
        raise CertificateError(f"has no key {key}; add it")
    try:
        return x509.load_pem_x509_certificates(secret[key])
    except ValueError:
        raise CertificateError(
            f"{key} is no PEM certificate; it begins with -----BEGIN CERTIFICATE-----"
        ) from None


def _private_key(
    secret: dict[str, bytes],
) -> (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
):
    if PRIVATE_KEY_KEY not in secret:
        raise CertificateError(f"has no key {PRIVATE_KEY_KEY}; add it")
    try:
        key = serialization.load_pem_private_key(secret[PRIVATE_KEY_KEY], password=None)
    except TypeError:
        raise CertificateError("tls.key has a password; store it without one") from None
    except (ValueError, UnsupportedAlgorithm):
        # Never the library's own words: they might quote the key.
        raise CertificateError("tls.key is no PEM private key (RSA, ECDSA or EdDSA)") from None
    if not isinstance(key, _SIGNING_KEYS):
        raise CertificateError("tls.key cannot sign; use RSA, ECDSA or EdDSA")
    return key


def _pem(chain: list[x509.Certificate]) -> str:
    return "".join(c.public_bytes(serialization.Encoding.PEM).decode() for c in chain)


def _hosts(parsed: x509.Certificate) -> tuple[str, ...]:
    try:
        names = parsed.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(names.value.get_values_for_type(x509.DNSName))
