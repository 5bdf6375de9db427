"""`python -m e2e.providers up|down|load|kubeconfig`: the demo's cluster by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e2e.providers.choice import choose

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
Name = Annotated[str, typer.Option(help="Name of the cluster.")]


@app.command()
def up(name: Name = "liveconnect") -> None:
    """Bring the cluster up, or repair it."""
    typer.echo(choose(name).create())


@app.command()
def down(name: Name = "liveconnect") -> None:
    """Remove everything that `up` made."""
    choose(name).delete()


@app.command()
def load(archive: Path, name: Name = "liveconnect") -> None:
    """Load an image archive into the cluster."""
    choose(name).load_image(archive)


@app.command()
def kubeconfig(name: Name = "liveconnect") -> None:
    """Print the kubeconfig's path."""
    typer.echo(choose(name).kubeconfig())


if __name__ == "__main__":
    app()
