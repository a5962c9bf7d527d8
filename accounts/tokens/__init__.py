"""What a person holds once they have signed in: a short-lived access token, and a refresh token that works once.

Signed with Ed25519 by the first key of `AUDITLOG_TOKEN_KEY`; all of its keys verify, and their public halves are published as a
JSON Web Key Set. All tokens of one sign-in are a **family**. It ends when somebody signs out, when a refresh token comes a second
time, when the password changes, or by age; with it end its access tokens.

Others may use `start_family` and `decode_access`; the rest is the account API's.
"""

from accounts.tokens.families import Tokens, decode_access, end_families_of, end_family, rotate, start_family
from accounts.tokens.keys import key_set, token_keys

__all__ = ["Tokens", "decode_access", "end_families_of", "end_family", "key_set", "rotate", "start_family", "token_keys"]
