"""Sigma rules as alert rules: what they detect, written in our query language, and what they count, as a condition.

Sigma (https://sigmahq.io) is the form in which detection rules are shared. pySigma knows what its parts mean (modifiers, wildcards,
correlations); here is what of that our log can be asked. Promises: a rule is imported whole or not at all, each part that does not fit is named
by its path in the YAML with the reason, and what is imported finds what the rule means, but for what `notes` say.

`documents` reads YAML within bounds, `fields` knows whose fields are whose, `detection` makes a query of a detection, `importing` makes rules.
"""

from logs.alerts.sigma.importing import ImportedRule, keep_rules, read_rules

__all__ = ["ImportedRule", "keep_rules", "read_rules"]
