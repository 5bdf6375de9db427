"""`python -m hack.generate [--check]`: writes what is generated, or proves it in sync."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from hack.chart import readme, values_schema, values_yaml
from hack.document import document
from hack.golden import FOLDER, ROOT, SAMPLES, golden
from hack.install import manifest
from hack.rbac import election_yaml, rules_yaml
from liveconnect.api import crd
from liveconnect.api.reference import reference
from liveconnect.gateway import openapi

_CHART = ROOT / "charts" / "liveconnect-operator"
_TOPICS = "topics/orders.yaml"


def _sources() -> Iterator[tuple[Path, str]]:
    """What comes from the models and tables."""
    definitions = {crd.NAME: crd.crd(), crd.TOPIC_NAME: crd.topic_crd()}
    for name, definition in definitions.items():
        text = document(definition)
        yield ROOT / "crds" / f"{name}.yaml", text
        yield _CHART / "files" / "crds" / f"{name}.yaml", text
    yield _CHART / "files" / "rules.yaml", rules_yaml()
    yield _CHART / "files" / "election-rules.yaml", election_yaml()
    yield _CHART / "values.yaml", values_yaml()
    yield _CHART / "values.schema.json", values_schema()
    yield _CHART / "README.md", readme((_CHART / "README.md").read_text())
    description = json.dumps(openapi.document(), indent=2) + "\n"
    yield ROOT / "docs" / "reference" / "gateway-openapi.json", description
    examples = {"api.md": (crd.NAME, "quickstart.yaml"), "topics.md": (crd.TOPIC_NAME, _TOPICS)}
    for file, (name, example) in examples.items():
        text = reference(definitions[name], (SAMPLES / example).read_text())
        yield ROOT / "docs" / "reference" / file, text
    yield from golden()


def _install() -> Iterator[tuple[Path, str]]:
    """What comes from the chart; its files must have been written before."""
    yield ROOT / "manifests" / "install.yaml", manifest(_CHART)


def _strangers(expected: set[Path]) -> list[Path]:
    """Golden files that no sample has any more."""
    return [p for p in FOLDER.rglob("*.yaml") if p not in expected]


def differing(files: Iterable[tuple[Path, str]], *, write: bool) -> list[Path]:
    """Those that are missing or hold something else; written anew if asked for."""
    found = []
    for path, text in files:
        if path.exists() and path.read_text() == text:
            continue
        found.append(path)
        if write:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    return found


def main(arguments: list[str]) -> int:
    """Write or check; the exit code."""
    check = "--check" in arguments
    sources = list(_sources())
    stale = differing(sources, write=not check)
    rendered = list(_install())
    stale += differing(rendered, write=not check)
    strangers = _strangers({path for path, _ in sources})
    if not check:
        for path in strangers:
            path.unlink()
    for path in stale:
        print(f"{'out of date' if check else 'written'}: {path.relative_to(ROOT)}")
    for path in strangers:
        print(f"{'not generated any more' if check else 'removed'}: {path.relative_to(ROOT)}")
    if check and (stale or strangers):
        print("run `make generate` and commit the result", file=sys.stderr)
        return 1
    if check:
        print(f"verify: {len(sources) + len(rendered)} generated files are in sync")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
