"""Archival in the Django admin. Each module registers the pages of one thing."""

from archival.admin import cleanups, holds, pending_acts, policies, restores

__all__ = ["cleanups", "holds", "pending_acts", "policies", "restores"]
