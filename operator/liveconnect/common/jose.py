"""JSON Web Signatures in compact form (RFC 7515), taken apart strictly and cheaply.

Signatures are checked by joserfc's algorithms with joserfc's keys. Taking the text apart is done
here: joserfc's own way costs as much as the signature (make bench, `auth-fresh-rs256-vs-go`).
"""

from __future__ import annotations

import binascii
from functools import lru_cache
from typing import Any, Final

import msgspec

from liveconnect.common.jsonerrors import MALFORMED

MAX_TOKEN_BYTES: Final = 16 * 1024
"""A longer token is refused unread."""

_TO_STANDARD_ALPHABET: Final = bytes.maketrans(b"-_", b"+/")


class JoseHeader(msgspec.Struct, frozen=True):
    """What is read of a JWS header. `jku`, `jwk`, `x5u` and `x5c` are never looked at."""

    alg: str
    kid: str | None = None
    typ: str | None = None
    cty: str | None = None
    crit: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    enc: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class CompactToken(msgspec.Struct, frozen=True):
    """A token taken apart; nothing of it is to be believed yet."""

    header: JoseHeader
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


class MalformedTokenError(ValueError):
    """Not a JWS in compact form with JSON claims, or one that asks for what we do not do."""


_decode_header: Final = msgspec.json.Decoder(JoseHeader).decode
_decode_claims: Final = msgspec.json.Decoder(dict[str, Any]).decode


def _decode_part(part: bytes) -> bytes:
    padded = part.translate(_TO_STANDARD_ALPHABET) + b"=="[: -len(part) % 4]
    return binascii.a2b_base64(padded, strict_mode=True)


@lru_cache(maxsize=256)
def _header_of(head: bytes) -> JoseHeader:
    """Decode a header; all tokens of one key have the same."""
    return _decode_header(_decode_part(head))


def parse_compact(token: str) -> CompactToken:
    """Take a token apart.

    Raises:
        MalformedTokenError: it is no compact JWS of JSON claims. The message quotes nothing of it.
    """
    try:
        raw = token.encode("ascii")
    except UnicodeEncodeError:
        raise MalformedTokenError("not ASCII") from None
    if raw.count(b".") != 2 or b"=" in raw or b"+" in raw or b"/" in raw:
        raise MalformedTokenError("not three parts of base64url")
    signed, _, signature = raw.rpartition(b".")
    head, _, payload = signed.partition(b".")
    try:
        header = _header_of(head)
        claims = _decode_claims(_decode_part(payload))
        decoded_signature = _decode_part(signature)
    except (binascii.Error, *MALFORMED):
        raise MalformedTokenError("a part is not base64url of what it must be") from None
    if header.crit is not msgspec.UNSET or header.enc is not msgspec.UNSET:
        raise MalformedTokenError("extensions and encryption are not supported")
    if header.cty is not None and header.cty.lower() in {"jwt", "application/jwt"}:
        raise MalformedTokenError("nested tokens are not supported")
    return CompactToken(header, claims, signed, decoded_signature)
