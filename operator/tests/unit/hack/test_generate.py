"""`make verify` finds every difference and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from hack.chart import readme, values_yaml
from hack.document import document
from hack.generate import differing
from hack.install import manifest
from hack.values import Values


def test_all_differences_are_found_and_nothing_is_written(tmp_path: Path) -> None:
    same, other, missing = tmp_path / "same", tmp_path / "other", tmp_path / "new" / "missing"
    same.write_text("a")
    other.write_text("b")
    wanted = [(same, "a"), (other, "a"), (missing, "a")]
    assert differing(wanted, write=False) == [other, missing]
    assert other.read_text() == "b"
    assert not missing.exists()


def test_what_was_written_is_in_sync(tmp_path: Path) -> None:
    wanted = [(tmp_path / "new" / "file", "a"), (tmp_path / "other", "b")]
    assert len(differing(wanted, write=True)) == 2
    assert differing(wanted, write=False) == []


def test_documents_have_no_anchors() -> None:
    shared = {"a": ["b"]}
    assert yaml.safe_load(document([shared, shared])) == [shared, shared]
    assert "&" not in document([shared, shared])


def test_every_value_is_explained() -> None:
    text = values_yaml()
    assert yaml.safe_load(text) == Values().model_dump(by_alias=True, exclude_none=True)
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if line.partition(":")[2].strip() and not line.lstrip().startswith("#"):
            assert lines[number - 1].lstrip().startswith("#"), line


def test_the_readme_keeps_what_people_wrote() -> None:
    current = "# Title\n\n<!-- values: generated -->\nold\n<!-- end of values -->\n\nmore\n"
    fresh = readme(current)
    assert fresh.startswith("# Title\n")
    assert fresh.endswith("\nmore\n")
    assert "\nold\n" not in fresh
    assert readme(fresh) == fresh
    with pytest.raises(ValueError, match="marks"):
        readme("# Title\n")


def test_nothing_of_helm_is_in_the_plain_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    rendered = "metadata:\n  labels:\n    helm.sh/chart: x-1\n    a: b\n"
    monkeypatch.setattr("hack.install.render", lambda *_: rendered)
    text = manifest(Path("chart"))
    assert "helm.sh" not in text
    assert text.startswith("# The operator of LiveConnect")
    assert text.endswith("    a: b\n")
