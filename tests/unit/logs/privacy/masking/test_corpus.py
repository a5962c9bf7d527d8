"""The built-in rules held against the corpus (tests/masking_corpus.py says what is in it)."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

from auditlog_verify.canonical import decode_json, encode_json
from logs.privacy.masking import Masker, RuleSet
from logs.privacy.masking.masker import Masked
from tests.masking_corpus import Fields, Sample, look_alikes, secrets

MASKER = Masker(RuleSet(), b"a secret of the tests, 32 bytes.")
LEAST_RECALL = 0.99
MOST_FALSE_ALARMS = 0.01


def masked(fields: Fields) -> Masked | None:
    values = {name: decode_json(encode_json(value)) if isinstance(value, dict) else value for name, value in fields.items()}
    return MASKER.mask(*(values.get(name) for name in ("message", "user_agent", "metadata", "before", "after")))


def is_in(secret: str, text: str) -> bool:
    """Is the secret in the text, whichever way it may be written there?"""
    forms = {secret, quote(secret, safe=""), quote_plus(secret)}
    for _ in range(3):
        forms |= {json.dumps(form)[1:-1] for form in forms} | {json.dumps(form, ensure_ascii=False)[1:-1] for form in forms}
    return any(form in text for form in forms)


def keeps_secret(sample: Sample) -> bool:
    found = masked(sample.fields)
    if found is None:
        return False
    kept = [found.message, found.user_agent, found.metadata, found.before, found.after]
    return not is_in(sample.secret, json.dumps(kept, ensure_ascii=False, default=str)) and not is_in(sample.secret, " ".join(found.pointers))


def test_corpus_is_large_and_each_secret_is_in_its_sample() -> None:
    found = list(secrets())
    assert len(found) >= 300
    assert len(list(look_alikes())) >= 300
    for sample in found:
        content = json.dumps(sample.fields, ensure_ascii=False)
        assert is_in(sample.secret, content) or is_in(sample.secret, json.dumps(decode_json(encode_json(sample.fields)), ensure_ascii=False)), sample.name


def test_at_least_99_of_100_secrets_are_masked() -> None:
    samples = list(secrets())
    missed = [sample for sample in samples if not keeps_secret(sample)]
    recall = 1 - len(missed) / len(samples)
    print(f"recall {recall:.2%} of {len(samples)}; missed:", *(f"\n  {sample.name}: {sample.fields} -> {masked(sample.fields)}" for sample in missed))
    assert recall >= LEAST_RECALL


def test_at_most_1_of_100_look_alikes_is_masked() -> None:
    samples = list(look_alikes())
    alarms = [sample for sample in samples if masked(sample.fields) is not None]
    share = len(alarms) / len(samples)
    print(f"false alarms {share:.2%} of {len(samples)}:", *(f"\n  {sample.name}: {sample.fields} -> {masked(sample.fields)}" for sample in alarms))
    assert share <= MOST_FALSE_ALARMS
