"""Masking: secrets don't get into the log.

`masked_content` is what ingest calls; rules come from `masker_of` (a tenant's, cached) or are made by hand (`Masker(RuleSet(...), secret)`).
The engine is pure: `masker` compiles rules, `walking` goes through an entry, `detectors`, `names` and `pairs` say what a secret looks like,
`marks` what takes its place. Promises: what the detectors and key rules find is in none of the fields that come back; the masked masked again
is the same; time is linear in the entry, whatever patterns people write; a field that the pre-filter passes over would not have been changed.
"""

from logs.privacy.masking.built_in import BUILT_IN, BUILT_IN_BY_NAME, BuiltIn
from logs.privacy.masking.contents import masked_content
from logs.privacy.masking.marks import Seal
from logs.privacy.masking.masker import Masker
from logs.privacy.masking.rules import MAX_RULES, OwnRule, RuleSet, check_rule
from logs.privacy.masking.tenants import forget, hash_secret, masker_of, own_rule, rules_of

__all__ = [
    "BUILT_IN",
    "BUILT_IN_BY_NAME",
    "MAX_RULES",
    "BuiltIn",
    "Masker",
    "OwnRule",
    "RuleSet",
    "Seal",
    "check_rule",
    "forget",
    "hash_secret",
    "masked_content",
    "masker_of",
    "own_rule",
    "rules_of",
]
