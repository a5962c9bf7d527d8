"""The built-in rules: what each finds, and what happens to it unless a tenant says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from logs.models.masking import MaskingAction
from logs.privacy.masking import detectors, names
from logs.privacy.masking.detectors import Detector
from logs.privacy.masking.names import Names


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """One built-in rule: names of keys, a detector, or both."""

    name: str
    action: MaskingAction
    description: str
    names: Names | None = None
    detector: Detector | None = None


_REDACT, _PARTIAL, _HASH = MaskingAction.REDACT, MaskingAction.PARTIAL, MaskingAction.HASH

# In the order in which they are applied: what is a secret as a whole comes before what may be a part of it.
BUILT_IN: tuple[BuiltIn, ...] = (
    BuiltIn("private_keys", _REDACT, "PEM blocks of private keys", detector=detectors.PRIVATE_KEYS),
    BuiltIn("jwts", _REDACT, "JSON Web Tokens", detector=detectors.JWTS),
    BuiltIn("bearer_tokens", _REDACT, "credentials after Bearer or Basic", detector=detectors.BEARER_TOKENS),
    BuiltIn("connection_strings", _REDACT, "passwords in addresses such as scheme://user:password@host", detector=detectors.CONNECTION_STRINGS),
    BuiltIn("service_keys", _REDACT, "keys of known services (GitHub, Slack, Stripe, Google, ours and others)", detector=detectors.SERVICE_KEYS),
    BuiltIn("passwords", _REDACT, "keys such as password, passphrase, user_pwd", names=names.PASSWORDS),
    BuiltIn("secrets", _REDACT, "keys such as client_secret, api_key, private_key, credentials", names=names.SECRETS),
    BuiltIn("tokens", _REDACT, "keys such as access_token, jwt, csrf_token", names=names.TOKENS),
    BuiltIn("headers", _REDACT, "keys such as authorization, cookie, set-cookie", names=names.HEADERS),
    BuiltIn("one_time_codes", _REDACT, "keys such as otp, pin, mfa_code, recovery_codes", names=names.ONE_TIME_CODES),
    BuiltIn("card_codes", _REDACT, "keys such as cvv, cvc, track_data", names=names.CARD_CODES),
    BuiltIn("national_ids", _REDACT, "keys such as ssn, passport_number", names=names.NATIONAL_IDS),
    BuiltIn(
        "card_numbers",
        _PARTIAL,
        "numbers of payment cards with a known beginning and a right check digit; keys such as card_number",
        names=names.CARD_NUMBERS,
        detector=detectors.CARD_NUMBERS,
    ),
    BuiltIn("ibans", _PARTIAL, "International Bank Account Numbers with right check digits; keys such as iban", names=names.IBANS, detector=detectors.IBANS),
    BuiltIn("aws_key_ids", _PARTIAL, "ids of AWS access keys (AKIA..., ASIA...)", detector=detectors.AWS_KEY_IDS),
    BuiltIn("emails", _HASH, "e-mail addresses", detector=detectors.EMAILS),
)
BUILT_IN_BY_NAME = {rule.name: rule for rule in BUILT_IN}
