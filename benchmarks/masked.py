"""What masking costs: one tenant with the built-in rules against one that has switched them all off, in the same web processes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from benchmarks.load import Client
from benchmarks.product import API_KEY, Installation, SequencerProcess, WebServer, check_that_all_are_stored, run_program
from benchmarks.report import CHECKOUT, BenchmarkFailed, progress

# Run by manage.py shell: a tenant with a key, and the built-in rules switched off if that is asked for.
_MAKE_TENANT = """
from accounts.api_keys import create_api_key
from accounts.models import Tenant
from logs.models import BuiltInMasking
from logs.privacy.masking import BUILT_IN
tenant = Tenant.objects.create(slug={slug!r}, name={slug!r})
if not {is_masked}:
    BuiltInMasking.objects.bulk_create(BuiltInMasking(tenant=tenant, name=rule.name, is_active=False) for rule in BUILT_IN)
print(create_api_key(tenant, "benchmark", ["logs:write"])[1])
"""


def with_masking_of_without(
    installed: Installation,
    web: WebServer,
    sequencing: SequencerProcess,
    bodies: Sequence[bytes],
    *,
    rounds: int,
    warm_up_seconds: float,
    seconds: float,
    connections: int,
    batch: int,
) -> float:
    """The rate of the same entries with masking, of that without: the median of rounds in which each is first every other time."""
    tenants = {name: _tenant(installed, name, is_masked=name == "masked") for name in ("masked", "unmasked")}
    clients = {name: Client(web, "/api/v1/logs/bulk", f"Bearer {tenant.api_key}") for name, tenant in tenants.items()}
    requests = {name: client.requests(list(bodies)) for name, client in clients.items()}
    rates: dict[str, list[float]] = {"masked": [], "unmasked": []}
    for number in range(-1, rounds):
        for name in sorted(rates, reverse=bool(number % 2)):
            outcome = clients[name].run(
                requests[name], seconds if number >= 0 else warm_up_seconds, connections=connections, entries_per_request=batch
            )  # fmt: skip
            # What one left to be sequenced is not the other's to bear.
            sequencing.wait_until_all_is_sequenced()
            if number >= 0:
                rates[name].append(outcome.entries_per_s)
        if number >= 0:
            progress(number, {name: found[-1] for name, found in rates.items()})
    for name, tenant in tenants.items():
        check_that_all_are_stored(tenant, clients[name].acknowledged)
    # Round by round: both grow slower as the tables grow.
    return median(one / other for one, other in zip(rates["masked"], rates["unmasked"], strict=True))


def _tenant(installed: Installation, slug: str, *, is_masked: bool) -> Installation:
    """The same installation as another, new tenant of it has it."""
    command = [sys.executable, str(CHECKOUT / "manage.py"), "shell", "-c", _MAKE_TENANT.format(slug=slug, is_masked=is_masked)]
    key = API_KEY.search(run_program(command, installed.environment))
    if key is None:
        raise BenchmarkFailed("no tenant was made")
    tenant_id = str(installed.ask("SELECT id FROM accounts_tenant WHERE slug = %s", slug)[0])
    return replace(installed, tenant_id=tenant_id, api_key=key[0], source=f"key:{key[1]}")
