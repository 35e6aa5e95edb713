"""Caps, the control group and unchanged lists on a night small enough to see the answer, and their settings.

The night is 2026-03-31 and ends at midnight UTC, two hours into April 1 in Berlin, where everybody is; its messages go
out on that day. All consented on every
contact channel; the audiences are letters (e-mail), texts (SMS) and agents (e-mail again), in this order.

| customer | what they have had |
|---|---|
| ann | nothing |
| ben | a letter on March 31 at 23:59:59 Berlin time, and one on April 1 at 0:00 |
| cat | three text messages in the last week, one of them under her old id |
| dan, dora | share an e-mail address; dan had three letters, dora was updated last |
| eve | letters that were ours: the tool reports them back as recsys_0330 and so on |
| fay | our letters of the last three nights, and in one of them was asked something as well |
"""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
import toy
import yaml
from compiled_nights import Compiled
from dbt_nights import Built, recommend

from expectations.messages import is_control
from recsys import ledger
from recsys.config import load_shop
from recsys.errors import ConfigError
from recsys.night import Night
from recsys.tables import write_parquet

NAMES = ("ann", "ben", "cat", "dan", "dora", "eve", "fay")
BERLIN = ZoneInfo("Europe/Berlin")
AUDIENCES = [
    {"name": "letters", "kind": "email_file", "contact_channel": "email", "slots": 2, "min_items": 2},
    {"name": "texts", "kind": "crm_file", "contact_channel": "sms", "slots": 2, "min_items": 1},
    {"name": "agents", "kind": "crm_file", "contact_channel": "email", "slots": 2, "min_items": 1},
]


def berlin(day: int, hour: int = 12, minute: int = 0, second: int = 0, month: int = 3) -> datetime:
    local = datetime(2026, month, day, hour, minute, second, tzinfo=BERLIN)
    return local.astimezone(UTC).replace(tzinfo=None)


def contact(number: int, who: str, channel: str, at: datetime, campaign: str | None = None) -> dict[str, object]:
    row = {"message_id": f"m{number}", "customer_id": who, "channel": channel, "sent_at": at}
    return row | {"campaign": campaign}


def entry(back: int, who: str, **fields: object) -> dict[str, object]:
    return {
        "run_date": toy.RUN_DATE - timedelta(days=back),
        "campaign": "recommendations",
        "channel": "letters",
        "contact_channel": "email",
        "customer_id": who,
        "address": f"{who}@example.com",
    } | fields


CUSTOMERS = [
    {
        "customer_id": name,
        "email": "dan@example.com" if name == "dora" else f"{name}@example.com",
        "phone": f"+4915112345{number:02d}",
        "timezone": "Europe/Berlin",
        "created_at": datetime(2026, 1, 1),
        "updated_at": datetime(2026, 1, 2 if name == "dora" else 1),
    }
    for number, name in enumerate(NAMES)
]
CONSENTS = [
    {"customer_id": name, "channel": channel, "purpose": "marketing", "status": "granted"}
    | {"occurred_at": datetime(2026, 1, 1)}
    for name in NAMES
    for channel in ("email", "sms")
]
CONTACTS = [
    contact(1, "ben", "email", berlin(31, 23, 59, 59)),
    contact(2, "ben", "email", berlin(1, 0, month=4)),
    contact(3, "cat", "sms", berlin(26)),
    contact(4, "cat", "sms", berlin(27)),
    contact(5, "old-cat", "sms", berlin(28)),
    contact(6, "dan", "email", berlin(29)),
    contact(7, "dan", "email", berlin(30)),
    contact(8, "dan", "email", berlin(31)),
    contact(9, "eve", "email", berlin(30), "recsys_0330"),
    contact(10, "eve", "email", berlin(31), "recsys_0331"),
    contact(11, "eve", "email", berlin(31), "Recsys_0331"),
]
RECIPIENTS = [
    entry(1, "fay"),
    entry(2, "fay"),
    entry(3, "fay"),
    entry(3, "fay", campaign="check_in", channel="check_in"),
    entry(4, "fay", campaign="check_in", channel="check_in"),
]


@pytest.fixture(scope="module")
def compiled(toy_night: Built) -> Compiled:
    return Compiled(toy_night)


def decided(
    compiled: Compiled,
    folder: Path,
    lists: dict[str, list[str]] | None = None,
    past: dict[int, dict[str, list[str]]] | None = None,
    **shop_file: object,
) -> dict[str, dict[str, tuple[str, str]]]:
    """Per audience and customer the status and its reason, with these fields in the shop file.

    `past`: nights back -> lists that were exported in letters then.
    """
    path = toy.write_shop(folder).path
    content = yaml.safe_load(path.read_text()) | {"channels": AUDIENCES} | shop_file
    path.write_text(yaml.safe_dump(content))
    night = Night(load_shop(path), toy.RUN_DATE)
    toy.write_raw(
        night,
        customers=CUSTOMERS,
        consents=CONSENTS,
        contacts=CONTACTS,
        identities=[{"visitor_id": "old-cat", "customer_id": "cat", "seen_at": datetime(2026, 1, 1)}],
        order_lines=[],
        web_events=[],
        suppressions=[],
    )
    items = [
        {"run_date": night.run_date - timedelta(days=back), "channel": "letters", "customer_id": who}
        | {"rank": rank, "product_id": product}
        for back, exported in (past or {}).items()
        for who, products in exported.items()
        for rank, product in enumerate(products, start=1)
    ]
    for book, rows in ((ledger.RECIPIENTS, RECIPIENTS), (ledger.ITEMS, items)):
        frame = pl.DataFrame(rows, schema=book.schema, orient="row")
        write_parquet(frame, night.raw / "ledger" / book.name / "past.parquet")
    lists = {name: ["green", "black", "mint"] for name in NAMES} | (lists or {})
    recommend(night, {name: [f"popular {product}" for product in products] for name, products in lists.items()})
    compiled.decide(night)
    rows = pl.read_parquet(night.decisions / "fct_decisions.parquet")
    found: dict[str, dict[str, tuple[str, str]]] = {channel["name"]: {} for channel in AUDIENCES}
    for channel, who, status, reason in rows["channel", "customer_id", "status", "reason"].rows():
        found[channel][who] = (status, reason)
    return found


def capped(decisions: dict[str, dict[str, tuple[str, str]]], audience: str) -> dict[str, str]:
    return {who: reason for who, (status, reason) in decisions[audience].items() if status == "capped"}


def test_by_default_one_message_per_contact_channel_and_day(compiled: Compiled, tmp_path: Path) -> None:
    """Ben had one on the day itself, by his own calendar; the second audience by e-mail gets nobody of the first."""
    path = toy.write_shop(tmp_path).path
    assert "caps: []" in path.read_text()  # the toy shop switches the default off
    default = [cap.model_dump(mode="json") for cap in load_default(tmp_path)]
    decisions = decided(compiled, tmp_path, caps=default)
    assert capped(decisions, "letters") == {
        "ben": "Would be message 2 by e-mail within 1 day, tonight's others counted; at most 1 is allowed"
    }
    assert capped(decisions, "texts") == {}
    assert set(capped(decisions, "agents")) == {*NAMES} - {"dan"}
    assert decisions["agents"]["dan"][0] == "duplicate_address"


def load_default(folder: Path) -> list:
    path = folder / "shop.yaml"
    path.write_text(path.read_text().replace("caps: []\n", ""))
    return load_shop(path).caps


def test_days_are_the_persons_own_and_the_campaign_day_is_the_last(compiled: Compiled, tmp_path: Path) -> None:
    for days, reason in (
        (1, "Would be message 2 by e-mail within 1 day, tonight's others counted; at most 1 is allowed"),
        (2, "Would be message 3 by e-mail within 2 days, tonight's others counted; at most 1 is allowed"),
    ):
        caps = [{"contact_channel": "email", "days": days, "most": 1}]
        assert capped(decided(compiled, tmp_path / str(days), caps=caps), "letters")["ben"] == reason


def test_messages_to_an_old_id_and_to_the_same_address_count(compiled: Compiled, tmp_path: Path) -> None:
    caps = [{"contact_channel": "email", "days": 7, "most": 3}, {"contact_channel": "sms", "days": 7, "most": 3}]
    decisions = decided(compiled, tmp_path, caps=caps, caps_own_campaigns=["recsys_*"])
    assert capped(decisions, "letters") == {
        "dora": "Would be message 4 by e-mail within 7 days, tonight's others counted; at most 3 are allowed",
        "fay": "Would be message 5 by e-mail within 7 days, tonight's others counted; at most 3 are allowed",
    }
    assert capped(decisions, "texts") == {
        "cat": "Would be message 4 by text message within 7 days, tonight's others counted; at most 3 are allowed"
    }


def test_our_own_messages_are_not_counted_twice(compiled: Compiled, tmp_path: Path) -> None:
    """By name, with a final * for the rest; case matters. Without names everything the tool reports counts."""
    caps = [{"contact_channel": "email", "days": 7, "most": 1}]
    own = {"caps_own_campaigns": ["recsys_*"]}
    assert "at most 1" in capped(decided(compiled, tmp_path / "1", caps=caps, **own), "letters")["eve"]
    caps = [{"contact_channel": "email", "days": 7, "most": 2}]
    assert "eve" not in capped(decided(compiled, tmp_path / "2", caps=caps, **own), "letters")
    assert "eve" in capped(decided(compiled, tmp_path / "3", caps=caps), "letters")


def test_a_question_in_the_same_message_is_no_second_one(compiled: Compiled, tmp_path: Path) -> None:
    """Fay's letters of three nights, and a question of its own four nights ago: four messages, not five."""
    caps = [{"contact_channel": "email", "days": 7, "most": 4}]
    assert capped(decided(compiled, tmp_path / "4", caps=caps), "letters")["fay"].startswith("Would be message 5 by")
    caps = [{"contact_channel": "email", "days": 7, "most": 5}]
    assert "fay" not in capped(decided(compiled, tmp_path / "5", caps=caps), "letters")


def test_across_contact_channels_the_first_audience_gets_the_person(compiled: Compiled, tmp_path: Path) -> None:
    caps = [{"days": 1, "most": 1}]
    decisions = decided(compiled, tmp_path, caps=caps)
    assert decisions["letters"]["ann"][0] == "exported"
    reason = "Would be message 2 over all contact channels within 1 day, tonight's others counted; at most 1 is allowed"
    assert capped(decisions, "texts")["ann"] == reason
    assert set(capped(decisions, "texts")) == {*NAMES}


def test_only_a_message_that_goes_out_uses_up_a_cap(compiled: Compiled, tmp_path: Path) -> None:
    """Ann's list is too short for letters and long enough for a text message."""
    decisions = decided(compiled, tmp_path, lists={"ann": ["green"]}, caps=[{"days": 1, "most": 1}])
    assert decisions["letters"]["ann"][0] == "too_few_items"
    assert decisions["texts"]["ann"][0] == "exported"
    assert decisions["agents"]["ann"][0] == "capped"


def test_the_same_address_is_one_person_across_contact_channels(compiled: Compiled, tmp_path: Path) -> None:
    """Dora gets the letter, at Dan's address too; so a text message to Dan would be his second."""
    own = ["*"]
    decisions = decided(compiled, tmp_path, caps=[{"days": 1, "most": 1}], caps_own_campaigns=own)
    assert decisions["letters"]["dan"][0] == "duplicate_address"
    assert decisions["letters"]["dora"][0] == "exported"
    assert decisions["texts"]["dan"][0] == "capped"


def test_hours_go_back_from_the_first_moment_the_message_may_go_out(compiled: Compiled, tmp_path: Path) -> None:
    """Ben's letters were sent 8 hours and 8 hours and a second before 8 o'clock on April 1."""
    quiet = [{"from": "21:00", "to": "08:00"}]
    for hours, expected in ((8, False), (9, True)):
        caps = [{"contact_channel": "email", "hours": hours, "most": 2}]
        decisions = decided(compiled, tmp_path / str(hours), caps=caps, quiet_hours=quiet)
        assert ("ben" in capped(decisions, "letters")) is expected
        assert "ann" not in capped(decisions, "letters")


def test_a_list_that_was_sent_before_waits_until_it_changes(compiled: Compiled, tmp_path: Path) -> None:
    """Ann's newest list is tonight's, Ben's was until last night, Cat's is in another order, Eve's was longer."""
    past = {
        1: {"ben": ["black", "green"], "cat": ["black", "green"], "eve": ["green", "black", "mint"]},
        2: {"ann": ["green", "black"], "ben": ["green", "black"]},
        3: {"ann": ["black", "green"]},
    }
    waits = {"ann": "The list is the one last exported, in the night of 2026-03-29"}
    for skips, expected in ((True, waits), (False, {})):
        channels = [AUDIENCES[0] | {"skip_unchanged": skips}, *AUDIENCES[1:]]
        decisions = decided(compiled, tmp_path / str(skips), past=past, caps=[], channels=channels)
        held = {who: reason for who, (status, reason) in decisions["letters"].items() if status == "nothing_new"}
        assert held == expected
    assert decisions["letters"]["ann"][1] == "Exported with 2 products"


def test_the_control_group_is_a_fair_share_and_for_ever(compiled: Compiled, tmp_path: Path) -> None:
    shop = toy.write_shop(tmp_path / "shop").model_copy(update={"control_share": 0.05})
    groups = {name: is_control(name, shop) for name in (f"customer-{number}" for number in range(20_000))}
    assert 0.045 < sum(groups.values()) / len(groups) < 0.055
    assert [name for name, is_in in groups.items() if is_in][:3] == ["customer-21", "customer-46", "customer-122"]
    wider = shop.model_copy(update={"control_share": 0.75})
    assert all(is_control(name, wider) for name, is_in in groups.items() if is_in)
    decisions = decided(compiled, tmp_path / "more", caps=[{"days": 1, "most": 1}], control_share=0.75)
    controls = {name for name in NAMES if is_control(name, wider)}
    assert 0 < len(controls) < len(NAMES)
    assert {who for who, (status, _) in decisions["texts"].items() if status == "control"} == controls
    assert decisions["texts"][min(controls)][1] == "In the control group, which is never contacted"


FAULTS = [
    ({"caps": [{"most": 1}]}, "caps.0: exactly one of days, hours must be given"),
    ({"caps": [{"days": 1, "hours": 1, "most": 1}]}, "caps.0: exactly one of days, hours must be given"),
    ({"caps": [{"days": 91, "most": 1}]}, "caps.0.days is 91: Input should be less than or equal to 90"),
    ({"caps": [{"days": 1, "most": 0}]}, "caps.0.most is 0: Input should be greater than or equal to 1"),
    ({"caps": [{"days": 1, "most": 1, "contact_channel": "fax"}]}, "caps.0.contact_channel is 'fax'"),
    ({"caps_own_campaigns": ["a*b"]}, "caps_own_campaigns.0 is 'a*b'"),
    ({"quiet_hours": [{"from": "08:00", "to": "21:00"}]}, "from (08:00) must be later than to (21:00)"),
    ({"quiet_hours": [{"from": 1260, "to": "08:00"}]}, "quiet_hours.0.from is 1260: allowed: a time of day in quotes"),
    ({"quiet_hours": [{"from": "24:00", "to": "08:00"}]}, "quiet_hours.0.from is '24:00'"),
    ({"quiet_hours": [{"from": "21:00"}]}, "quiet_hours.0.to: Field required"),
    ({"control_share": 1}, "control_share is 1: Input should be less than 1"),
]


@pytest.mark.parametrize(("fields", "fault"), FAULTS)
def test_settings_that_cannot_be_meant_are_named(tmp_path: Path, fields: dict[str, object], fault: str) -> None:
    path = toy.write_shop(tmp_path).path
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | fields))
    with pytest.raises(ConfigError) as error:
        load_shop(path)
    assert fault in str(error.value)


def test_limits_are_written_as_they_were_given(tmp_path: Path) -> None:
    path = toy.write_shop(tmp_path).path
    content = yaml.safe_load(path.read_text()) | {
        "caps": [{"contact_channel": "sms", "hours": 24, "most": 1}, {"days": 7, "most": 8}],
        "quiet_hours": [{"from": "00:00", "to": "08:30"}, {"contact_channel": "sms", "from": "20:15", "to": "09:00"}],
        "caps_own_campaigns": ["ours_*"],
    }
    path.write_text(yaml.safe_dump(content))
    night = Night(load_shop(path), date(2026, 3, 31))
    toy.write_raw(night)
    rows = {name: pl.read_parquet(night.raw / f"{name}.parquet").rows() for name in ("caps", "quiet_hours")}
    assert rows == {
        "caps": [(1, "sms", None, 24, 1), (2, None, 7, None, 8)],
        "quiet_hours": [(None, 1440, 510), ("sms", 1215, 540)],
    }
    assert pl.read_parquet(night.raw / "own_campaigns.parquet").rows() == [("ours_*",)]
