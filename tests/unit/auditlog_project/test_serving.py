"""Each process of `make run` gets the secrets that it has a use for, and no other."""

from __future__ import annotations

import stat
from pathlib import Path

import yaml

from auditlog_project.embedded.serving import CHECKOUT, commands, environments
from auditlog_project.embedded.signing_key import TOKEN_KEY_FILE_NAME, signing_key_file

GIVEN = {
    "PATH": "/bin",
    "DATABASE_URL": "postgresql://app@localhost/auditlog",
    "MAINTENANCE_DATABASE_URL": "postgresql://maintenance@localhost/auditlog",
    "SEQUENCER_DATABASE_URL": "postgresql://sequencer@localhost/auditlog",
    "AUDITLOG_SIGNING_KEY_FILE": "signing-key.pem",
    "AUDITLOG_TOKEN_KEY_FILE": "token-key.pem",
    "AUDITLOG_MASTER_KEY_FILE": "master-key",
}


def test_key_of_tokens_is_the_webs_alone_and_that_of_checkpoints_the_sequencers() -> None:
    found = environments(GIVEN, commands("127.0.0.1", 8000, 1), "public")
    assert {name for name, environment in found.items() if "AUDITLOG_TOKEN_KEY_FILE" in environment} == {"web"}
    assert {name for name, environment in found.items() if "AUDITLOG_SIGNING_KEY_FILE" in environment} == {"sequencer"}
    assert {name for name, environment in found.items() if "AUDITLOG_MASTER_KEY_FILE" in environment} == {"web", "worker", "follower"}
    assert {name for name, environment in found.items() if "MAINTENANCE_DATABASE_URL" in environment} == {"sequencer", "archiver"}
    assert {name for name, environment in found.items() if "SEQUENCER_DATABASE_URL" in environment} == {"sequencer"}
    assert all(environment["DATABASE_URL"] == GIVEN["DATABASE_URL"] for environment in found.values())


def test_containers_are_the_processes_of_make_run_and_get_no_more_secrets() -> None:
    services = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]
    processes = commands("127.0.0.1", 8000, 1)
    assert set(processes) <= set(services)
    given = environments(GIVEN, processes, "public")
    for name, variable in (("master_key", "AUDITLOG_MASTER_KEY_FILE"), ("signing_key", "AUDITLOG_SIGNING_KEY_FILE"), ("token_key", "AUDITLOG_TOKEN_KEY_FILE")):
        assert {process for process in processes if name in services[process]["secrets"]} == {process for process in processes if variable in given[process]}
    for process in ("sequencer", "follower"):
        assert services[process]["command"][-1] == processes[process][-1]
    assert "archival" in services["archiver"]["command"]
    assert "archival" in processes["archiver"]


def test_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    file = signing_key_file(tmp_path, TOKEN_KEY_FILE_NAME)
    key = file.read_bytes()
    assert signing_key_file(tmp_path, TOKEN_KEY_FILE_NAME).read_bytes() == key
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert signing_key_file(tmp_path).read_bytes() != key
    assert sorted(path.name for path in tmp_path.iterdir()) == ["signing-key.pem", "token-key.pem"]
