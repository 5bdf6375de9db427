"""The way that phones take: the subscriber pool's Service, from outside the cluster."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from e2e.kit.cluster import Cluster, Manifest
from e2e.kit.phone import Address
from e2e.kit.portforward import PortForward


@contextlib.contextmanager
def door(cluster: Cluster, namespace: str, service: str, port: str = "mqtt") -> Iterator[Address]:
    """Find where phones connect to: load balancer, else node port, else a port-forward.

    Args:
        cluster: Where.
        namespace: Of the Service.
        service: Name of the Service.
        port: Name of its port.
    """
    body = cluster.existing("service", service, namespace)
    spec = next(p for p in body["spec"]["ports"] if p["name"] == port)
    for address in (*_ingress(body, spec["port"]), *_node_ports(cluster, spec)):
        if _listens(address):
            yield address
            return
    with PortForward(cluster, namespace, f"service/{service}", spec["port"]) as forward:
        yield forward.address


def _ingress(service: Manifest, port: int) -> list[Address]:
    ingress = service.get("status", {}).get("loadBalancer", {}).get("ingress") or []
    return [Address(i.get("ip") or i["hostname"], port) for i in ingress]


def _node_ports(cluster: Cluster, port: Manifest) -> list[Address]:
    if "nodePort" not in port:
        return []
    return [
        Address(address["address"], port["nodePort"])
        for node in cluster.items("nodes", None)
        for address in node["status"]["addresses"]
        if address["type"] == "InternalIP"
    ]


def _listens(address: Address) -> bool:
    try:
        with socket.create_connection(address, timeout=1.5):
            return True
    except OSError:
        return False
