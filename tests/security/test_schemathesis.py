"""Everything that the OpenAPI document allows, and much that it does not, asked of a real server as every kind of principal.

Each operation of the document is asked: a new one is covered by being documented. The cases are the same in every run; SCHEMATHESIS_SEED=7 asks
others, in all phases as everybody, and SCHEMATHESIS_EXAMPLES=200 more of them.
"""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from accounts.models import EndpointClass, RateLimit, Role, SubjectKind, Tenant
from logs.storage import partitions, wakeups
from tests.sequencing import sequence_all
from tests.storing import new_key, new_tenant, new_token, store
from tests.web import Web, product_environment, unmeasured

SEED = os.environ.get("SCHEMATHESIS_SEED")
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "8")
# "coverage" tries every boundary of every parameter, thousands of requests a run. Those who reach most of the code do it always: all that a key that
# posts may do, a user and an Admin may do too.
PHASES = "examples,coverage,fuzzing,stateful"
QUICK_PHASES = "examples,fuzzing,stateful"
KINDS = {"nobody": QUICK_PHASES, "read_key": QUICK_PHASES, "auditor": QUICK_PHASES, "write_key": QUICK_PHASES, "user": PHASES, "admin": PHASES}
# A request may be right by each of its parts and wrong as a whole (a name that is taken), and who may not ask is told so before anything else:
# these two claims hold for no API like this one. (405 has a test of its own in test_routes.py.)
UNFIT_CHECKS = "positive_data_acceptance,unsupported_method"
# What there is in each tenant: half of the time a parameter has one of these values, so that answers with content are seen.
KNOWN: Mapping[str, Sequence[str | int]] = {
    "path.size": [3],
    "path.level": ["0", "entries"],
    "path.path": ["000.p/3"],
    "path.request_id": ["req-7f3a"],
    "query.tree_size": [3],
    "query.order": ["position"],
}
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    partitions.prepare(datetime.datetime.now(datetime.UTC))
    # Hundreds of requests a second from one address, each to be answered by what it asks for; 429 has tests of its own.
    for endpoint_class in EndpointClass:
        for subject_kind in (SubjectKind.PRINCIPAL, SubjectKind.ADDRESS):
            RateLimit.objects.create(endpoint_class=endpoint_class, subject_kind=subject_kind, amount=10**9)
    # The tests' settings for their password hasher: signing in is asked for as often as anything else.
    web = Web(unmeasured(product_environment(DJANGO_SETTINGS_MODULE="tests.settings"))).start()
    yield web
    web.stop()
    RateLimit.objects.all().delete()
    # What was counted of this address would be too much by the limits that count again.
    wakeups.client().flushdb()


def credential(kind: str, tenant: Tenant) -> str | None:
    match kind:
        case "write_key":
            return new_key(tenant, "logs:write")
        case "read_key":
            return new_key(tenant, "logs:read")
        case "user" | "auditor" | "admin":
            return new_token(tenant, Role(kind), "alice")
        case _:
            return None


def configuration(known: Mapping[str, Sequence[str | int]]) -> str:
    """The text of schemathesis.toml."""
    dictionaries = [f"[dictionaries.{number}]\nvalues = {json.dumps(values)}" for number, values in enumerate(known.values())]
    parameters = [f'{json.dumps(name)} = {{ dictionary = "{number}", probability = 0.5 }}' for number, name in enumerate(known)]
    return "\n".join([*dictionaries, "[parameters]", *parameters, "[phases.coverage]", "generate-duplicate-query-parameters = true", ""])


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=pytest.mark.slow(seconds=50 if phases == PHASES else 12)) for kind, phases in KINDS.items()])
def test_every_answer_is_as_documented(web: Web, tmp_path: Path, kind: str) -> None:
    tenant = new_tenant()
    ids = store(tenant, [{"request_id": "req-7f3a", "before": {"a": 1}, "after": {"a": 2}, "metadata": {"n": 1.5}}] * 3)
    sequence_all()
    (tmp_path / "schemathesis.toml").write_text(configuration({**KNOWN, "path.id": ids, "header.X-Tenant": [tenant.slug]}))
    report_file = tmp_path / "report.json"
    token = credential(kind, tenant)
    command = [str(SCHEMATHESIS), "run", web.url + "/api/v1/schema", "--checks", "all", "--exclude-checks", UNFIT_CHECKS, "--max-examples", EXAMPLES]
    command += ["--phases", PHASES if SEED else KINDS[kind], "--continue-on-failure", "--request-timeout", "60", "--no-color", "--output-sanitize", "false"]
    command += ["--seed", SEED, "--generation-database", "none"] if SEED else ["--generation-deterministic"]
    command += ["--report", "json", "--report-json-path", str(report_file)]
    command += ["--header", f"Authorization: Bearer {token}"] if token else []
    environment = unmeasured(os.environ) | {"SCHEMATHESIS_HOOKS": str(HOOKS)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(report_file.read_text())
    assert report["complete"]
    assert report["operations"]["tested"] == report["operations"]["total"] > 30
