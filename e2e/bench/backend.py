"""ServiceAccounts of a Kubernetes that does not exist: a key, its set over HTTP, tokens."""

from __future__ import annotations

import contextlib
import json
import threading
import time
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeyParameters, RSAKey

from liveconnect.api.operands import AUDIENCE, ServiceAccountVerification

ISSUER = "https://kubernetes.bench.example"
BACKEND = "system:serviceaccount:shop:orders"
_POD = {
    "namespace": "shop",
    "pod": {"name": "orders-7d4b9c-x2x7q", "uid": "6f1c2b1e-54c7-4f0e-9f2e-0a4f3f0a4b11"},
    "serviceaccount": {"name": "orders", "uid": "0d6f1d0e-8a53-4f43-9a0e-4bb1c6c2a9d1"},
}


class Backends:
    """Makes their tokens, of the size and shape that the kubelet hands out."""

    def __init__(self, folder: Path, jwks_uri: str, key: RSAKey) -> None:
        self._key = key
        self.own_token_file = folder / "token"
        self.own_token_file.write_text(self.token("system:serviceaccount:shop:bench"))
        self.verification = ServiceAccountVerification(
            jwks_uri=jwks_uri, token_file=str(self.own_token_file), ca_file=""
        )

    @classmethod
    @contextlib.contextmanager
    def serving(cls, folder: Path) -> Iterator[Backends]:
        """Serve the key set while the block lasts."""
        parameters: KeyParameters = {"kid": "bench", "use": "sig", "alg": "RS256"}
        key = RSAKey.generate_key(2048, parameters=parameters, private=True)
        with _serving(json.dumps({"keys": [key.as_dict(private=False)]}).encode()) as uri:
            yield cls(folder, uri, key)

    def token(self, subject: str = BACKEND) -> str:
        """Return a token that is valid for an hour."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "aud": [AUDIENCE],
            "sub": subject,
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "jti": str(uuid.uuid4()),
            "kubernetes.io": _POD,
        }
        return jwt.encode({"alg": "RS256", "kid": self._key.kid}, claims, self._key)


@contextlib.contextmanager
def _serving(document: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(document)

        def log_message(self, *_: Any) -> None:
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/jwks"
        finally:
            server.shutdown()
            thread.join()
