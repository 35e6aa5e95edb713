"""Suppressions are remembered as keyed hashes: for good, for every id, and only with the key."""

import hashlib
import hmac
import logging
from datetime import date, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
import toy
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import tries

from expectations import evidence as evidence_of
from expectations import permission, recount
from expectations.remembered import remembered
from recsys.config import Shop
from recsys.errors import StateDamaged, SuppressionKeyUnfit
from recsys.ingest import stage
from recsys.night import Night
from recsys.suppression import memory
from recsys.suppression.key import KEY_ENV, Key
from tests import gate_night

SECRET = "5e" * 32
NEXT = toy.RUN_DATE + timedelta(days=1)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> Key:
    monkeypatch.setenv(KEY_ENV, SECRET)
    return Key(bytes.fromhex(SECRET))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return toy.write_shop(tmp_path)


def suppression(channel: str = "email", reason: str = "unsubscribe", **who: str) -> dict[str, object]:
    return {"channel": channel, "reason": reason, "occurred_at": toy._at("2026-02-01T00:00:00")} | who


def night_with(shop: Shop, run_date: date, customers: list[dict[str, object]], *rows: dict[str, object]) -> Night:
    """The raw tables of a night, and what the memory knows of its customers."""
    night = Night(shop, run_date)
    toy.write_raw(night, customers=customers, suppressions=list(rows))
    return night


def found(night: Night) -> list[tuple[str, str, str]]:
    frame = pl.read_parquet(night.raw / "remembered_suppressions.parquet")
    return frame.select("customer_id", "channel", "reason").rows()


@given(secret=st.binary(min_size=32, max_size=200), text=st.text())
@settings(max_examples=tries(40), deadline=None)
def test_duckdb_hashes_like_pythons_hmac(secret: bytes, text: str) -> None:
    text = text.encode(errors="ignore").decode()
    expected = hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
    assert Key(secret).hash(text) == expected
    with duckdb.connect() as con:
        Key(secret).define(con)
        assert con.execute("SELECT keyed($text)", {"text": text}).fetchone() == (expected,)


@pytest.mark.parametrize("text", ["5e" * 31, "not hexadecimal" * 10, "5" * 65, "short"])
def test_a_key_that_is_none_is_refused_without_being_shown(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_ENV, text)
    with pytest.raises(SuppressionKeyUnfit, match="at least 64 hexadecimal digits") as refused:
        Key.from_environment()
    assert text not in str(refused.value)
    assert SECRET not in repr(Key(bytes.fromhex(SECRET)))


def test_a_suppression_that_vanished_from_the_export_still_holds(shop: Shop) -> None:
    people = [toy._customer("ann"), toy._customer("ben", phone="+4915112345678")]
    memory.remember(
        night_with(
            shop,
            toy.RUN_DATE,
            people,
            suppression(email=" ANN@example.com", reason="hard_bounce"),
            suppression("sms", phone="0049 151 / 1234-5678"),
            suppression("post", customer_id="ann"),
        )
    )
    assert found(night_with(shop, NEXT, people)) == [
        ("ann", "email", "hard_bounce"),
        ("ann", "post", "unsubscribe"),
        ("ben", "sms", "unsubscribe"),
    ]


def test_whoever_registers_anew_under_another_spelling_is_recognised(shop: Shop, key: Key) -> None:
    """Also by an old row of the memory, which has the hash of the address as it was spelt then."""
    memory.remember(night_with(shop, toy.RUN_DATE, [], suppression(email="J.O.E+x@gmail.com")))
    old = (
        "SELECT 'email' AS kind, $hash AS hash, 'sms' AS channel, 'complaint' AS reason, "
        "TIMESTAMP '2026-02-01' AS occurred_at, DATE '2026-02-02' AS since"
    )
    memory.add(shop.root / "published", key, old, {"hash": key.hash("jo.e@gmail.com")})
    people = [toy._customer(who, email=f"{who}@gmail.com") for who in ("joe", "jo.e", "jo")]
    night = night_with(shop, NEXT, [*people, toy._customer("elsewhere", email="joe@example.com")])
    assert found(night) == [
        ("jo.e", "email", "unsubscribe"),
        ("jo.e", "sms", "complaint"),
        ("joe", "email", "unsubscribe"),
    ]
    recounted = remembered(night).select("customer_id", "channel", "reason").unique()
    assert sorted(recounted.rows()) == found(night)


def test_whoever_registers_anew_is_recognised_by_the_address_on_the_channel_it_leads_to(shop: Shop) -> None:
    """Ann is suppressed by id; the e-mail address and the phone number that she had stay suppressed where they lead."""
    ann = toy._customer("ann", phone="+4915112345678")
    memory.remember(night_with(shop, toy.RUN_DATE, [ann], suppression("all", "complaint", customer_id="ann")))
    anew = toy._customer("new", email="Ann@Example.com")
    called = toy._customer("called", email=None, phone="+49 151 12345678")
    assert found(night_with(shop, NEXT, [anew, called, toy._customer("ben")])) == [
        ("called", "ads", "complaint"),
        ("called", "sms", "complaint"),
        ("new", "ads", "complaint"),
        ("new", "email", "complaint"),
    ]


def test_a_suppression_on_ads_stays_with_either_address_of_whom_it_names(shop: Shop) -> None:
    ann = toy._customer("ann", phone="+4915112345678")
    memory.remember(night_with(shop, toy.RUN_DATE, [ann], suppression("ads", "complaint", customer_id="ann")))
    anew = toy._customer("new", email="Ann@Example.com")
    called = toy._customer("called", email=None, phone="+49 151 12345678")
    assert found(night_with(shop, NEXT, [anew, called, toy._customer("ben")])) == [
        ("called", "ads", "complaint"),
        ("new", "ads", "complaint"),
    ]


def test_whoever_unsubscribed_from_a_message_and_registers_anew_is_recognised(shop: Shop) -> None:
    night = Night(shop, toy.RUN_DATE)
    sent = {"message_id": "m1", "customer_id": "ann", "channel": "email", "sent_at": toy._at("2026-03-01T00:00:00")}
    left = {"message_id": "m1", "event_type": "unsubscribe", "occurred_at": toy._at("2026-03-02T00:00:00")}
    opened = left | {"event_type": "open"}
    toy.write_raw(night, customers=[toy._customer("ann")], contacts=[sent], engagements=[left, opened], suppressions=[])
    memory.remember(night)
    anew = toy._customer("new", email="ann@example.com")
    assert found(night_with(shop, NEXT, [anew, toy._customer("ben")])) == [("new", "email", "unsubscribe")]


def test_the_memory_only_grows_and_keeps_the_earliest_moment(shop: Shop) -> None:
    ann = toy._customer("ann")
    early, late = suppression(email="ann@example.com"), suppression(email="ann@example.com")
    early["occurred_at"] = toy._at("2025-01-01T00:00:00")
    path = shop.root / "published" / memory.MEMORY
    first = night_with(shop, toy.RUN_DATE, [ann], late)
    assert memory.remember(first) == {"remembered": 1}
    content = path.read_bytes()
    assert memory.remember(first) == {"remembered": 1}
    assert path.read_bytes() == content
    assert memory.remember(night_with(shop, NEXT, [ann], early)) == {"remembered": 1}
    assert pl.read_parquet(path)["occurred_at"].to_list() == [toy._at("2025-01-01T00:00:00")]
    assert memory.remember(night_with(shop, NEXT, [ann])) == {"remembered": 1}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_night_finds_what_counted_then_however_often_it_runs(shop: Shop) -> None:
    """What a night adds counts from the next one on, so that the night itself comes to the same when it runs again."""
    ann = toy._customer("ann")
    night = night_with(shop, toy.RUN_DATE, [ann], suppression(email="ann@example.com"))
    before = (night.raw / "remembered_suppressions.parquet").read_bytes()
    memory.remember(night)
    memory.match(night, memory.key_of(night.published))
    assert (night.raw / "remembered_suppressions.parquet").read_bytes() == before
    assert found(night) == []
    assert len(found(night_with(shop, NEXT, [ann]))) == 1


def test_no_address_and_no_key_is_in_the_memory(shop: Shop) -> None:
    night = night_with(shop, toy.RUN_DATE, [toy._customer("ann")], suppression("all", customer_id="ann"))
    memory.remember(night)
    content = (shop.root / "published" / memory.MEMORY).read_bytes().lower()
    for secret in (b"ann@", SECRET.encode(), bytes.fromhex(SECRET)):
        assert secret not in content
    plain = hashlib.sha256(b"ann@example.com").hexdigest()
    assert plain not in pl.read_parquet(shop.root / "published" / memory.MEMORY)["hash"].to_list()


def test_without_a_key_nights_run_and_say_that_nothing_is_remembered(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv(KEY_ENV)
    night = Night(shop, toy.RUN_DATE)
    with caplog.at_level(logging.WARNING, "recsys"):
        assert stage.run(night)["remembered_suppressions"] == 0
    assert [KEY_ENV in message for message in caplog.messages] == [True]
    assert memory.remember(night) == {"remembered": f"nothing, {KEY_ENV} is not set"}
    assert not (night.published / memory.MEMORY).exists()


def test_a_night_stops_when_the_key_is_missing_or_another_one(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    night = Night(shop, toy.RUN_DATE)
    stage.run(night)
    memory.remember(night)
    content = (night.published / memory.MEMORY).read_bytes()
    monkeypatch.delenv(KEY_ENV)
    for work in (stage.run, memory.remember):
        with pytest.raises(SuppressionKeyUnfit, match="cannot be looked up without the key"):
            work(night)
    monkeypatch.setenv(KEY_ENV, "77" * 32)
    for work in (stage.run, memory.remember):
        with pytest.raises(SuppressionKeyUnfit, match="written with another key") as refused:
            work(night)
    assert "77" * 32 not in str(refused.value)
    assert (night.published / memory.MEMORY).read_bytes() == content


def test_a_damaged_memory_stops_the_night(shop: Shop) -> None:
    night = Night(shop, toy.RUN_DATE)
    stage.run(night)
    memory.remember(night)
    (night.published / memory.MEMORY).write_bytes(b"PAR1 not really")
    with pytest.raises(StateDamaged, match="Restore it from a backup"):
        stage.run(night)


def test_the_gate_is_red_when_a_remembered_suppression_was_overlooked(tmp_path: Path, key: Key) -> None:
    """Ann is in the finished files, as if dbt had read an empty table; only the memory knows better."""
    night = gate_night.write_night(tmp_path)
    rows = "SELECT 'email', $hash, 'email', 'complaint', TIMESTAMP '2026-01-01', DATE '2026-03-01'"
    checks = []
    for who in ("nobody@example.com", "ann@example.com"):
        memory.add(night.published, key, rows, {"hash": key.hash(who)})
        evidence, _ = evidence_of.gather(night)
        assert evidence is not None
        found = recount.check(evidence, permission.gather(night), night.shop.channels[0])
        checks.append({check.check: check.passed for check in found}["not_suppressed"])
    assert checks == [True, False]


ADDRESSES = st.sampled_from(["a@x.de", " A@X.de", "b@x.de", "B@x.de\t", "", None])
PHONES = st.sampled_from(["+49151", "0049 151", "+49 (152)", "+49-152", "+49 (0)151", "(0049)(0) 152", "(0)151", None])
IDS = st.sampled_from(["ann", "ben", "cat", "dan"])


@given(data=st.data())
@settings(max_examples=tries(12), deadline=None)
def test_the_gate_finds_the_same_on_its_own(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Python's hmac and polars against DuckDB, on people who share, change and write addresses differently."""
    shop = toy.write_shop(tmp_path_factory.mktemp("shop"))

    def people() -> list[dict[str, object]]:
        ids = data.draw(st.lists(IDS, unique=True, max_size=4))
        return [toy._customer(who, email=data.draw(ADDRESSES), phone=data.draw(PHONES)) for who in ids]

    statement = st.fixed_dictionaries({"customer_id": st.none() | IDS, "email": ADDRESSES, "phone": PHONES})
    rows = [
        suppression(data.draw(st.sampled_from(["all", "email", "sms"])), **row)
        for row in data.draw(st.lists(statement, max_size=4))
    ]
    memory.remember(night_with(shop, toy.RUN_DATE, people(), *rows))
    night = night_with(shop, NEXT, people())
    ours = pl.read_parquet(night.raw / "remembered_suppressions.parquet")
    theirs = remembered(night).group_by("customer_id", "channel", "reason").agg(pl.col("occurred_at").min())
    assert ours.rows() == theirs.sort("customer_id", "channel", "reason").rows()
