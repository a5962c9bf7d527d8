"""Every advisory lock number of the product, so that no two things share one."""

MAKE_PARTITION = 7_265_001  # in SQL: auditlog.ensure_partition
# With two keys, the second being the number of the group of tenants.
LEAD_SEQUENCER = 7_265_002
# Counting the export jobs of a principal (second key: a hash of who), and those that run (second key 0).
COUNT_EXPORTS = 7_265_014
