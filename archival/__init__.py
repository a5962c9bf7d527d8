"""What leaves the hot log, when, and what may not: legal holds, and the schedules that keep the log's partitions ready.

`holds` places and releases legal holds, and guards erasures by the log's door (`logs.extensions`).
"""
