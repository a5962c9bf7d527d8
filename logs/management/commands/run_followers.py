"""Runs the followers in the foreground."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand

from logs.alerts import evaluating
from logs.following.running import Discover, Followers
from logs.forwarding import following

# What finds the followers there are: a function of each room that has some.
DISCOVER: list[Discover] = [evaluating.followers, following.followers]


class Command(BaseCommand):
    help = (
        "Moves what follows the log in the order of positions, until asked to stop. "
        "Any number may run: one leads, another takes over within seconds when it dies."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        followers = Followers(DISCOVER)

        def stop(number: int, frame: object) -> None:
            followers.stop()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        followers.run()
