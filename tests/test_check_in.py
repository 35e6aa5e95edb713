"""Check-ins: the file as a tool gets it, and a gate that finds whoever must not be asked, or not about that."""

from datetime import date, datetime
from pathlib import Path

import polars as pl
import pytest
from channel_contract import ChannelContract, write_decisions

from expectations import check_in, permission, preferences
from expectations import evidence as evidence_of
from expectations.columns import check_in_file
from expectations.evidence import file_of
from recsys import ledger
from recsys.channels.base import Channel
from recsys.channels.check_in import CheckInFile
from recsys.channels.crm_file import CrmFile
from recsys.channels.email_file import EmailFile
from recsys.errors import CannotRender
from recsys.night import Night
from recsys.tables import write_parquet
from tests import gate_night, toy
from tests.gate_night import Change

GOLDEN = Path(__file__).parent / "golden"
RUN_DATE = toy.RUN_DATE


def person(customer_id: str, **fields: object) -> dict[str, object]:
    return {
        "channel": "email_file",
        "customer_id": customer_id,
        "email": f"{customer_id}@example.com",
        "first_name": customer_id.title(),
        "language": "en",
        "country": "DE",
        "send_not_before": datetime(2026, 4, 1, 6),
        "send_not_after": datetime(2026, 4, 1, 19),
    } | fields


def question(customer_id: str, rank: int, topic: str, why: str = "aged", **fields: object) -> dict[str, object]:
    return {
        "channel": "email_file",
        "customer_id": customer_id,
        "rank": rank,
        "topic": topic,
        "why": why,
        "reason": f"Is {topic} still so?",
    } | fields


class TestCheckInFile(ChannelContract):
    free_text = ("first_name", "topic_1", "reason_1")

    def channel(self) -> Channel:
        return CheckInFile("email_file", EmailFile("email_file", slots=1).recipient_columns, topics=2)

    def put(self, folder: Path, texts: dict[str, str | None]) -> Path:
        return write_decisions(
            folder,
            sync_check_in__recipients=[person(who, first_name=text) for who, text in texts.items()],
            sync_check_in__topics=[question(who, 1, "x") | {"topic": t, "reason": t} for who, t in texts.items()],
        )


def toy_check_ins(folder: Path) -> Path:
    """Ann is asked about three topics; Ben about one, and we do not know his name; Cat by another channel."""
    return write_decisions(
        folder,
        sync_check_in__recipients=[
            person("ben", first_name=None),
            person("ann"),
            person("cat", channel="crm_file", email=None, first_name=None),
        ],
        sync_check_in__topics=[
            question("ann", 2, "home > bath", "finished", reason="It looks as if you are done with bath. Are you?"),
            question("ann", 1, "garden", reason="You told us in May 2025 that you are interested in garden. Is it so?"),
            question("ann", 3, "toys", "narrow", reason="Most of what we showed you was toys. Other things, too?"),
            question("ben", 1, "=tea", reason="You told us in June 2025 that you are interested in =tea. Is it so?"),
            question("cat", 1, "garden", channel="crm_file", reason="You told us so in May 2025. Is it still so?"),
        ],
    )


@pytest.mark.parametrize("kind", [EmailFile, CrmFile])
def test_the_file_is_the_golden_one(tmp_path: Path, kind: type[EmailFile] | type[CrmFile]) -> None:
    channel = CheckInFile(kind.kind, kind(kind.kind, slots=1).recipient_columns, topics=3)
    channel.render(toy_check_ins(tmp_path / "decisions"), tmp_path, RUN_DATE)
    name = f"check_in_{kind.kind}_20260331.csv"
    assert (tmp_path / name).read_text(encoding="utf-8") == (GOLDEN / name).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("topics", "fault"),
    [
        ([question("ann", 1, "tea"), question("ann", 3, "toys")], "1 topics have a rank outside 1 to 2"),
        ([question("ann", 1, "tea"), question("bob", 1, "toys")], "1 belong to nobody"),
        ([question("ann", 2, "tea")], "1 people are asked about nothing"),
        ([question("ann", 1, "tea"), question("ann", 1, "toys")], "1 rows repeat"),
    ],
)
def test_topics_that_fit_nobody_stop_the_file(tmp_path: Path, topics: list[dict[str, object]], fault: str) -> None:
    folder = write_decisions(tmp_path, sync_check_in__recipients=[person("ann")], sync_check_in__topics=topics)
    with pytest.raises(CannotRender, match=fault):
        CheckInFile("email_file", ("email",), topics=2).render(folder, tmp_path / "files", RUN_DATE)


OLD, FRESH = datetime(2025, 11, 1), datetime(2026, 3, 1)


def said(customer_id: str, topic: str, choice: str = "interested", at: datetime = OLD) -> dict[str, object]:
    return {"customer_id": customer_id, "topic": topic, "choice": choice, "occurred_at": at}


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Ann is asked about tea and tools, Ben (by the CRM) about tools, of which he was sent too much."""
    night = gate_night.write_night(tmp_path)
    raw(night)
    ask(night, [("ann", 1, "tea", "aged"), ("ann", 2, "tools", "finished")], [("ben", 1, "tools", "narrow")])
    return night


def raw(night: Night, **rows: list[dict[str, object]]) -> None:
    """The toy shop's raw tables, with preferences and what Ben was sent; tables given here replace them."""
    toy.write_raw(
        night, **{"preferences": [said("ann", " Tea"), *(said(who, "tea") for who in ("cat", "dan", "eve"))]} | rows
    )
    sent = pl.DataFrame(
        [(date(2026, 3, day), "crm_file", "ben", 1, "hammer") for day in range(1, 20)],
        schema=dict.fromkeys(ledger.ITEMS.schema, pl.String) | {"run_date": pl.Date, "rank": pl.Int32},
        orient="row",
    )
    write_parquet(sent, night.raw / "ledger" / "items" / "past.parquet")


def ask(night: Night, *asked: list[tuple[str, int, str, str]]) -> None:
    """The check-ins of the shop's two channels, as decided and as files."""
    channels = night.shop.channels
    columns = ["customer_id", "rank", "topic", "why"]
    decided = pl.concat(
        pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String) | {"rank": pl.Int32}, orient="row").with_columns(
            run_date=pl.lit(night.run_date),
            channel=pl.lit(channel.name),
            contact_channel=pl.lit("email"),
            reason=pl.lit("Is ") + pl.col("topic") + pl.lit(" so?"),
        )
        for channel, rows in zip(channels, asked, strict=True)
    )
    write_parquet(decided, night.decisions / "fct_check_ins.parquet")
    for channel in channels:
        rows = decided.filter(pl.col("channel") == channel.name)
        people = toy.frame("customers").filter(pl.col("customer_id").is_in(rows["customer_id"].implode()))
        cells = people.with_columns(**gate_night.WINDOW, run_date=pl.lit(night.run_date)).sort("customer_id")
        for slot in range(1, night.shop.check_in.topics + 1):
            parts = {part: f"{part}_{slot}" for part in ("topic", "why", "reason")}
            of_slot = rows.filter(pl.col("rank") == slot).select("customer_id", *parts).rename(parts)
            cells = cells.join(of_slot, on="customer_id", how="left", maintain_order="left")
        wanted = check_in_file(channel, night.shop.check_in.topics)
        gate_night.write_cells(cells.select(wanted).cast(pl.String), file_of(night, f"check_in_{channel.name}"))


def change(night: Night, to: Change, channel: str = "email_file") -> None:
    gate_night.change_file(night, f"check_in_{channel}", to)


def failed(night: Night) -> set[str]:
    evidence, read = evidence_of.gather(night)
    assert evidence is not None, read
    permissions = permission.gather(night)
    checks = check_in.check(evidence, permissions, preferences.gather(night, permissions))
    assert {check.severity for check in checks} == {"critical"}
    told = " ".join(check.detail for check in checks)
    assert not any(f" {name}" in told for name in toy.frame("customers")["customer_id"])
    return {check.check for check in checks if not check.passed}


def test_right_check_ins_pass(night: Night) -> None:
    assert failed(night) == set()


@pytest.mark.parametrize("address", ["ann@example.com", "ANN@example.com", None])
def test_nobody_is_asked_twice_within_the_days(night: Night, address: str | None) -> None:
    who = "ann" if address is None else "another"
    entry = ("check_in", "check_in_crm_file", "email", who, address)
    for day, is_too_soon in ((date(2026, 1, 1), True), (date(2025, 12, 31), False)):
        entries = pl.DataFrame([(day, *entry)], schema=ledger.RECIPIENTS.schema, orient="row")
        write_parquet(entries, night.raw / "ledger" / "recipients" / "past.parquet")
        assert failed(night) == ({"not_asked_within_90_days"} if is_too_soon else set())


def test_a_topic_that_looks_like_a_formula_is_the_one_decided_all_the_same(night: Night) -> None:
    products = [row | ({"tags": ["-50%"]} if row["product_id"] == "saw" else {}) for row in toy.ROWS["products"]]
    raw(night, products=products, preferences=[said("ann", "-50%")])
    ask(night, [("ann", 1, "-50%", "aged")], [])
    change(night, lambda rows: rows.with_columns(topic_1=pl.lit("'-50%")))
    assert failed(night) == set()


def test_a_recommendation_sent_is_no_question_asked(night: Night) -> None:
    gate_night.write_past(night, ("2026-03-30", "email_file", "ann", "ann@example.com"))
    assert failed(night) == set()


def test_one_person_is_asked_over_one_channel(night: Night) -> None:
    ask(night, [("ann", 1, "tea", "aged")], [("ann", 1, "tea", "aged")])
    assert failed(night) == {"asked_over_one_channel"}


@pytest.mark.parametrize(
    ("who", "rule"),
    [("cat", "newest_statement_is_granted"), ("dan", "not_suppressed"), ("eve", "consent_not_expired")],
)
def test_whoever_may_not_be_written_to_may_not_be_asked(night: Night, who: str, rule: str) -> None:
    ask(night, [(who, 1, "tea", "aged")], [])
    assert failed(night) == {rule, "asked_are_let_through_by_every_rule"}


@pytest.mark.parametrize("status", ["control", "capped", "paused", "duplicate_address"])
def test_whoever_another_rule_holds_back_is_not_asked(night: Night, status: str) -> None:
    is_ann = pl.col("customer_id") == "ann"
    gate_night.change_parquet(
        night.decisions / "fct_decisions.parquet",
        lambda rows: rows.with_columns(status=pl.when(is_ann).then(pl.lit(status)).otherwise("status")),
    )
    assert failed(night) == {"asked_are_let_through_by_every_rule"}


def test_behaviour_asks_only_where_it_may_be_used(night: Night) -> None:
    consents = [
        row for row in toy.ROWS["consents"] if (row["customer_id"], row["purpose"]) != ("ann", "personalisation")
    ]
    raw(night, consents=consents)
    ask(night, [("ann", 1, "tea", "aged")], [])
    assert failed(night) == set()
    ask(night, [("ann", 1, "tools", "finished")], [])
    assert failed(night) == {"behaviour_asks_only_where_allowed"}


@pytest.mark.parametrize("topic", ["health", "worry"])
def test_a_topic_with_a_sensitive_product_is_found(night: Night, topic: str) -> None:
    products = [row | ({"tags": ["Worry "]} if row["product_id"] == "test" else {}) for row in toy.ROWS["products"]]
    raw(night, products=products)
    ask(night, [("ann", 1, topic, "finished")], [])
    assert failed(night) == {"no_sensitive_topic"}


@pytest.mark.parametrize("choice", ["not_interested", "less_like_this"])
def test_a_topic_they_do_not_want_is_found(night: Night, choice: str) -> None:
    raw(night, preferences=[said("ann", "tea"), said("ann", "TOOLS", choice, FRESH)])
    assert failed(night) == {"no_topic_they_do_not_want"}


def test_an_interest_that_was_not_stated_or_is_fresh_or_forgotten_is_found(night: Night) -> None:
    raw(night, preferences=[said("ann", "garden")])
    assert failed(night) == {"aged_was_said_and_is_old"}
    raw(night, preferences=[said("ann", "tea"), said("ann", "tea", at=FRESH)])
    assert failed(night) == {"aged_was_said_and_is_old"}
    raw(night, preferences=[said("ann", "tea", at=datetime(2024, 12, 1))])
    assert failed(night) == {"aged_was_said_and_is_old"}


def test_a_category_that_was_not_sent_too_much_is_found(night: Night) -> None:
    ask(night, [("ann", 1, "tools", "narrow")], [])
    assert failed(night) == {"narrow_was_sent_too_much"}


@pytest.mark.parametrize(("nights", "found"), [(14, {"narrow_was_sent_too_much"}), (15, set())])
def test_what_many_channels_carried_on_one_night_was_sent_once(night: Night, nights: int, found: set[str]) -> None:
    path = night.raw / "ledger" / "items" / "past.parquet"
    sent = pl.read_parquet(path).filter(pl.col("run_date") <= date(2026, 3, nights))
    write_parquet(pl.concat([sent, *(sent.with_columns(channel=pl.lit(f"tool_{n}")) for n in range(5))]), path)
    assert failed(night) == found


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("why_1", "because", "reasons_are_known"),
        ("reason_2", "", "topics_are_whole"),
        ("topic_2", "tea", "topics_differ"),
        ("topic_1", "", "everybody_is_asked_something"),
        ("run_date", "2026-03-30", "asked_tonight"),
        ("email", "eve@example.com", "address_is_the_customers"),
    ],
)
def test_a_file_that_is_not_what_was_decided_is_found(night: Night, column: str, value: str, rule: str) -> None:
    change(night, lambda rows: rows.with_columns(pl.lit(value).alias(column)))
    assert rule in failed(night)


def test_a_column_too_many_is_found(night: Night) -> None:
    change(night, lambda rows: rows.with_columns(note=pl.lit("x")))
    assert failed(night) == {"columns_are_allowed"}
