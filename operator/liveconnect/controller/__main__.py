"""`liveconnect-controller`: the operator's process."""

from __future__ import annotations

import logging
import socket

import kopf

from liveconnect.common.logs import configure_logs
from liveconnect.controller.handlers.registry import Controller
from liveconnect.controller.settings import ControllerSettings


def main() -> None:
    """Run until told to stop."""
    settings = ControllerSettings()
    configure_logs("controller", settings.log_level)
    # kopf says one line per watch event and handler; ours say what was done and why.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    namespaces = settings.watched()
    kopf.run(
        registry=Controller(settings).registry(),
        standalone=True,
        # kopf would look its user up, and a pod's user has no name. For its logs only: no peering.
        identity=socket.gethostname(),  # type: ignore[arg-type]  # a NewType that kopf keeps
        clusterwide=not namespaces,
        namespaces=namespaces,
    )


if __name__ == "__main__":
    main()
