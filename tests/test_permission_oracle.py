"""Thousands of people made up, through the models and the re-count: nobody is treated other than the oracle says."""

from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from dbt_nights import Built, build
from permission_oracle import CHANNELS, Oracle
from permission_people import MIN_ITEMS, World, imagine, write_night
from thorough import THOROUGH

from expectations import learnt, permission, reasons, unheard
from expectations.facts import gather as gather_facts
from expectations.permission import Permissions
from recsys.vocabulary import Status

PEOPLE = 50_000 if THOROUGH else 10_000


@pytest.fixture(scope="module")
def world() -> World:
    return imagine(PEOPLE, seed=7)


@pytest.fixture(scope="module")
def built(recorded_dbt: None, world: World, tmp_path_factory: pytest.TempPathFactory) -> Built:
    night = write_night(tmp_path_factory.mktemp("people"), world)
    products = ["green", "black", "mint"]
    return build(night, {name: [f"popular {p}" for p in products[:n]] for name, n in world.items.items()})


@pytest.fixture(scope="module")
def oracle(built: Built, world: World) -> Oracle:
    return world.oracle(built.night)


@pytest.fixture(scope="module")
def said(built: Built) -> Permissions:
    return permission.gather(built.night)


def test_the_models_decide_like_the_oracle_about_everybody(built: Built, oracle: Oracle, world: World) -> None:
    decisions = pl.read_parquet(built.night.decisions / "fct_decisions.parquet")
    decided = {
        (name, to): status for name, to, status in decisions.select("customer_id", "contact_channel", "status").rows()
    }
    expected = oracle.statuses(world.items, MIN_ITEMS)
    differing = {key: (decided.get(key), status) for key, status in expected.items() if decided.get(key) != status}
    assert differing == {}
    assert len(decided) == len(expected) == PEOPLE * len(CHANNELS)
    counts = Counter(expected.values())
    assert set(counts) == {*reasons.ABOUT_PERMISSION, Status.TOO_FEW_ITEMS, Status.EXPORTED}
    assert min(counts.values()) > 100, counts


def test_the_models_and_the_recount_know_whose_behaviour_may_be_used(
    built: Built, oracle: Oracle, said: Permissions
) -> None:
    expected = {name for name in oracle.customers if oracle.may_personalise(name)}
    handed = pl.read_parquet(built.night.features / "customers.parquet")
    assert set(handed.filter("may_personalise")["customer_id"]) == expected
    assert set(handed["customer_id"]) == {name for name in oracle.customers if not oracle.is_minor(name)}
    assert set(said.personalised["customer_id"]) == expected
    assert PEOPLE * 0.05 < len(expected) < PEOPLE * 0.5
    interactions = set(pl.read_parquet(built.night.features / "interactions.parquet")["customer_id"])
    assert interactions < expected
    assert len(interactions) > PEOPLE * 0.02


def test_the_recount_holds_back_whom_the_oracle_holds_back(built: Built, oracle: Oracle, said: Permissions) -> None:
    """Rule by rule, about everybody and not only about those who were exported."""
    assert set(said.paused["customer_id"]) & oracle.customers.keys() == set(filter(oracle.is_paused, oracle.customers))
    assert set(said.minors["customer_id"]) == set(filter(oracle.is_minor, oracle.customers))
    for channel in CHANNELS:
        suppressed = permission.suppressed(said, said.customers, channel)["customer_id"]
        assert set(suppressed) == {name for name in oracle.customers if oracle.is_suppressed(name, channel)}
        objected = permission.objected(said, channel).select("kind", "same")
        assert set(objected.rows()) == {(kind, address) for to, kind, address in oracle.objections if to == channel}


def test_the_recount_gives_the_reason_that_the_oracle_gives(
    built: Built, oracle: Oracle, said: Permissions, world: World
) -> None:
    expected = oracle.statuses(world.items, MIN_ITEMS)
    about_permission = {status.value for status in reasons.ABOUT_PERMISSION}
    for channel in CHANNELS:
        found = dict(reasons.hindrances(said, channel, built.night.end).rows())
        assert found == {
            name: status if status in about_permission else None
            for (name, to), status in expected.items()
            if to == channel
        }


def test_the_models_and_the_recount_lead_every_id_where_the_oracle_leads_it(
    built: Built, oracle: Oracle, said: Permissions
) -> None:
    assert dict(said.ids.rows()) == oracle.owner
    assert len(said.ids) == len(oracle.owner)
    assert built.features["visitors_resolved"] == len(oracle.owner) - PEOPLE > PEOPLE * 0.2


def test_the_models_and_the_recount_count_what_leads_to_nobody(built: Built, oracle: Oracle, said: Permissions) -> None:
    counts = built.features
    assert counts["suppressions_of_nobody"] == oracle.unmatched > 100
    assert counts["reactions_to_unknown_messages"] == oracle.unknown_messages > 50
    lists, messages = unheard.check(built.night, said)
    assert lists.detail.startswith(f"{oracle.unmatched:,} of {counts['suppressions']:,} suppressions")
    assert messages.detail.startswith(f"{oracle.unknown_messages:,} of {counts['objecting_reactions']:,} unsubscribes")
    assert (lists.passed, messages.passed) == (True, False)


def test_the_recount_agrees_with_what_was_learnt(built: Built, said: Permissions) -> None:
    checks = learnt.check(built.night, gather_facts(built.night, said), said)
    assert [check.check for check in checks if not check.passed] == []


def test_the_same_world_again_is_the_same(tmp_path: Path) -> None:
    assert imagine(200, seed=3) == imagine(200, seed=3)
    assert imagine(200, seed=3) != imagine(200, seed=4)


def test_worlds_of_other_numbers_share_nobody() -> None:
    one, other = imagine(300, seed=5), imagine(300, seed=6, first=300)
    ids = [
        {
            row[key]
            for rows in world.tables.values()
            for row in rows
            for key in ("customer_id", "visitor_id")
            if row.get(key)
        }
        for world in (one, other)
    ]
    assert not ids[0] & ids[1]
