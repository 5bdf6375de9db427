"""The models agree with MQTT and with each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from liveconnect.api.v1alpha1.base import TopicFilter
from liveconnect.api.v1alpha1.resources import Quantity
from liveconnect.common.topics import is_valid_filter

_FILTER: TypeAdapter[str] = TypeAdapter(TopicFilter)
_QUANTITY: TypeAdapter[int | str] = TypeAdapter(Quantity)


def accepted(adapter: TypeAdapter[str] | TypeAdapter[int | str], value: object) -> bool:
    try:
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


@given(st.text(alphabet="ab/+#$ é{}", min_size=1, max_size=12))
def test_a_topic_filter_is_what_mqtt_says(text: str) -> None:
    """And never one of the broker's own topics."""
    assert accepted(_FILTER, text) == (is_valid_filter(text) and not text.startswith("$"))


@pytest.mark.parametrize("good", ["1", "0.5", ".5", "100m", "1Gi", "1G", "1e3", "1E3", 2, 0])
def test_quantities(good: int | str) -> None:
    assert accepted(_QUANTITY, good)


@pytest.mark.parametrize("bad", ["", "1 Gi", "1GiB", "-1", -1, "one", "1mm"])
def test_what_is_no_quantity(bad: int | str) -> None:
    assert not accepted(_QUANTITY, bad)
