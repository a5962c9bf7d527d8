"""Tables of identity: users, tenants, who belongs to which, the keys of services, how people sign in, and how often anybody may ask."""

from accounts.models.ability import Ability
from accounts.models.api_key import ApiKey
from accounts.models.rate_limit import EndpointClass, RateLimit, SubjectKind
from accounts.models.second_factor import Authenticator, RecoveryCodes
from accounts.models.sign_in_count import SignInCount
from accounts.models.tenancy import Membership, Role, Tenant
from accounts.models.token_family import TokenFamily
from accounts.models.user import User

__all__ = [
    "Ability",
    "ApiKey",
    "Authenticator",
    "EndpointClass",
    "Membership",
    "RateLimit",
    "RecoveryCodes",
    "Role",
    "SignInCount",
    "SubjectKind",
    "Tenant",
    "TokenFamily",
    "User",
]
