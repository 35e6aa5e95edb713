"""What the demo shop's customers order: by taste and season, again when it is used up, in bursts for a project."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.demo.assortment import IS_PROJECT, RHYTHM_DAYS, STYLES
from recsys.demo.catalogue import Catalogue
from recsys.demo.draws import Ints, column_per_row, stream, within
from recsys.demo.horizon import DAYS, busy_days, clock, days_of, exposure, moment
from recsys.demo.people import People

NOBODY = -1
ORDERS_PER_YEAR = 4.85
MORE_PER_PRODUCT = 480.0
"""Orders out of taste alone that a customer of average activity makes, the second number divided by the number of
products added to the first: in a small range people more often come upon what they have already. Together with what
follows from rhythms and projects this gives about 10 order lines per customer by the end of the default last day."""
REPEATS = 20
PAID, CANCELLED = 0, 1


@dataclass(frozen=True)
class Purchases:
    """Order lines by day and moment, and the truth behind them.

    `lines`: day, moment, order, customer (NOBODY for guests), visitor (NOBODY for customers), is_old_id, product,
    quantity (negative: return), cents, status. `sales` are the paid lines only, without returns, of customers before
    and after sign-up: day, moment, order, customer, product. `rhythms` and `projects` are what the truth folder tells.
    """

    lines: pl.DataFrame
    sales: pl.DataFrame
    rhythms: pl.DataFrame
    projects: pl.DataFrame


def simulate_purchases(people: People, catalogue: Catalogue, seed: int) -> Purchases:
    """Everything ordered within the horizon."""
    rng = stream(seed, "purchases")
    usual = _usual(rng, people, catalogue)
    rhythms, again = _bought_again(rng, people, catalogue, usual)
    projects, burst = _projects(rng, people, catalogue)
    wanted = _distinct(catalogue, [usual, again, burst])
    sales = _orders(rng, people, wanted)
    return Purchases(_lines(rng, people, catalogue, sales), sales, rhythms, projects)


def _usual(rng: np.random.Generator, people: People, catalogue: Catalogue) -> pl.DataFrame:
    """customer, day, product of orders made because somebody likes something; guests' first orders among them."""
    per_year = ORDERS_PER_YEAR + MORE_PER_PRODUCT / catalogue.size
    years = exposure(people.order_from, people.last_day) * DAYS / 365
    orders = rng.poisson(people.orders_expected * per_year * years)
    who = np.repeat(np.arange(people.size), orders)
    day = busy_days(rng, people.order_from[who], people.last_day[who])
    guests = np.flatnonzero(people.is_guest_first)
    guest_day = within(rng, people.browse_from[guests], people.order_from[guests] - 1)
    who, day = np.concatenate([who, guests]), np.concatenate([day, guest_day])
    lines = 1 + rng.poisson(1.0, len(who))
    who, day = np.repeat(who, lines), np.repeat(day, lines)
    category = catalogue.pick_categories(rng, people.category_taste, who, day)
    style = column_per_row(rng, people.style_taste[who])
    return _wanted(who, day, catalogue.pick_products(rng, category * len(STYLES) + style, day))


def _bought_again(
    rng: np.random.Generator, people: People, catalogue: Catalogue, usual: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rhythms (customer, product, every_days, first_day, last_day), and the purchases that follow from them.

    Of each category that is used up, some customers keep to what they bought first: every so many days, a little more
    or less, until they stop. While it is sold out they go without.
    """
    first = (
        usual.with_columns(category=pl.Series(catalogue.category)[usual["product"]])
        .filter(pl.Series(catalogue.is_replenishable())[usual["product"]])
        .sort("customer", "category", "day", "product")
        .unique(["customer", "category"], keep="first", maintain_order=True)
        .select("customer", "product", "day")
    )
    first = first.filter(pl.Series(rng.random(len(first)) < 0.6))
    who, product, day = (first[name].to_numpy() for name in ("customer", "product", "day"))
    count = len(first)
    every = RHYTHM_DAYS[catalogue.category[product]] * rng.lognormal(0, 0.2, count)
    repeats = np.minimum(rng.geometric(0.15, count), REPEATS)
    gaps = every.astype(np.float32)[:, None] * np.exp(rng.standard_normal((count, REPEATS), dtype=np.float32) * 0.1)
    days = day[:, None] + np.round(np.cumsum(gaps, axis=1)).astype(np.int32)
    happens = (np.arange(REPEATS) < repeats[:, None]) & (days <= people.last_day[who][:, None])
    rows, _ = np.nonzero(happens)
    again = _wanted(who[rows], days[happens].astype(np.int64), product[rows])
    again = again.filter(pl.Series(catalogue.is_on_sale(again["product"].to_numpy(), again["day"].to_numpy())))
    ends = np.minimum(day + np.round(every * (repeats + 0.5)), people.last_day[who]).astype(np.int64)
    rhythms = first.rename({"day": "first_day"}).with_columns(
        pl.Series("every_days", every), pl.Series("last_day", ends)
    )
    return rhythms, again


def _projects(rng: np.random.Generator, people: People, catalogue: Catalogue) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Projects (customer, category, first_day, last_day) and what is bought for them: up to three orders, no more."""
    starts = rng.random(people.size) < 0.2
    who = np.flatnonzero(starts & ~people.has_no_history & (people.last_day - people.order_from > 45))
    category = rng.choice(np.flatnonzero(IS_PROJECT), len(who))
    first_day = within(rng, people.order_from[who], people.last_day[who] - 42)
    gaps = np.stack([np.zeros_like(who), rng.integers(5, 16, len(who)), rng.integers(18, 42, len(who))], axis=1)
    lines = 3 + rng.poisson(3.0, len(who))
    row = np.repeat(np.arange(len(who)), lines)
    day = first_day[row] + gaps[row, rng.integers(0, 3, len(row))]
    style = column_per_row(rng, people.style_taste[who[row]])
    product = catalogue.pick_products(rng, category[row] * len(STYLES) + style, day)
    projects = pl.DataFrame(
        {"customer": who, "category": category, "first_day": first_day, "last_day": first_day + gaps[:, 2]}
    )
    return projects, _wanted(who[row], day, product)


def _wanted(customer: Ints, day: Ints, product: Ints) -> pl.DataFrame:
    return pl.DataFrame(
        {"customer": customer, "day": day, "product": product},
        schema={"customer": pl.Int32, "day": pl.Int32, "product": pl.Int32},
    )


def _distinct(catalogue: Catalogue, parts: list[pl.DataFrame]) -> pl.DataFrame:
    """One row per customer, day and product; what is not used up is bought by a customer only once."""
    rows = pl.concat(parts).unique().sort("customer", "product", "day")
    is_first = (pl.col("customer") != pl.col("customer").shift()) | (pl.col("product") != pl.col("product").shift())
    used_up = pl.Series(catalogue.is_replenishable())[rows["product"]]
    return rows.filter(is_first.fill_null(value=True) | used_up)


def _orders(rng: np.random.Generator, people: People, wanted: pl.DataFrame) -> pl.DataFrame:
    """Sales: what a customer wants on one day is one order, made at one moment; on the day of sign-up after it."""
    orders = wanted.select("customer", "day").unique().sort("customer", "day")
    who, day = (orders[name].to_numpy().astype(np.int64) for name in ("customer", "day"))
    at = moment(day, clock(rng, len(orders)))
    created = people.created_at[who]
    at = np.where((days_of(created) == day) & (at <= created), created + rng.integers(20, 900, len(orders)), at)
    orders = orders.with_columns(
        pl.Series("moment", at), pl.Series("day", days_of(at).astype(np.int32)), order_day="day"
    )
    sales = wanted.rename({"day": "order_day"}).join(orders, on=["customer", "order_day"], how="inner")
    return (
        sales.filter(pl.col("day") < DAYS)
        .sort("moment", "customer", "product")
        .with_columns(order=pl.struct("moment", "customer").rle_id().cast(pl.Int32))
        .select("day", "moment", "order", "customer", "product")
    )


def _lines(rng: np.random.Generator, people: People, catalogue: Catalogue, sales: pl.DataFrame) -> pl.DataFrame:
    """The order lines as the shop's system has them: with returns, cancelled orders and guests who stay unknown."""
    product, day = sales["product"].to_numpy(), sales["day"].to_numpy()
    quantity = np.where(catalogue.is_replenishable()[product], 1 + rng.poisson(0.5, len(sales)), 1)
    paid = sales.with_columns(
        pl.Series("quantity", quantity, dtype=pl.Int32),
        pl.Series("cents", catalogue.price_on(product, day), dtype=pl.Int32),
        status=pl.lit(PAID, dtype=pl.Int8),
        is_stranger=False,
    )
    is_returned = (rng.random(len(paid)) < 0.05) & ~catalogue.is_replenishable()[product]
    returned = _later(rng, paid.filter(pl.Series(is_returned)), 5, 21).with_columns(pl.col("quantity") * -1)
    next_order = sales["order"].n_unique()
    cancelled = _later(rng, paid.filter(pl.Series(rng.random(len(paid)) < 0.005)), 1, 6).with_columns(
        order=pl.int_range(next_order, next_order + pl.len(), dtype=pl.Int32), status=pl.lit(CANCELLED, dtype=pl.Int8)
    )
    next_order += len(cancelled)
    strangers = paid.filter(pl.Series(rng.random(len(paid)) < 0.01)).with_columns(
        order=pl.int_range(next_order, next_order + pl.len(), dtype=pl.Int32), is_stranger=True
    )
    strangers = strangers.with_columns(pl.Series("moment", _another_time(rng, strangers["day"].to_numpy())))
    lines = pl.concat([paid, returned, cancelled, strangers])
    who, at = lines["customer"].to_numpy(), lines["moment"].to_numpy()
    is_guest = at <= people.created_at[who]
    is_stranger = lines["is_stranger"].to_numpy()
    stranger = 2 * people.size + np.cumsum(is_stranger)
    return lines.select(
        "day",
        "moment",
        "order",
        pl.Series("customer", np.where(is_guest | is_stranger, NOBODY, who), dtype=pl.Int32),
        pl.Series("visitor", np.where(is_stranger, stranger, np.where(is_guest, 2 * who, NOBODY))),
        pl.Series("is_old_id", ~is_stranger & (at < people.moved_at[who])),
        "product",
        "quantity",
        "cents",
        "status",
    ).sort("day", "moment", "order", "product", "quantity", "status")


def _another_time(rng: np.random.Generator, days: Ints) -> Ints:
    return moment(days, clock(rng, len(days)))


def _later(rng: np.random.Generator, lines: pl.DataFrame, first: int, last: int) -> pl.DataFrame:
    """The lines some days later, at another time; without those that would leave the horizon."""
    day = lines["day"].to_numpy() + rng.integers(first, last, len(lines))
    stays = day < DAYS
    at = _another_time(rng, day[stays])
    return lines.filter(pl.Series(stays)).with_columns(
        pl.Series("day", day[stays], dtype=pl.Int32), pl.Series("moment", at)
    )
