"""The demo shop: the same arguments give the same bytes, its files keep the contracts but for the faults it tells of,
and what the truth folder says is what the files show."""

import gzip
import hashlib
import shutil
import time
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from expectations import permission
from recsys.config import load_shop
from recsys.contracts import CONTRACTS
from recsys.demo.shop import DemoSummary, products_for, write_demo
from recsys.errors import ConfigError
from recsys.ingest.stage import run
from recsys.night import Night

EXAMPLE = Path(__file__).parents[1] / "examples" / "demo" / "shop.yaml"
LAST_DAY = date(2026, 8, 31)
BERLIN = ZoneInfo("Europe/Berlin")


def bytes_below(folder: Path) -> dict[str, str]:
    """Every file's path and hash."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


class Demo:
    """The default demo shop with its shop file, laid out as in a checkout, and the raw tables of its last night."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "data" / "demo"
        started = time.perf_counter()
        self.summary: DemoSummary = write_demo(self.folder)
        self.seconds = time.perf_counter() - started
        shop_file = root / "examples" / "demo" / "shop.yaml"
        shop_file.parent.mkdir(parents=True)
        shutil.copy(EXAMPLE, shop_file)
        self.night = Night(load_shop(shop_file), LAST_DAY)
        run(self.night)

    def raw(self, table: str) -> pl.DataFrame:
        return pl.read_parquet(self.night.raw / f"{table}.parquet")

    def truth(self, table: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / "truth" / f"{table}.parquet")

    def sales(self) -> pl.DataFrame:
        """Bought lines of known customers, with the products' flags."""
        products = self.truth("products")
        return (
            self.raw("order_lines")
            .filter((pl.col("quantity") > 0) & pl.col("customer_id").str.starts_with("C"))
            .join(products, on="product_id", how="left")
        )


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo(tmp_path_factory.mktemp("checkout"))


def test_same_arguments_give_the_same_bytes(demo: Demo, tmp_path: Path) -> None:
    write_demo(tmp_path / "again")
    write_demo(tmp_path / "other", seed=8)
    first = bytes_below(demo.folder / "inbox") | bytes_below(demo.folder / "truth")
    assert bytes_below(tmp_path / "again" / "inbox") | bytes_below(tmp_path / "again" / "truth") == first
    other = bytes_below(tmp_path / "other" / "inbox")
    assert other["2026-08-18/order_lines.csv"] != first["2026-08-18/order_lines.csv"]


def test_a_later_last_day_only_adds_folders(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    write_demo(folder, customers=300, through=date(2026, 8, 20))
    before = bytes_below(folder)
    written = {path: path.stat().st_mtime_ns for path in folder.rglob("inbox/*/*")}

    summary = write_demo(folder, customers=300, through=date(2026, 9, 30))

    after = bytes_below(folder)
    assert {name: digest for name, digest in after.items() if name in before} == before
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert summary.files_kept == len(written)
    added = {name.split("/")[1] for name in after if name not in before}
    assert added == {(date(2026, 8, 21) + timedelta(days=n)).isoformat() for n in range(41)}


def test_a_damaged_file_is_written_anew(tmp_path: Path) -> None:
    write_demo(tmp_path, customers=100, through=date(2026, 8, 18))
    whole = bytes_below(tmp_path)
    (tmp_path / "inbox" / "2026-08-18" / "customers.csv").write_text("cut off")
    summary = write_demo(tmp_path, customers=100, through=date(2026, 8, 18))
    assert summary.files_written == 1
    assert bytes_below(tmp_path) == whole


def test_different_shops_are_not_mixed_in_one_folder(tmp_path: Path) -> None:
    write_demo(tmp_path, customers=50, through=date(2026, 8, 18))
    with pytest.raises(ConfigError, match="customers 50, products 200, seed 7, not customers 50, products 200, seed 8"):
        write_demo(tmp_path, customers=50, seed=8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"customers": 9}, "customers is 9; allowed: 10 to"),
        ({"products": 111}, "products is 111; allowed: 112 to"),
        ({"through": date(2026, 8, 17)}, "delivers from 2026-08-18 to 2026-09-30"),
        ({"through": date(2026, 10, 1)}, "delivers from 2026-08-18 to 2026-09-30"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path: Path, arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        write_demo(tmp_path / "shop", **arguments)  # type: ignore[arg-type]
    assert not (tmp_path / "shop").exists()


def test_two_thousand_customers_take_seconds(demo: Demo) -> None:
    assert demo.seconds < 20


def test_the_default_shop_has_the_size_it_promises(demo: Demo) -> None:
    assert demo.raw("customers").height == 2000
    assert demo.summary.products == 400
    assert products_for(200_000) == products_for(1_000_000) == 20_000
    assert 9 < demo.raw("order_lines").height / 2000 < 11
    assert demo.summary.days == tuple(date(2026, 8, 18) + timedelta(days=n) for n in range(14))


def test_all_eleven_tables_reach_the_night(demo: Demo) -> None:
    empty = [table for table in CONTRACTS if demo.raw(table).is_empty()]
    assert empty == []


def test_quarantine_finds_exactly_the_faults_that_were_put_in(demo: Demo) -> None:
    found = (
        demo.raw("quarantine")
        .with_columns(day=pl.col("file").str.extract(r"inbox/(\d{4}-\d\d-\d\d)/").str.to_date())
        .group_by("day", "table_name", "column_name")
        .agg(rows=pl.len().cast(pl.Int64))
        .sort("day", "table_name", "column_name")
    )
    assert found.equals(demo.truth("dirty_rows").filter(pl.col("day") <= LAST_DAY))
    assert demo.summary.dirty_rows == dict(found.group_by("table_name").agg(pl.col("rows").sum()).iter_rows())
    assert {"customers", "order_lines", "web_events"} <= set(demo.summary.dirty_rows)
    assert min(demo.summary.dirty_rows.values()) >= 3


def test_no_file_of_any_day_has_too_many_faults(tmp_path: Path) -> None:
    write_demo(tmp_path, customers=1000, through=date(2026, 9, 30))
    faults = (
        pl.read_parquet(tmp_path / "truth" / "dirty_rows.parquet")
        .group_by("day", "table_name")
        .agg(pl.col("rows").sum())
    )
    assert set(faults["table_name"]).isdisjoint({"consents", "suppressions"})
    shares = []
    for day, table, bad in faults.iter_rows():
        packed = tmp_path / "inbox" / day.isoformat() / f"{table}.csv.gz"
        text = gzip.decompress(packed.read_bytes()) if packed.exists() else packed.with_suffix("").read_bytes()
        shares.append(bad / (text.count(b"\n") - 1))
    assert 0 < max(shares) <= 0.002


def test_a_large_range_has_faults_of_its_own(tmp_path: Path) -> None:
    write_demo(tmp_path, customers=10, products=2000, through=date(2026, 8, 18))
    products = pl.read_parquet(tmp_path / "inbox" / "2026-08-18" / "products.parquet")
    found = {"name": products["title"].null_count(), "price": (products["price_cents"] < 0).sum()}
    faults = pl.read_parquet(tmp_path / "truth" / "dirty_rows.parquet").filter(table_name="products")
    assert dict(faults.select("column_name", "rows").iter_rows()) == found == {"name": 2, "price": 1}
    assert products["sku"].is_unique().all()


def test_the_truth_lies_where_no_shop_file_reads(demo: Demo) -> None:
    inbox = (demo.folder / "inbox").resolve()
    shop = demo.night.shop
    assert [(shop.folder / folder).resolve() for folder in shop.sandbox] == [inbox]
    assert not (demo.folder / "truth").resolve().is_relative_to(inbox)
    assert {path.suffix for path in inbox.rglob("*") if path.is_file()} == {".csv", ".gz", ".jsonl", ".parquet"}


def test_rows_are_delivered_on_their_local_day(demo: Demo) -> None:
    for day in (date(2026, 8, 19), LAST_DAY):
        start = datetime(day.year, day.month, day.day, tzinfo=BERLIN)
        folder = demo.folder / "inbox" / day.isoformat()
        orders = pl.read_csv(folder / "order_lines.csv", columns=["ordered"])["ordered"].str.to_datetime(
            time_zone="UTC"
        )
        assert start.astimezone(UTC) <= orders.min() < orders.max() < (start + timedelta(days=1)).astimezone(UTC)
        events = pl.read_csv(folder / "web_events.csv.gz", columns=["time"])["time"].str.to_datetime(time_zone="UTC")
        assert (start - timedelta(days=1)).astimezone(UTC) <= events.min()
        assert events.max() < (start + timedelta(days=1)).astimezone(UTC)


def test_later_product_files_hold_only_what_is_new_or_changed(demo: Demo) -> None:
    files = sorted((demo.folder / "inbox").glob("*/products.parquet"))
    assert len(files) > 5
    known = pl.read_parquet(files[0])
    for path in files[1:]:
        news = pl.read_parquet(path)
        assert 0 < news.height < known.height / 4
        assert news.join(known, on=news.columns, how="semi", nulls_equal=True).is_empty()
        known = pl.concat([known.join(news, on="sku", how="anti"), news])


def test_addresses_belong_to_nobody(demo: Demo) -> None:
    customers = demo.raw("customers")
    emails = customers["email"].drop_nulls().str.to_lowercase()
    odd = emails.filter(~emails.str.contains(r"^[a-z]+\.\d+(\.new)?@example\.(com|org|net)$"))
    assert odd.str.contains(r" at example$|@@example\.").all()
    assert 0 < len(odd) < 25
    phones = customers["phone"].drop_nulls()
    assert (phones.str.contains(r"^\+999\d{10}$") | (phones == "0123")).all()
    assert (phones == "0123").any()
    assert 5 < emails.is_duplicated().sum() < 100


def test_what_is_used_up_is_bought_again_and_everything_else_once(demo: Demo) -> None:
    times = demo.sales().group_by("customer_id", "product_id", "replenishable").agg(n=pl.col("order_id").n_unique())
    assert times.filter("replenishable")["n"].max() >= 8
    assert times.filter("replenishable").select((pl.col("n") > 1).mean()).item() > 0.2
    assert times.filter(~pl.col("replenishable"))["n"].max() == 1


def test_repurchases_follow_their_rhythm(demo: Demo) -> None:
    rhythms = demo.truth("rhythms")
    days = (
        demo.sales()
        .join(rhythms, on=["customer_id", "product_id"])
        .sort("customer_id", "product_id", "ordered_at")
        .with_columns(gap=pl.col("ordered_at").diff().over("customer_id", "product_id").dt.total_days())
        .filter(pl.col("gap").is_not_null())
    )
    assert days.height > 1000
    close = (pl.col("gap") / pl.col("every_days")).is_between(0.7, 1.3)
    assert days.select(close.mean()).item() > 0.7


def test_projects_are_finished_after_one_burst(demo: Demo) -> None:
    bought = demo.sales().filter("is_project").with_columns(pl.col("ordered_at").dt.date().alias("day"))
    projects = demo.truth("projects")
    joined = bought.join(projects, on=["customer_id", "category"], how="left")
    assert joined.height > 500
    slack = timedelta(days=1)  # an order after local midnight is on the day before in UTC
    assert joined.select(
        pl.col("day").is_between(pl.col("first_date") - slack, pl.col("last_date") + slack).all()
    ).item()
    assert projects.select((pl.col("last_date") - pl.col("first_date")).max()).item() <= timedelta(days=42)


def test_taste_is_individual_within_a_segment(demo: Demo) -> None:
    """What somebody bought in the first half resembles their second half more than a segment neighbour's."""
    sales = (
        demo.sales()
        .unique(["customer_id", "product_id"])
        .with_columns(half=pl.col("ordered_at") < datetime(2026, 3, 1), cell=pl.col("category") + "/" + pl.col("style"))
    )
    shares = (
        sales.filter(~pl.col("is_project"))
        .group_by("customer_id", "half")
        .agg(pl.len(), *[(pl.col("cell") == cell).mean().alias(cell) for cell in sales["cell"].unique().sort()])
        .filter(pl.col("len") >= 4)
        .drop("len")
    )
    pairs = (
        shares.filter("half")
        .join(shares.filter(~pl.col("half")), on="customer_id")
        .join(demo.truth("customers").select("customer_id", "segment"), on="customer_id")
        .sort("segment", "customer_id")
    )
    cells = [name for name in shares.columns if "/" in name]
    first = pairs.select(cells).to_numpy()
    second = pairs.select([f"{name}_right" for name in cells]).to_numpy()
    neighbour = np.arange(len(pairs)) - 1  # sorted by segment: the row before is, almost always, of the same one
    own = np.minimum(first, second).sum(axis=1).mean()
    neighbours = np.minimum(first[neighbour], second).sum(axis=1).mean()
    assert len(pairs) > 300
    assert own > 2 * neighbours


def test_the_truth_makes_better_lists_than_the_segment(demo: Demo) -> None:
    """Ten products by the formula in recsys.demo.truth, with one's own taste and with the segment's average taste."""
    week = date(2026, 8, 24)
    products = demo.truth("products").join(
        demo.truth("product_weeks").filter(pl.col("week") == week), on="product_id", how="left"
    )
    seasons = demo.truth("seasons").filter(pl.col("week") == week)
    categories, styles = demo.truth("categories")["category"].to_list(), demo.truth("styles")["style"].to_list()
    assert seasons["category"].to_list() == categories
    customers = demo.truth("customers")
    bought = demo.sales().filter(pl.col("ordered_at") >= datetime(2026, 8, 1)).unique(["customer_id", "product_id"])
    buyers = customers.join(bought, on="customer_id", how="semi")
    tastes = [buyers[name].to_numpy() for name in ("category_taste", "style_taste")]
    averages = [
        np.stack([customers.filter(segment=s)[name].to_numpy().mean(axis=0) for s in buyers["segment"]])
        for name in ("category_taste", "style_taste")
    ]

    def hits(category_taste: np.ndarray, style_taste: np.ndarray) -> int:
        likely = category_taste * seasons["factor"].to_numpy()
        likely /= likely.sum(axis=1, keepdims=True)
        chance = likely[:, [categories.index(c) for c in products["category"]]]
        chance = chance * style_taste[:, [styles.index(s) for s in products["style"]]]
        chance = chance * products["probability"].fill_null(0).to_numpy()
        assert np.allclose(chance.sum(axis=1), 1, atol=1e-5)
        best = np.argsort(-chance, axis=1)[:, :10]
        lists = pl.DataFrame(
            {
                "customer_id": buyers["customer_id"].gather(np.repeat(np.arange(len(buyers)), 10)),
                "product_id": products["product_id"].gather(best.ravel()),
            }
        )
        return lists.join(bought, on=["customer_id", "product_id"], how="semi").height

    assert hits(*tastes) > 1.5 * hits(*averages)


def test_visitors_resolve_to_whom_they_are_in_truth(demo: Demo) -> None:
    """Links from the raw tables, followed by hand: directly, or over an old id that no customers table knows."""
    known = set(demo.raw("customers")["customer_id"])
    both = pl.col("visitor_id").is_not_null() & pl.col("customer_id").is_not_null()
    links = pl.concat(
        [
            demo.raw("identities").select("visitor_id", "customer_id"),
            demo.raw("web_events").filter(both).select("visitor_id", "customer_id"),
        ]
    ).unique()
    direct = links.filter(pl.col("customer_id").is_in(known))
    over_old_id = (
        links.filter(~pl.col("customer_id").is_in(known))
        .rename({"customer_id": "old"})
        .join(direct.rename({"visitor_id": "old"}), on="old")
        .select("visitor_id", "customer_id")
    )
    only_two_steps = over_old_id.join(direct, on="visitor_id", how="anti")
    found = pl.concat([direct, only_two_steps]).sort("visitor_id")
    truth = demo.truth("visitors").filter(pl.col("linked_date") <= LAST_DAY).select("visitor_id", "customer_id")
    assert found.equals(truth.sort("visitor_id"))
    assert only_two_steps.height > 10
    assert demo.truth("visitors").filter(pl.col("customer_id").is_null()).height > 500


def test_people_shop_and_look_around_before_they_sign_up(demo: Demo) -> None:
    whose = demo.truth("visitors").join(demo.raw("customers").select("customer_id", "created_at"), on="customer_id")
    guests = demo.raw("order_lines").filter(pl.col("customer_id").is_null()).join(whose, on="visitor_id")
    assert guests.filter(pl.col("ordered_at") < pl.col("created_at")).height > 50
    events = demo.raw("web_events").join(whose, on="visitor_id")
    early = events.filter(pl.col("occurred_at") < pl.col("created_at"))
    assert early.height > 200
    assert early["customer_id"].is_null().all()
    old = demo.raw("order_lines").filter(pl.col("customer_id").str.starts_with("L"))
    assert old.height > 100
    assert old.join(demo.truth("visitors"), left_on="customer_id", right_on="visitor_id", how="anti").is_empty()


def test_permissions_have_the_shares_of_a_real_shop(demo: Demo) -> None:
    last = (
        demo.raw("consents")
        .filter(purpose="marketing")
        .sort("occurred_at")
        .group_by("customer_id", "channel")
        .last()
        .filter(status="granted")
    )
    expired = pl.col("valid_until") <= demo.night.end
    current = last.filter(expired.fill_null(value=True).not_() | pl.col("valid_until").is_null())
    share = dict(current.group_by("channel").agg(pl.len() / 2000).iter_rows())
    assert 0.6 < share["email"] < 0.7
    assert 0.3 < share["sms"] < 0.4
    assert set(share) == {"email", "sms", "push", "post", "ads"}
    assert last.filter(expired).height > 30
    statements = demo.raw("consents").group_by("customer_id", "channel", "purpose").agg(pl.col("status").n_unique())
    assert statements.filter(pl.col("status") > 1).height > 500


def test_most_customers_allow_personalisation_and_answer_the_same_everywhere(demo: Demo) -> None:
    permissions = permission.gather(demo.night)
    assert 0.6 < permissions.personalised.height / 2000 < 0.75
    answers = demo.raw("consents").filter(purpose="personalisation")
    at_once = answers.group_by("customer_id", "occurred_at").agg(pl.col("status").n_unique())
    assert at_once["status"].max() == 1


def test_some_customers_are_minors_and_some_do_not_tell_their_age(demo: Demo) -> None:
    young = permission.gather(demo.night).minors.height
    assert 10 < young < 60
    born = demo.raw("customers")["birth_year"]
    assert 500 < born.null_count() < 700
    assert born.max() <= 2014


def test_one_customer_in_twenty_has_no_history(demo: Demo) -> None:
    resolved = demo.truth("visitors").filter(pl.col("linked_date") <= LAST_DAY).select("visitor_id", "customer_id")
    ids = [
        table.select(pl.coalesce("customer_id", "visitor_id").alias("visitor_id"))
        for table in (demo.raw("order_lines"), demo.raw("web_events").filter(pl.col("product_id").is_not_null()))
    ]
    seen = pl.concat(ids).unique().join(resolved, on="visitor_id", how="left")
    active = seen.select(pl.coalesce("customer_id", "visitor_id").alias("customer_id"))
    idle = demo.raw("customers").join(active, on="customer_id", how="anti")
    assert 0.04 < idle.height / 2000 < 0.1


def test_suppressed_addresses_are_the_customers_own_however_they_are_typed(demo: Demo) -> None:
    suppressions = demo.raw("suppressions")
    assert set(suppressions["reason"]) == {"unsubscribe", "hard_bounce", "complaint", "do_not_contact", "erased"}
    typed = [
        line
        for path in sorted((demo.folder / "inbox").glob("*/suppressions.csv"))
        for line in path.read_text().splitlines()[1:]
    ]
    assert any("@EXAMPLE." in line for line in typed)
    assert any(line.split(",")[1].startswith((" ", '" ')) for line in typed)
    assert any("+999 " in line for line in typed)
    number = suppressions["email"].drop_nulls().str.to_lowercase().str.extract(r"\.(\d+)").cast(pl.Int64)
    assert number.is_between(1, 2100).all()
    assert suppressions["phone"].drop_nulls().str.contains(r"^\+999\d{10}$|^0123$").all()
    by = suppressions.select(pl.col("customer_id", "email", "phone").is_not_null())
    assert by.select(pl.sum_horizontal(pl.all()).eq(1).all()).item()
    assert min(by.sum().row(0)) > 5


def test_the_range_changes_and_some_of_it_cannot_be_recommended(demo: Demo) -> None:
    products = demo.raw("products")
    for flag in ("is_active", "in_stock", "sensitive", "replenishable"):
        assert 0 < products[flag].sum() < products.height
    assert products.filter(pl.col("launched_at") > datetime(2026, 6, 1)).height > 0
    assert products["category"].str.count_matches(" > ").eq(2).all()
    lines = demo.raw("order_lines").filter(pl.col("quantity") > 0).join(products, on="product_id")
    assert lines.filter(pl.col("ordered_at") < pl.col("launched_at")).is_empty()
    counts = lines["product_id"].value_counts(sort=True)["count"]
    assert counts.head(80).sum() > 0.5 * counts.sum()  # a fifth of the range makes half of the sales


def test_seasons_come_and_go(demo: Demo) -> None:
    months = demo.sales().with_columns(month=pl.col("ordered_at").dt.month())
    knitwear = months.filter(category="knitwear").group_by("month").len()
    swimwear = months.filter(category="swimwear").group_by("month").len()

    def sold(table: pl.DataFrame, *which: int) -> int:
        return table.filter(pl.col("month").is_in(which))["len"].sum()

    assert sold(knitwear, 11, 12, 1) > 2 * sold(knitwear, 5, 6, 7)
    assert sold(swimwear, 5, 6, 7) > 2 * sold(swimwear, 11, 12, 1)


def test_nobody_is_written_to_after_unsubscribing(demo: Demo) -> None:
    contacts = demo.raw("contacts")
    reactions = demo.raw("engagements").join(contacts, on="message_id")
    assert reactions.height == demo.raw("engagements").height
    assert (reactions["occurred_at"] > reactions["sent_at"]).all()
    stopped = reactions.filter(pl.col("event_type").is_in(["unsubscribe", "complaint", "bounce"]))
    assert stopped.height > 5
    later = contacts.join(stopped.select("customer_id", stop="sent_at"), on="customer_id").filter(
        pl.col("sent_at") > pl.col("stop")
    )
    assert later.is_empty()
    local = contacts["sent_at"].dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin").dt.hour()
    assert set(local) <= {9, 10}


def test_editorial_bookings_fill_every_week(demo: Demo) -> None:
    starts = demo.raw("editorial")["starts_on"].unique().sort().to_list()
    assert all(later - earlier == timedelta(days=7) for earlier, later in pairwise(starts))
    assert starts[-1] > LAST_DAY
