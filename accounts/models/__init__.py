"""Tables of identity: users, tenants, who belongs to which, the keys of services, and how often they may ask."""

from accounts.models.ability import Ability
from accounts.models.api_key import ApiKey
from accounts.models.rate_limit import EndpointClass, RateLimit, SubjectKind
from accounts.models.tenancy import Membership, Role, Tenant
from accounts.models.user import User

__all__ = ["Ability", "ApiKey", "EndpointClass", "Membership", "RateLimit", "Role", "SubjectKind", "Tenant", "User"]
