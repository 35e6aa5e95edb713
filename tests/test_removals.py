"""Who left an audience: files that, applied night after night, leave a tool with exactly tonight's recipients."""

import csv
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl
import pytest
from channel_contract import item, only, recipient, write_decisions
from dbt_nights import Built
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from thorough import tries

from expectations import evidence as evidence_of
from expectations import removals
from recsys.channel_settings import Channel
from recsys.channels.crm_file import CrmFile
from recsys.channels.email_file import EmailFile
from recsys.channels.slots import SlotFile
from recsys.night import Night
from tests import gate_night, toy
from tests.gate_night import Change, beside, write_past

FIRST = date(2026, 3, 1)
PEOPLE = ["ann", "ben", "cat", "dan", "eve"]
ADDRESSES = [f"{name}@example.com" for name in ("one", "two", "three", "four")]
STATUSES = ["suppressed", "no_consent", "paused", "too_few_items", "unknown_customer"]


class Models:
    """The compiled models on tables in memory that are filled anew for each night."""

    def __init__(self, built: Built) -> None:
        self.con = duckdb.connect(":memory:")
        self.con.execute(
            """
            ATTACH ':memory:' AS warehouse; USE warehouse;
            CREATE SCHEMA staging; CREATE SCHEMA intermediate; CREATE SCHEMA marketing;
            CREATE TABLE staging.stg_night__past_recipients
                (campaign VARCHAR, channel VARCHAR, customer_id VARCHAR, address VARCHAR, run_date DATE);
            CREATE TABLE staging.stg_night__past_nights (channel VARCHAR, is_delivered BOOLEAN, run_date DATE);
            CREATE TABLE staging.stg_night__settings (run_date DATE);
            CREATE TABLE staging.stg_night__channels AS FROM
                (VALUES ('email_file', 'email', 'email'), ('crm_file', NULL, 'email'))
                AS channels (channel, address_kind, contact_channel);
            CREATE TABLE marketing.fct_decisions (channel VARCHAR, customer_id VARCHAR, status VARCHAR);
            CREATE TABLE intermediate.int_customers__addressed
                (customer_id VARCHAR, contact_channel VARCHAR, address VARCHAR, is_valid BOOLEAN);
            """
        )
        self.con.execute(
            f"CREATE VIEW intermediate.int_recipients__named AS {built.sql('int_recipients__named')};"
            f"CREATE VIEW marketing.fct_removals AS {built.sql('fct_removals')}"
        )

    def fill(self, table: str, rows: list[tuple[object, ...]]) -> None:
        self.con.execute(f"DELETE FROM {table}")
        for row in rows:
            self.con.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)

    def removals(self) -> list[dict[str, object]]:
        names = ["channel", "customer_id", "email", "left_since", "reason"]
        query = "SELECT channel, customer_id, address, left_since, reason FROM marketing.fct_removals"
        return [dict(zip(names, row, strict=True)) for row in self.con.execute(query).fetchall()]


@pytest.fixture(scope="module")
def models(toy_night: Built) -> Iterator[Models]:
    models = Models(toy_night)
    yield models
    models.con.close()


class Tool:
    """A tool that knows people by one of the files' columns, and lets empty cells overwrite."""

    def __init__(self, channel: SlotFile, key: str) -> None:
        self.channel = channel
        self.key = key
        self.audience: dict[str, dict[str, str]] = {}

    def take(self, folder: Path, run_date: date) -> None:
        """The night's files in the order in which they are to be imported: remove, clear, the audience's own."""
        name, day = self.channel.name, f"{run_date:%Y%m%d}"
        for row in read(folder / f"{name}_remove_{day}.csv"):
            self.audience.pop(row[self.key], None)
        for row in read(folder / f"{name}_clear_{day}.csv"):
            if row[self.key] in self.audience:
                self.audience[row[self.key]] |= row
        for row in read(folder / f"{name}_{day}.csv"):
            self.audience[row[self.key]] = row


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, strict=True))


@st.composite
def night_of_people(draw: st.DrawFn) -> tuple[dict[str, str], dict[str, str], bool]:
    """Who is exported at which address, the status of everybody else, and whether the files got their names."""
    people = draw(st.lists(st.sampled_from(PEOPLE), unique=True, max_size=len(ADDRESSES)))
    addresses = draw(st.permutations(ADDRESSES))
    others = {who: draw(st.sampled_from(STATUSES)) for who in PEOPLE if who not in people}
    return dict(zip(people, addresses, strict=False)), others, draw(st.sampled_from([True, True, True, False]))


@given(nights=st.lists(night_of_people(), min_size=1, max_size=5))
@settings(max_examples=tries(25), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_files_applied_night_after_night_leave_exactly_tonights_recipients(
    models: Models, nights: list[tuple[dict[str, str], dict[str, str], bool]]
) -> None:
    channels: list[SlotFile] = [EmailFile("email_file", slots=1), CrmFile("crm_file", slots=1)]
    by_email, by_id, crm = (
        Tool(channels[0], "email"),
        Tool(channels[0], "customer_id"),
        Tool(channels[1], "customer_id"),
    )
    past: list[tuple[object, ...]] = []
    nights_before: list[tuple[object, ...]] = []
    for number, (exported, others, is_published) in enumerate(nights):
        run_date = FIRST + timedelta(days=number)
        known = {who: status for who, status in others.items() if status != "unknown_customer"}
        models.fill("staging.stg_night__settings", [(run_date,)])
        models.fill("staging.stg_night__past_recipients", past)
        models.fill("staging.stg_night__past_nights", nights_before)
        models.fill(
            "marketing.fct_decisions",
            [
                (channel.name, who, status)
                for channel in channels
                for who, status in (known | dict.fromkeys(exported, "exported")).items()
            ],
        )
        models.fill(
            "intermediate.int_customers__addressed",
            [(who, "email", address, True) for who, address in exported.items()],
        )
        left = models.removals()
        recipients = [recipient(who, email=address) for who, address in exported.items()]
        items = [item(who, 1, f"night-{number}") for who in exported]
        with TemporaryDirectory() as folder:
            decisions = write_decisions(
                Path(folder) / "decisions",
                sync_email_file__recipients=recipients,
                sync_email_file__items=items,
                sync_email_file__removals=[row for row in left if row["channel"] == "email_file"],
                sync_crm_file__recipients=list(only("sync_crm_file__recipients", recipients, "crm_file")),
                sync_crm_file__items=list(only("sync_crm_file__items", items, "crm_file")),
                sync_crm_file__removals=list(
                    only("sync_crm_file__removals", [row for row in left if row["channel"] == "crm_file"])
                ),
            )
            files = Path(folder) / "files"
            for channel in channels:
                channel.render(decisions, files, run_date)
            if is_published:  # without _SUCCESS nobody imports anything
                for tool in (by_email, by_id, crm):
                    tool.take(files, run_date)
                tonight = f"night-{number}"
                assert {key: row["rec_1_id"] for key, row in by_email.audience.items()} == dict.fromkeys(
                    exported.values(), tonight
                )
                assert {who: row["email"] for who, row in by_id.audience.items()} == exported
                assert {who: row["rec_1_id"] for who, row in crm.audience.items()} == dict.fromkeys(exported, tonight)
            _same_as_the_recount(left, past, nights_before, exported, run_date, files)
        for channel in channels:
            nights_before.append((channel.name, is_published, run_date))
            past += [
                ("recommendations", channel.name, who, address if channel.name == "email_file" else None, run_date)
                for who, address in exported.items()
            ]


def _same_as_the_recount(
    left: list[dict[str, object]],
    past: list[tuple[object, ...]],
    nights_before: list[tuple[object, ...]],
    exported: dict[str, str],
    run_date: date,
    folder: Path,
) -> None:
    """The gate's own count of who left, from the same ledger, names the same people at the same addresses."""
    names = ["campaign", "channel", "customer_id", "address", "run_date"]
    entries = pl.DataFrame(past, schema=dict.fromkeys(names, pl.String) | {"run_date": pl.Date}, orient="row")
    schema = {"channel": pl.String, "is_delivered": pl.Boolean, "run_date": pl.Date}
    nights = pl.DataFrame(nights_before, schema=schema, orient="row")
    cells = {"customer_id": [*exported], "email": [*exported.values()]}
    tonight = pl.DataFrame(cells, schema=dict.fromkeys(cells, pl.String))
    for kind, keys in (("email_file", ["customer_id", "email"]), ("crm_file", ["customer_id"])):
        named = removals.last_named(entries, nights, Channel(name=kind, kind=kind), run_date)
        found = removals.departed(named, tonight, keys).select(*keys, "left_since")
        wanted = [tuple(row[name] for name in (*keys, "left_since")) for row in left if row["channel"] == kind]
        assert sorted(found.rows()) == sorted(wanted)


@pytest.fixture
def night(tmp_path: Path) -> Night:
    """Ann and Ben are in tonight's files; Cat and Ben's old address were in the last e-mail file, Dan in the CRM's."""
    night = gate_night.write_night(tmp_path)
    write_past(
        night,
        ("2026-03-28", "email_file", "eve", "eve@example.com"),
        ("2026-03-30", "email_file", "ann", "ann@example.com"),
        ("2026-03-30", "email_file", "ben", "old@example.com"),
        ("2026-03-30", "email_file", "cat", "cat@example.com"),
        ("2026-03-30", "email_file", "zoe", "zoe@example.com"),
        ("2026-03-30", "crm_file", "ben", None),
        ("2026-03-30", "crm_file", "dan", None),
    )
    remove = [
        ("ben", "old@example.com", "2026-03-30", "address_changed"),
        ("cat", "cat@example.com", "2026-03-30", "no_consent"),
        ("zoe", "zoe@example.com", "2026-03-30", "unknown_customer"),
    ]
    leave(night, "email_file", pl.DataFrame(remove, ["customer_id", "email", "left_since", "reason"], orient="row"))
    crm = [("dan", "2026-03-30", "suppressed")]
    leave(night, "crm_file", pl.DataFrame(crm, ["customer_id", "left_since", "reason"], orient="row"))
    return night


def leave(night: Night, channel: str, remove: pl.DataFrame) -> None:
    """Write a channel's remove file, and the clear file that goes with it."""
    gate_night.write_cells(remove, beside(night, channel, "remove"))
    empty = pl.read_csv(beside(night, channel, "clear"), infer_schema=False)
    keys = [name for name in ("customer_id", "email") if name in remove.columns]
    clear = remove.select(*keys, run_date=pl.lit("2026-03-31"))
    rest = [pl.lit(None, pl.String).alias(name) for name in empty.columns if name not in clear.columns]
    gate_night.write_cells(clear.with_columns(rest).select(empty.columns), beside(night, channel, "clear"))


def change(night: Night, what: str, to: Change) -> None:
    path = beside(night, "email_file", what)
    gate_night.write_cells(to(pl.read_csv(path, infer_schema=False)), path)


def failed(night: Night) -> set[str]:
    evidence, checks = evidence_of.gather(night)
    assert evidence is not None, checks
    checks = [check for channel in night.shop.channels for check in removals.check(evidence, channel)]
    assert {check.severity for check in checks} == {"critical"}
    told = " ".join(check.detail for check in checks)
    assert not any(name in told for name in (*toy.frame("customers")["customer_id"], "zoe", "example.com"))
    return {check.check for check in checks if not check.passed}


def test_the_recount_agrees_with_right_files(night: Night) -> None:
    assert failed(night) == set()


@pytest.mark.parametrize("who", ["ben", "cat", "zoe"])
def test_somebody_who_left_and_is_not_removed_is_missed(night: Night, who: str) -> None:
    change(night, "remove", lambda rows: rows.filter(pl.col("customer_id") != who))
    assert failed(night) == {"removed_are_the_last_files_minus_tonights", "cleared_are_those_removed"}


@pytest.mark.parametrize(
    "row",
    [("ann", "ann@example.com"), ("eve", "eve@example.com"), ("ben", "ben@example.com"), ("fay", "fay@example.com")],
)
def test_somebody_removed_who_stayed_or_left_before_or_never_came_is_found(night: Night, row: tuple[str, str]) -> None:
    more = pl.DataFrame(
        [(*row, "2026-03-30", "no_consent")], ["customer_id", "email", "left_since", "reason"], orient="row"
    )
    change(night, "remove", lambda rows: pl.concat([rows, more]).sort("customer_id"))
    assert "removed_are_the_last_files_minus_tonights" in failed(night)


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        ("ben", "no_consent"),
        ("cat", "suppressed"),
        ("cat", "unknown_customer"),
        ("zoe", "address_changed"),
        ("zoe", "no_consent"),
        ("cat", "exported"),
    ],
)
def test_a_reason_that_is_not_true_is_found(night: Night, who: str, reason: str) -> None:
    is_theirs = pl.col("customer_id") == who
    change(
        night,
        "remove",
        lambda rows: rows.with_columns(reason=pl.when(is_theirs).then(pl.lit(reason)).otherwise("reason")),
    )
    assert failed(night) == {"removal_reasons_hold"}


@pytest.mark.parametrize("column", ["rec_1_id", "rec_2_price", "first_name", "country"])
def test_a_clear_row_that_says_anything_is_found(night: Night, column: str) -> None:
    change(night, "clear", lambda rows: rows.with_columns(pl.lit("1").alias(column)))
    assert failed(night) == {"cleared_cells_are_empty"}


def test_clear_rows_are_about_those_removed_and_tonight(night: Night) -> None:
    change(night, "clear", lambda rows: rows.with_columns(run_date=pl.lit("2026-03-30")))
    assert failed(night) == {"cleared_tonight"}
    change(night, "clear", lambda rows: rows.head(1))
    assert "cleared_are_those_removed" in failed(night)


def test_after_a_night_without_recipients_nobody_is_left_to_remove(night: Night) -> None:
    write_past(night, ("2026-03-29", "email_file", "cat", "cat@example.com"), published=("2026-03-30",))
    assert "removed_are_the_last_files_minus_tonights" in failed(night)
    for channel in night.shop.channels:
        leave(night, channel.name, pl.read_csv(beside(night, channel.name, "remove"), infer_schema=False).clear())
    assert failed(night) == set()
