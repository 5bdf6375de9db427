"""What Secrets must hold that a cluster object refers to. Pure; values are never said."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from liveconnect.api.v1alpha1 import Cluster, SecretKeyReference

_PULL = ".dockerconfigjson"
_STORE_SCHEMES = {"redis", "rediss"}


@dataclass(frozen=True)
class Reference:
    """A key of a Secret that the spec names."""

    field: str
    """Path in the object."""
    secret: str
    key: str
    check: Callable[[bytes], str]
    """What is wrong with the content, and what to do; empty when nothing is."""

    def problem(self, content: Mapping[str, bytes] | None) -> str:
        """Why the reference cannot be used, and what to do; empty when it can.

        Args:
            content: What the Secret holds; None when there is none.
        """
        if content is None:
            return f"{self.field}: there is no Secret {self.secret}; create it"
        if self.key not in content:
            return f"{self.field}: Secret {self.secret} has no key {self.key}; add it"
        wrong = self.check(content[self.key])
        where = f"key {self.key} of Secret {self.secret}"
        return f"{self.field}: {where} {wrong}" if wrong else ""


def references(cluster: Cluster) -> tuple[Reference, ...]:
    """All Secrets that an object refers to, but for certificates."""
    found: list[Reference] = []

    def add(field: str, named: SecretKeyReference, check: Callable[[bytes], str]) -> None:
        found.append(Reference(field, named.name, named.key, check))

    for index, provider in enumerate(cluster.spec.auth.tokens):
        field = f"spec.auth.tokens[{index}]"
        if provider.jwt is not None and provider.jwt.jwksSecretRef is not None:
            add(f"{field}.jwt.jwksSecretRef", provider.jwt.jwksSecretRef, _key_set)
        if provider.introspection is not None:
            secret = provider.introspection.clientSecretRef
            add(f"{field}.introspection.clientSecretRef", secret, _one_line)
    for path, named in cluster.spec.presence.secret_references().items():
        add(f"spec.presence.{path}", named, _CHECKS.get(path.rpartition(".")[2], _one_line))
    found += (
        Reference(f"spec.broker.imagePullSecrets[{index}]", one.name, _PULL, _registries)
        for index, one in enumerate(cluster.spec.broker.imagePullSecrets)
    )
    return tuple(found)


def is_mounted(reference: Reference) -> bool:
    """Whether pods of ours read it: a change of it restarts them."""
    return reference.key != _PULL


def _object(content: bytes) -> dict[str, object] | None:
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _key_set(content: bytes) -> str:
    found = _object(content)
    if found is None:
        return "is not JSON; it must be a JSON Web Key Set: put your issuer's there"
    keys = found.get("keys")
    if not isinstance(keys, list) or not all(isinstance(k, dict) and k.get("kty") for k in keys):
        return 'is not a JSON Web Key Set ({"keys": [{"kty": …}, …]}): put your issuer\'s there'
    return "" if keys else "holds no keys, so no token would be valid: put your issuer's there"


def _one_line(content: bytes) -> str:
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        return "is not UTF-8 text; write the secret as it is"
    if not text:
        return "is empty; write the secret there"
    return "" if text.isprintable() else "has more than one line; write the secret alone"


def _store_url(content: bytes) -> str:
    try:
        url = urlsplit(content.decode().strip())
        usable = bool(url.hostname) and url.scheme in _STORE_SCHEMES and url.port != 0
    except ValueError:
        usable = False
    return "" if usable else "is no URL of a store; write redis://host:6379/0 or rediss://…"


def _registries(content: bytes) -> str:
    found = _object(content)
    if found is None or not isinstance(found.get("auths"), dict):
        return "has no registry credentials; make it with `kubectl create secret docker-registry`"
    return ""


def _something(content: bytes) -> str:
    return "" if content else "is empty; write the secret there"


def _certificates(content: bytes) -> str:
    if b"-----BEGIN CERTIFICATE-----" in content:
        return ""
    return "holds no certificate; write those of the authority there, as PEM"


#: By the last word of the field; the others are words of one line.
_CHECKS = {
    "urlSecretRef": _store_url,
    "caSecretRef": _certificates,
    "signingSecretRef": _something,
}
