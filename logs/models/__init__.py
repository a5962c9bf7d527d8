"""Tables of the log. No logic beyond what a row knows about itself."""

from logs.models.alert import Alert, AlertCursor, AlertGroupField, AlertKnownValue, AlertProgress, AlertRule, AlertSeverity, AlertState
from logs.models.catalogue import ActionDefinition, ActionSchema, CatalogueMode, EncryptedField, LogSettings
from logs.models.delivery import Delivery, DeliveryAttempt, DeliveryState, DeliveryTarget, TargetKind
from logs.models.entry import Entry, Outcome, Severity
from logs.models.erasure import Erasure, ErasureState
from logs.models.export import ExportJob, ExportState
from logs.models.forwarder import Forwarder, ForwarderKind
from logs.models.masking import BuiltInMasking, MaskedField, MaskingAction, MaskingKind, MaskingRule
from logs.models.saved_search import SavedSearch
from logs.models.verification import VerificationResult, VerificationRun

__all__ = [
    "ActionDefinition",
    "ActionSchema",
    "Alert",
    "AlertCursor",
    "AlertGroupField",
    "AlertKnownValue",
    "AlertProgress",
    "AlertRule",
    "AlertSeverity",
    "AlertState",
    "BuiltInMasking",
    "CatalogueMode",
    "Delivery",
    "DeliveryAttempt",
    "DeliveryState",
    "DeliveryTarget",
    "EncryptedField",
    "Entry",
    "Erasure",
    "ErasureState",
    "ExportJob",
    "ExportState",
    "Forwarder",
    "ForwarderKind",
    "LogSettings",
    "MaskedField",
    "MaskingAction",
    "MaskingKind",
    "MaskingRule",
    "Outcome",
    "SavedSearch",
    "Severity",
    "TargetKind",
    "VerificationResult",
    "VerificationRun",
]
