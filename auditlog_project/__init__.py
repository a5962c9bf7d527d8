"""Wiring of the audit log platform: settings, URLs, server entry points, health and the embedded servers.

Nothing here knows what an entry is; the rooms are `accounts`, `logs` and `archival`.
"""
