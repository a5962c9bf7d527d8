"""Archival in the Django admin. Each module registers the pages of one thing."""

from archival.admin import holds, pending_acts, policies

__all__ = ["holds", "pending_acts", "policies"]
