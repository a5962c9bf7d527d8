"""Ctrl-C, SIGTERM and a closed terminal as one thing: a request to stop that lets every `finally` on the way do its work."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop(BaseException):
    """Somebody asked this process to stop. No `Exception`: code that survives errors must not survive this."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def raise_stop() -> None:
    """The first stop signal from now on raises `Stop` in the main thread; those after it do nothing."""

    def handle(number: int, frame: FrameType | None) -> NoReturn:
        ignore_stop()
        raise Stop(number)

    for number in STOP_SIGNALS:
        # `nohup` has switched SIGHUP off, and it stays off.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handle)


def ignore_stop() -> None:
    """From now on the stop signals do nothing, here and in programs started from here: the end is under way already."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
