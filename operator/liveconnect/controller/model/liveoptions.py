"""Broker options that change without a restart.

Recorded on VerneMQ 2.1.2, `vmq-admin set`; the defaults are those of 2.1.2 and 2.2.0 alike
(config-keys-*.tsv). A node that restarts reads its file again, which says the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from liveconnect.api.v1alpha1 import LIVE_FLAGS, LIVE_NUMBERS

_TIME = re.compile(r"never|[0-9]+[smhdwy]")
NETSPLIT_OPTIONS = tuple(
    f"allow_{what}_during_netsplit" for what in ("register", "publish", "subscribe", "unsubscribe")
)
LIVE_OPTIONS: Mapping[str, str] = {
    **LIVE_NUMBERS,
    **LIVE_FLAGS,
    "persistent_client_expiration": "never",
    "shared_subscription_policy": "prefer_local",
    "queue_type": "fifo",
}


def live_options(options: Mapping[str, str]) -> dict[str, str]:
    """What every node shall run with: what its file says, else VerneMQ's defaults."""
    return {key: options.get(key, default) for key, default in LIVE_OPTIONS.items()}


def is_live(line: str) -> bool:
    """Whether a line of `vernemq.conf` may change without a restart."""
    key = line.partition("=")[0].strip()
    return key in LIVE_OPTIONS or key in NETSPLIT_OPTIONS


def is_taken(wanted: str, shown: object) -> bool:
    """Whether `show` says what was set; a time is shown in seconds, so any number will do."""
    if isinstance(shown, bool):
        return wanted == ("on" if shown else "off")
    if isinstance(shown, int) and _TIME.fullmatch(wanted):
        return True
    return str(shown) == wanted
