"""Export: everything that a question finds, as one file, at any size.

`asking` (query string or body to a question) -> `selecting` (question to SQL) -> `snapshot` (rows from one snapshot, a bounded page at a
time) -> `formats` and `compression` (rows to bytes) -> `stream` (to a client, at its pace) or `running` (a job, to object storage).

Promises: what is exported is what search would show the same principal at one moment, each entry once; memory does not grow with the
answer; a file that was cut off can be told from a whole one; a job's file is complete, or it is not there.
"""

from logs.export.asking import ExportQuestion, export_question_of
from logs.export.formats import FORMATS
from logs.export.stream import ExportStream, open_stream

__all__ = ["FORMATS", "ExportQuestion", "ExportStream", "export_question_of", "open_stream"]
