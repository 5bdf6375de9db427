"""What to type to try LiveConnect by hand."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from e2e.kit.cluster import Cluster
from e2e.kit.issuer import Issuer
from e2e.kit.phone import Address

FOLDER = Path("build/demo")
_CLIENT_ID = "phone-by-hand"
_CUSTOMER = "4711"


def commands(cluster: Cluster, issuer: Issuer, address: Address) -> str:
    """Write a phone's token to a file and return the commands that use it."""
    token = FOLDER / "phone.token"
    FOLDER.mkdir(parents=True, exist_ok=True)
    token.touch(mode=0o600)
    token.write_text(issuer.token(_CLIENT_ID, _CUSTOMER), encoding="utf-8")
    return f"""\
  {_kubectl(cluster)}

  # a phone (its token is good for a day):
  mosquitto_sub -h {address.host} -p {address.port} -i {_CLIENT_ID} -V 5 -v \\
    -u "$(cat {token})" -t 'orders/{_CUSTOMER}/+/status'

  # a microservice, in a second terminal:
  kubectl port-forward service/quickstart-gateway 8080 &
  curl -H "Authorization: Bearer $(kubectl create token orders-service \\
    --audience liveconnect)" http://127.0.0.1:8080/v1/publish \\
    -H 'Content-Type: application/json' \\
    -d '{{"topic": "orders/{_CUSTOMER}/1/status", "payload": "out for delivery"}}'

  # what the operator sees:
  kubectl get liveconnect -o wide
  kubectl describe liveconnect quickstart"""


def _kubectl(cluster: Cluster) -> str:
    """How kubectl reaches the cluster; the one that was built here if there is no other."""
    export = f"export KUBECONFIG={shlex.quote(os.fspath(cluster.kubeconfig))}"
    if shutil.which("kubectl"):
        return export
    folder = shlex.quote(os.fspath(Path(cluster.binary).parent))
    return f"{export} PATH={folder}:$PATH"
