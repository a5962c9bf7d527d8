"""Alert rules: a query and a condition over the entries in the order of their positions; what fires is an alert, an entry and its deliveries.

Promises: no entry is skipped or counted twice, over restarts and two evaluators at once; a rule that can't be evaluated says why and holds up
no other; what an alert itself writes into the log fires nothing. A rule sees the tenant's whole log as it is stored: what is encrypted is
hidden from it.

`conditions` and `quieting` are pure; `definition` reads a rule, `rules` keeps them, `evaluating` is the follower, `learning` and `trying` look
at history, `recording` makes entries of alerts, `handling` is what people do about them.
"""

from logs.alerts.rules import NewRule, change_rule, check_rule, create_rule, delete_rule, mute_rule

__all__ = ["NewRule", "change_rule", "check_rule", "create_rule", "delete_rule", "mute_rule"]
