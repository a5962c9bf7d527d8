"""Tables of identity: users, tenants, who belongs to which, keys, grants, viewer tokens, how people sign in, how often anybody may ask."""

from accounts.models.ability import Ability
from accounts.models.api_key import ApiKey
from accounts.models.grant import AccessGrant
from accounts.models.rate_limit import EndpointClass, RateLimit, SubjectKind
from accounts.models.second_factor import Authenticator, RecoveryCodes
from accounts.models.sign_in_count import SignInCount
from accounts.models.tenancy import Membership, Role, Tenant
from accounts.models.token_family import TokenFamily
from accounts.models.user import User
from accounts.models.viewer_token import ViewerToken

__all__ = [
    "Ability",
    "AccessGrant",
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
    "ViewerToken",
]
