"""Tables of identity: users, tenants, who belongs to which, the keys of services, grants, and viewer tokens."""

from accounts.models.ability import Ability
from accounts.models.api_key import ApiKey
from accounts.models.grant import AccessGrant
from accounts.models.tenancy import Membership, Role, Tenant
from accounts.models.user import User
from accounts.models.viewer_token import ViewerToken

__all__ = ["Ability", "AccessGrant", "ApiKey", "Membership", "Role", "Tenant", "User", "ViewerToken"]
