"""A tenant's masking rules: listed, made, changed, tried out. Admins change them; what was stored before stays as it is.

Promises: a rule that is kept compiles, within bounds of memory; a tenant has at most MAX_RULES of its own; a change counts in every process
within `AUDITLOG_CREDENTIAL_CACHE_SECONDS`; a preview stores nothing, and shows of entries only what the asker may see of them.
"""

from logs.masking_rules.changing import RuleChanges, add_rule, change_built_in, change_rule, delete_rule
from logs.masking_rules.finding import KeptBuiltIn, KeptRule, find_built_in, find_rule, list_built_in, list_rules
from logs.masking_rules.previewing import Preview, SampleMasked, Seen, preview

__all__ = [
    "KeptBuiltIn",
    "KeptRule",
    "Preview",
    "RuleChanges",
    "SampleMasked",
    "Seen",
    "add_rule",
    "change_built_in",
    "change_rule",
    "delete_rule",
    "find_built_in",
    "find_rule",
    "list_built_in",
    "list_rules",
    "preview",
]
