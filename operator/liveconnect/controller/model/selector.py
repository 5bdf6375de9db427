"""Kubernetes' label selectors: which objects this operator looks after.

Semantics of `metav1.LabelSelector`: all requirements must hold; `NotIn` and `DoesNotExist` also
hold for an object without the label; no requirements select everything.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, model_validator


class Operator(StrEnum):
    """Kubernetes' own words."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Requirement(_Model):
    """One of `matchExpressions`."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check(self) -> Requirement:
        listed = self.operator in {Operator.IN, Operator.NOT_IN}
        if listed != bool(self.values):
            needs = "at least one of" if listed else "no"
            raise ValueError(f"{self.key}: {self.operator} takes {needs} `values`")
        return self

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it holds for these labels."""
        match self.operator:
            case Operator.IN:
                return labels.get(self.key) in self.values
            case Operator.NOT_IN:
                return labels.get(self.key) not in self.values
            case Operator.EXISTS:
                return self.key in labels
            case Operator.DOES_NOT_EXIST:
                return self.key not in labels


class LabelSelector(_Model):
    """A selector as in any Kubernetes object."""

    matchLabels: Mapping[str, str] = {}  # noqa: N815 - Kubernetes' own names
    matchExpressions: tuple[Requirement, ...] = ()  # noqa: N815

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return self.matchLabels.items() <= labels.items() and all(
            requirement.matches(labels) for requirement in self.matchExpressions
        )
