"""`kubectl-liveconnect`: on the PATH, kubectl runs it as `kubectl liveconnect`."""

from __future__ import annotations

from liveconnect.cli.commands import app


def main() -> None:
    """Run the command that the arguments name."""
    app()


if __name__ == "__main__":
    main()
