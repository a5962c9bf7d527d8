"""Tables of identity: users, tenants, who belongs to which, and the keys of services."""

from accounts.models.api_key import ApiKey
from accounts.models.tenancy import Membership, Role, Tenant
from accounts.models.user import User

__all__ = ["ApiKey", "Membership", "Role", "Tenant", "User"]
