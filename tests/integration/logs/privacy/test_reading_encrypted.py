"""What of encrypted fields each reader shows, and to whom."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from accounts.api_keys import create_api_key
from accounts.models import Role, Tenant
from logs.export.running import run
from logs.models import BuiltInMasking
from logs.privacy.masking import forget
from tests.api import LOGS, NOT_OWN, Api, entry, service_of
from tests.encrypting import AFTER, BEFORE, DIAGNOSIS, HIDDEN, describe_update, encrypting_tenant, key_id_of, posted, reader_of, store_sealed_message
from tests.exporting import EXPORT, body_of, lines_of, read_csv, read_parquet, searched, table_row
from tests.sequencing import sequence_all
from tests.storing import new_tenant, new_token
from tests.superuser import superuser


def _rows(format: str, content: bytes) -> list[tuple[Any, ...]]:
    match format:
        case "csv":
            return read_csv(content)
        case "parquet":
            return read_parquet(content)
        case "json":
            return [table_row(found) for found in json.loads(content)["entries"]]
        case _:
            return [table_row(found) for found in lines_of(content)]


def _without_empty(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(cell or None for cell in row)


TITLE = "alice and [encrypted]"


@pytest.fixture
def tenant() -> Tenant:
    return encrypting_tenant()


@pytest.fixture
def service(tenant: Tenant) -> Api:
    return service_of(tenant)


def test_before_and_after_come_back_for_who_may_decrypt_and_for_nobody_else(tenant: Tenant, service: Api) -> None:
    id = posted(service)
    clear = service.get(f"{LOGS}/{id}").json()
    assert (clear["before"], clear["after"], clear["metadata"]) == (BEFORE, AFTER, {"diagnosis": DIAGNOSIS, "channel": "web"})
    assert clear["changed_fields"] == ["note", "status"]
    answer = reader_of(tenant).get(f"{LOGS}/{id}")
    seen = answer.json()
    assert (seen["before"], seen["after"], seen["metadata"]) == (HIDDEN, HIDDEN, {"diagnosis": HIDDEN, "channel": "web"})
    assert b"planted" not in answer.content
    assert b"$encrypted" not in answer.content


def test_every_reader_shows_clear_text_to_who_may_decrypt_alone(tenant: Tenant, service: Api) -> None:
    id = posted(service, request_id="r-1")
    search = Api(new_token(tenant, Role.ADMIN)).post("/api/v1/saved-searches", {"name": "all", "query": {"action": ["UPDATE"]}, "is_shared": True})
    assert search.status_code == 201, search.content
    sequence_all()
    paths = [LOGS, f"{LOGS}/{id}", f"{LOGS}?order=position", "/api/v1/requests/r-1", f"/api/v1/saved-searches/{search.json()['id']}/entries"]
    for path in paths:
        clear, seen = service.get(path), reader_of(tenant).get(path)
        assert clear.status_code == seen.status_code == 200, (path, seen.content)
        assert b"planted" in clear.content, path
        assert b"$encrypted" not in clear.content, path
        assert b"planted" not in seen.content, path
        assert b"v1." not in seen.content, path
        assert seen.content.count(b'"encrypted":true') + seen.content.count(b'"encrypted": true') == 3, path


@pytest.mark.parametrize("role", [Role.ADMIN, Role.AUDITOR, Role.USER])
def test_roles_decrypt_as_their_abilities_say(tenant: Tenant, service: Api, role: Role) -> None:
    posted(service)
    content = Api(new_token(tenant, role, "alice")).get(LOGS).content
    assert (b"planted" in content) == (role != Role.USER)


@pytest.mark.parametrize("format", ["json", "ndjson", "csv", "parquet"])
def test_exports_show_clear_text_to_who_may_decrypt_alone(tenant: Tenant, service: Api, format: str) -> None:
    describe_update(tenant)
    posted(service)
    service.post(LOGS, entry(before={"a": 1}))
    service.post(LOGS, entry(message="nothing that is encrypted"))
    store_sealed_message(tenant, "message-planted")
    for api, may_decrypt in ((service, True), (reader_of(tenant), False)):
        content = body_of(api.get(EXPORT, format=format, q=NOT_OWN))
        rows = _rows(format, content)
        assert [_without_empty(row) for row in rows] == [_without_empty(table_row(found)) for found in searched(api, q=NOT_OWN)]
        assert len(rows) == 4
        flat = json.dumps(rows)
        assert ("planted" in flat) == may_decrypt
        assert ("[encrypted]" in flat) != may_decrypt
        assert "$encrypted" not in flat
        assert "[encrypted:" not in flat
        if format in ("json", "ndjson"):
            assert TITLE in content.decode()


def test_lines_of_an_export_keep_numbers_and_order_of_what_is_not_encrypted(tenant: Tenant, service: Api) -> None:
    service.post(LOGS, b'{"user_id":"a","action":"A","resource_type":"t","metadata":{"n":1.10,"big":123456789012345678901234567890,"diagnosis":1}}')
    line = body_of(service.get(EXPORT, format="ndjson")).decode()
    hidden = body_of(reader_of(tenant).get(EXPORT, format="ndjson", q=NOT_OWN)).decode()
    assert '"metadata":{"n": 1.1, "big": 123456789012345678901234567890, "diagnosis": 1}' in line
    assert line.replace('"diagnosis": 1}', '"diagnosis": {"encrypted": true}}') == hidden


def test_asker_who_may_not_decrypt_any_more_gets_a_job_without_clear_text(tenant: Tenant, service: Api, settings: Any, tmp_path: Path) -> None:
    settings.AUDITLOG_EXPORT_URL = tmp_path.as_uri()
    posted(service)
    key, text = create_api_key(tenant, "exporter", ["logs:read", "logs:decrypt"])
    job = Api(text).post("/api/v1/exports", {"format": "ndjson"}).json()
    key.scopes = ["logs:read"]
    key.save()
    run(uuid.UUID(job["id"]))
    (file,) = tmp_path.rglob("*.ndjson")
    content = file.read_text()
    assert "planted" not in content
    assert "encrypted" in content


def test_encrypted_fields_can_not_be_found_sorted_or_counted(tenant: Tenant, service: Api) -> None:
    posted(service)
    for question in (
        {"q": DIAGNOSIS}, {"q": f"metadata.diagnosis:{DIAGNOSIS}"}, {"q": "metadata.diagnosis:2*"}, {"q": "metadata.diagnosis>1"},
        {"q": "draft-planted"}, {"q": "planted"}, {"metadata.diagnosis": DIAGNOSIS}, {"q": f'"{DIAGNOSIS}"'},
    ):  # fmt: skip
        answer = service.get(LOGS, **question)
        assert answer.status_code in (200, 422), answer.content
        assert answer.status_code == 422 or answer.json()["results"] == [], question
        assert b"planted" not in answer.content or answer.status_code == 422, question
    assert len(service.get(LOGS, q="metadata.channel:web").json()["results"]) == 1


def test_search_never_decrypts(tenant: Tenant, service: Api, settings: Any) -> None:
    posted(service)
    # Another master key: nothing could be opened.
    settings.AUDITLOG_MASTER_KEY = base64.b64encode(bytes(32)).decode()
    (found,) = service.get(LOGS, q="metadata.channel:web -metadata.diagnosis:1 changed:status").json()["results"]
    assert found["before"] == {"encrypted": True, "unreadable": True}


def test_highlights_and_titles_show_neither_clear_text_nor_ciphertext(tenant: Tenant, service: Api) -> None:
    describe_update(tenant)
    service.post(LOGS, entry(metadata={"diagnosis": "web", "channel": "web"}, message="web"))
    (found,) = service.get(LOGS, q="web", highlight="true").json()["results"]
    assert found["metadata"] == {"diagnosis": "web", "channel": "web"}
    assert found["highlights"] == {"message": [[0, 3]], "metadata/channel": [[0, 3]]}
    assert found["title"] == TITLE


def test_erased_lost_and_damaged_fields_are_said_so_and_the_rest_is_readable(tenant: Tenant, service: Api) -> None:
    erased, lost, damaged, moved = (posted(service, user_id=name) for name in ("erased", "lost", "damaged", "moved"))
    with superuser() as database:
        digestless = "wrapped_key = NULL, wrapped_subject = NULL, subject_digest = NULL, erased_at = now()"
        database.execute(f"UPDATE auditlog.logs_data_key SET {digestless} WHERE id = %s", [key_id_of(erased)])
        database.execute("DELETE FROM auditlog.logs_data_key WHERE id = %s", [key_id_of(lost)])
        database.execute("""UPDATE auditlog.logs_entry SET before = '{"$encrypted": "damaged"}' WHERE id = %s""", [damaged])
        database.execute("UPDATE auditlog.logs_entry SET before = after WHERE id = %s", [moved])
    found = {one["id"]: one["before"] for one in service.get(LOGS).json()["results"]}
    unreadable = HIDDEN | {"unreadable": True}
    assert found == {erased: HIDDEN | {"erased": True}, lost: unreadable, damaged: unreadable, moved: unreadable}
    for one in reader_of(tenant).get(LOGS, q=NOT_OWN).json()["results"]:
        assert one["before"] == HIDDEN


def test_key_moved_to_another_tenant_or_subject_opens_nothing(tenant: Tenant, service: Api) -> None:
    mallory = new_tenant()
    theirs = service_of(mallory)
    mine = str(theirs.post(LOGS, entry(before={"a": 1})).json()["id"])
    id = posted(service)
    with superuser() as database:
        # Mallory's row gets the key of the other tenant's subject, and their ciphertext.
        database.execute(
            "UPDATE auditlog.logs_data_key AS k SET wrapped_key = o.wrapped_key FROM auditlog.logs_data_key AS o WHERE k.id = %s AND o.id = %s",
            [key_id_of(mine), key_id_of(id)],
        )
        database.execute("UPDATE auditlog.logs_entry AS e SET before = o.before FROM auditlog.logs_entry AS o WHERE e.id = %s AND o.id = %s", [mine, id])
    assert theirs.get(f"{LOGS}/{mine}").json()["before"] == HIDDEN | {"unreadable": True}
    assert service.get(f"{LOGS}/{id}").json()["before"] == BEFORE


def test_masking_rule_that_encrypts_is_opened_for_who_may_decrypt(tenant: Tenant, service: Api) -> None:
    BuiltInMasking.objects.create(tenant=tenant, name="emails", action="encrypt")
    forget()
    sent = {
        "message": "write to planted.one@example.org",
        "metadata": {"to": ["planted.two@example.org", 1], "diagnosis": {"mail": "planted.three@example.org"}},
        "before": {"mail": "planted.four@example.org", "n": 1},
    }
    answer = service.post(LOGS, entry(**sent))
    assert answer.status_code == 201, answer.content
    id = answer.json()["id"]
    clear = service.get(f"{LOGS}/{id}").json()
    assert {name: clear[name] for name in sent} == sent
    assert clear["masked"] == ["/before/mail", "/message", "/metadata/diagnosis/mail", "/metadata/to/0"]
    seen = reader_of(tenant).get(f"{LOGS}/{id}").json()
    assert {name: seen[name] for name in sent} == {"message": "[encrypted]", "metadata": {"to": [HIDDEN, 1], "diagnosis": HIDDEN}, "before": HIDDEN}
    for api, found in ((service, clear), (reader_of(tenant), seen)):
        assert lines_of(body_of(api.get(EXPORT, format="ndjson", q=NOT_OWN))) == [found]
