"""Outbound requests: the one way in which the product calls an address that somebody gave it.

Promises: the name is resolved once, every address that it has is judged, and the connection goes to one that was judged, so that nothing can
change between check and use. No redirect is followed, no proxy and no cookie taken from anywhere; time and bytes are bounded as wholes.
TLS is verified against the name. Whom a call may reach is its `Reach`: addresses from people reach the public internet only, those from
the operator's environment also machines inside (docs/decisions/0025).
"""

from logs.outbound.addresses import Reach, fault_of_address
from logs.outbound.calling import Answer, CallFailed, DestinationRefused, OutboundError, check_url, post
from logs.outbound.connecting import connect

__all__ = ["Answer", "CallFailed", "DestinationRefused", "OutboundError", "Reach", "check_url", "connect", "fault_of_address", "post"]
