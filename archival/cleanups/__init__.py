"""Clean-ups: purging what an Admin asks for, ahead of what the policies say. First a dry run, which counts; then, with its confirmation, the
real run, as a job.

`asking` reads the question and says what of it may go; `confirming` signs what was counted; `jobs` puts it on record; `running` carries it
out, partition by partition, by whoever purges (`purger`).

Promises: nothing is purged that was not counted by a dry run of the same question by the same person within ten minutes; neither what a
legal hold keeps, nor what is younger than a locked policy keeps it, nor the log's own entries; nothing that came in after the dry run.
"""
