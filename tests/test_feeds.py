"""Consents and suppressions that are missing, old or shrunken stop the night before anything else."""

import shutil
from datetime import date, timedelta
from pathlib import Path

import pytest
import toy

from recsys.config import Shop
from recsys.contracts import CONTRACTS
from recsys.erasure.erase import erase
from recsys.errors import PermissionFeedUnfit
from recsys.ingest import stage
from recsys.night import Night
from recsys.suppression.key import KEY_ENV

FEEDS = ("consents", "suppressions")


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return toy.write_shop(tmp_path)


def night(shop: Shop, days: int = 0) -> Night:
    return Night(shop, toy.RUN_DATE + timedelta(days=days))


def publish(done: Night) -> None:
    stage.run(done)
    done.audience("email_file").mkdir(parents=True)
    (done.audience("email_file") / "_SUCCESS").touch()


def header_only(shop: Shop, table: str, days: int) -> Path:
    source = shop.folder / "inbox" / toy.RUN_DATE.isoformat() / f"{table}.csv"
    target = shop.folder / "inbox" / (toy.RUN_DATE + timedelta(days=days)).isoformat() / f"{table}.csv"
    target.parent.mkdir(exist_ok=True)
    target.write_text(source.read_text().splitlines(keepends=True)[0])
    return target


def ingest_settings(shop: Shop, **fields: object) -> Shop:
    return shop.model_copy(update={"ingest": type(shop.ingest)(**(shop.ingest.model_dump() | fields))})


@pytest.mark.parametrize("missing", [("consents",), ("suppressions",), FEEDS])
def test_a_day_without_a_file_stops_the_night(shop: Shop, missing: tuple[str, ...]) -> None:
    """The files of the day before are no news: nobody knows what they would say today."""
    publish(night(shop))
    for table in set(FEEDS) - set(missing):
        header_only(shop, table, 1)
    with pytest.raises(PermissionFeedUnfit) as error:
        stage.run(night(shop, 1))
    text = str(error.value)
    for table in FEEDS:
        said = f"{table}: the newest file is of 2026-03-31, which began 48 hours before the night's end (allowed: 36)"
        assert (said in text) == (table in missing)
    assert "Deliver the days that are missing" in text
    assert not night(shop, 1).inputs.exists()


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)])
def test_when_clocks_change_todays_file_is_new_and_yesterdays_is_not(shop: Shop, day: date) -> None:
    berlin = shop.model_copy(update={"timezone": "Europe/Berlin"})
    days = (day - toy.RUN_DATE).days
    for table in FEEDS:
        header_only(shop, table, days)
    for table in CONTRACTS.keys() - set(FEEDS):
        path = shop.folder / "inbox" / toy.RUN_DATE.isoformat() / f"{table}.csv"
        if path.exists():
            shutil.copy(path, shop.folder / "inbox" / day.isoformat())
    stage.run(Night(berlin, day))
    with pytest.raises(PermissionFeedUnfit, match=r"(?s)consents: the newest.*suppressions: the newest"):
        stage.run(Night(shop, max(day, toy.RUN_DATE) + timedelta(days=1)))


def test_a_header_alone_is_news_enough(shop: Shop) -> None:
    for days in (1, 2, 3):
        for table in FEEDS:
            header_only(shop, table, days)
    assert stage.run(night(shop, 3))["suppressions"] == 1


@pytest.mark.parametrize("table", FEEDS)
def test_a_configured_feed_that_never_came_stops_the_night(shop: Shop, table: str) -> None:
    (shop.folder / "inbox" / toy.RUN_DATE.isoformat() / f"{table}.csv").unlink()
    with pytest.raises(PermissionFeedUnfit, match=f"{table}: configured, but no file was ever delivered"):
        stage.run(night(shop))


def test_the_limit_is_the_shops_to_set(shop: Shop) -> None:
    strict = ingest_settings(shop, max_permission_age_hours=12)
    with pytest.raises(PermissionFeedUnfit, match="allowed: 12"):
        stage.run(night(strict))
    weekend = ingest_settings(shop, max_permission_age_hours=60)
    stage.run(night(weekend, 1))
    with pytest.raises(PermissionFeedUnfit, match="allowed: 60"):
        stage.run(night(weekend, 2))
    patient = ingest_settings(shop, max_permission_age_hours=1000)
    stage.run(night(patient, 30))


def test_files_without_a_date_must_be_accepted_as_such(shop: Shop) -> None:
    def dated(**fields: object) -> Shop:
        source = shop.tables["suppressions"].model_copy(update={"file_date": None, **fields})
        return shop.model_copy(update={"tables": shop.tables | {"suppressions": source}})

    with pytest.raises(PermissionFeedUnfit, match=r"suppressions: its files have no date.*max_age_hours: \.inf"):
        stage.run(night(dated()))
    stage.run(night(dated(max_age_hours=float("inf"))))


@pytest.mark.parametrize("table", FEEDS)
def test_a_list_that_shrank_since_the_last_published_night_stops_the_next(shop: Shop, table: str) -> None:
    publish(night(shop))
    toy.deliver_permissions(shop, night(shop, 1).run_date)
    before = {"consents": 14, "suppressions": 1}[table]
    path = shop.folder / "inbox" / toy.RUN_DATE.isoformat() / f"{table}.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(PermissionFeedUnfit) as error:
        stage.run(night(shop, 1))
    assert f"{table}: {before - 1} rows, {before} on the night of 2026-03-31; such lists only grow" in str(error.value)
    accepted = ingest_settings(shop, accept_smaller_on=[date(2026, 4, 1)])
    stage.run(night(accepted, 1))


def test_an_empty_full_list_of_suppressions_stops_the_night(shop: Shop) -> None:
    """The measured trap: a newer empty list would let everybody through."""
    source = shop.tables["suppressions"].model_copy(update={"delivery": "full"})
    full = shop.model_copy(update={"tables": shop.tables | {"suppressions": source}})
    publish(night(full))
    toy.deliver_permissions(full, night(full, 1).run_date)
    with pytest.raises(PermissionFeedUnfit, match=r"suppressions: 0 rows, 1 on the night of 2026-03-31"):
        stage.run(night(full, 1))


def test_a_night_that_was_never_published_is_no_measure(shop: Shop) -> None:
    stage.run(night(shop))
    toy.deliver_permissions(shop, night(shop, 1).run_date)
    path = shop.folder / "inbox" / toy.RUN_DATE.isoformat() / "suppressions.csv"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    stage.run(night(shop, 1))


def test_a_shop_without_these_feeds_contacts_nobody(shop: Shop) -> None:
    """Absent is not unfit: without consents nobody may be contacted, and the absence is stated."""
    tables = {name: source for name, source in shop.tables.items() if name not in FEEDS}
    counts = stage.run(night(shop.model_copy(update={"tables": tables})))
    assert "consents" in str(counts["absent"])
    shutil.rmtree(shop.root)


ANN, DAN = (f",{who}@example.com,,email,hard_bounce,2026-02-01 00:00:00\n" for who in ("ann", "dan"))
HEADER = "customer_id,email,phone,channel,reason,occurred_at\n"


def suppressions(shop: Shop, *rows: str, days: int = 1) -> None:
    toy.deliver_permissions(shop, night(shop, days).run_date)
    path = shop.folder / "inbox" / night(shop, days).run_date.isoformat() / "suppressions.csv"
    path.write_text(HEADER + "".join(rows))


def full_list(shop: Shop) -> Shop:
    source = shop.tables["suppressions"].model_copy(update={"delivery": "full"})
    return shop.model_copy(update={"tables": shop.tables | {"suppressions": source}})


@pytest.mark.parametrize(
    "now",
    [
        ANN,
        DAN.replace("email,hard", "sms,hard"),
        ANN + ANN.replace("ann", "eve") + DAN.replace("dan@", "dan.@"),
    ],
)
def test_a_suppression_that_is_gone_stops_the_night_however_many_there_are(shop: Shop, now: str) -> None:
    full = full_list(shop)
    publish(night(full))
    suppressions(full, now)
    said = r"suppressions: 1 of the 1 ids and addresses that were suppressed on the night of 2026-03-31 are missing"
    with pytest.raises(PermissionFeedUnfit, match=said) as error:
        stage.run(night(full, 1))
    assert "@" not in str(error.value)
    accepted = ingest_settings(full, accept_smaller_on=[date(2026, 4, 1)])
    stage.run(night(accepted, 1))


def test_what_is_written_otherwise_or_said_for_all_channels_is_still_there(shop: Shop) -> None:
    full = full_list(shop)
    suppressions(
        full, DAN, "ann,,0151 123456,sms,complaint,2026-02-01\n", ",,0049 151/1,sms,erased,2026-02-01\n", days=0
    )
    publish(night(full))
    now = (DAN.replace("dan", " Dan").replace("email,", "all,"), ANN)
    suppressions(full, *now, "ann,,+49151123456,all,complaint,2026-02-01\n", ",,+49-151 1,all,complaint,2026-03-01\n")
    assert stage.run(night(full, 1))["suppressions"] == 4


@pytest.mark.parametrize("table", FEEDS)
def test_a_feed_that_the_last_published_night_had_must_still_be_configured(shop: Shop, table: str) -> None:
    publish(night(shop))
    toy.deliver_permissions(shop, night(shop, 1).run_date)
    less = shop.model_copy(update={"tables": {name: shop.tables[name] for name in shop.tables if name != table}})
    with pytest.raises(PermissionFeedUnfit, match=rf"{table}: not configured any more; .* Put tables\.{table} back"):
        stage.run(night(less, 1))
    stage.run(night(ingest_settings(less, accept_smaller_on=[date(2026, 4, 1)]), 1))


def test_rows_that_an_erasure_took_out_are_not_missed(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dan's suppression goes with him, from the night's landed rows as well; it is remembered as hashes."""
    monkeypatch.setenv(KEY_ENV, "5e" * 32)
    full = full_list(shop)
    suppressions(full, DAN, ANN, days=0)
    stage.run(night(full))
    erase(full, ["dan"], date(2026, 4, 1))
    (night(full).audience("email_file")).mkdir(parents=True)
    (night(full).audience("email_file") / "_SUCCESS").touch()
    assert not night(full).raw.exists()
    suppressions(full, DAN, ANN)
    assert stage.run(night(full, 1))["suppressions"] == 1
    suppressions(full, DAN, DAN.replace("dan", "eve"))
    with pytest.raises(PermissionFeedUnfit, match="1 of the 1 ids and addresses"):
        stage.run(night(full, 1))


def test_without_the_landed_rows_the_raw_table_is_compared(shop: Shop) -> None:
    full = full_list(shop)
    publish(night(full))
    suppressions(full, ANN)
    shutil.rmtree(full.root / "landed" / "suppressions")
    with pytest.raises(PermissionFeedUnfit, match="1 of the 1 ids and addresses"):
        stage.run(night(full, 1))
    shutil.rmtree(full.root / "landed" / "suppressions")
    (night(full).raw / "suppressions.parquet").unlink()
    with pytest.raises(PermissionFeedUnfit, match="cannot be compared with the night of 2026-03-31"):
        stage.run(night(full, 1))
