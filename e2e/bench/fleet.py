"""Many cluster objects on a control plane of their own, and how much of them is there."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from e2e.kit.eventually import eventually
from e2e.providers.control_plane import ControlPlaneProvider
from hack.golden import rendered
from liveconnect.api.v1alpha1 import API_VERSION, KIND, PLURAL, Cluster
from liveconnect.controller.adapters.kube import path
from liveconnect.controller.model.manifest import Manifest, ObjectKey

NAMESPACE: Final = "bench"
USER: Final = "liveconnect-operator"
_WITHIN_SECONDS: Final = 900
_LOOK_SECONDS: Final = 0.05


def body(number: int) -> Manifest:
    """One cluster object."""
    jwt = {
        "issuer": "https://issuer.example",
        "audiences": ["devices"],
        "jwksURI": "https://issuer.example/jwks",
    }
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": f"lc-{number:03}", "namespace": NAMESPACE},
        "spec": {"broker": {"image": "broker:bench"}, "auth": {"tokens": [{"jwt": jwt}]}},
    }


def children(number: int) -> list[Manifest]:
    """What the operator makes of it; without the owner, which the peer's namespace lacks."""
    owner = body(number)
    owner["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    manifests = [dict(manifest) for manifest in rendered(Cluster.parse(owner))]
    for manifest in manifests:
        manifest["metadata"] = {**manifest["metadata"]}
        manifest["metadata"].pop("ownerReferences", None)
    return manifests


def connect(kubeconfig: Path) -> aiohttp.ClientSession:
    """A session with a kubeconfig's client certificate; relative URLs are the API server's."""
    content = yaml.safe_load(kubeconfig.read_text())
    cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    context = ssl.create_default_context(cadata=authority)
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder) / "certificate", Path(folder) / "key"
        certificate.write_bytes(base64.b64decode(user["client-certificate-data"]))
        key.write_bytes(base64.b64decode(user["client-key-data"]))
        context.load_cert_chain(certificate, key)
    connector = aiohttp.TCPConnector(ssl=context, limit=64)
    return aiohttp.ClientSession(cluster["server"], connector=connector)


class Fleet:
    """A control plane with a namespace for the objects."""

    def __init__(self, folder: Path) -> None:
        self.plane = ControlPlaneProvider("bench", folder, audited=USER)
        self._before: Counter[str] = Counter()

    def create(self, root: Path) -> None:
        """Start it, with our CRD."""
        self.plane.create()
        self.plane.kubectl("apply", "--server-side", "-f", str(root / "crds"))
        established = ("wait", "--for=condition=Established", "crd", "--all", "--timeout=5s")
        # Right after the apply there are no conditions yet, which kubectl takes for an error.
        eventually(lambda: self.plane.kubectl(*established), within=30, what="CRD established")
        self.plane.kubectl("create", "namespace", NAMESPACE)
        self.plane.kubectl("-n", NAMESPACE, "wait", "--for=create", "serviceaccount/default",
                           "configmap/kube-root-ca.crt", "--timeout=30s")  # fmt: skip

    async def make(self, session: aiohttp.ClientSession, numbers: Iterable[int]) -> None:
        """Create cluster objects, some at a time."""
        url = f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/{PLURAL}"
        limit = asyncio.Semaphore(8)

        async def one(number: int) -> None:
            async with limit, session.post(url, json=body(number)) as answer:
                if answer.status != 201:
                    raise RuntimeError(f"{url}: {answer.status} {await answer.text()}")

        await asyncio.gather(*(one(number) for number in numbers))

    async def wait(self, session: aiohttp.ClientSession, count: int) -> float:
        """Wait until all children of so many objects exist; the time when they did.

        Raises:
            RuntimeError: they never did.
        """
        wanted = Counter(_collection(m) for m in children(0))
        deadline = time.monotonic() + _WITHIN_SECONDS
        while time.monotonic() < deadline:
            found = await asyncio.gather(*(self._count(session, url) for url in wanted))
            missing = {
                url: each * count + _STRANGERS.get(url, 0) - there
                for (url, each), there in zip(wanted.items(), found, strict=True)
            }
            if not any(left > 0 for left in missing.values()):
                return time.perf_counter()
            await asyncio.sleep(_LOOK_SECONDS)
        raise RuntimeError(f"children that are missing: {missing}")

    @staticmethod
    async def _count(session: aiohttp.ClientSession, url: str) -> int:
        """How many there are, without reading them."""
        query = {"limit": "1"}
        headers = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
        async with session.get(url, params=query, headers=headers) as answer:
            listed = await answer.json()
        return len(listed["items"] or []) + int(listed["metadata"].get("remainingItemCount", 0))

    def requests(self, since: int = 0) -> list[tuple[str, str]]:
        """Verb and resource of every request of the operator since an offset in the log."""
        with self.plane.audit_log().open() as log:
            log.seek(since)
            entries = [json.loads(line) for line in log]
        return [(e["verb"], _resource(e)) for e in entries]

    def mark(self) -> int:
        """The end of the log as it is now."""
        log = self.plane.audit_log()
        return log.stat().st_size if log.exists() else 0


#: What a namespace holds of itself.
_STRANGERS: Final = {
    f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts": 1,
    f"/api/v1/namespaces/{NAMESPACE}/configmaps": 1,
}


def _collection(manifest: Manifest) -> str:
    return path(ObjectKey.of(manifest)).rpartition("/")[0]


def _resource(entry: dict[str, Any]) -> str:
    reference = entry.get("objectRef") or {}
    parts = (reference.get("resource", ""), reference.get("subresource", ""))
    return "/".join(part for part in parts if part)
