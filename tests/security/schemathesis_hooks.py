"""What Schemathesis has to be told of our API; it loads this file by SCHEMATHESIS_HOOKS."""

from __future__ import annotations

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(context: schemathesis.SerializationContext, value: Any) -> Any:
    """A text is sent as it is. What the document does not allow here (a list, a number) is sent as JSON."""
    return value if isinstance(value, bytes) else value.encode() if isinstance(value, str) else json.dumps(value).encode()
