"""A process that evaluates the alert rules of one tenant until it is killed. `python alerts_process.py TENANT`."""

import sys
import time
import uuid

import django

django.setup()

from logs.alerts import evaluating  # noqa: E402  # after Django is set up

# Many transactions to be killed in.
evaluating.CHUNK_POSITIONS = 25

follower = evaluating.AlertsFollower(uuid.UUID(sys.argv[1]))
while True:
    if not follower.step():
        time.sleep(0.02)
