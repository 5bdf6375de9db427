"""Label selectors mean what they mean in Kubernetes."""

from __future__ import annotations

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.controller.model.selector import LabelSelector, Operator, Requirement

KEYS = st.sampled_from(["a", "b"])
VALUES = st.sampled_from(["1", "2", ""])
LABELS = st.dictionaries(KEYS, VALUES)


@given(LABELS)
def test_no_requirement_selects_everything(labels: dict[str, str]) -> None:
    assert LabelSelector().matches(labels)


@pytest.mark.parametrize(
    ("selector", "labels", "selected"),
    [
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
        ({"matchLabels": {"a": "1"}}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["2"]}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["2"]}]}, {}, True),
    ],
)
def test_examples(selector: dict[str, object], labels: dict[str, str], *, selected: bool) -> None:
    assert LabelSelector.model_validate(selector).matches(labels) is selected


@given(KEYS, st.lists(VALUES, min_size=1), LABELS)
def test_opposites_divide_all_objects(key: str, values: list[str], labels: dict[str, str]) -> None:
    """Two operators with opposite requirements have each object once."""
    one = Requirement(key=key, operator=Operator.IN, values=tuple(values))
    other = Requirement(key=key, operator=Operator.NOT_IN, values=tuple(values))
    assert one.matches(labels) != other.matches(labels)
    there = Requirement(key=key, operator=Operator.EXISTS)
    absent = Requirement(key=key, operator=Operator.DOES_NOT_EXIST)
    assert there.matches(labels) != absent.matches(labels)


@pytest.mark.parametrize(
    "requirement",
    [
        {"key": "a", "operator": "In"},
        {"key": "a", "operator": "Exists", "values": ["1"]},
        {"key": "a", "operator": "Gt", "values": ["1"]},
        {"key": "a", "operator": "Exists", "value": "1"},
    ],
)
def test_a_requirement_that_means_nothing_is_refused(requirement: dict[str, object]) -> None:
    with pytest.raises(pydantic.ValidationError):
        LabelSelector.model_validate({"matchExpressions": [requirement]})
