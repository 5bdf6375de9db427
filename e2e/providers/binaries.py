"""Kubernetes and its companions, built from their Go modules into the cache.

Every tool has a module in `e2e/tools` that pins it; the cache is keyed by that pin, so a build is
made once. Two builders at once wait for each other.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.providers import progress
from e2e.providers.paths import ROOT, cache

KUBERNETES = "1.36.3"
_STAMP = "k8s.io/component-base/version"
_MAJOR, _MINOR = KUBERNETES.split(".")[:2]
_KUBERNETES_FLAGS = (
    f"-s -w -X {_STAMP}.gitVersion=v{KUBERNETES} -X {_STAMP}.gitMajor={_MAJOR} "
    f"-X {_STAMP}.gitMinor={_MINOR} -X {_STAMP}.gitTreeState=clean"
)


@dataclass(frozen=True)
class Tool:
    """One binary."""

    module: str
    """Folder in `e2e/tools`."""
    package: str
    ldflags: str = "-s -w"


TOOLS: dict[str, Tool] = {
    "etcd": Tool("etcd", "go.etcd.io/etcd/server/v3"),
    **{
        name: Tool("kubernetes", f"k8s.io/kubernetes/cmd/{name}", _KUBERNETES_FLAGS)
        for name in (
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
            "kubectl",
        )
    },
    **{
        name: Tool("containerd", f"github.com/containerd/containerd/v2/cmd/{name}")
        for name in ("containerd", "containerd-shim-runc-v2", "ctr")
    },
    "coredns": Tool("coredns", "github.com/coredns/coredns"),
    "kube-router": Tool("kube-router", "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"),
    "kwok": Tool("kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    "helm": Tool("helm", "helm.sh/helm/v4/cmd/helm"),
    "actionlint": Tool("actionlint", "github.com/rhysd/actionlint/cmd/actionlint"),
    "kind": Tool("kind", "sigs.k8s.io/kind"),
    "toxiproxy": Tool("toxiproxy", "github.com/Shopify/toxiproxy/v2/cmd/server"),
}
CONTROL_PLANE = (
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubectl",
)  # fmt: skip
NODE = (
    "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy",
    "kubectl", "containerd", "containerd-shim-runc-v2", "ctr", "coredns", "kube-router",
)  # fmt: skip


def _folder(tool: Tool) -> Path:
    """The cache folder of a tool's module at its pin."""
    module = ROOT / "e2e" / "tools" / tool.module
    content = (module / "go.mod").read_bytes() + (module / "go.sum").read_bytes()
    key = hashlib.sha256(content + tool.ldflags.encode()).hexdigest()[:12]
    return cache() / "bin" / f"{tool.module}-{key}"


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def binary(name: str) -> Path:
    """Return the path of a binary, building it if it is not there.

    Raises:
        StepError: Go is missing or the build failed.
    """
    tool = TOOLS[name]
    folder = _folder(tool)
    target = folder / name
    if target.exists():
        return target
    if shutil.which("go") is None:
        raise progress.StepError(f"{name} is built with Go, which is not installed (go.dev)")
    with _locked(folder):
        if target.exists():
            return target
        unfinished = folder / f".{name}.new"
        progress.run(
            f"building {name}",
            [
                "go",
                "build",
                "-trimpath",
                "-ldflags",
                tool.ldflags,
                "-o",
                str(unfinished),
                tool.package,
            ],
            log=cache() / "logs" / f"build-{name}.log",
            cwd=ROOT / "e2e" / "tools" / tool.module,
            env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOWORK": "off"},
        )
        unfinished.rename(target)
    return target


def ensure(names: tuple[str, ...]) -> None:
    """Build whatever of these is missing."""
    for name in names:
        binary(name)


#: What the tests need before any of them begins: a build takes longer than a test may.
TESTS = (*CONTROL_PLANE, "helm", "actionlint", "kind", "toxiproxy")

if __name__ == "__main__":
    for wanted in sys.argv[1:] or TESTS:
        progress.say(str(binary(wanted)))
