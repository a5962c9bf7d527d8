"""Bodies of requests as typed values."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import msgspec
from rest_framework.request import Request

from accounts.problems import Invalid
from logs.ingest import faults

_Input = TypeVar("_Input")


def decoded(request: Request, kind: type[_Input]) -> _Input:
    """The body as `kind`. Raises Invalid, with a pointer to what is wrong."""
    try:
        return msgspec.convert(request.data, kind)
    except msgspec.ValidationError as error:
        fault = faults.fault_of(error, "")
        raise Invalid([replace(fault, detail=fault.detail.replace("The entry ", "The body ", 1))]) from error
