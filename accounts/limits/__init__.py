"""How often something may be asked for, by principal, tenant and client address, for each class of endpoint.

Promises: in no window of any beginning more is let through than the limit and, for each process, one lot of it (1 %); most requests cost no round
trip; without Redis everything goes on but signing in, which is refused. Others use `LimitedView` and its `rate_class`, `writing`, `count_more`
(a request that turns out to be many) and `limited_sign_in`. Limits are rows of `accounts.RateLimit`; docs/rate-limits.md lists those built in.
"""

from accounts.limits.guarding import LimitedView, class_of, count_address, count_more, count_principal, limited_sign_in, writing

__all__ = ["LimitedView", "class_of", "count_address", "count_more", "count_principal", "limited_sign_in", "writing"]
