"""The re-count of messages on the toy shop's good night, and on the same night with one thing wrong."""

from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from expectations import evidence as evidence_of
from expectations import messages, permission
from recsys import ledger
from recsys.contact_settings import Cap, QuietHours
from recsys.night import Night
from recsys.tables import write_parquet
from tests import gate_night, toy

OPENS, CLOSES = "2026-04-01T06:00:00Z", "2026-04-01T19:00:00Z"
"""8 and 21 o'clock in Germany on the day after the night."""


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Ann and Ben are in both files, from 8 to 21 o'clock; quiet hours and caps hold just so."""
    night = gate_night.write_night(tmp_path)
    settings = {
        "quiet_hours": [QuietHours.model_validate({"from": "21:00", "to": "08:00"})],
        "caps": [Cap(contact_channel="email", days=1, most=2), Cap(hours=24, most=4)],
    }
    night = Night(night.shop.model_copy(update=settings), night.run_date)
    put_window(night, OPENS, CLOSES)
    return night


def put_window(night: Night, opens: str, closes: str) -> None:
    for name in ("email_file", "crm_file"):
        window = {"send_not_before": pl.lit(opens), "send_not_after": pl.lit(closes)}
        gate_night.change_file(night, name, lambda cells, window=window: cells.with_columns(**window))


def with_shop(night: Night, **fields: object) -> Night:
    return Night(night.shop.model_copy(update=fields), night.run_date)


def failed(night: Night, channel: int = 1) -> dict[str, str]:
    evidence, checks = evidence_of.gather(night)
    assert evidence is not None, checks
    past = messages.gather(night, permission.gather(night))
    found = messages.check(evidence, past, night.shop.channels[channel])
    assert {check.check for check in found} == {
        *("inside_send_window", "nobody_over_a_cap", "no_control", "list_is_new")
    }
    return {check.check: check.detail for check in found if not check.passed}


def test_the_good_night_agrees(night: Night) -> None:
    assert failed(night, 0) == {}
    assert failed(night, 1) == {}


@pytest.mark.parametrize(
    ("opens", "closes"),
    [
        ("2026-04-01T05:59:59Z", CLOSES),
        (OPENS, "2026-04-01T19:00:01Z"),
        ("2026-04-02T06:00:00Z", "2026-04-02T19:00:00Z"),
        ("2026-03-31T06:00:00Z", "2026-03-31T19:00:00Z"),
        (OPENS, OPENS),
        (CLOSES, OPENS),
        (OPENS, "2026-04-02T07:00:00Z"),
        (OPENS, "2027-04-01T07:00:00Z"),
        ("", CLOSES),
        (OPENS, ""),
        ("2026-04-01 06:00:00", CLOSES),
    ],
)
def test_a_window_that_is_not_inside_the_day_is_found(night: Night, opens: str, closes: str) -> None:
    put_window(night, opens, closes)
    assert failed(night)["inside_send_window"] == "2 of 2 rows"


def test_a_narrower_window_is_nobodys_harm(night: Night) -> None:
    put_window(night, "2026-04-01T10:00:00Z", "2026-04-01T10:20:00Z")
    assert failed(night) == {}


def test_a_country_of_many_zones_has_the_narrowest_window(night: Night) -> None:
    people = [row | {"country": "US"} for row in toy.ROWS["customers"]]
    toy.write_raw(night, customers=people)
    assert failed(night)["inside_send_window"] == "2 of 2 rows"
    put_window(night, "2026-04-01T18:00:00Z", "2026-04-02T01:00:00Z")  # 8 in Honolulu to 21 in New York
    assert failed(night) == {}


def contact(number: int, who: str, at: datetime, **fields: object) -> dict[str, object]:
    row = {"message_id": f"m{number}", "customer_id": who, "channel": "email", "sent_at": at, "campaign": "letter"}
    return row | fields


MIDNIGHT = datetime(2026, 3, 31, 22)  # in Germany


@pytest.mark.parametrize(
    ("rows", "over"),
    [
        ([contact(1, "ann", MIDNIGHT)], 1),
        ([contact(1, "ann", MIDNIGHT - timedelta(microseconds=1))], 0),
        ([contact(1, "ann", MIDNIGHT, channel="sms")], 0),
        ([contact(1, "v-ann", MIDNIGHT)], 1),
        ([contact(1, "twin", MIDNIGHT)], 1),
        ([contact(1, "stranger", MIDNIGHT)], 0),
        ([contact(1, "ann", MIDNIGHT), contact(2, "ben", MIDNIGHT)], 2),
        ([contact(1, "ann", MIDNIGHT, campaign="ours_1")], 0),
        # three within 24 hours of 8 o'clock besides tonight's two, and one a microsecond earlier
        ([contact(n, "ann", datetime(2026, 3, 31, 6, 0, 0, 1), channel="sms") for n in range(3)], 1),
        ([contact(n, "ann", datetime(2026, 3, 31, 6), channel="sms") for n in range(3)], 0),
    ],
)
def test_messages_by_any_tool_count(night: Night, rows: list[dict[str, object]], over: int) -> None:
    toy.write_raw(
        night,
        contacts=rows,
        customers=[
            *toy.ROWS["customers"],
            toy.ROWS["customers"][0] | {"customer_id": "twin", "email": "ANN@example.com"},
        ],
        identities=[{"visitor_id": "v-ann", "customer_id": "ann", "seen_at": datetime(2026, 1, 1)}],
    )
    night = with_shop(night, caps_own_campaigns=["ours_*"])
    assert failed(night) == ({"nobody_over_a_cap": f"{over} of 2 rows"} if over else {})


def entry(back: int, who: str, **fields: object) -> dict[str, object]:
    return {
        "run_date": toy.RUN_DATE - timedelta(days=back),
        "campaign": "recommendations",
        "channel": "email_file",
        "contact_channel": "email",
        "customer_id": who,
        "address": None,
    } | fields


@pytest.mark.parametrize(
    ("rows", "over"),
    [
        ([entry(1, "ann"), entry(1, "ann", channel="crm_file"), entry(2, "ben")], 1),
        ([entry(2, "ann"), entry(2, "ann", channel="crm_file"), entry(2, "ann", channel="more")], 0),
        ([entry(1, "ann"), entry(1, "ann", campaign="check_in", channel="asked")], 0),
        ([entry(1, "gone", address="ann@example.com"), entry(1, "gone", channel="more", address="ann@example.com")], 1),
    ],
)
def test_our_own_earlier_files_count_a_day_each(night: Night, rows: list[dict[str, object]], over: int) -> None:
    """Of a planned message the hour is not known, so the day before counts into 24 hours, and the one before not."""
    night = with_shop(night, caps=[Cap(hours=24, most=3)])
    frame = pl.DataFrame(rows, schema=ledger.RECIPIENTS.schema, orient="row")
    write_parquet(frame, night.raw / "ledger" / "recipients" / "past.parquet")
    assert failed(night) == ({"nobody_over_a_cap": f"{over} of 2 rows"} if over else {})


def test_a_second_file_to_the_same_person_counts(night: Night) -> None:
    night = with_shop(night, caps=[Cap(contact_channel="email", days=1, most=1)])
    assert failed(night, 0) == {}
    assert failed(night, 1) == {"nobody_over_a_cap": "2 of 2 rows"}


def test_somebody_of_the_control_group_in_a_file_is_found(night: Night) -> None:
    night = with_shop(night, control_share=0.5)
    controls = [name for name in ("ann", "ben") if messages.is_control(name, night.shop)]
    assert failed(with_shop(night, control_share=0.999999)) == {"no_control": "2 of 2 rows"}
    assert failed(night).get("no_control", "0 of 2 rows") == f"{len(controls)} of 2 rows"


@pytest.mark.parametrize(
    ("products", "found"),
    [(("green", "black"), 1), (("black", "green"), 0), (("green",), 0), (("green", "black", "mint"), 0)],
)
def test_the_list_last_exported_is_found_where_it_is_skipped(
    night: Night, products: tuple[str, ...], found: int
) -> None:
    """Ann's list shows green and black; two nights ago she had something else."""
    rows = [
        {"run_date": toy.RUN_DATE - timedelta(days=back), "channel": "crm_file", "customer_id": "ann"}
        | {"rank": rank, "product_id": product}
        for back, shown in ((1, products), (2, ("saw", "drill")))
        for rank, product in enumerate(shown, start=1)
    ]
    frame = pl.DataFrame(rows, schema=ledger.ITEMS.schema, orient="row")
    write_parquet(frame, night.raw / "ledger" / "items" / "past.parquet")
    assert failed(night) == {}
    skipping = [channel.model_copy(update={"skip_unchanged": True}) for channel in night.shop.channels]
    night = with_shop(night, channels=skipping)
    assert failed(night) == ({"list_is_new": "1 of 2 rows"} if found else {})
