"""Roles include what lesser ones may, and a refusal says who, what and what to do."""

import pytest

from dermaflux.domain.errors import NotAllowed
from dermaflux.domain.roles import Role, Visitor


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        (Role.VIEWER, {Role.VIEWER}),
        (Role.REVIEWER, {Role.VIEWER, Role.REVIEWER}),
        (Role.CURATOR, {Role.VIEWER, Role.REVIEWER, Role.CURATOR}),
        (Role.ADMIN, set(Role)),
    ],
)
def test_a_role_includes_the_lesser_ones(role, allowed):
    assert {other for other in Role if role.includes(other)} == allowed


def test_require_returns_the_visitor_or_says_why_not():
    ana = Visitor(name="ana", role=Role.REVIEWER)
    assert ana.require(Role.REVIEWER, "judge images") is ana
    with pytest.raises(NotAllowed, match=r"ana may not export a dataset: .*curator.*reviewer.*administrator"):
        ana.require(Role.CURATOR, "export a dataset")


def test_private_things_are_seen_by_their_owner_and_by_an_admin():
    assert Visitor(name="ana", role=Role.VIEWER).may_see("ana")
    assert not Visitor(name="ana", role=Role.CURATOR).may_see("ben")
    assert Visitor(name="root", role=Role.ADMIN).may_see("ben")
