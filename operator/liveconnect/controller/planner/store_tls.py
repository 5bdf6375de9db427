"""The certificate of the managed store: the operator's own, for nobody but the auth service.

It is made here, signed by nobody, and trusted for being the very one that the auth service has
(docs/adr/0028). Whoever deletes its Secret gets another one.
"""

from __future__ import annotations

from dataclasses import replace

from liveconnect.api.v1alpha1 import Cluster
from liveconnect.controller.model.certificate import CERTIFICATE_KEY, PRIVATE_KEY_KEY
from liveconnect.controller.model.names import Names
from liveconnect.controller.model.observed import Observed
from liveconnect.controller.model.tls import store_has_tls
from liveconnect.controller.planner.certificates import Certificates
from liveconnect.controller.planner.service_certificates import split, texts


def lacks_store_pair(cluster: Cluster, names: Names, observed: Observed) -> bool:
    """Whether the store needs a certificate and has none."""
    return store_has_tls(cluster) and not _held(names, observed)


def with_store(
    certificates: Certificates, cluster: Cluster, names: Names, observed: Observed
) -> Certificates:
    """The same, with the store's files when it has TLS."""
    if not store_has_tls(cluster):
        return certificates
    return replace(certificates, store=_held(names, observed) or split(observed.store_pair))


def _held(names: Names, observed: Observed) -> dict[str, str]:
    """Certificate and key as they are; empty without both."""
    held = texts(observed, names.presence_tls)
    found = {key: held.get(key, "") for key in (CERTIFICATE_KEY, PRIVATE_KEY_KEY)}
    return found if all(found.values()) else {}
