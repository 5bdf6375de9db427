"""`liveconnect-controller`: the operator's process."""

from __future__ import annotations

import kopf

from liveconnect.common.logs import configure_logs
from liveconnect.controller.handlers.registry import Controller
from liveconnect.controller.settings import ControllerSettings


def main() -> None:
    """Run until told to stop."""
    settings = ControllerSettings()
    configure_logs("controller", settings.log_level)
    namespaces = settings.watched()
    kopf.run(
        registry=Controller(settings).registry(),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
    )


if __name__ == "__main__":
    main()
