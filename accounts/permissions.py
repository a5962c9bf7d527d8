"""What a principal may do, as Django REST framework permissions. A view without a rule is closed to strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from rest_framework.permissions import BasePermission

from accounts.principals import Principal
from accounts.problems import NotAllowed, NotAuthenticated

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView


def principal_of(request: Request) -> Principal:
    """Who calls. Raises NotAuthenticated for nobody."""
    principal: Any = request.user
    if not isinstance(principal, Principal):
        raise NotAuthenticated
    return principal


def refuse(principal: Principal, detail: str) -> NoReturn:
    """Raises NotAllowed; of a principal whose grant is over, says that."""
    raise NotAllowed("Your access grant has ended. An Admin of the tenant can prolong it." if principal.restriction.has_ended else detail)


class IsPrincipal(BasePermission):
    """Any principal at all."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        return self.allows(principal_of(request), request)

    def allows(self, principal: Principal, request: Request) -> bool:
        return True


class MayWrite(IsPrincipal):
    """Scope `logs:write`: keys that have it, Admins, and Users (about themselves)."""

    def allows(self, principal: Principal, request: Request) -> bool:
        if not principal.may_write:
            refuse(principal, "Posting entries needs the scope logs:write.")
        return True


class MayRead(IsPrincipal):
    """Scope `logs:read`: keys that have it, viewer tokens, Admins, Auditors, and Users (about themselves)."""

    def allows(self, principal: Principal, request: Request) -> bool:
        if not principal.may_read:
            refuse(principal, "Reading entries needs the scope logs:read.")
        return True


class MayReadWithin(MayRead):
    """As `MayRead`, and of the tenant itself: no viewer tokens, whose holders come from outside."""

    def allows(self, principal: Principal, request: Request) -> bool:
        if principal.is_viewer:
            raise NotAllowed("A viewer token reads entries and nothing else.")
        return super().allows(principal, request)


class MayWriteOrRead(IsPrincipal):
    """POST needs `logs:write`, everything else `logs:read`."""

    def allows(self, principal: Principal, request: Request) -> bool:
        rule = MayWrite() if request.method == "POST" else MayRead()
        return rule.allows(principal, request)


class MayExport(MayRead):
    """Reading, and taking what is read away as a file: roles and `logs:read` have it, grants and viewer tokens say so."""

    def allows(self, principal: Principal, request: Request) -> bool:
        super().allows(principal, request)
        if not principal.may_export:
            raise NotAllowed("Exporting entries is not among what your grant or token allows.")
        return True


class MayErase(IsPrincipal):
    """Erasing data subjects: Admins, and members and keys whose grant says so."""

    def allows(self, principal: Principal, request: Request) -> bool:
        if not principal.may_erase:
            refuse(principal, "Erasing data subjects needs the role Admin, or a grant that allows it.")
        return True


class MayManageRetention(IsPrincipal):
    """Retention and legal holds: Admins, and members and keys whose grant says so."""

    def allows(self, principal: Principal, request: Request) -> bool:
        if not principal.may_manage_retention:
            refuse(principal, "Managing retention needs the role Admin, or a grant that allows it.")
        return True


class MayDoForGood(IsPrincipal):
    """What can't be undone and may need a second Admin: whoever may manage retention or erase, for at least one of both is theirs."""

    def allows(self, principal: Principal, request: Request) -> bool:
        if not (principal.may_manage_retention or principal.may_erase):
            refuse(principal, "This needs the role Admin, or a grant to manage retention or to erase.")
        return True


class MayMint(IsPrincipal):
    """Viewer tokens: Admins, and keys with the scope `viewers:mint`."""

    def allows(self, principal: Principal, request: Request) -> bool:
        if not principal.may_mint:
            refuse(principal, "Viewer tokens need the role Admin or a key with the scope viewers:mint.")
        return True


class IsAdmin(IsPrincipal):
    """Role Admin in the tenant."""

    def allows(self, principal: Principal, request: Request) -> bool:
        if not principal.may_administer:
            refuse(principal, "This needs the role Admin.")
        return True


class AdminWrites(IsPrincipal):
    """GET needs `logs:read` for the whole log (no role User, no narrower grant, no viewer); everything else role Admin."""

    def allows(self, principal: Principal, request: Request) -> bool:
        if principal.may_administer:
            return True
        if request.method not in ("GET", "HEAD", "OPTIONS"):
            return IsAdmin().allows(principal, request)
        if not principal.may_read or not principal.restriction.leaves_all or principal.is_viewer:
            refuse(principal, "This needs the role Auditor or Admin, or a key with the scope logs:read, for the whole log.")
        return True


class AdminWritesOfWholeLog(AdminWrites):
    """As `AdminWrites`, and for Admins too only of the whole log: no narrower grant. What is shown or made looks past what a grant leaves."""

    def allows(self, principal: Principal, request: Request) -> bool:
        if not principal.restriction.leaves_all:
            refuse(principal, "This needs the whole log, and your grant shows a part of it.")
        return super().allows(principal, request)


class AdminOfWholeLog(IsAdmin):
    """Role Admin in the tenant, of the whole log: no narrower grant."""

    def allows(self, principal: Principal, request: Request) -> bool:
        if not principal.restriction.leaves_all:
            refuse(principal, "This needs the whole log, and your grant shows a part of it.")
        return super().allows(principal, request)


class MayReportOnSubjects(IsPrincipal):
    """Auditors, Admins, and keys that read and decrypt: who sees the whole log, exports, and decrypts or erases."""

    def allows(self, principal: Principal, request: Request) -> bool:
        if not principal.may_report_on_subjects:
            refuse(principal, "Reports on data subjects need the role Auditor or Admin, or a key with logs:read and logs:decrypt, for the whole log.")
        return True
