"""The embedded default: a real PostgreSQL and a real Redis from wheels, for a machine that has neither.

Promises: data stays between runs; servers listen on Unix sockets only, in a folder that only their owner can enter;
a server that an earlier, killed run left behind is found and used again; every refusal to start says what to do.

Others may use `EmbeddedServers` (start, stop, addresses), `scratch_servers` (the same for the length of a block),
`SetupError`, and the command line: `python -m auditlog_project.embedded run|exec|status`.
"""

from auditlog_project.embedded.errors import SetupError
from auditlog_project.embedded.scratch import scratch_servers
from auditlog_project.embedded.servers import EmbeddedServers

__all__ = ["EmbeddedServers", "SetupError", "scratch_servers"]
