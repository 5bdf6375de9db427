"""`python -m e2e.demo up|down`."""

from __future__ import annotations

import argparse
import sys

from e2e.demo.acts import down, up


def main() -> int:
    """Run one of the two commands and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m e2e.demo", description=__doc__)
    parser.add_argument("command", choices=("up", "down"))
    command = parser.parse_args().command
    try:
        return up() if command == "up" else down()
    except KeyboardInterrupt:
        print("\ndemo: stopped. `make demo-down` removes what was made.", flush=True)
        return 130


if __name__ == "__main__":
    sys.exit(main())
