"""The same text is parsed once, and is nobody's in common."""

from __future__ import annotations

from liveconnect.controller.rendering.engine import render_manifest


def test_what_is_made_of_a_manifest_is_not_in_the_next() -> None:
    first = render_manifest("serviceaccount.yaml.j2", name="demo")
    first["metadata"]["labels"] = {"changed": "true"}
    first["metadata"]["name"] = "changed"
    assert render_manifest("serviceaccount.yaml.j2", name="demo")["metadata"] == {"name": "demo"}
