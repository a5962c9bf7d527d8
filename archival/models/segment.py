"""The catalogue of segments: which files of the archive hold which entries."""

from __future__ import annotations

from django.db import models

from accounts.models import Tenant


class SegmentState(models.TextChoices):
    """How far a segment is. Searches read those that serve, and no other."""

    WRITTEN = "written", "written, and not looked at yet"
    VERIFIED = "verified", "read back and held against its records"
    SERVING = "serving", "its entries are found in it"
    SUPERSEDED = "superseded", "another one has its entries; it is removed after a while"
    REMOVED = "removed", "its file is gone"


class Segment(models.Model):
    """One file: entries of one tenant and one partition `[lower_at, upper_at)`, sorted by id."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="segments")
    partition = models.CharField(max_length=63, help_text="The partition that the entries left.")
    lower_at = models.DateTimeField()
    upper_at = models.DateTimeField()
    sequence = models.PositiveIntegerField(help_text="Tells segments of the same tenant and partition apart.")
    path = models.CharField(max_length=512, unique=True, help_text="In the archive's storage.")
    entry_count = models.BigIntegerField()
    size_bytes = models.BigIntegerField()
    # In hexadecimal: of the whole file, and of its end, by which whoever reads ranges of it knows it again.
    sha256 = models.CharField(max_length=64)
    footer_sha256 = models.CharField(max_length=64)
    min_id = models.UUIDField()
    max_id = models.UUIDField()
    min_position = models.BigIntegerField()
    max_position = models.BigIntegerField()
    # The log's size, and its signed note, when the segment was held against it.
    tree_size = models.BigIntegerField(null=True)
    checkpoint = models.TextField(blank=True)
    policy = models.CharField(max_length=200, blank=True, help_text="The retention policy by which the entries left.")
    state = models.CharField(max_length=10, choices=SegmentState.choices, default=SegmentState.WRITTEN)
    written_at = models.DateTimeField()
    verified_at = models.DateTimeField(null=True, blank=True)
    serving_at = models.DateTimeField(null=True, blank=True)
    superseded_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "partition", "sequence"], name="segment_of_partition"),
            models.CheckConstraint(name="segment_holds_entries", condition=models.Q(entry_count__gt=0, min_id__lte=models.F("max_id"))),
        ]
        indexes = [
            # What a search asks: which of the tenant's segments reach below this id?
            models.Index(fields=["tenant", "max_id"], condition=models.Q(state=SegmentState.SERVING), name="archival_segment_serving"),
        ]

    def __str__(self) -> str:
        return self.path
