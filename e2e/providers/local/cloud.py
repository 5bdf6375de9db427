"""What a cloud would do for the cluster: volumes for claims, addresses for load balancers.

A volume is a folder on the node, made for one claim and deleted with it, so that a new claim never
sees another life's files. A load balancer's address is the Service's own cluster address, which the
host routes to the node.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

_CLASS = "local"
_PAUSE_SECONDS = 0.5


class Cloud:
    """One pass serves whatever waits."""

    def __init__(self, api: client.CoreV1Api, folder: Path) -> None:
        self._api = api
        self._folder = folder

    def serve(self) -> None:
        """Make one pass."""
        self._bind()
        self._reclaim()
        self._balance()

    def _bind(self) -> None:
        for claim in _items(self._api.list_persistent_volume_claim_for_all_namespaces):
            spec = claim["spec"]
            wanted = spec.get("storageClassName") == _CLASS and not spec.get("volumeName")
            if wanted and "deletionTimestamp" not in claim["metadata"]:
                self._volume(claim)

    def _volume(self, claim: dict[str, Any]) -> None:
        meta, spec = claim["metadata"], claim["spec"]
        name = f"pvc-{meta['uid']}"
        path = self._folder / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)  # fsGroup does nothing for hostPath
        volume = client.V1PersistentVolume(
            metadata=client.V1ObjectMeta(name=name),
            spec=client.V1PersistentVolumeSpec(
                capacity={"storage": spec["resources"]["requests"]["storage"]},
                access_modes=spec["accessModes"],
                storage_class_name=_CLASS,
                persistent_volume_reclaim_policy="Retain",
                host_path=client.V1HostPathVolumeSource(path=str(path)),
                claim_ref=client.V1ObjectReference(
                    api_version="v1",
                    kind="PersistentVolumeClaim",
                    namespace=meta["namespace"],
                    name=meta["name"],
                    uid=meta["uid"],
                ),
            ),
        )
        try:
            self._api.create_persistent_volume(volume)
        except ApiException as error:
            if error.status != 409:
                raise

    def _reclaim(self) -> None:
        for volume in _items(self._api.list_persistent_volume):
            ours = volume["spec"].get("storageClassName") == _CLASS
            if ours and volume["status"].get("phase") in {"Released", "Failed"}:
                name = volume["metadata"]["name"]
                self._api.delete_persistent_volume(name)
                shutil.rmtree(self._folder / name, ignore_errors=True)

    def _balance(self) -> None:
        for service in _items(self._api.list_service_for_all_namespaces):
            meta, spec = service["metadata"], service["spec"]
            balanced = spec.get("type") == "LoadBalancer" and not spec.get("loadBalancerClass")
            if balanced and not service["status"]["loadBalancer"].get("ingress"):
                status = {"loadBalancer": {"ingress": [{"ip": spec["clusterIP"]}]}}
                self._api.patch_namespaced_service_status(
                    meta["name"], meta["namespace"], {"status": status}
                )


def _items(listed: Callable[..., Any]) -> list[dict[str, Any]]:
    """Objects as they were sent: a model of each, twice a second, is a tenth of a core."""
    found: list[dict[str, Any]] = json.loads(listed(_preload_content=False).data)["items"]
    return found


def main(kubeconfig: str, folder: str) -> None:
    """Serve until killed; the API server may come and go."""
    config.load_kube_config(kubeconfig)  # type: ignore[no-untyped-call] # theirs is untyped
    cloud = Cloud(client.CoreV1Api(), Path(folder))
    while True:
        try:
            cloud.serve()
        except (ApiException, HTTPError, OSError) as error:
            print(f"{type(error).__name__}: {str(error)[:200]}", flush=True)
        time.sleep(_PAUSE_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
