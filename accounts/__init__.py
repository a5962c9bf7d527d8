"""Who: users, tenants, memberships, API keys, and which principal a request comes from.

Knows nothing of entries. Others may use `accounts.principals` (who calls), `accounts.permissions` (what they may do),
`accounts.problems` (how a refusal looks) and the models.
"""
