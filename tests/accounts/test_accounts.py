"""Accounts and keys on a real database of either kind: what is stored, who gets in, who never does."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from dermaflux.accounts.passwords import FREE_ATTEMPTS, MAX_PAUSE_SECONDS, PasswordCheck, Pauses
from dermaflux.accounts.records import KeyKind
from dermaflux.domain.errors import DataNotFound, InvalidRequest, NotAllowed, TooManyAttempts
from dermaflux.domain.roles import Role

PASSWORD = "correct horse battery"
HOUR = timedelta(hours=1)


def test_a_password_is_kept_as_an_argon2id_hash_only(accounts, engine):
    accounts.add("Ann", Role.REVIEWER, PASSWORD)
    with engine.connect() as connection:
        row = connection.execute(text("SELECT * FROM accounts")).mappings().one()
    assert row["password_hash"].startswith("$argon2id$")
    assert PASSWORD not in str(dict(row))
    assert accounts.check_password("ann ", PASSWORD).name == "Ann"  # however it is typed


@pytest.mark.parametrize("name", ["", "  ", "a b", "anonymous", "x" * 65, "<b>", "ann\n"])
def test_a_name_that_cannot_be_is_refused(accounts, name):
    if name == "ann\n":
        assert accounts.add(name, Role.VIEWER, PASSWORD).name == "ann"
        return
    with pytest.raises(InvalidRequest, match="cannot be a user's name"):
        accounts.add(name, Role.VIEWER, PASSWORD)


@pytest.mark.parametrize(
    ("password", "words"), [("short", "5 characters"), ("x" * 257, "257"), ("longenough1", "name")]
)
def test_a_weak_password_is_refused_and_nothing_is_stored(accounts, password, words):
    with pytest.raises(InvalidRequest, match=words):
        accounts.add("LongEnough1", Role.VIEWER, password)
    assert accounts.accounts() == ()


def test_a_name_is_taken_once_in_whatever_letters(accounts):
    accounts.add("Ann", Role.VIEWER, PASSWORD)
    with pytest.raises(InvalidRequest, match="already"):
        accounts.add("ANN", Role.ADMIN, PASSWORD)


def test_wrong_unknown_and_passwordless_are_told_alike(accounts):
    accounts.add("ann", Role.VIEWER, PASSWORD)
    accounts.add("bob", Role.VIEWER)
    said = set()
    for name in ("ann", "bob", "nobody"):
        with pytest.raises(NotAllowed) as caught:
            accounts.check_password(name, "wrong password")
        said.add(str(caught.value))
    assert len(said) == 1


def test_an_unknown_name_is_hashed_against_as_a_known_one_is():
    check, verified = PasswordCheck(), []
    stored = check.hash(PASSWORD)

    class Counting:
        def verify(self, hashed, password):
            verified.append(hashed)
            return original.verify(hashed, password)

        def hash(self, password):
            return original.hash(password)

    original, check._hasher = check._hasher, Counting()
    assert check.matches(PASSWORD, stored)
    assert not check.matches("nobody has this password", None)
    assert len(verified) == 2 and verified[1].split("$")[:4] == stored.split("$")[:4]  # the same parameters


def test_guessing_has_to_wait_longer_and_longer_but_not_for_ever():
    now = [0.0]
    pauses = Pauses(clock=lambda: now[0])
    for _ in range(FREE_ATTEMPTS):
        pauses.begin("ann")
    waits = []
    for _ in range(12):
        with pytest.raises(TooManyAttempts) as caught:
            pauses.begin("ann")
        waits.append(caught.value.wait_seconds)
        pauses.begin("bob" + str(len(waits)))  # others do not wait
        now[0] += caught.value.wait_seconds
        pauses.begin("ann")
    assert waits[:4] == [1, 2, 4, 8] and waits[-1] == MAX_PAUSE_SECONDS
    pauses.succeeded("ann")
    pauses.begin("ann")


def test_many_guesses_at_once_gain_no_attempts(accounts):
    accounts.add("ann", Role.VIEWER, PASSWORD)
    refused = []

    def guess():
        try:
            accounts.check_password("ann", "wrong password")
        except NotAllowed as error:
            refused.append(type(error))

    threads = [threading.Thread(target=guess) for _ in range(12)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert refused.count(TooManyAttempts) >= 12 - FREE_ATTEMPTS - 1  # a second may pass meanwhile


def test_one_administrator_always_stays(accounts):
    accounts.add("ann", Role.ADMIN, PASSWORD)
    for change in (
        lambda: accounts.set_role("ann", Role.CURATOR),
        lambda: accounts.set_disabled("ann", True),
        lambda: accounts.remove("ann"),
    ):
        with pytest.raises(InvalidRequest, match="only administrator"):
            change()
    accounts.add("bob", Role.ADMIN, PASSWORD)
    assert accounts.set_role("ann", Role.VIEWER).role is Role.VIEWER


def test_a_key_stands_for_its_account_until_it_ends(accounts, keys, engine):
    accounts.add("Ann", Role.REVIEWER, PASSWORD)
    secret, key = keys.issue("ann", KeyKind.PROGRAM, "a script", HOUR)
    assert keys.name_of(secret) == "Ann"
    assert secret not in str(keys.of("ann")) and keys.of("ann")[0].last_used_at is not None
    with engine.connect() as connection:
        assert secret not in str(connection.execute(text("SELECT * FROM access_keys")).all())
    with pytest.raises(DataNotFound):
        keys.end("bob", key.key_id)  # not theirs
    keys.end("ann", key.key_id)
    assert keys.name_of(secret) is None


def test_a_key_that_has_run_out_stands_for_nobody(accounts, keys, engine):
    accounts.add("ann", Role.REVIEWER, PASSWORD)
    secret, _ = keys.issue("ann", KeyKind.SESSION, "browser", HOUR)
    with engine.begin() as connection:
        connection.execute(text("UPDATE access_keys SET expires_at = '2001-01-01 00:00:00+00:00'"))
    assert keys.name_of(secret) is None


@pytest.mark.parametrize("change", ["password", "disable", "remove"])
def test_a_new_password_and_shutting_out_end_every_key_at_once(accounts, keys, change):
    accounts.add("ann", Role.REVIEWER, PASSWORD)
    secrets = [keys.issue("ann", kind, "", HOUR)[0] for kind in KeyKind]
    assert [keys.name_of(secret) for secret in secrets] == ["ann", "ann"]
    if change == "password":
        accounts.set_password("ann", PASSWORD + "!")
    elif change == "disable":
        accounts.set_disabled("ann", True)
        with pytest.raises(NotAllowed, match="disabled"):
            accounts.check_password("ann", PASSWORD)
    else:
        assert accounts.remove("ann")
    assert [keys.name_of(secret) for secret in secrets] == [None, None]


@pytest.mark.parametrize("lasts", [timedelta(0), timedelta(days=-1), timedelta(days=10_000)])
def test_a_key_lasts_for_days_that_can_be(accounts, keys, lasts):
    accounts.add("ann", Role.REVIEWER, PASSWORD)
    with pytest.raises(InvalidRequest, match="lasts"):
        keys.issue("ann", KeyKind.PROGRAM, "", lasts)
