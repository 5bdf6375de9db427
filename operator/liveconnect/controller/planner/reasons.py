"""The words of conditions and events: one list."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Reasons, for programs."""

    READY = "Ready"
    NOT_READY = "NotReady"
    CREATING = "Creating"
    INVALID_SPEC = "InvalidSpec"
    MISSING_REFERENCE = "MissingReference"
    RECONCILE_FAILED = "ReconcileFailed"
    POD_TROUBLE = "PodTrouble"
    ONE_CLUSTER = "OneCluster"
    NODES_MISSING = "NodesMissing"
    PAUSED = "Paused"
    IDLE = "Idle"
    ROLLING_OUT = "RollingOut"
    LEAVING = "NodeLeaving"
    HEALTHY = "Healthy"
    READY_FOR_SCALE = "ReadyForNewScale"
    NOT_AUTOSCALED = "NotAutoscaled"
    VALID_METRICS = "ValidMetricFound"
    NO_METRICS = "FailedGetMetrics"
    DESIRED_WITHIN_RANGE = "DesiredWithinRange"
    TOO_MANY = "TooManyReplicas"
    TOO_FEW = "TooFewReplicas"
    RECOMMEND_ONLY = "RecommendOnly"
    NO_CERTIFICATES = "NoCertificates"
    VALID_CERTIFICATES = "CertificatesValid"
    INVALID_CERTIFICATE = "CertificateInvalid"
    EXPIRED_CERTIFICATE = "CertificateExpired"
    EXPIRING_CERTIFICATE = "CertificateExpiresSoon"
    RENEWING_CERTIFICATE = "CertificateRenewing"
    # events only
    RENEWED_CERTIFICATE = "CertificateRenewed"
    SCALED_UP = "ScaledUp"
    SCALED_DOWN = "ScaledDown"
    JOINING = "NodeJoining"
    RESTARTING = "NodeRestarting"
    FORGOTTEN = "NodeForgotten"
    REPAIRED = "ChildRepaired"
    WIPED = "VolumeWiped"
