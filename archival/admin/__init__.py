"""Archival in the Django admin. Each module registers the pages of one thing."""

from archival.admin import holds, policies

__all__ = ["holds", "policies"]
