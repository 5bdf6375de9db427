"""What a cloud would do for the cluster: volumes for claims, addresses for load balancers.

A volume is a folder on the node, made for one claim and deleted with it, so that a new claim never
sees another life's files. A load balancer's address is the Service's own cluster address, which the
host routes to the node.
"""

from __future__ import annotations

import shutil
import sys
import time
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
        # Every field of the client's models is optional to the type checker; what the API server
        # sends has them.
        self._api: Any = api
        self._folder = folder

    def serve(self) -> None:
        """Make one pass."""
        self._bind()
        self._reclaim()
        self._balance()

    def _bind(self) -> None:
        for claim in self._api.list_persistent_volume_claim_for_all_namespaces().items:
            wanted = claim.spec.storage_class_name == _CLASS and not claim.spec.volume_name
            if wanted and not claim.metadata.deletion_timestamp:
                self._volume(claim)

    def _volume(self, claim: Any) -> None:
        name = f"pvc-{claim.metadata.uid}"
        path = self._folder / name
        path.mkdir(parents=True, exist_ok=True)
        path.chmod(0o777)  # fsGroup does nothing for hostPath
        volume = client.V1PersistentVolume(
            metadata=client.V1ObjectMeta(name=name),
            spec=client.V1PersistentVolumeSpec(
                capacity={"storage": claim.spec.resources.requests["storage"]},
                access_modes=claim.spec.access_modes,
                storage_class_name=_CLASS,
                persistent_volume_reclaim_policy="Retain",
                host_path=client.V1HostPathVolumeSource(path=str(path)),
                claim_ref=client.V1ObjectReference(
                    api_version="v1",
                    kind="PersistentVolumeClaim",
                    namespace=claim.metadata.namespace,
                    name=claim.metadata.name,
                    uid=claim.metadata.uid,
                ),
            ),
        )
        try:
            self._api.create_persistent_volume(volume)
        except ApiException as error:
            if error.status != 409:
                raise

    def _reclaim(self) -> None:
        for volume in self._api.list_persistent_volume().items:
            ours = volume.spec.storage_class_name == _CLASS
            if ours and volume.status.phase in {"Released", "Failed"}:
                self._api.delete_persistent_volume(volume.metadata.name)
                shutil.rmtree(self._folder / volume.metadata.name, ignore_errors=True)

    def _balance(self) -> None:
        for service in self._api.list_service_for_all_namespaces().items:
            balanced = service.spec.type == "LoadBalancer" and not service.spec.load_balancer_class
            if balanced and not service.status.load_balancer.ingress:
                status = {"loadBalancer": {"ingress": [{"ip": service.spec.cluster_ip}]}}
                self._api.patch_namespaced_service_status(
                    service.metadata.name, service.metadata.namespace, {"status": status}
                )


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
