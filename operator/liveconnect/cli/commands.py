"""The commands and their options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from liveconnect import __version__
from liveconnect.cli.failure import CommandError
from liveconnect.cli.identity import Asker, backend, device
from liveconnect.cli.objects import Kubectl, Objects, from_cluster, from_files
from liveconnect.cli.question import Answer, Message, Simulator, Wanted
from liveconnect.cli.report import show_answers, show_refused_objects, show_rules

NO, FAILED = 1, 2
"""Exit codes: the answer is no; there is no answer."""

app = typer.Typer(
    name="kubectl-liveconnect",
    help="Ask what LiveConnect would say. Exit code 0: yes, 1: no, 2: there is no answer.",
    no_args_is_help=True,
    add_completion=False,
)
may_i = typer.Typer(help="May this device or backend do that, and which rule says so?")
app.add_typer(may_i, name="may-i", no_args_is_help=True)

Files = Annotated[
    list[Path] | None,
    typer.Option("-f", "--filename", help="Objects from YAML files instead; - is the input."),
]
ClusterName = Annotated[
    str | None, typer.Option("--cluster", "-c", help="Name of the LiveConnectCluster.")
]
Namespace = Annotated[str | None, typer.Option("--namespace", "-n", help="Its namespace.")]
Context = Annotated[str | None, typer.Option("--context", help="kubectl's context.")]
Kubeconfig = Annotated[str | None, typer.Option("--kubeconfig", help="kubectl's configuration.")]
ClaimsFile = Annotated[
    Path | None,
    typer.Option("--as-claims", help="A device: JSON file with its token's claims."),
]
Account = Annotated[
    str | None,
    typer.Option("--as-service-account", help="A backend: its ServiceAccount, namespace:name."),
]
ClientId = Annotated[str | None, typer.Option("--client-id", help="Its MQTT client id.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer as JSON.")]
Qos = Annotated[int, typer.Option("--qos", min=0, max=2, help="Quality of service.")]
Retain = Annotated[bool, typer.Option("--retain", help="A retained message.")]
PayloadBytes = Annotated[
    int | None, typer.Option("--payload-bytes", min=0, help="Size of the payload.")
]


class _Question:
    """What all commands have in common: the objects, and who asks."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.notes = Console(stderr=True)
        self.out = Console()
        self.as_json: bool = options["as_json"]
        try:
            objects = _objects(options)
            self.simulator = Simulator(objects)
            self.asker = _asker(objects, options)
        except (CommandError, ValueError) as error:
            self.notes.print(f"error: {error}", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(FAILED) from None
        for note in objects.notes:
            self.notes.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)

    def answer(self, answers: Sequence[Answer]) -> None:
        """Show the answers, and end."""
        show_answers(self.out, answers, as_json=self.as_json)
        allowed = all(answer.allowed for answer in answers)
        if not allowed:
            show_refused_objects(self.notes, self.simulator.rules.verdicts)
        raise typer.Exit(0 if allowed else NO)


def _objects(options: dict[str, Any]) -> Objects:
    if options["filename"]:
        namespace = options["namespace"] or "default"
        return from_files(options["filename"], namespace, options["cluster"])
    given = [
        part
        for name in ("kubeconfig", "context", "namespace")
        if options[name]
        for part in (f"--{name}", options[name])
    ]
    return from_cluster(Kubectl(tuple(given)), options["cluster"])


def _asker(objects: Objects, options: dict[str, Any]) -> Asker:
    claims, account = options["claims"], options["account"]
    if (claims is None) == (account is None):
        raise CommandError(
            "say who: either --as-claims FILE or --as-service-account NAMESPACE:NAME"
        )
    if account is not None:
        return backend(account, options["client_id"])
    return device(objects.cluster, claims, options["client_id"])


@may_i.command()
def connect(  # noqa: PLR0913 - a command line's options
    claims: ClaimsFile = None,
    account: Account = None,
    client_id: ClientId = None,
    cluster: ClusterName = None,
    namespace: Namespace = None,
    filename: Files = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: AsJson = False,
) -> None:
    """May it connect?"""
    question = _Question(locals())
    question.answer([question.simulator.connect(question.asker)])


@may_i.command()
def publish(  # noqa: PLR0913 - a command line's options
    topic: Annotated[str, typer.Argument(help="Topic name.")],
    claims: ClaimsFile = None,
    account: Account = None,
    client_id: ClientId = None,
    qos: Qos = 0,
    retain: Retain = False,
    payload_bytes: PayloadBytes = None,
    cluster: ClusterName = None,
    namespace: Namespace = None,
    filename: Files = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: AsJson = False,
) -> None:
    """May it publish to this topic, or have a will there?"""
    question = _Question(locals())
    message = Message(question.asker.client_id, topic, qos, retain, payload_bytes)
    question.answer([question.simulator.publish(question.asker, message)])


@may_i.command()
def subscribe(  # noqa: PLR0913 - a command line's options
    topic_filter: Annotated[list[str], typer.Argument(help="Topic filters of one SUBSCRIBE.")],
    claims: ClaimsFile = None,
    account: Account = None,
    client_id: ClientId = None,
    qos: Qos = 2,
    cluster: ClusterName = None,
    namespace: Namespace = None,
    filename: Files = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: AsJson = False,
) -> None:
    """May it subscribe to these filters?"""
    question = _Question(locals())
    wanted = [Wanted(text, qos) for text in topic_filter]
    question.answer(question.simulator.subscribe(question.asker, wanted))


@app.command()
def rules(  # noqa: PLR0913 - a command line's options
    claims: ClaimsFile = None,
    client_id: ClientId = None,
    cluster: ClusterName = None,
    namespace: Namespace = None,
    filename: Files = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: AsJson = False,
) -> None:
    """List the rules for a device, with its own values in the placeholders' places."""
    question = _Question({**locals(), "account": None})
    found = question.simulator.rules_of(question.asker)
    show_rules(question.out, found, as_json=as_json)
    show_refused_objects(question.notes, question.simulator.rules.verdicts)


@app.command()
def version() -> None:
    """Say the version."""
    typer.echo(__version__)
