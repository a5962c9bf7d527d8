"""Tables of identity: users, tenants, who belongs to which, the keys of services, grants, viewer tokens, and how often they may ask."""

from accounts.models.ability import Ability
from accounts.models.api_key import ApiKey
from accounts.models.grant import AccessGrant
from accounts.models.rate_limit import EndpointClass, RateLimit, SubjectKind
from accounts.models.tenancy import Membership, Role, Tenant
from accounts.models.user import User
from accounts.models.viewer_token import ViewerToken

__all__ = ["Ability", "AccessGrant", "ApiKey", "EndpointClass", "Membership", "RateLimit", "Role", "SubjectKind", "Tenant", "User", "ViewerToken"]
