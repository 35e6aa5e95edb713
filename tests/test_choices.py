"""Choices of the preference centre through a whole night with dbt, and what the gate finds that does not follow them.

| customer | chose | so |
|---|---|---|
| ann | ` Tea>GREEN`: not interested; tools: interested | no green tea, however often she buys it; tools are lifted |
| ben | as visitor v-ben tea: interested, later: not interested | no tea |
| cat | tea: less like this, dated after the night | teas are demoted |
| dan | tools: interested, 13 months ago; green: not interested, then interested | green may be lifted, tools not |
| eve | tools: not interested; interested in tea, but does not allow personalisation | no tools |
| fay | tools: interested; bought nothing | tools come first |
| gus | health: interested (a sensitive topic); kites: not interested | nothing; no product is a kite |
| hal | tea: interested after the night's end | nothing yet |
"""

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest
import toy
from toy import ROWS, RUN_DATE, write_raw, write_shop

from expectations import evidence as evidence_of
from expectations import identity, permission, preferences
from recsys import decide, features, recommend
from recsys.audit import Check
from recsys.channels import render
from recsys.database import connect, small_frame
from recsys.night import Night
from recsys.why.story import tell
from tests import gate_night, report_night
from tests.gate_night import Change


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def choice(customer_id: str, topic: str, what: str, when: str = "2026-03-01") -> dict[str, object]:
    return {"customer_id": customer_id, "topic": topic, "choice": what, "occurred_at": at(when)}


PREFERENCES = [
    choice("ann", " Tea>GREEN", "not_interested"),
    choice("ann", "tools", "interested", "2026-03-31T12:00:00"),
    choice("ben", "tea", "interested"),
    choice("v-ben", "tea", "not_interested", "2026-03-02"),
    choice("cat", "tea", "less_like_this", "2026-04-20"),
    choice("dan", "tools", "interested", "2025-03-01"),
    choice("dan", "tea > green", "not_interested", "2026-01-01"),
    choice("dan", "tea > green", "interested", "2026-01-02"),
    choice("eve", "tools", "not_interested"),
    choice("eve", "tea", "interested"),
    choice("fay", "Tools ", "interested", "2026-03-31T12:00:00"),
    choice("gus", "health", "interested"),
    choice("gus", "kites", "not_interested", "2020-01-01"),
    choice("hal", "tea", "interested", "2026-04-01"),
]
PEOPLE = ("ann", "ben", "cat", "dan", "eve", "fay", "gus", "hal")


@pytest.fixture(scope="module")
def chosen(recorded_dbt: None, tmp_path_factory: pytest.TempPathFactory) -> Night:
    """The night of these eight, up to its finished files. All may be mailed; eve does not allow personalisation."""
    night = Night(write_shop(tmp_path_factory.mktemp("chosen")), RUN_DATE)
    consent = ROWS["consents"][0]
    write_raw(
        night,
        customers=[ROWS["customers"][0] | {"customer_id": who, "email": f"{who}@example.com"} for who in PEOPLE],
        consents=[
            consent | {"customer_id": who, "purpose": purpose}
            for who in PEOPLE
            for purpose in ("marketing", "personalisation")
            if (who, purpose) != ("eve", "personalisation")
        ],
        suppressions=[],
        identities=[{"visitor_id": "v-ben", "customer_id": "ben", "seen_at": at("2026-03-02")}],
        preferences=PREFERENCES,
    )
    late = [row for row in PREFERENCES if row["choice"] == "less_like_this"]
    kept = toy.frame("preferences", [*(row for row in PREFERENCES if row["occurred_at"] < night.end), *late])
    toy.write_parquet(kept, night.raw / "preferences.parquet")
    features.run(night)
    recommend.run(night)
    decide.run(night)
    render.run(night)
    return night


@pytest.fixture
def night(chosen: Night, tmp_path: Path) -> Night:
    """A copy that a test may change."""
    return report_night.copied(chosen, tmp_path / "shop")


def query(night: Night, sql: str) -> list[tuple[object, ...]]:
    with connect(night.warehouse, read_only=True) as con:
        return small_frame(con, sql).rows()


def cells(night: Night, channel: str = "email_file") -> dict[str, dict[str, str]]:
    rows = pl.read_csv(night.files / channel / f"{channel}_20260331.csv", infer_schema=False).rows(named=True)
    return {row["customer_id"]: row for row in rows}


def test_what_was_chosen_is_kept_with_its_strength(chosen: Night) -> None:
    found = query(
        chosen,
        "SELECT customer_id, topic, choice, strength, is_expired, products FROM features.customer_topics ORDER BY ALL",
    )
    half_a_day = pytest.approx(0.5 ** (0.5 / 120), abs=1e-6)
    assert found == [
        ("ann", "tea > green", "not_interested", 1.0, False, 1),
        ("ann", "tools", "interested", half_a_day, False, 3),
        ("ben", "tea", "not_interested", 1.0, False, 3),
        ("cat", "tea", "less_like_this", 1.0, False, 3),
        ("dan", "tea > green", "interested", pytest.approx(0.5 ** (89 / 120), abs=1e-2), False, 1),
        ("dan", "tools", "interested", pytest.approx(0.5 ** (396 / 120), abs=1e-2), True, 3),
        ("eve", "tea", "interested", pytest.approx(0.5 ** (31 / 120), abs=1e-2), False, 3),
        ("eve", "tools", "not_interested", 1.0, False, 3),
        ("fay", "tools", "interested", half_a_day, False, 3),
        ("gus", "kites", "not_interested", 1.0, False, 0),
    ]


def test_choices_become_rules_where_they_may(chosen: Night) -> None:
    told = pl.read_parquet(chosen.features / "topic_rules.parquet")
    assert told.columns == ["customer_id", "topic", "effect", "factor", "at_most", "because"]
    assert told.select("customer_id", "topic", "effect").rows() == [
        ("ann", "tea > green", "exclude"),
        ("ann", "tools", "lift"),
        ("ben", "tea", "exclude"),
        ("cat", "tea", "demote"),
        ("dan", "tea > green", "lift"),
        ("eve", "tools", "exclude"),
        ("fay", "tools", "lift"),
    ]
    assert told.filter(effect="demote")["factor"].to_list() == [0.1]
    assert told.filter(customer_id="dan")["factor"].item() == pytest.approx(1 + 0.5 ** (89 / 120), abs=1e-2)


def test_lists_follow_the_rules(chosen: Night) -> None:
    lists = pl.read_parquet(chosen.recommendations)
    products = {who: set(lists.filter(customer_id=who)["product_id"]) for who in PEOPLE}
    teas, tools = {"green", "black", "mint"}, {"hammer", "saw", "drill"}
    assert "green" not in products["ann"]
    assert not teas & products["ben"]
    assert not tools & products["eve"]
    assert lists.filter(customer_id="eve")["because"].null_count() == 3
    assert {"hammer", "saw"} <= products["fay"]
    assert lists.filter(customer_id="fay").head(3)["source"].to_list() == ["content"] * 3
    assert set(lists.filter(customer_id="fay", because="interested")["topic"]) == {"tools"}
    assert products["gus"] == products["hal"]


def test_each_row_of_the_files_states_what_shaped_it(chosen: Night) -> None:
    for channel in ("email_file", "crm_file"):
        told = {who: row["choices_applied"] or "" for who, row in cells(chosen, channel).items()}
        assert told.pop("ann").startswith("not interested: tea > green")
        assert told.pop("dan") in {"", "interested: tea > green"}
        assert told == {
            "ben": "not interested: tea",
            "cat": "less like this: tea",
            "eve": "not interested: tools",
            "fay": "interested: tools",
            "gus": "",
            "hal": "",
        }
    reasons = [cells(chosen)["fay"][f"rec_{slot}_reason"] for slot in (1, 2)]
    assert "Because you said you are interested in tools" in reasons


def test_the_story_says_what_each_choice_does(chosen: Night) -> None:
    def told(customer: str) -> list[str]:
        lines = [line.strip() for line in tell(chosen, customer).lines]
        start = lines.index("Choices applied") + 1
        return lines[start : lines.index("", start)]

    assert told("ann") == [
        "They chose “not interested: tea > green” on 2026-03-01 00:00: 1 product left out.",
        "They chose “interested: tools” on 2026-03-31 12:00: 3 products moved up, scores times 2.00.",
    ]
    assert told("cat") == [
        "They chose “less like this: tea” on 2026-04-20 00:00: 3 products moved down, scores times 0.1."
    ]
    assert told("dan")[1] == "They chose “interested: tools” on 2025-03-01 00:00: too long ago to count."
    assert told("eve")[1] == (
        "They chose “interested: tea” on 2026-03-01 00:00: not used, since they do not allow personalisation."
    )
    assert told("gus") == [
        "They chose “not interested: kites” on 2020-01-01 00:00: no product that may be recommended is of this topic."
    ]
    assert told("hal") == ["They chose nothing about topics in the preference centre."]


# --- the gate --------------------------------------------------------------------------------------------------------


def checks(night: Night) -> list[Check]:
    evidence, missing = evidence_of.gather(night)
    assert evidence is not None, missing
    permissions = permission.gather(night)
    choices = preferences.gather(night, permissions)
    found = preferences.lists(evidence, choices, permissions)
    for channel in night.shop.channels:
        found += preferences.file(evidence, choices, channel)
    return found


def failed(night: Night) -> set[str]:
    return {f"{check.suite}: {check.check}" for check in checks(night) if not check.passed}


def relisted(night: Night, customer: str, rank: int, **values: object) -> None:
    """Change one row of the recommendations."""
    here = (pl.col("customer_id") == customer) & (pl.col("rank") == rank)

    def change(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(
            pl.when(here).then(pl.lit(value, frame.schema[name])).otherwise(pl.col(name)).alias(name)
            for name, value in values.items()
        )

    gate_night.change_parquet(night.recommendations, change)


def test_the_gate_agrees_with_the_night(chosen: Night) -> None:
    assert failed(chosen) == {"shape: choices_have_products"}
    assert {check.severity for check in checks(chosen) if check.suite != "shape"} == {"critical"}
    (warned,) = [check for check in checks(chosen) if not check.passed]
    assert (warned.severity, warned.detail[:7]) == ("warning", "1 of 10")


@pytest.mark.parametrize(("customer", "product"), [("ann", "green"), ("ben", "mint"), ("eve", "saw")])
def test_a_listed_product_of_a_refused_topic_is_found(night: Night, customer: str, product: str) -> None:
    relisted(night, customer, 1, product_id=product, because=None, topic=None)
    assert "recount/lists: nothing_not_interested_in" in failed(night)


@pytest.mark.parametrize("channel", ["email_file", "crm_file"])
def test_a_refused_product_in_a_finished_file_is_found(night: Night, channel: str) -> None:
    def change(frame: pl.DataFrame) -> pl.DataFrame:
        is_ben = pl.col("customer_id") == "ben"
        return frame.with_columns(rec_2_id=pl.when(is_ben).then(pl.lit("black")).otherwise(pl.col("rec_2_id")))

    gate_night.change_file(night, channel, change)
    assert f"recount/{channel}: nothing_not_interested_in" in failed(night)
    assert "recount/lists: nothing_not_interested_in" not in failed(night)


@pytest.mark.parametrize(
    ("customer", "topic", "product"),
    [
        ("dan", "tools", "drill"),  # said too long ago
        ("eve", "tea", "black"),  # does not allow personalisation
        ("fay", "tea", "black"),  # never said
        ("fay", "tools", "black"),  # said, but the product is none
        ("gus", "health", "black"),  # sensitive
        ("hal", "tea", "black"),  # not said yet
        ("ann", "tools", "green"),  # said, but a no beats it
    ],
)
def test_an_interest_that_does_not_hold_is_found(night: Night, customer: str, topic: str, product: str) -> None:
    relisted(night, customer, 1, product_id=product, because="interested", topic=topic)
    assert "recount/lists: interest_holds" in failed(night)


def test_a_because_without_its_topic_is_found(night: Night) -> None:
    relisted(night, "fay", 1, because="interested", topic=None)
    assert "recount/lists: because_names_its_topic" in failed(night)


def test_content_that_no_interest_put_there_is_found(night: Night) -> None:
    relisted(night, "gus", 1, source="content")
    assert "recount/lists: content_is_of_an_interest" in failed(night)
    assert "recount/lists: interest_holds" not in failed(night)


def test_a_popular_product_that_is_not_demoted_is_found(night: Night) -> None:
    """Gus gets the popular list; had he asked for less tea, his green tea would have to stand far lower."""
    extra = toy.frame("preferences", [choice("gus", "tea", "less_like_this")])
    gate_night.change_parquet(night.raw / "preferences.parquet", lambda frame: frame.vstack(extra))
    assert "recount/lists: less_like_this_is_demoted" in failed(night)


def cleared(customer: str, text: str | None = None) -> Change:
    """The row of one customer states something else."""
    is_theirs = pl.col("customer_id") == customer
    return lambda frame: frame.with_columns(
        choices_applied=pl.when(is_theirs).then(pl.lit(text, pl.String)).otherwise(pl.col("choices_applied"))
    )


@pytest.mark.parametrize(
    ("customer", "text"),
    [("ben", None), ("ben", "not interested: tools"), ("cat", "not interested: tea"), ("gus", "interested: tea")],
)
def test_a_row_that_states_other_choices_is_found(night: Night, customer: str, text: str | None) -> None:
    gate_night.change_file(night, "email_file", cleared(customer, text))
    assert failed(night) == {"shape: choices_have_products", "recount/email_file: choices_applied_are_stated"}


def test_a_new_no_makes_last_nights_files_wrong(night: Night) -> None:
    extra = toy.frame("preferences", [choice("gus", "TEA", "not_interested", "2026-03-31T23:59:59")])
    gate_night.change_parquet(night.raw / "preferences.parquet", lambda frame: frame.vstack(extra))
    assert {
        "recount/lists: nothing_not_interested_in",
        "recount/email_file: nothing_not_interested_in",
        "recount/crm_file: choices_applied_are_stated",
    } <= failed(night)


def test_ids_are_followed_over_several_links_to_the_nearest_customer(tmp_path: Path) -> None:
    night = Night(write_shop(tmp_path), RUN_DATE)
    links = [("far", "near", 1), ("near", "ann", 2), ("tie", "ann", 3), ("tie", "ben", 4), ("island", "shore", 5)]
    seen = [{"visitor_id": v, "customer_id": c, "seen_at": at(f"2026-01-0{day}")} for v, c, day in links]
    write_raw(night, identities=seen, web_events=[], order_lines=[])
    customers = pl.DataFrame({"customer_id": ["ann", "ben"]})
    found = dict(identity.resolved(night, customers).iter_rows())
    assert found == {"ben": "ben", "ann": "ann", "near": "ann", "far": "ann", "tie": "ben"}
