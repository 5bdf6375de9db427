"""The provider as a process of its own: JWTs and opaque tokens, rotation, revocation."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import shutil
import signal
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwk

from e2e.providers.paths import cache
from tests.integration.webhook.world import eventually, free_port

_FOLDER = Path(__file__).parent
_FILES = ("package.json", "package-lock.json", ".npmrc")
SECRET = "a secret: with everything that must be encoded: &+%/"
CLIENT = "liveconnect"


def installed() -> Path:
    """The folder with the provider and its dependencies, by the hashes of the lock file."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed (make packages)")
    key = hashlib.sha256(b"".join((_FOLDER / name).read_bytes() for name in _FILES)).hexdigest()
    folder = cache() / "npm" / f"openid-{key[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            for name in _FILES:
                shutil.copy(_FOLDER / name, folder)
            subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
                cwd=folder,
                check=True,
                timeout=120,
            )
            (folder / "installed").touch()
        shutil.copy(_FOLDER / "provider.mjs", folder)
    return folder


def signing_keys(name: str = "1") -> list[dict[str, Any]]:
    """Private keys of every kind that is allowed."""
    keys = (
        jwk.RSAKey.generate_key(2048, {"kid": f"rsa-{name}", "use": "sig"}, private=True),
        jwk.ECKey.generate_key("P-256", {"kid": f"ec-{name}", "use": "sig"}, private=True),
        jwk.OKPKey.generate_key("Ed25519", {"kid": f"ed-{name}", "use": "sig"}, private=True),
    )
    return [dict(key.as_dict(private=True)) for key in keys]


class OpenIdProvider:
    """A running provider."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.introspection = f"{self.issuer}/token/introspection"
        self.keys = signing_keys()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it with its keys as they are now; what it handed out before is forgotten."""
        settings = self._folder / "openid.json"
        settings.write_text(json.dumps({"secret": SECRET, "client": CLIENT, "keys": self.keys}))
        with (self._folder / "openid.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["node", "provider.mjs", str(self.port), str(settings)],
                cwd=installed(), stdout=log, stderr=log,
            )  # fmt: skip
        eventually(self._answers, within=20)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        """Let it accept connections, and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "openid.log").read_text()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def token(self, device: str, customer: str = "42", *groups: str, resource: str) -> str:
        """An access token, granted by the provider itself.

        Args:
            device: what its claim `device` says.
            customer: what its claim `customer` says.
            groups: what its claim `groups` says.
            resource: `urn:devices` for a JWT, `urn:devices:ES256` for one that is signed so,
                `urn:opaque` for an opaque token.
        """
        scope = " ".join((device, customer, *groups))
        answer = self._post(
            "/token", grant_type="client_credentials", scope=scope, resource=resource
        )
        return str(json.loads(answer)["access_token"])

    def revoke(self, token: str) -> None:
        """Revoke a token (RFC 7009)."""
        self._post("/token/revocation", token=token)

    def _post(self, path: str, **form: str) -> bytes:
        pair = ":".join(urllib.parse.quote_plus(part) for part in ("app", SECRET))
        request = urllib.request.Request(  # noqa: S310 - ours
            self.issuer + path,
            urllib.parse.urlencode(form).encode(),
            {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - ours
            return bytes(answer.read())


@contextlib.contextmanager
def running_provider(folder: Path) -> Iterator[OpenIdProvider]:
    """Run a provider while the block lasts."""
    provider = OpenIdProvider(folder)
    provider.start()
    try:
        yield provider
    finally:
        provider.thaw()
        provider.stop()
