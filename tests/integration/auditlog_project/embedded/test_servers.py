"""The embedded PostgreSQL and Redis: start, stop, what survives, and what they say when they can't.

Every test has a state folder of its own, below the system's temporary folder rather than pytest's: for root,
PostgreSQL's own account has to reach it.
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from auditlog_project.embedded import EmbeddedServers, SetupError
from auditlog_project.embedded.folders import MAX_SOCKET_FOLDER_BYTES

NewServers = Callable[..., EmbeddedServers]


@pytest.fixture
def new_servers() -> Iterator[NewServers]:
    """Makes servers in a new folder (`name` below it), and removes them after the test."""
    made: list[EmbeddedServers] = []
    folder = Path(tempfile.mkdtemp(prefix="auditlog-test-"))
    folder.chmod(0o711)

    def make(name: str = "state") -> EmbeddedServers:
        servers = EmbeddedServers(folder / name)
        made.append(servers)
        return servers

    yield make
    for servers in made:
        servers.redis.stop()
        servers.postgres.stop(mode="immediate")
        servers.folders.remove()
    shutil.rmtree(folder)


def write_row(servers: EmbeddedServers, text: str) -> None:
    with psycopg.connect(servers.environment()["MAINTENANCE_DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (line text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [text])


def rows(servers: EmbeddedServers) -> list[str]:
    with psycopg.connect(servers.environment()["MAINTENANCE_DATABASE_URL"]) as connection:
        return [line for (line,) in connection.execute("SELECT line FROM kept").fetchall()]


def test_a_restart_keeps_the_data(new_servers: NewServers) -> None:
    servers = new_servers()
    servers.start()
    write_row(servers, "before")
    servers.redis.client().set("queued", "before")
    servers.stop()
    assert not servers.postgres.is_running()
    assert not servers.redis.is_running()
    again = EmbeddedServers(servers.folders.state)
    again.start()
    assert rows(again) == ["before"]
    assert again.redis.client().get("queued") == b"before"


def test_starting_and_provisioning_twice_changes_nothing(new_servers: NewServers) -> None:
    servers = new_servers()
    servers.start()
    write_row(servers, "before")
    pid, addresses = servers.postgres.pid, servers.environment()
    EmbeddedServers(servers.folders.state).start()
    servers.postgres.provision("auditlog")
    assert servers.postgres.pid == pid
    assert servers.environment() == addresses
    assert rows(servers) == ["before"]


def test_killed_servers_recover_what_was_committed(new_servers: NewServers) -> None:
    servers = new_servers()
    servers.start()
    write_row(servers, "committed")
    servers.postgres.kill()
    redis_pid = servers.redis.client().info("server")["process_id"]
    psutil.Process(redis_pid).kill()
    assert not servers.postgres.is_running()
    assert not servers.redis.is_running()
    servers.start()
    assert rows(servers) == ["committed"]
    assert servers.redis.is_running()


def test_servers_that_a_killed_run_left_are_used_again(new_servers: NewServers) -> None:
    servers = new_servers()
    servers.start()
    pid, redis_pid = servers.postgres.pid, servers.redis.client().info("server")["process_id"]
    later = EmbeddedServers(servers.folders.state)
    later.start()
    assert later.postgres.pid == pid
    assert later.redis.client().info("server")["process_id"] == redis_pid


@pytest.mark.parametrize("name", ["deep/" * 12 + "folder-" * 6, "with a space & 'quotes'"])
def test_any_path_will_do(new_servers: NewServers, name: str) -> None:
    servers = new_servers(name)
    servers.start()
    assert len(os.fsencode(servers.folders.sockets)) <= MAX_SOCKET_FOLDER_BYTES
    write_row(servers, "there")
    assert rows(servers) == ["there"]
    assert servers.redis.client().ping()


def test_only_the_owner_can_reach_data_secrets_and_sockets(new_servers: NewServers) -> None:
    servers = new_servers()
    servers.start()
    folders = servers.folders
    for private in (folders.data, folders.postgres, folders.sockets, folders.secrets, folders.redis, folders.logs):
        assert stat.S_IMODE(private.stat().st_mode) == 0o700, private
    for secret in (*folders.secrets.iterdir(), folders.state / "embedded.env"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600, secret


def test_the_two_roles_are_apart_and_durability_is_on(new_servers: NewServers) -> None:
    servers = new_servers()
    servers.start()
    environment = servers.environment()
    with psycopg.connect(environment["DATABASE_URL"]) as connection:
        shown = {name: connection.execute(f"SHOW {name}").fetchone() for name in ("fsync", "synchronous_commit", "full_page_writes", "listen_addresses")}
        assert shown == {"fsync": ("on",), "synchronous_commit": ("on",), "full_page_writes": ("on",), "listen_addresses": ("",)}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE public.mine ()")
        connection.rollback()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SET ROLE auditlog_maintenance")


def test_a_replaced_password_is_refused_with_the_two_places(new_servers: NewServers) -> None:
    servers = new_servers()
    servers.start()
    servers.stop()
    (servers.folders.secrets / "postgres-superuser").write_text("something else")
    with pytest.raises(SetupError, match="does not know the password") as refusal:
        servers.start()
    assert str(servers.folders.secrets) in str(refusal.value)
    assert "something else" not in str(refusal.value)


def test_a_half_made_cluster_is_refused_and_left_alone(new_servers: NewServers) -> None:
    servers = new_servers()
    servers.folders.data.mkdir()
    (servers.folders.data / "precious").write_text("mine")
    with pytest.raises(SetupError, match="is not empty and no PostgreSQL cluster"):
        servers.start()
    assert (servers.folders.data / "precious").read_text() == "mine"


def test_a_server_that_does_not_start_shows_the_end_of_its_log(new_servers: NewServers) -> None:
    servers = new_servers()
    servers.postgres.settings = {"no_such_setting": "1"}
    with pytest.raises(SetupError, match="no_such_setting"):
        servers.start()


def test_an_interrupt_of_the_terminal_does_not_reach_the_servers(new_servers: NewServers) -> None:
    servers = new_servers()
    servers.start()
    ours = os.getpgid(0)
    assert os.getpgid(servers.postgres.pid) != ours
    assert os.getpgid(servers.redis.client().info("server")["process_id"]) != ours
    os.kill(servers.postgres.pid, signal.SIGHUP)
    assert servers.postgres.is_running()
