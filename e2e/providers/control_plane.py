"""A control plane without nodes' containers: etcd, API server, controllers, KWOK. Up in seconds.

Every instance has ports and a folder of its own, so several run side by side. KWOK plays the
kubelets: pods become ready without running, which is all that the operator's own loop needs.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import yaml

from e2e.providers import binaries, progress
from e2e.providers.paths import ROOT
from e2e.providers.pki import Pki
from e2e.providers.processes import Processes

_STAGES = (
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
)
#: An address for every load balancer, as a cloud would give.
_BALANCER = {
    "apiVersion": "kwok.x-k8s.io/v1alpha1",
    "kind": "Stage",
    "metadata": {"name": "service-load-balancer"},
    "spec": {
        "resourceRef": {"apiGroup": "v1", "kind": "Service"},
        "selector": {
            "matchExpressions": [
                {"key": ".spec.type", "operator": "In", "values": ["LoadBalancer"]},
                {"key": ".status.loadBalancer.ingress", "operator": "DoesNotExist"},
            ]
        },
        "next": {
            "statusTemplate": 'loadBalancer:\n  ingress:\n  - ip: "192.0.2.1"\n',
        },
    },
}


class ControlPlaneProvider:
    """One control plane in a folder."""

    def __init__(
        self, name: str, folder: Path, audited: str = "", pod_addresses: str = "10.244.0.0/16"
    ) -> None:
        """Describe a control plane.

        Args:
            name: of it.
            folder: in which it lives.
            audited: a user whose requests are written down in `audit_log`; `user_kubeconfig` is
                that user's.
            pod_addresses: the network that pods get addresses of. Nobody answers there, unless it
                is one of loopback addresses and a test does.
        """
        self.name = name
        self._folder = folder
        self._audited = audited
        self._pod_addresses = pod_addresses
        self._processes = Processes(folder)

    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self._folder / "kubeconfig"

    def user_kubeconfig(self) -> Path:
        """The kubeconfig of the audited user, who may do everything."""
        return self._folder / "audited-kubeconfig"

    def audit_log(self) -> Path:
        """One JSON object for each request of the audited user that was answered."""
        return self._folder / "audit.log"

    def load_image(self, archive: Path) -> None:
        """Nothing runs here: an image is of no use."""

    def create(self) -> Path:
        """Start everything; wait until a node is ready."""
        binaries.ensure(binaries.CONTROL_PLANE)
        self._folder.mkdir(parents=True, exist_ok=True)
        etcd, peer, api, controllers = (_free_port() for _ in range(4))
        pki = Pki(self._folder / "pki")
        pki.issue("apiserver", "kube-apiserver", hosts=("127.0.0.1", "10.96.0.1"))
        pki.issue("admin", "admin", ("system:masters",))
        pki.kubeconfig(self.kubeconfig(), f"https://127.0.0.1:{api}", "admin")
        if self._audited:
            pki.issue("audited", self._audited, ("system:masters",))
            pki.kubeconfig(self.user_kubeconfig(), f"https://127.0.0.1:{api}", "audited")
        self._start(
            "etcd",
            f"--data-dir={self._folder}/etcd",
            f"--listen-client-urls=http://127.0.0.1:{etcd}",
            f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync=true",
            "--log-level=warn",
        )
        self._api_server(pki, etcd, api)
        self._wait("the API server", ["get", "--raw", "/readyz"])
        self._start(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig()}",
            f"--service-account-private-key-file={pki.path('sa.key')}",
            f"--root-ca-file={pki.path('ca.crt')}",
            "--leader-elect=false",
            # One of these serves hundreds of tests: its default of 20 requests a second makes
            # the later ones wait for pods, and for the events that say why there are none.
            "--kube-api-qps=200",
            "--kube-api-burst=400",
            "--bind-address=127.0.0.1",
            f"--secure-port={controllers}",
            f"--cert-dir={self._folder}/controllers",
            "--controllers=*,-nodeipam,-cloud-node-lifecycle",
        )
        self._start(
            "kube-scheduler",
            f"--kubeconfig={self.kubeconfig()}",
            "--leader-elect=false",
            "--secure-port=0",
        )
        self._kwok()
        self._node()
        return self.kubeconfig()

    def delete(self) -> None:
        """End the processes and remove the folder."""
        self._processes.stop_all()
        shutil.rmtree(self._folder, ignore_errors=True)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl.

        Raises:
            StepError: it failed; the message is kubectl's.
        """
        command = [
            str(binaries.binary("kubectl")),
            "--kubeconfig",
            str(self.kubeconfig()),
            *arguments,
        ]
        done = subprocess.run(command, input=stdin, check=False, capture_output=True, text=True)
        if done.returncode:
            raise progress.StepError(done.stderr.strip())
        return done.stdout

    def _start(self, name: str, *arguments: str) -> None:
        self._processes.start(name, [str(binaries.binary(name)), *arguments])

    def _api_server(self, pki: Pki, etcd: int, port: int) -> None:
        self._start(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            "--service-cluster-ip-range=10.96.0.0/16",
            f"--client-ca-file={pki.path('ca.crt')}",
            f"--tls-cert-file={pki.path('apiserver.crt')}",
            f"--tls-private-key-file={pki.path('apiserver.key')}",
            f"--service-account-key-file={pki.path('sa.key')}",
            f"--service-account-signing-key-file={pki.path('sa.key')}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--authorization-mode=RBAC",
            f"--cert-dir={self._folder}/apiserver",
            "--watch-cache=true",
            *(self._audit() if self._audited else ()),
        )

    def _audit(self) -> tuple[str, ...]:
        policy = self._folder / "audit.yaml"
        rules = [{"level": "Metadata", "users": [self._audited]}, {"level": "None"}]
        body = {
            "apiVersion": "audit.k8s.io/v1",
            "kind": "Policy",
            "omitStages": ["RequestReceived", "ResponseStarted"],
            "omitManagedFields": True,
            "rules": rules,
        }
        policy.write_text(yaml.safe_dump(body))
        return f"--audit-policy-file={policy}", f"--audit-log-path={self.audit_log()}"

    def _kwok(self) -> None:
        module = subprocess.run(
            ["go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"],
            cwd=ROOT / "e2e" / "tools" / "kwok",
            env={**os.environ, "GOFLAGS": "-mod=mod", "GOWORK": "off"},
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
        folder = Path(module) / "kustomize" / "stage"
        documents = [yaml.safe_load((folder / name).read_text()) for name in _STAGES]
        stages = self._folder / "stages.yaml"
        stages.write_text(yaml.safe_dump_all([*documents, _BALANCER]))
        self._start(
            "kwok",
            f"--kubeconfig={self.kubeconfig()}",
            f"--config={stages}",
            "--manage-all-nodes=true",
            "--node-lease-duration-seconds=40",
            f"--cidr={self._pod_addresses}",
        )

    def _node(self) -> None:
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "kwok-0", "labels": {"kubernetes.io/hostname": "kwok-0"}},
            "spec": {},
            "status": {
                "allocatable": {"cpu": "1k", "memory": "1Ti", "pods": "10k"},
                "capacity": {"cpu": "1k", "memory": "1Ti", "pods": "10k"},
            },
        }
        self._wait("the default namespace", ["get", "namespace", "default"])
        self.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(node))
        self._wait("the node", ["wait", "--for=condition=Ready", "node/kwok-0", "--timeout=1s"])

    def _wait(self, what: str, query: list[str], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.kubectl(*query)
            except progress.StepError as error:
                if time.monotonic() > deadline:
                    logs = self._processes.log_tail("kube-apiserver") + self._processes.log_tail(
                        "kwok"
                    )
                    raise progress.StepError(f"{what} did not come up: {error}\n{logs}") from error
                time.sleep(0.2)
            else:
                return


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
