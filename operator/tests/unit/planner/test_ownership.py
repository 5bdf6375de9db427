"""Taking other managers' fields over."""

from __future__ import annotations

from typing import Any

from liveconnect.controller.model.names import FIELD_MANAGER
from liveconnect.controller.model.ownership import taken_over


def entry(manager: str, operation: str, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "fieldsV1": fields, **more}


def body(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"managedFields": list(entries)}}


def test_fields_of_others_become_ours() -> None:
    ours = entry(FIELD_MANAGER, "Apply", {"f:spec": {"f:type": {}}})
    theirs = entry("kubectl-patch", "Update", {"f:spec": {"f:ports": {"k:1884": {".": {}}}}})
    assert taken_over(body(ours, theirs)) == [
        entry(FIELD_MANAGER, "Apply", {"f:spec": {"f:type": {}, "f:ports": {"k:1884": {".": {}}}}})
    ]


def test_controllers_keep_the_status() -> None:
    ours = entry(FIELD_MANAGER, "Apply", {"f:spec": {}})
    theirs = entry("kubectl-edit", "Update", {"f:metadata": {}})
    status = entry("kube-controller-manager", "Update", {"f:status": {}}, subresource="status")
    result = taken_over(body(ours, status, theirs))
    assert result is not None
    assert result[1:] == [status]
    assert "f:status" not in result[0]["fieldsV1"]


def test_nobody_else_means_nothing_to_do() -> None:
    ours = entry(FIELD_MANAGER, "Apply", {"f:spec": {}})
    assert taken_over(body(ours)) is None


def test_what_was_never_applied_is_not_taken() -> None:
    assert taken_over(body(entry("kubectl", "Update", {"f:spec": {}}))) is None
    assert taken_over({"metadata": {}}) is None
