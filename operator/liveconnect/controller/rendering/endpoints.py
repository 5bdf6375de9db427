"""A Service, whatever it stands in front of."""

from __future__ import annotations

from typing import Any

from liveconnect.controller.model.manifest import Manifest
from liveconnect.controller.rendering.engine import render_manifest

Port = dict[str, Any]


def service(
    name: str,
    ports: list[Port],
    selector: dict[str, str],
    *,
    headless: bool = False,
    unready: bool = True,
    **extra: Any,
) -> Manifest:
    """A Service; a ClusterIP unless `extra` says otherwise.

    Args:
        name: Of the Service.
        ports: `name` and `port` each; `target` where the pod's port is another, `node_port` where
            it is chosen by the user.
        selector: Labels of the pods.
        headless: Whether it only gives pods their DNS names.
        unready: Whether a headless one does so before they are ready, too.
        extra: Further values of the template.
    """
    view: dict[str, Any] = {
        "type": "ClusterIP",
        "annotations": {},
        "load_balancer_class": None,
        "source_ranges": [],
        "external_traffic_policy": None,
        **extra,
    }
    return render_manifest(
        "service.yaml.j2",
        name=name,
        ports=[{"target": port["port"], "node_port": None, **port} for port in ports],
        selector=selector,
        headless=headless,
        unready=unready,
        **view,
    )
