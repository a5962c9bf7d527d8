"""Tables of identity: users, tenants, who belongs to which, the keys of services, and how people sign in."""

from accounts.models.ability import Ability
from accounts.models.api_key import ApiKey
from accounts.models.second_factor import Authenticator, RecoveryCodes
from accounts.models.sign_in_count import SignInCount
from accounts.models.tenancy import Membership, Role, Tenant
from accounts.models.token_family import TokenFamily
from accounts.models.user import User

__all__ = ["Ability", "ApiKey", "Authenticator", "Membership", "RecoveryCodes", "Role", "SignInCount", "Tenant", "TokenFamily", "User"]
