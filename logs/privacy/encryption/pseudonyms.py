"""Pseudonyms: what stands for users in the entries of tenants that want it so, and who is behind one.

A pseudonym is random and stands in its user's data key row, so an erasure leaves nothing that leads from one to the other.
"""

from __future__ import annotations

import hmac
import logging
import re
import uuid
from collections.abc import Collection
from typing import Any

from logs.catalogue import catalogue_of
from logs.privacy.encryption.data_key import Damaged, DataKey, place_of_subject
from logs.privacy.encryption.master_keys import master_keys
from logs.privacy.encryption.opening import key_of_row
from logs.privacy.encryption.subject_keys import digest_secret
from logs.storage.reading import tenant_transaction

logger = logging.getLogger(__name__)
# How every pseudonym begins.
PREFIX = "p_"
PSEUDONYM = re.compile(rf"{PREFIX}[0-9a-f]{{32}}")
# Plan: logs_data_key_subject.
SELECT_PSEUDONYMS = "SELECT subject_digest, pseudonym FROM auditlog.logs_data_key_view WHERE subject_digest = ANY (%s::bytea[])"
# Plan: logs_data_key_pseudonym.
SELECT_SUBJECTS = """
SELECT id, pseudonym, subject_digest, wrapped_key, master_key_id, wrapped_subject FROM auditlog.logs_data_key_view
WHERE pseudonym = ANY (%s::text[]) AND wrapped_subject IS NOT NULL
"""


def pseudonyms_of(tenant_id: uuid.UUID, user_ids: Collection[str]) -> dict[str, str]:
    """The pseudonyms of users that have one; none is made."""
    if not user_ids:
        return {}
    secret = digest_secret(catalogue_of(tenant_id).id_secret)
    # Half a surrogate pair, which a question may have, is in no user's id.
    digests = {hmac.digest(secret, user_id.encode("utf-8", "surrogatepass"), "sha256"): user_id for user_id in user_ids}
    with tenant_transaction(tenant_id) as database:
        database.execute(SELECT_PSEUDONYMS, [list(digests)])
        return {digests[bytes(digest)]: pseudonym for digest, pseudonym in database.fetchall()}


def users_behind(database: Any, tenant_id: uuid.UUID, user_ids: Collection[str]) -> dict[str, str]:
    """The users behind those of `user_ids` that are pseudonyms; without those that were erased. For whoever may decrypt.

    `database`: a cursor in a transaction that names the tenant.
    """
    wanted = {user_id for user_id in user_ids if PSEUDONYM.fullmatch(user_id)}
    if not wanted:
        return {}
    database.execute(SELECT_SUBJECTS, [sorted(wanted)])
    masters = master_keys()
    found: dict[str, str] = {}
    for *row, sealed in database.fetchall():
        key = key_of_row(masters, str(tenant_id), row)
        try:
            if isinstance(key, DataKey):
                found[key.pseudonym] = key.open(place_of_subject(str(tenant_id), key.pseudonym), bytes(sealed)).decode()
            else:
                logger.warning("the user behind %s can't be told: %s", row[1], key.reason)
        except (Damaged, UnicodeDecodeError) as error:
            logger.warning("the user behind %s can't be told: %s", row[1], error)
    return found
