"""Configuration files of the node's components: the settings that matter, tried here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from e2e.providers.local.network import DNS_ADDRESS, NODE_ADDRESS, POD_CIDR, SERVICE_CIDR

PAUSE_IMAGE = "docker.io/library/liveconnect-pause:1"


def containerd(folder: Path, shim: Path) -> str:
    """Containerd 2.x; its own root, state and socket."""
    return f"""\
version = 3
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
disabled_plugins = ["io.containerd.nri.v1.nri"]

[grpc]
  address = "{folder}/containerd.sock"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
  # Without it every sandbox dies here: CAP_SYS_RESOURCE is missing.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni"]
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      runtime_path = "{shim}"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "{folder}/runc"
"""


def cni(folder: Path) -> dict[str, Any]:
    """One bridge inside the namespace."""
    return {
        "cniVersion": "1.0.0",
        "name": "liveconnect",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "lc-br0",
                "isGateway": True,
                "ipMasq": False,
                "hairpinMode": True,
                "ipam": {
                    "type": "host-local",
                    "dataDir": f"{folder}/ipam",
                    "ranges": [[{"subnet": POD_CIDR}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def kubelet(folder: Path, authority: str, cgroup: str) -> str:
    """KubeletConfiguration."""
    return yaml.safe_dump(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": "0.0.0.0",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": authority},
            },
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": cgroup,
            "failCgroupV1": False,
            "failSwapOn": False,
            "clusterDNS": [DNS_ADDRESS],
            "clusterDomain": "cluster.local",
            "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
            "staticPodPath": "",
            "resolvConf": f"{folder}/resolv.conf",
            "maxPods": 110,
            "syncFrequency": "10s",
            "fileCheckFrequency": "5s",
            "serializeImagePulls": False,
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%",
                             "imagefs.available": "1%", "nodefs.inodesFree": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "registerNode": True,
            "shutdownGracePeriod": "0s",
            "podLogsDir": f"{folder}/pod-logs",
            "volumePluginDir": f"{folder}/volume-plugins",
        }
    )  # fmt: skip


def kube_proxy(kubeconfig: Path) -> list[str]:
    """Flags of kube-proxy: it may not raise conntrack's limits here."""
    return [
        f"--kubeconfig={kubeconfig}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={POD_CIDR}",
        "--hostname-override=local",
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
        "--healthz-bind-address=127.0.0.1:10256",
        "--metrics-bind-address=127.0.0.1:10249",
        "--iptables-sync-period=5s",
        "--iptables-min-sync-period=0s",
    ]


def kube_router(kubeconfig: Path) -> list[str]:
    """Flags of kube-router: nothing of it but the enforcement of NetworkPolicies."""
    return [
        f"--kubeconfig={kubeconfig}",
        "--hostname-override=local",
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        "--enable-cni=false",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        "--health-port=0",
    ]


def coredns(kubeconfig: Path) -> str:
    """Corefile: cluster names only; nothing else can be resolved here anyway."""
    return f"""\
.:53 {{
    bind {NODE_ADDRESS}
    errors
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        ttl 5
    }}
    cache 5 {{
        denial 100 1
    }}
}}
"""


def dns_objects() -> list[dict[str, Any]]:
    """The `kube-dns` Service, its endpoint the CoreDNS on the node."""
    ports = [("dns", "UDP"), ("dns-tcp", "TCP")]
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "kube-dns", "namespace": "kube-system"},
            "spec": {
                "clusterIP": DNS_ADDRESS,
                "ports": [{"name": n, "port": 53, "protocol": p} for n, p in ports],
            },
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "kube-dns-node",
                "namespace": "kube-system",
                "labels": {"kubernetes.io/service-name": "kube-dns"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [NODE_ADDRESS], "conditions": {"ready": True}}],
            "ports": [{"name": n, "port": 53, "protocol": p} for n, p in ports],
        },
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": "local",
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "liveconnect.io/local",
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "Immediate",
        },
    ]


__all__ = [
    "PAUSE_IMAGE", "SERVICE_CIDR", "cni", "containerd", "coredns", "dns_objects", "kube_proxy",
    "kube_router", "kubelet",
]  # fmt: skip
