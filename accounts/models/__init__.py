"""Tables of identity: users, tenants, who belongs to which, and the keys of services."""

from accounts.models.ability import Ability
from accounts.models.api_key import ApiKey
from accounts.models.tenancy import Membership, Role, Tenant
from accounts.models.user import User

__all__ = ["Ability", "ApiKey", "Membership", "Role", "Tenant", "User"]
