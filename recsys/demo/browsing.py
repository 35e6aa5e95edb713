"""What the demo shop's web page sees: visits with and without signing in, and how visitors turn out to be customers.

A visitor is a device. Customer n has devices 2n and, some of them, 2n + 1; higher numbers are strangers.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.demo.assortment import STYLES
from recsys.demo.catalogue import Catalogue
from recsys.demo.draws import Flags, Ints, column_per_row, stream
from recsys.demo.horizon import DAYS, busy_days, clock, days_of, exposure, moment
from recsys.demo.people import People
from recsys.demo.purchases import NOBODY, Purchases

SEARCH = "search"
_BROWSED = {"view": 0.86, "wishlist": 0.06, "cart": 0.03, SEARCH: 0.05}
_EVENT = pl.Schema(
    {
        "moment": pl.Int64(),
        "person": pl.Int32(),
        "visitor": pl.Int64(),
        "is_signed_in": pl.Boolean(),
        "product": pl.Int32(),
        "event_type": pl.Enum(["view", "cart", "wishlist", SEARCH]),
    }
)
VISITS_PER_YEAR = 2.5


@dataclass(frozen=True)
class Browsing:
    """`events`: day (of delivery), moment, event, visitor, customer, product, event_type; NOBODY where empty.

    `links`: day, moment, visitor (NOBODY: the old id), customer, is_old_id (the customer side is the old id).
    `visitors`: visitor, customer (NOBODY for strangers), linked_day (from which the files say so; null: never).
    """

    events: pl.DataFrame
    links: pl.DataFrame
    visitors: pl.DataFrame


def simulate_browsing(people: People, catalogue: Catalogue, purchases: Purchases, seed: int) -> Browsing:
    """Everything seen on the web page within the horizon."""
    rng = stream(seed, "browsing")
    parts = [_before_orders(rng, people, purchases.sales), _visits(rng, people, catalogue)]
    events = pl.concat([*parts, _strangers(rng, people, catalogue)])
    events = _delivered(rng, people, events)
    links = _links(rng, people)
    return Browsing(events, links, _visitors(people, events, links, purchases.lines))


def _before_orders(rng: np.random.Generator, people: People, sales: pl.DataFrame) -> pl.DataFrame:
    """Views and carts in the hour before an order, of what was then ordered."""
    order = sales["order"].to_numpy()
    orders = sales["order"].n_unique()
    second = rng.random(orders) < 0.4
    signed_in = rng.random(orders) < 0.5
    who = sales["customer"].to_numpy().astype(np.int64)
    device = 2 * who + (people.has_second_device[who] & second[order])
    seen = sales.select(
        "moment",
        "product",
        pl.Series("person", who, dtype=pl.Int32),
        pl.Series("visitor", device),
        pl.Series("is_signed_in", signed_in[order]),
    )
    viewed = seen.filter(pl.Series(rng.random(len(seen)) < 0.6))
    carted = seen.filter(pl.Series(rng.random(len(seen)) < 0.4))
    return pl.concat(
        [
            _typed(viewed, "view", rng.integers(300, 3600, len(viewed))),
            _typed(carted, "cart", rng.integers(20, 300, len(carted))),
        ]
    )


def _typed(seen: pl.DataFrame, event_type: str, earlier: Ints) -> pl.DataFrame:
    return seen.with_columns(
        pl.col("moment") - pl.Series(earlier), event_type=pl.lit(event_type, dtype=_EVENT["event_type"])
    ).select(_EVENT.names())


def _visits(rng: np.random.Generator, people: People, catalogue: Catalogue) -> pl.DataFrame:
    """Visits that led to no order. Everybody with a history has at least one: new customers on the day they sign up."""
    expected = exposure(people.browse_from, people.last_day) * VISITS_PER_YEAR * DAYS / 365
    visits = np.where(people.has_no_history, 0, rng.poisson(expected * np.sqrt(people.orders_expected)))
    who = np.repeat(np.arange(people.size), visits)
    at = moment(busy_days(rng, people.browse_from[who], people.last_day[who]), clock(rng, len(who)))
    present = np.flatnonzero(~people.has_no_history)
    since = people.order_from[present]
    is_new = days_of(people.created_at[present]) >= 0
    day = np.where(
        is_new, since, (since + (people.last_day[present] - since) * 0.6 * rng.random(len(present))).astype(int)
    )
    welcome = np.where(is_new, people.created_at[present] + 30, moment(day, clock(rng, len(present))))
    who, at = np.concatenate([who, present]), np.concatenate([at, welcome])
    signed_in = np.concatenate([rng.random(visits.sum()) < 0.4, np.full(len(present), fill_value=True)])
    device = 2 * who + (people.has_second_device[who] & (rng.random(len(who)) < 0.4))
    return _pages(rng, catalogue, people, who, device, at, signed_in)


def _strangers(rng: np.random.Generator, people: People, catalogue: Catalogue) -> pl.DataFrame:
    """Visitors nobody ever hears of again; each likes what some customer likes."""
    count = people.size // 2
    like = rng.integers(0, people.size, count)
    days = busy_days(rng, np.zeros(count, dtype=np.int64), np.full(count, DAYS - 1))
    at = moment(days, clock(rng, count))
    device = 3 * people.size + np.arange(count)
    pages = _pages(rng, catalogue, people, like, device, at, np.zeros(count, dtype=bool))
    return pages.with_columns(person=pl.lit(NOBODY, dtype=pl.Int32))


def _pages(
    rng: np.random.Generator,
    catalogue: Catalogue,
    people: People,
    who: Ints,
    device: Ints,
    at: Ints,
    signed_in: Flags,
) -> pl.DataFrame:
    """The events of visits that begin at `at`: the first page is always a product's."""
    pages = 1 + rng.poisson(1.2, len(who))
    visit = np.repeat(np.arange(len(who)), pages)
    number = np.arange(len(visit)) - np.repeat(np.cumsum(pages) - pages, pages)
    person, seen_at = who[visit], at[visit] + number * 45 + rng.integers(0, 40, len(visit))
    day = np.minimum(days_of(seen_at), DAYS - 1)
    category = catalogue.pick_categories(rng, people.category_taste, person, day)
    style = column_per_row(rng, people.style_taste[person])
    product = catalogue.pick_products(rng, category * len(STYLES) + style, day)
    kinds = np.searchsorted(np.cumsum(list(_BROWSED.values()))[:-1], rng.random(len(visit)), side="right")
    kinds[number == 0] = 0
    kind = pl.Series(list(_BROWSED), dtype=_EVENT["event_type"])[kinds]
    return pl.DataFrame(
        {
            "moment": seen_at,
            "person": person,
            "visitor": device[visit],
            "is_signed_in": signed_in[visit],
            "product": np.where(kinds == list(_BROWSED).index(SEARCH), NOBODY, product),
            "event_type": kind,
        },
        schema=_EVENT,
    )


def _delivered(rng: np.random.Generator, people: People, events: pl.DataFrame) -> pl.DataFrame:
    """Events in order, numbered; a few are delivered a day late, a few of the signed-in come without a visitor.

    Nobody is signed in before the sign-up, nor before an old customer id gave way to the present one.
    """
    events = events.sort("moment", "visitor", "product", "event_type")
    at, who = events["moment"].to_numpy(), events["person"].to_numpy()
    known_since = np.where(people.moved_at > 0, people.moved_at, people.created_at)
    signed_in = events["is_signed_in"].to_numpy() & (who != NOBODY) & (at > known_since[who])
    in_app = signed_in & (rng.random(len(events)) < 0.03)
    late = rng.random(len(events)) < 0.005
    return (
        events.select(
            pl.Series("day", days_of(at) + late, dtype=pl.Int32),
            "moment",
            pl.int_range(pl.len(), dtype=pl.Int32).alias("event"),
            pl.Series("visitor", np.where(in_app, NOBODY, events["visitor"].to_numpy())),
            pl.Series("customer", np.where(signed_in, who, NOBODY), dtype=pl.Int32),
            "product",
            "event_type",
        )
        .filter((pl.col("day") >= 0) & (pl.col("day") < DAYS))
        .sort("day", "event")
    )


def _links(rng: np.random.Generator, people: People) -> pl.DataFrame:
    """Links between visitors and customers, as a sign-in form reports them.

    Customers who had an old id: the device was linked to the old id, and the old id was linked to the new one when it
    gave way, so the way from device to customer has two steps.
    """
    everybody = np.arange(people.size)
    is_new = days_of(people.created_at) >= 0
    some_day = moment(rng.integers(0, DAYS, people.size), clock(rng, people.size))
    first_at = np.where(is_new, people.created_at + 1, some_day)
    second_at = np.maximum(moment(rng.integers(0, DAYS, people.size), clock(rng, people.size)), people.created_at + 60)
    has_moved = people.moved_at > 0
    linked = ~people.has_no_history & ~has_moved & (rng.random(people.size) < 0.85)
    second = people.has_second_device & ~people.has_no_history & ~has_moved & (rng.random(people.size) < 0.5)
    parts = [
        (linked, 2 * everybody, first_at, False),
        (second, 2 * everybody + 1, second_at, False),
        (has_moved, 2 * everybody, people.moved_at - 86_400, True),
        (has_moved, np.full(people.size, NOBODY), people.moved_at, False),
    ]
    return (
        pl.concat(
            pl.DataFrame(
                {
                    "day": days_of(at[chosen]),
                    "moment": at[chosen],
                    "visitor": visitor[chosen],
                    "customer": everybody[chosen],
                    "is_old_id": np.full(int(chosen.sum()), is_old_id),
                }
            )
            for chosen, visitor, at, is_old_id in parts
        )
        .filter(pl.col("day") < DAYS)
        .sort("day", "moment", "visitor", "customer")
    )


def _visitors(people: People, events: pl.DataFrame, links: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Every visitor in the files, whose it is in truth, and since which day's files that can be found out."""
    old = links.filter("is_old_id")
    gave_way = days_of(people.moved_at[old["customer"].to_numpy()])
    known = pl.concat(
        [
            links.filter(~pl.col("is_old_id")).select("visitor", "day"),
            old.select("visitor", pl.Series("day", gave_way)).filter(pl.col("day") < DAYS),
            events.filter(pl.col("customer") != NOBODY).select("visitor", pl.col("day").cast(pl.Int64)),
        ]
    )
    since = known.group_by("visitor").agg(linked_day=pl.col("day").min())
    seen = pl.concat([events["visitor"], links["visitor"], lines["visitor"]]).unique().sort()
    is_customer = pl.col("visitor") < 2 * people.size
    return (
        pl.DataFrame({"visitor": seen.filter(seen != NOBODY)})
        .with_columns(customer=pl.when(is_customer).then(pl.col("visitor") // 2).otherwise(NOBODY))
        .join(since, on="visitor", how="left", maintain_order="left")
    )
