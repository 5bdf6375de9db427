"""What the demo shows: fits 80 columns, and reads well in a log file too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import fill

from rich.console import Console
from rich.markup import escape
from rich.text import Text

_INDENT = 4


class ActError(Exception):
    """An act of the demo failed; the cause says why."""

    def __init__(self, title: str) -> None:
        super().__init__(title)
        self.title = title


class Screen:
    """Prints titles, acts with their times, and what was seen."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        plain = Console()
        # Nobody reads 200 columns; a file or a pipe gets 80.
        self._console = Console(
            width=min(plain.width, 100) if plain.is_terminal else 80, highlight=False
        )

    @property
    def seconds(self) -> int:
        """Seconds since the demo began."""
        return round(time.monotonic() - self.begun)

    def title(self, text: str) -> None:
        """Begin a part."""
        self._console.print(f"\n[bold]{escape(text)}[/bold]")

    def line(self, text: str) -> None:
        """Print a line of detail."""
        self._indented(text, "dim")

    def verbatim(self, text: str) -> None:
        """Print text as it is, never wrapped: it is meant to be copied."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def act(self, title: str, *, announced: bool = True) -> Iterator[None]:
        """Announce something, unless it is over in a moment, and say how it ended.

        Raises:
            ActError: From whatever went wrong inside.
        """
        begun = time.monotonic()
        if announced:
            self._console.print(f"  [cyan]…[/cyan] {escape(title)}")
        try:
            yield
        except Exception as error:
            self._console.print(f"  [bold red]✘[/bold red] {escape(title)}")
            raise ActError(title) from error
        self._console.print(
            f"  [green]✔[/green] {escape(title)} ({time.monotonic() - begun:.1f} s)"
        )

    def trouble(self, error: BaseException) -> None:
        """Print why something went wrong."""
        self._indented(str(error), "red")

    def _indented(self, text: str, style: str) -> None:
        margin = " " * _INDENT
        width = self._console.width
        for row in text.splitlines():
            wrapped = fill(row, width, initial_indent=margin, subsequent_indent=margin)
            self._console.print(Text(wrapped, style=style))
