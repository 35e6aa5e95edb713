"""Audiences of advertising platforms: hashes only, each once, by consent signal; deltas add up to the full files."""

import csv
import hashlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import toy
from channel_contract import SCHEMAS
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from thorough import tries
from tool_contract import known_after

from recsys.channel_settings import Channel
from recsys.channels.google_customer_match import GoogleCustomerMatch
from recsys.channels.hashed_audience import HashedAudience
from recsys.channels.kinds import kind_of
from recsys.channels.meta_custom_audiences import MetaCustomAudiences, suggestive
from recsys.config import Shop
from recsys.errors import CannotRender, StageInputMissing

RUN_DATE = date(2026, 3, 31)
KINDS = ("google_customer_match", "meta_custom_audiences")
Row = dict[str, Any]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return toy.write_shop(tmp_path_factory.mktemp("shop"))


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def audience(shop: Shop, kind: str, **given: Any) -> HashedAudience:
    made = kind_of(kind).of(Channel(name="ads", kind=kind, **given), shop)
    assert isinstance(made, HashedAudience)
    return made


def person(customer: str, email: str | None, phone: str | None = None, *, allows: bool = True, **said: str) -> Row:
    row = {"channel": "ads", "customer_id": customer, "email": email, "phone": phone, "may_personalise": allows}
    return row | said


def decide(decisions: Path, people: list[Row], held: pl.DataFrame | None = None) -> None:
    """What the stage decide leaves for an audience."""
    decisions.mkdir(exist_ok=True)
    tables = {"sync_tool__recipients": people, "sync_tool__held": [] if held is None else held.to_dicts()}
    for table, rows in tables.items():
        schema = SCHEMAS[table]
        whole = [dict.fromkeys(schema) | row for row in rows]
        pl.DataFrame(whole, schema=schema, orient="row").write_parquet(decisions / f"{table}.parquet")


def rendered(channel: HashedAudience, decisions: Path, folder: Path) -> dict[str, list[tuple[str, ...]]]:
    """Per file, without the audience's name and the date: its rows, the header first."""
    channel.render(decisions, folder, RUN_DATE)
    found = {}
    for path in sorted(folder.iterdir()):
        what = path.name.removeprefix("ads_").replace("_20260331", "").removesuffix(".csv")
        content = path.read_bytes()
        assert content.endswith(b'"\n')
        assert b"\r" not in content
        found[what] = [tuple(row) for row in csv.reader(content.decode().splitlines())]
    return found


PEOPLE = [
    person("ann", "a.nn+news@gmail.com", "+491511234567"),
    person("ben", "ben@example.com", allows=False),
    person("cat", None, "+442071838750"),
    person("dan", "ben@example.com", "+33123456789"),
]


def test_google_takes_email_and_phone_by_its_own_rules(shop: Shop, tmp_path: Path) -> None:
    decide(tmp_path / "d", PEOPLE)
    files = rendered(audience(shop, "google_customer_match"), tmp_path / "d", tmp_path / "f")
    assert files == {
        "personalised": [
            ("Email", "Phone"),
            (sha("ann@gmail.com"), sha("+491511234567")),
            ("", sha("+442071838750")),
            ("", sha("+33123456789")),
        ],
        "unpersonalised": [("Email", "Phone"), (sha("ben@example.com"), "")],
        "personalised_remove": [("Email", "Phone")],
        "unpersonalised_remove": [("Email", "Phone")],
    }


def test_meta_takes_names_and_country_only_when_asked_to(shop: Shop, tmp_path: Path) -> None:
    named = {"first_name": "\u00c9milie", "last_name": "O'Brien", "country": "DE"}
    decide(tmp_path / "d", [person("ann", "a.nn+news@gmail.com", "+491511234567", **named)])
    plain = rendered(audience(shop, "meta_custom_audiences"), tmp_path / "d", tmp_path / "f")
    assert plain["personalised"] == [("email", "phone"), (sha("a.nn+news@gmail.com"), sha("491511234567"))]
    fields = ["phone", "first_name", "last_name", "country"]
    for number, (options, first) in enumerate([({}, "\u00e9milie"), ({"keep_accents": False}, "milie")]):
        channel = audience(shop, "meta_custom_audiences", fields=fields, options=options)
        assert rendered(channel, tmp_path / "d", tmp_path / f"f{number}")["personalised"] == [
            ("email", "phone", "fn", "ln", "country"),
            (sha("a.nn+news@gmail.com"), sha("491511234567"), sha(first), sha("obrien"), sha("de")),
        ]


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_audience_is_a_header_and_every_file_is_named_beforehand(
    shop: Shop, tmp_path: Path, kind: str
) -> None:
    decide(tmp_path / "d", [])
    for rows in ("full", "delta"):
        channel = audience(shop, kind, rows=rows)
        assert channel.render(tmp_path / "d", tmp_path / rows, RUN_DATE) == 0
        assert sorted(channel.files(RUN_DATE)) == sorted(path.name for path in (tmp_path / rows).iterdir())
        for path in (tmp_path / rows).iterdir():
            assert channel.read(path).rows() == []
            assert tuple(channel.read(path).columns) == ("email", "phone")


def test_no_address_leaves_and_none_is_said_twice(shop: Shop, tmp_path: Path) -> None:
    decide(tmp_path / "d", PEOPLE)
    for kind in KINDS:
        channel = audience(shop, kind)
        rendered(channel, tmp_path / "d", tmp_path / kind)
        content = b"".join(path.read_bytes() for path in (tmp_path / kind).iterdir())
        assert not [part for part in (b"@", b"example", b"1511234567", b"ann", b"dan") if part in content]
        hashes = pl.concat(channel.read(path) for path in (tmp_path / kind).iterdir()).unpivot()["value"].drop_nulls()
        assert hashes.n_unique() == hashes.len() == 5
        assert sha("") not in hashes


def test_whoever_shares_an_address_with_somebody_who_refuses_personalisation_is_unpersonalised_by_it(
    shop: Shop, tmp_path: Path
) -> None:
    decide(tmp_path / "d", [person("a", "home@gmail.com"), person("z", "h.o.me@gmail.com", allows=False)])
    files = rendered(audience(shop, "google_customer_match"), tmp_path / "d", tmp_path / "f")
    assert files["personalised"] == [("Email", "Phone")]
    assert files["unpersonalised"][1:] == [(sha("home@gmail.com"), "")]


@pytest.mark.parametrize("people", [[person("ann", None)], [person("ann", "a@x.de"), person("ann", "b@x.de")]])
def test_a_recipient_without_address_or_twice_is_refused(shop: Shop, tmp_path: Path, people: list[Row]) -> None:
    decide(tmp_path / "d", people)
    with pytest.raises(CannotRender, match=r"recipients repeat and \d have no address"):
        audience(shop, "google_customer_match").render(tmp_path / "d", tmp_path / "f", RUN_DATE)


def test_without_decisions_nothing_is_made(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(StageInputMissing, match="Run decide first"):
        audience(shop, "google_customer_match").render(tmp_path / "d", tmp_path / "f", RUN_DATE)


@pytest.mark.parametrize(("kind", "limit"), [(GoogleCustomerMatch, 50_000), (MetaCustomAudiences, 10_000)])
def test_a_file_has_no_more_rows_than_the_platform_takes(
    shop: Shop, tmp_path: Path, kind: type[HashedAudience], limit: int
) -> None:
    people = pl.DataFrame({"customer_id": [f"c{number:06d}" for number in range(limit + 2)]}).with_columns(
        email=pl.col("customer_id") + "@example.com", may_personalise=True, channel=pl.lit("ads")
    )
    decide(tmp_path / "d", [])
    missing = [pl.lit(None, type_).alias(name) for name, type_ in SCHEMAS["sync_tool__recipients"].items()]
    whole = people.with_columns(column for column in missing if column.meta.output_name() not in people.columns)
    whole.write_parquet(tmp_path / "d" / "sync_tool__recipients.parquet")
    channel = audience(shop, kind.kind)
    assert channel.render(tmp_path / "d", tmp_path / "f", RUN_DATE) == limit + 2
    parts = [channel.read(path).height for path in sorted((tmp_path / "f").glob("ads_personalised_2026*"))]
    assert parts == [limit, 2]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"contact_channel": "email"}, "contact_channel"),
        ({"fields": []}, "name both"),
        ({"fields": ["phone", "timezone"]}, "timezone does not go with"),
        ({"identifier": "phone"}, "phone does not go with"),
        ({"moments": ["recommendations", "check_in"]}, "check_in does not go with"),
        ({"options": {"audience_name": "Diabetes newsletter"}}, "'diabetes' suggests health or finances"),
        ({"options": {"audience_name": "Neukunden mit Kreditkarte"}}, "'kreditkarte' suggests"),
        ({"options": {"accents": True}}, "accents"),
        ({"name": "high_income"}, "'income' suggests"),
    ],
)
def test_settings_that_do_not_go_with_meta_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Channel(**{"name": "ads", "kind": "meta_custom_audiences"} | given)


def test_names_are_judged_by_the_beginnings_of_their_words() -> None:
    assert suggestive("Archive of new customers, spring 2026") is None
    assert suggestive("reloaned books") is None
    assert suggestive("VIP_Health-lovers") == "health"
    assert suggestive("KREBSVORSORGE") == "krebsvorsorge"


# -- deltas

EMAILS = [None, "a@example.com", "b@example.com", "c@example.com", "a.b@gmail.com", "ab@gmail.com"]
PHONES = [None, "+491511234567", "+442071838750", "+33123456789"]
someone = st.tuples(st.sampled_from(EMAILS), st.sampled_from(PHONES), st.booleans()).filter(lambda row: any(row[:2]))
nights = st.lists(st.dictionaries(st.sampled_from("kmnpq"), someone, max_size=5), min_size=2, max_size=4)
Audience = dict[str, set[tuple[str, str]]]


def of_file(channel: HashedAudience, folder: Path, what: str) -> set[tuple[str, str]]:
    """Kind and hash of everything in a file."""
    rows = channel.read(folder / f"ads_{what}_20260331.csv").unpivot().drop_nulls()
    return set(rows.rows())


@pytest.mark.parametrize("kind", KINDS)
@given(given_=nights)
@settings(deadline=None, max_examples=tries(6))
def test_deltas_in_order_give_the_full_files_of_the_last_night(
    shop: Shop, tmp_path_factory: pytest.TempPathFactory, kind: str, given_: list[dict[str, Any]]
) -> None:
    """For two lists, one per signal, and for one list that takes all files, removes first."""
    folder = tmp_path_factory.mktemp("nights")
    delta, full = audience(shop, kind, rows="delta"), audience(shop, kind)
    lists: Audience = {"personalised": set(), "unpersonalised": set()}
    one: set[tuple[str, str]] = set()
    held = None
    for number, people in enumerate(given_):
        decisions, made, whole = (folder / f"{what}{number}" for what in "dmw")
        rows = [person(who, email, phone, allows=allows) for who, (email, phone, allows) in people.items()]
        decide(decisions, rows, held)
        delta.render(decisions, made, RUN_DATE)
        full.render(decisions, whole, RUN_DATE)
        for signal in lists:
            lists[signal] -= of_file(delta, made, f"{signal}_remove")
            one -= of_file(delta, made, f"{signal}_remove")
        for signal in lists:
            lists[signal] |= of_file(delta, made, f"{signal}_add")
            one |= of_file(delta, made, f"{signal}_add")
        assert lists == {signal: of_file(full, whole, signal) for signal in lists}
        assert one == lists["personalised"] | lists["unpersonalised"]
        assert not lists["personalised"] & lists["unpersonalised"]
        state = known_after(delta, decisions)
        assert state["customer_id"].to_list() == sorted(people)
        held = state.with_columns(channel=pl.lit("ads"), is_everywhere=pl.lit(value=True))


def test_a_night_that_may_not_have_arrived_is_said_again(shop: Shop, tmp_path: Path) -> None:
    """Ann was in a night that is in doubt: she is added again, and taken out of everything once she is gone."""
    channel = audience(shop, "google_customer_match", rows="delta")
    decide(tmp_path / "d", [PEOPLE[0]])
    held = known_after(channel, tmp_path / "d").with_columns(channel=pl.lit("ads"), is_everywhere=pl.lit(value=False))
    decide(tmp_path / "d", [PEOPLE[0]], held)
    ann = [(sha("ann@gmail.com"), sha("+491511234567"))]
    again = rendered(channel, tmp_path / "d", tmp_path / "again")
    assert again["personalised_add"][1:] == ann
    assert again["personalised_remove"][1:] == []
    assert again["unpersonalised_remove"][1:] == [(ann[0][0], ""), ("", ann[0][1])]
    decide(tmp_path / "d", [], held)
    gone = rendered(channel, tmp_path / "d", tmp_path / "gone")
    assert gone["personalised_remove"][1:] == gone["unpersonalised_remove"][1:] == [(ann[0][0], ""), ("", ann[0][1])]


def test_equal_nights_give_equal_bytes(shop: Shop, tmp_path: Path) -> None:
    channel = audience(shop, "meta_custom_audiences")
    for number, people in enumerate((PEOPLE, PEOPLE[::-1])):
        decide(tmp_path / f"d{number}", people)
        channel.render(tmp_path / f"d{number}", tmp_path / f"f{number}", RUN_DATE)
    assert contents(tmp_path / "f0") == contents(tmp_path / "f1")


def contents(folder: Path) -> list[tuple[str, bytes]]:
    def each() -> Iterator[tuple[str, bytes]]:
        for path in sorted(folder.iterdir()):
            yield path.name, path.read_bytes()

    return list(each())
