"""Archival in the Django admin. Each module registers the pages of one thing."""

from archival.admin import holds, restores

__all__ = ["holds", "restores"]
