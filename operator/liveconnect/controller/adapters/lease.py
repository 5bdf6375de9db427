"""The Lease in the API server."""

from __future__ import annotations

from datetime import UTC, datetime

from liveconnect.controller.adapters.kube import Kube
from liveconnect.controller.model.lease import Record
from liveconnect.controller.model.manifest import Manifest, ObjectKey

_API_VERSION = "coordination.k8s.io/v1"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class KubeLease:
    """One Lease; every write is refused when somebody else wrote after the last read."""

    def __init__(self, kube: Kube, namespace: str, name: str) -> None:
        self._kube = kube
        self._key = ObjectKey(_API_VERSION, "Lease", namespace, name)
        self._body: Manifest | None = None

    async def read(self) -> Record | None:
        """Read it; None when there is none.

        Raises:
            KubeError: the API server does not answer or refuses.
        """
        self._body = await self._kube.get(self._key)
        return record_of(self._body) if self._body else None

    async def write(self, record: Record) -> None:
        """Write it, over what was read last.

        Raises:
            KubeError: 409 when somebody was faster; the API server does not answer or refuses.
        """
        meta = self._body["metadata"] if self._body else {"name": self._key.name}
        body = {
            "apiVersion": _API_VERSION,
            "kind": "Lease",
            "metadata": meta,
            "spec": {
                "holderIdentity": record.holder,
                "leaseDurationSeconds": max(1, round(record.duration)),
                "acquireTime": _text(record.acquired),
                "renewTime": _text(record.renewed),
                "leaseTransitions": record.transitions,
            },
        }
        write = self._kube.replace if self._body else self._kube.create
        self._body = await write(self._key, body)


def record_of(body: Manifest) -> Record:
    """What a Lease says, whoever wrote it."""
    spec = body.get("spec") or {}
    return Record(
        holder=spec.get("holderIdentity") or "",
        duration=float(spec.get("leaseDurationSeconds") or 1),
        acquired=_time(spec.get("acquireTime")),
        renewed=_time(spec.get("renewTime")),
        transitions=int(spec.get("leaseTransitions") or 0),
    )


def _text(moment: datetime) -> str:
    """`metav1.MicroTime`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _time(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else _EPOCH
