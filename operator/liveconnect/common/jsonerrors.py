"""What decoding JSON from a stranger can raise."""

from __future__ import annotations

from typing import Final

import msgspec

MALFORMED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""All that `msgspec.json` raises: not JSON or of the wrong types, not UTF-8, nested too deeply."""
