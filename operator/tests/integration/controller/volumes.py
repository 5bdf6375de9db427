"""Volumes without a cloud: classes, and what their drivers would do for claims."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.integration.controller.conftest import Kube


class Driver:
    """A storage class and its driver, called by hand."""

    def __init__(self, kube: Kube, *, expandable: bool) -> None:
        self._kube = kube
        self.name = f"class-{kube.namespace}"
        body = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": self.name},
            "provisioner": "test.liveconnect.io/none",
            "allowVolumeExpansion": expandable,
        }
        self._create(body)

    def _create(self, body: dict[str, Any]) -> None:
        self._kube.plane.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(body))

    def allow_expansion(self) -> None:
        """Let volumes of the class grow."""
        change = '{"allowVolumeExpansion": true}'
        self._kube.plane.kubectl("patch", "storageclass", self.name, "-p", change)

    def claims(self) -> list[dict[str, Any]]:
        """All claims of the namespace."""
        found = json.loads(self._kube("get", "pvc", "-o", "json"))
        items: list[dict[str, Any]] = found["items"]
        return items

    def provide(self) -> bool:
        """Make a volume for every claim; whether all of them have theirs."""
        for claim in self.claims():
            if "volumeName" in claim["spec"]:
                continue
            meta = claim["metadata"]
            reference = {"kind": "PersistentVolumeClaim", "apiVersion": "v1"}
            reference |= {key: meta[key] for key in ("name", "namespace", "uid")}
            self._create(
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolume",
                    "metadata": {"name": f"pv-{meta['uid']}"},
                    "spec": {
                        "capacity": claim["spec"]["resources"]["requests"],
                        "accessModes": claim["spec"]["accessModes"],
                        "storageClassName": self.name,
                        "persistentVolumeReclaimPolicy": "Retain",
                        "hostPath": {"path": "/nowhere"},
                        "claimRef": reference,
                    },
                }
            )
        phases = [claim["status"]["phase"] for claim in self.claims()]
        return bool(phases) and set(phases) == {"Bound"}

    def resize(self) -> None:
        """Give every claim what it asks for."""
        for claim in self.claims():
            capacity = {"status": {"capacity": claim["spec"]["resources"]["requests"]}}
            self._kube(
                "patch", "pvc", claim["metadata"]["name"], "--subresource=status",
                "--type=merge", "-p", json.dumps(capacity),
            )  # fmt: skip

    def sizes(self, pool: str) -> set[str]:
        """What the claims of a pool of `demo` ask for."""
        return {
            claim["spec"]["resources"]["requests"]["storage"]
            for claim in self.claims()
            if claim["metadata"]["name"].startswith(f"data-demo-{pool}-")
        }
