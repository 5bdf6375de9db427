"""`liveconnect-controller`: the operator's process."""

from __future__ import annotations

import kopf

from liveconnect.common import logs
from liveconnect.common.settings import ControllerSettings
from liveconnect.controller.handlers.registry import Controller


def main() -> None:
    """Run until told to stop."""
    settings = ControllerSettings()
    logs.configure(settings.log_level)
    namespaces = settings.watched()
    kopf.run(
        registry=Controller(settings).registry(),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
    )


if __name__ == "__main__":
    main()
