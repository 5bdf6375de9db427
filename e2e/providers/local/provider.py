"""The local provider: a one-node Kubernetes from components built on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from e2e.providers import binaries, progress, system
from e2e.providers.local import cgroups, settings
from e2e.providers.local.firewall import Firewall
from e2e.providers.local.network import DNS_ADDRESS, NODE_ADDRESS, SERVICE_CIDR, Network
from e2e.providers.paths import ROOT, state
from e2e.providers.pki import Pki
from e2e.providers.processes import Processes

_SERVER = f"https://{NODE_ADDRESS}:6443"


class LocalProvider:
    """One cluster of this kind at a time."""

    enforces_policies = True

    def __init__(self, name: str) -> None:
        self.name = name
        self._folder = state(name)
        self._network = Network(name)
        self._cgroup = f"lc-{name}"
        self._processes = Processes(self._folder)

    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self._folder / "kubeconfig"

    def create(self) -> Path:
        """Bring up whatever is not running."""
        self._check()
        if self._folder.exists() and not self._processes.any_running():
            # The machine was restarted or everything was killed: mounts and namespaces of dead pods
            # are not to be built upon.
            self.delete()
        system.ensure(system.PACKAGES)
        binaries.ensure(binaries.NODE)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o711)
        self._network.up()
        cgroups.make(self._cgroup)
        pki = self._certificates()
        pki.kubeconfig(self.kubeconfig(), _SERVER, "admin")
        self._control_plane(pki)
        self._node(pki)
        self._wait_node()
        self._firewall()
        return self.kubeconfig()

    def load_image(self, archive: Path) -> None:
        """Import an image archive into the node's containerd."""
        done = self._ctr("-n", "k8s.io", "images", "import", str(archive))
        if done.returncode:
            raise progress.StepError(f"{archive} was not imported: {done.stderr.strip()}")

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Ask the node's containerd."""
        command = [str(binaries.binary("ctr")), "-a", str(self._folder / "containerd.sock")]
        return subprocess.run([*command, *arguments], check=False, capture_output=True, text=True)

    def delete(self) -> None:
        """End and remove everything; also after a crash, also twice.

        Raises:
            StepError: something could not be removed; says what.
        """
        self._processes.stop_all()
        self._end_shims()
        cgroups.remove(self._cgroup)
        self._network.down()
        self._unmount()
        if self._folder.exists():
            shutil.rmtree(self._folder)
        for link in Path("/var/log/containers").glob("*.log"):
            if link.is_symlink() and str(self._folder) in str(link.readlink()):
                link.unlink()
        left = self.leftovers()
        if left:
            raise progress.StepError(f"not everything could be removed: {', '.join(left[:10])}")

    def leftovers(self) -> list[str]:
        """What is still there of this cluster, in words; nothing after `delete`."""
        mounts = [m for m in _mounts() if m.startswith(f"{self._folder}/")]
        links = [] if not self._network.exists() else [self._network.namespace]
        groups = [str(g) for g in cgroups.groups(self._cgroup)]
        # Somebody's kubectl may name our kubeconfig: it is not ours to count.
        mark = str(self._folder).encode()
        processes = [
            f"process {entry.parent.name}"
            for entry in Path("/proc").glob("[0-9]*/cmdline")
            if mark in (content := _content(entry)) and b"kubectl" not in content.split(b"\0")[0]
        ]
        folder = [str(self._folder)] if self._folder.exists() else []
        return [*mounts, *links, *groups, *processes, *folder]

    @staticmethod
    def _check() -> None:
        if not sys.platform.startswith("linux") or os.geteuid() != 0:
            raise progress.StepError(
                "the local provider needs root on Linux; where Docker runs, "
                "the kind provider is used instead"
            )

    def _certificates(self) -> Pki:
        pki = Pki(self._folder / "pki")
        hosts = (NODE_ADDRESS, "127.0.0.1", "10.96.0.1", "localhost", "kubernetes",
                 "kubernetes.default", "kubernetes.default.svc",
                 "kubernetes.default.svc.cluster.local")  # fmt: skip
        pki.issue("apiserver", "kube-apiserver", hosts=hosts)
        pki.issue("admin", "admin", ("system:masters",))
        pki.issue("controller-manager", "system:kube-controller-manager")
        pki.issue("scheduler", "system:kube-scheduler")
        pki.issue("kubelet", "system:node:local", ("system:nodes",))
        pki.issue("proxy", "system:kube-proxy")
        for component in ("controller-manager", "scheduler", "kubelet", "proxy"):
            pki.kubeconfig(self._folder / f"{component}.kubeconfig", _SERVER, component)
        return pki

    def _start(self, name: str, *arguments: str, env: dict[str, str] | None = None) -> None:
        command = [str(binaries.binary(name)), *arguments]
        self._processes.start(name, self._network.inside(*command), env)

    def _control_plane(self, pki: Pki) -> None:
        self._start(
            "etcd",
            f"--data-dir={self._folder}/etcd",
            "--listen-client-urls=http://127.0.0.1:2379",
            "--advertise-client-urls=http://127.0.0.1:2379",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync=true",
            "--log-level=warn",
        )
        self._start(
            "kube-apiserver",
            "--etcd-servers=http://127.0.0.1:2379",
            f"--advertise-address={NODE_ADDRESS}",
            f"--bind-address={NODE_ADDRESS}",
            "--secure-port=6443",
            f"--service-cluster-ip-range={SERVICE_CIDR}",
            f"--client-ca-file={pki.path('ca.crt')}",
            f"--tls-cert-file={pki.path('apiserver.crt')}",
            f"--tls-private-key-file={pki.path('apiserver.key')}",
            f"--kubelet-client-certificate={pki.path('admin.crt')}",
            f"--kubelet-client-key={pki.path('admin.key')}",
            "--kubelet-preferred-address-types=InternalIP",
            f"--service-account-key-file={pki.path('sa.key')}",
            f"--service-account-signing-key-file={pki.path('sa.key')}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--cert-dir={self._folder}/apiserver",
        )
        self._wait("the API server", ["get", "--raw", "/readyz"], seconds=60)
        self._start(
            "kube-controller-manager",
            f"--kubeconfig={self._folder}/controller-manager.kubeconfig",
            f"--service-account-private-key-file={pki.path('sa.key')}",
            f"--root-ca-file={pki.path('ca.crt')}",
            "--use-service-account-credentials=true",
            # Several objects are made and changed at the same time.
            "--kube-api-qps=200",
            "--kube-api-burst=400",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self._folder}/controller-manager",
        )
        self._start(
            "kube-scheduler",
            f"--kubeconfig={self._folder}/scheduler.kubeconfig",
            "--leader-elect=false",
            "--bind-address=127.0.0.1",
            f"--cert-dir={self._folder}/scheduler",
        )

    def _node(self, pki: Pki) -> None:
        (self._folder / "cni").mkdir(exist_ok=True)
        (self._folder / "cni" / "10-liveconnect.conflist").write_text(
            json.dumps(settings.cni(self._folder), indent=2)
        )
        shim = binaries.binary("containerd-shim-runc-v2")
        config = self._folder / "containerd.toml"
        config.write_text(settings.containerd(self._folder, shim))
        self._start("containerd", "--config", str(config), "--log-level", "warn")
        # A socket of one that was killed is there, too.
        self._wait_for(lambda: self._ctr("version").returncode == 0, "containerd", 30)
        from e2e.images.pause import pause_archive  # noqa: PLC0415 - images are built on providers

        self.load_image(pause_archive())
        (self._folder / "resolv.conf").write_text(f"nameserver {NODE_ADDRESS}\n")
        kubelet = self._folder / "kubelet.yaml"
        kubelet.write_text(settings.kubelet(self._folder, pki.path("ca.crt"), f"/{self._cgroup}"))
        self._start(
            "kubelet",
            f"--config={kubelet}",
            f"--kubeconfig={self._folder}/kubelet.kubeconfig",
            f"--root-dir={self._folder}/kubelet",
            f"--cert-dir={self._folder}/kubelet-pki",
            "--hostname-override=local",
            f"--node-ip={NODE_ADDRESS}",
            "--v=1",
        )
        self._start("kube-proxy", *settings.kube_proxy(self._folder / "proxy.kubeconfig"))
        corefile = self._folder / "Corefile"
        corefile.write_text(settings.coredns(self.kubeconfig()))
        self._start("coredns", "-conf", str(corefile))
        objects = self._folder / "objects.yaml"
        objects.write_text(yaml.safe_dump_all(settings.dns_objects()))
        self.kubectl("apply", "--server-side", "-f", str(objects))
        self._processes.start(
            "cloud",
            [sys.executable, "-m", "e2e.providers.local.cloud", str(self.kubeconfig()),
             str(self._folder / "volumes")],
            {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip

    def _firewall(self) -> None:
        firewall = Firewall(self._folder / "firewall")
        firewall.prepare()
        flags = settings.kube_router(self.kubeconfig())
        self._start("kube-router", *flags, env=firewall.environment())
        self._wait_for(
            lambda: firewall.enforces(self._network), "the enforcement of NetworkPolicies", 30
        )

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl against this cluster.

        Raises:
            StepError: it failed.
        """
        command = [
            str(binaries.binary("kubectl")),
            "--kubeconfig",
            str(self.kubeconfig()),
            *arguments,
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise progress.StepError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def _wait(self, what: str, query: list[str], seconds: float) -> None:
        def works() -> bool:
            try:
                self.kubectl(*query)
            except progress.StepError:
                return False
            return True

        self._wait_for(works, what, seconds)

    def _wait_for(self, works: object, what: str, seconds: float) -> None:
        assert callable(works)
        deadline = time.monotonic() + seconds
        while not works():
            if time.monotonic() > deadline:
                tails = "\n".join(
                    f"--- {p.stem}\n{self._processes.log_tail(p.stem)}"
                    for p in sorted((self._folder / "processes").glob("*.json"))
                )
                raise progress.StepError(f"{what} did not come up in {seconds:.0f} s\n{tails}")
            time.sleep(0.3)

    def _wait_node(self) -> None:
        def ready() -> bool:
            try:
                path = "{.items[*].status.conditions[?(@.type=='Ready')].status}"
                return self.kubectl("get", "nodes", "-o", f"jsonpath={path}") == "True"
            except progress.StepError:
                return False

        self._wait_for(ready, "the node", 90)

    def _end_shims(self) -> None:
        """Containerd's shims outlive it; ours carry our socket in their command line."""
        mark = str(self._folder / "containerd.sock").encode()
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            content = _content(entry)
            if mark in content and b"containerd-shim" in content:
                os.kill(int(entry.parent.name), signal.SIGKILL)

    def _unmount(self) -> None:
        """Everything mounted below the state folder, the deepest first."""
        for _ in range(3):
            ours = [p for p in _mounts() if p.startswith(f"{self._folder}/")]
            for point in sorted(ours, key=len, reverse=True):
                subprocess.run(["umount", "-l", point], check=False, capture_output=True)
            if not ours:
                return


def _mounts() -> list[str]:
    """All mount points of this machine."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [line.split()[4] for line in lines]


def _content(cmdline: Path) -> bytes:
    """A process's command line; empty when it ended meanwhile."""
    try:
        return cmdline.read_bytes()
    except OSError:
        return b""


__all__ = ["DNS_ADDRESS", "LocalProvider"]
