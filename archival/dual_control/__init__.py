"""Dual control: what one person asks for and another confirms, before it is done.

`settings` says what a tenant wants a second Admin for; `acts` asks, confirms, refuses and ends; `carrying_out` does what was confirmed,
once its waiting time is over.

Promises: who asks and who confirms are two persons, each with the right to do it at the moment when it is done; a key is no person; until it
is done, any Admin can refuse it; each step is an entry in the tenant's log; weakening dual control is itself under it.
"""
