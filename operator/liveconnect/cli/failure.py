"""What ends a command."""

from __future__ import annotations


class CommandError(Exception):
    """The command cannot be carried out; the message says what to do."""
