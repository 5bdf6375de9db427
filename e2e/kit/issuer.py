"""An OAuth issuer for phones: a key, its public set, access tokens (RFC 9068)."""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeyParameters, RSAKey

ISSUER = "https://issuer.quickstart.example"
AUDIENCE = "liveconnect-devices"
_LIFETIME_SECONDS = 24 * 3600


class Issuer:
    """Mints access tokens, good ones and bad ones."""

    def __init__(self, key: RSAKey, name: str = ISSUER) -> None:
        """Issue with a private key under a name (`iss`)."""
        self._key = key
        self._name = name

    @classmethod
    def create(cls) -> Issuer:
        """An issuer with a new key."""
        parameters: KeyParameters = {"kid": uuid.uuid4().hex[:8], "use": "sig", "alg": "RS256"}
        return cls(RSAKey.generate_key(2048, parameters=parameters, private=True))

    @classmethod
    def kept(cls, path: Path) -> Issuer:
        """The issuer whose key is kept in a file, made at the first use.

        Tokens that were handed out stay valid, and the key set's Secret stays the same, from one
        run to the next.
        """
        if path.exists():
            return cls(RSAKey.import_key(json.loads(path.read_text(encoding="utf-8"))))
        issuer = cls.create()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(issuer.private_key()), encoding="utf-8")
        return issuer

    def key_set(self) -> str:
        """The public keys (JWKS, JSON)."""
        return json.dumps({"keys": [self._key.as_dict(private=False)]})

    def private_key(self) -> dict[str, Any]:
        """The private key (JWK), to be kept or misused."""
        return dict(self._key.as_dict(private=True))

    def token(self, client_id: str, customer: str, **claims: Any) -> str:
        """An access token for a phone.

        Args:
            client_id: The phone's MQTT client id.
            customer: Whose phone it is.
            claims: Replace or add claims; None removes one.
        """
        now = int(time.time())
        payload = {
            "iss": self._name,
            "aud": AUDIENCE,
            "sub": f"user-{customer}",
            "client_id": client_id,
            "customer": customer,
            "jti": uuid.uuid4().hex,
            "iat": now,
            "exp": now + _LIFETIME_SECONDS,
            **claims,
        }
        header = {"alg": "RS256", "typ": "at+jwt", "kid": self._key.kid}
        present = {name: value for name, value in payload.items() if value is not None}
        return jwt.encode(header, present, self._key)

    def expired_token(self, client_id: str, customer: str) -> str:
        """A token that ended an hour ago."""
        now = int(time.time())
        return self.token(client_id, customer, iat=now - 7200, exp=now - 3600)

    def forged_token(self, client_id: str, customer: str) -> str:
        """A token that names this issuer and its key, signed with somebody else's key."""
        strangers = {**Issuer.create().private_key(), "kid": self._key.kid}
        forged = RSAKey.import_key(strangers)
        return Issuer(forged, self._name).token(client_id, customer)
