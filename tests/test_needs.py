"""Nobody is stranded: what is finished, due, usually follows or has filled lists, from raw rows to the gate."""

from collections.abc import Iterator
from datetime import date, timedelta

import duckdb
import polars as pl
import pytest
from dbt_nights import Built

from expectations import evidence as evidence_of
from expectations import needs, permission
from recsys import decide, features, recommend
from recsys.config import load_shop
from recsys.database import connect, small_frame
from recsys.errors import ConfigError
from recsys.needs_settings import Needs
from recsys.night import Night
from recsys.tables import write_parquet
from recsys.why.needs import tell_needs
from tests import needs_night, toy

Row = tuple[object, ...]


@pytest.fixture(scope="module")
def night(recorded_dbt: None, tmp_path_factory: pytest.TempPathFactory) -> Night:
    made = needs_night.write_night(tmp_path_factory.mktemp("needs"))
    features.run(made)
    recommend.run(made)
    decide.run(made)
    return made


def table(night: Night, query: str) -> list[Row]:
    with connect(night.warehouse, read_only=True) as con:
        return small_frame(con, query).rows()


def lists(night: Night) -> pl.DataFrame:
    return pl.read_parquet(night.recommendations)


def listed(night: Night, customer: str) -> list[str]:
    return lists(night).filter(customer_id=customer).sort("rank").get_column("product_id").to_list()


def failed(night: Night, recommendations: pl.DataFrame) -> dict[str, str]:
    checks = needs.check(evidence_of.Evidence(night, recommendations, {}, {}, {}), permission.gather(night))
    assert {check.severity for check in checks} == {"critical"}
    return {check.check: check.detail for check in checks if not check.passed}


def test_kinds_come_from_what_the_crowd_does(night: Night) -> None:
    query = """
        SELECT category, name, kind, buyers_observed, quiet_days, median_days_to_repurchase
        FROM features.category_rhythms ORDER BY category
    """
    assert table(night, query) == [
        ("fashion > jumpers", "Jumpers", "recurring", 24, 0, 55.0),
        ("pantry > coffee", "Coffee", "replenishable", 24, 10, 10.0),
        ("renovation > bathroom", "Bathroom", "one_off", 24, 14, 14.0),
    ]


def test_everybodys_needs_are_told(night: Night) -> None:
    query = """
        SELECT customer_id, category, state, finished_on, next_due_on
        FROM features.customer_needs WHERE customer_id NOT LIKE 'crowd%' ORDER BY ALL
    """
    assert table(night, query) == [
        ("again", "renovation > bathroom", "open", None, None),
        ("busy", "renovation > bathroom", "open", None, None),
        ("done", "renovation > bathroom", "finished", date(2026, 2, 15), None),
        ("empty", "pantry > coffee", "due", None, date(2026, 3, 31)),
        ("fresh", "pantry > coffee", "not_due", None, date(2026, 4, 9)),
        ("own", "pantry > coffee", "not_due", None, date(2026, 4, 15)),
    ]


def test_a_finished_need_is_out_of_the_list_and_an_open_one_is_not(night: Night) -> None:
    bathroom = {"basin", "tile", "shower"}
    assert not bathroom & set(listed(night, "done"))
    assert bathroom & set(listed(night, "busy"))
    assert "basin" in listed(night, "again")


def test_what_is_used_up_comes_back_when_it_is_due(night: Night) -> None:
    for customer in ("fresh", "own"):
        assert "coffee" not in listed(night, customer), customer
    assert listed(night, "empty")[0] == "coffee"


def test_the_behaviour_of_whoever_forbids_it_decides_nothing(night: Night) -> None:
    query = "SELECT count(*) FROM features.customer_topic_rules WHERE customer_id = 'shy'"
    assert table(night, query) == [(0,)]
    assert table(night, "SELECT count(*) FROM features.customer_needs WHERE customer_id = 'shy'") == [(0,)]


def test_a_list_that_became_narrow_is_broadened(night: Night) -> None:
    query = "SELECT customer_id, category, nights, items, is_narrow FROM features.customer_concentration ORDER BY ALL"
    assert table(night, query) == [
        ("fresh", "fashion", 1, 3, False),
        ("fresh", "leisure", 1, 1, False),
        ("narrow", "fashion", 5, 19, True),
        ("narrow", "leisure", 1, 1, False),
    ]
    shown = listed(night, "narrow")
    assert len(shown) == 4
    assert len(set(shown) & set(needs_night.JUMPERS)) <= 3


def test_reasons_say_what_is_due(night: Night) -> None:
    query = "SELECT reason FROM marketing.fct_recommendations WHERE customer_id = 'empty' AND product_id = 'coffee'"
    assert table(night, query) == [("You usually buy this again about now",)]


def test_the_gate_agrees_with_the_lists_and_is_not_blind(night: Night) -> None:
    assert failed(night, lists(night)) == {}
    products = needs._products(night)
    bought = needs.gather(night, products, permission.gather(night))
    assert needs._not_due(night, bought.days).sort("customer_id").rows() == [("fresh", "coffee"), ("own", "coffee")]


@pytest.mark.parametrize(
    ("customer", "products", "check", "detail"),
    [
        ("own", ["coffee"], "nothing_before_it_is_due", "1 of"),
        ("fresh", ["coffee"], "nothing_before_it_is_due", "1 of"),
        ("empty", ["coffee"], None, ""),
        ("crowd-03", ["shower", "basin"], "nothing_of_a_finished_need", "2 of"),
        ("busy", ["shower"], None, ""),
        ("again", ["shower"], None, ""),
        ("shy", ["shower", "coffee"], None, ""),
        ("narrow", needs_night.JUMPERS[2:6], "narrow_lists_are_broadened", "1 of 1 narrow lists"),
        ("narrow", needs_night.JUMPERS[2:5], None, ""),
    ],
)
def test_the_gate_finds_what_should_not_be_offered(
    night: Night, customer: str, products: list[str], check: str | None, detail: str
) -> None:
    shape = lists(night).head(1)
    rows = [
        shape.with_columns(customer_id=pl.lit(customer), product_id=pl.lit(product), rank=pl.lit(rank, pl.Int32))
        for rank, product in enumerate(products, start=1)
    ]
    others = lists(night).filter(pl.col("customer_id") != customer)
    found = failed(night, pl.concat([others, *rows]))
    assert set(found) == ({check} if check else set())
    assert all(text.startswith(detail) for text in found.values())


def test_the_gate_lets_pass_what_it_cannot_place(night: Night, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A visitor seen with fresh and with somebody else: whether they bought coffee before, dbt decides."""
    made = needs_night.write_night(tmp_path_factory.mktemp("linked"))
    seen = [
        {"visitor_id": "v", "customer_id": customer, "seen_at": toy._at("2026-01-01")} for customer in ("fresh", "busy")
    ]
    write_parquet(toy.frame("identities", seen), made.raw / "identities.parquet")
    row = lists(night).head(1).with_columns(customer_id=pl.lit("fresh"), product_id=pl.lit("coffee"))
    assert failed(made, row) == {}


def test_why_tells_needs(night: Night) -> None:
    with connect(folders=[night.folder]) as con:
        con.execute(f"ATTACH '{night.warehouse}' AS warehouse (READ_ONLY)")
        assert tell_needs(con, "done") == [
            "Finished on 2026-02-15: renovation > bathroom. Nothing bought for 14 days, and hardly anybody comes back "
            "after that. Nothing of it is recommended."
        ]
        assert tell_needs(con, "empty") == [
            "Due: pantry > coffee. Usually bought again by 2026-03-31. What they bought of it is moved up."
        ]
        assert tell_needs(con, "fresh") == [
            "Not due yet: pantry > coffee. Bought lately; usually bought again by 2026-04-09. What they bought of it "
            "is left out until then."
        ]
        assert tell_needs(con, "busy") == [
            "Open: renovation > bathroom. Bought lately; finished when nothing follows by 2026-04-08."
        ]
        assert tell_needs(con, "narrow") == [
            "19 of the 20 items sent to them in the last 30 nights were fashion, so tonight's list has at most 3 of it."
        ]
        assert tell_needs(con, "shy") == []


class Successors:
    """The compiled model, on tables in memory."""

    def __init__(self, built: Built) -> None:
        self.sql = built.sql("category_successors")
        self.con = duckdb.connect(":memory:")
        self.con.execute("ATTACH ':memory:' AS warehouse; USE warehouse")
        self.con.execute("CREATE SCHEMA staging; CREATE SCHEMA intermediate; CREATE SCHEMA features")
        self.con.execute("CREATE TABLE staging.stg_night__settings AS SELECT DATE '2026-12-31' AS run_date")
        self.con.execute(
            "CREATE TABLE staging.stg_night__needs AS "
            "SELECT 90 AS follows_days, 30 AS follows_min_buyers, 1.5 AS follows_min_lift"
        )
        self.con.execute("CREATE TABLE features.category_rhythms AS SELECT 'bath' AS category, 'one_off' AS kind")
        self.con.execute(
            "CREATE TABLE intermediate.int_bursts__grouped "
            "(customer_id VARCHAR, category VARCHAR, burst BIGINT, first_on DATE, last_on DATE)"
        )

    def __call__(self, firsts: list[tuple[str, str, date]]) -> list[Row]:
        self.con.execute("DELETE FROM intermediate.int_bursts__grouped")
        self.con.executemany(
            "INSERT INTO intermediate.int_bursts__grouped VALUES ($1, $2, 1, $3, $3)", [list(row) for row in firsts]
        )
        query = f"SELECT category, next_category, rank, buyers, buyers_before, expected, lift FROM ({self.sql})"
        return self.con.execute(query).fetchall()


@pytest.fixture(scope="module")
def successors(toy_night: Built) -> Iterator[Successors]:
    model = Successors(toy_night)
    yield model
    model.con.close()


def test_what_follows_is_told_from_what_the_season_brings(successors: Successors) -> None:
    """Sixty people finish a bath on 1 June. Forty buy towels after it, five did before; everybody swims in summer."""
    bath, rows = date(2026, 6, 1), []
    for number in range(60):
        person = f"bath-{number}"
        rows += [(person, "socks", date(2026, 1, 1)), (person, "bath", bath)]
        towels = bath + timedelta(days=10 + number) if number < 40 else bath - timedelta(days=10 + number)
        rows += [(person, "towels", towels)] if number < 45 else []
        swims = bath + timedelta(days=20) if number < 45 else bath - timedelta(days=20)
        rows += [(person, "swimwear", swims)]
    for number in range(400):
        person = f"other-{number}"
        rows += [(person, "socks", date(2026, 1, 1))]
        rows += [(person, "swimwear", bath + timedelta(days=20 if number % 4 else -20))]
        rows += [(person, "towels", bath + timedelta(days=20 if number % 2 else -20))]
    assert successors(rows) == [
        ("bath", "towels", 1, 40, 5, pytest.approx(5 * 240 / 205), pytest.approx(41 / (5 * 240 / 205 + 1)))
    ]


def test_who_was_not_watched_on_both_sides_is_no_evidence(successors: Successors) -> None:
    """They came with the bath, or finished it less than 90 days ago."""
    bath, late = date(2026, 6, 1), date(2026, 10, 3)
    rows = []
    for number in range(60):
        rows += [(f"new-{number}", "bath", bath), (f"new-{number}", "towels", bath + timedelta(days=5))]
        rows += [(f"late-{number}", "socks", date(2026, 1, 1)), (f"late-{number}", "bath", late)]
        rows += [(f"late-{number}", "towels", late + timedelta(days=5))]
        rows += [(f"other-{number}", "towels", bath - timedelta(days=5))]
    assert successors(rows) == []


def test_needs_must_be_watched_for_longer_than_a_burst(tmp_path) -> None:
    shop = toy.write_shop(tmp_path)
    shop.path.write_text(shop.path.read_text() + "needs: {observe_days: 45}\n")
    with pytest.raises(ConfigError, match=r"needs: observe_days is 45, allowed: more than burst_days = 45"):
        load_shop(shop.path)
    assert Needs().observe_days > Needs().burst_days
