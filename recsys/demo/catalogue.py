"""The demo shop's products: what they are called and cost, when they are on sale, and how likely each is picked."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from recsys.demo.assortment import CATEGORIES, CELLS, IS_PROJECT, IS_SENSITIVE, RHYTHM_DAYS, STYLES, season_factors
from recsys.demo.draws import Flags, Floats, Ints, Shares, column_per_row, stream
from recsys.demo.horizon import DAYS, FIRST_DELIVERY, WEEKS, clock, day_number, moment

NEVER = 10_000
"""A day or week beyond every horizon."""
_ROWS_AT_ONCE = 500_000


@dataclass(frozen=True)
class Catalogue:
    """All products, grouped by cell; a product's number is its position. Prices are in cents.

    `starts` holds, per week and product, where its slice of that week's probability begins (week w fills w to w + 1).
    """

    names: pl.DataFrame
    cell: Ints
    price: Ints
    new_price_from: Ints
    new_price: Ints
    launch_week: Ints
    retire_week: Ints
    launched_at: Ints
    stock: Ints
    is_out: Flags
    """Weeks by products: sold out that week."""
    probability: Floats
    """Weeks by products: how likely a pick out of its cell in that week falls on it."""
    starts: Floats
    first_of_cell: Ints
    seasons: Floats

    @property
    def size(self) -> int:
        return len(self.cell)

    @property
    def category(self) -> Ints:
        return self.cell // len(STYLES)

    def is_replenishable(self) -> Flags:
        """Per product: is used up and bought again."""
        return RHYTHM_DAYS[self.category] > 0

    def price_on(self, products: Ints, days: Ints) -> Ints:
        """Price in cents on each day."""
        return np.where(days >= self.new_price_from[products], self.new_price[products], self.price[products])

    def is_active(self, week: int) -> Flags:
        """Per product: is part of the range in that week."""
        return (self.launch_week <= week) & (week < self.retire_week)

    def is_on_sale(self, products: Ints, days: Ints) -> Flags:
        """Whether each product can be bought on each day."""
        return self.probability[days // 7, products] > 0

    def pick_categories(self, rng: np.random.Generator, taste: Shares, people: Ints, days: Ints) -> Ints:
        """One category each, by the person's taste and the season."""
        seasons = self.seasons.astype(np.float32)
        parts = [
            column_per_row(rng, taste[people[rows]] * seasons[days[rows] // 7])
            for rows in (slice(at, at + _ROWS_AT_ONCE) for at in range(0, len(people), _ROWS_AT_ONCE))
        ]
        return np.concatenate([np.empty(0, dtype=np.int64), *parts])

    def pick_products(self, rng: np.random.Generator, cells: Ints, days: Ints) -> Ints:
        """One product each out of the cells, by its popularity in the week of the day."""
        weeks = days // 7
        ends = np.append(self.starts, float(WEEKS))
        low = ends[weeks * self.size + self.first_of_cell[cells]]
        high = ends[weeks * self.size + self.first_of_cell[cells + 1]]
        thrown = np.minimum(low + rng.random(len(cells)) * (high - low), np.nextafter(high, 0))
        position: Ints = np.searchsorted(self.starts, thrown, side="right") - 1 - weeks * self.size
        return position


def make_catalogue(products: int, seed: int) -> Catalogue:
    """The catalogue of `products` products (at least one per cell)."""
    rng = stream(seed, "catalogue")
    cell = _cells(rng, products)
    first_of_cell = np.searchsorted(cell, np.arange(CELLS + 1)).astype(np.int64)
    place = np.arange(products) - first_of_cell[cell]
    evergreen = place == 0  # so that every cell has something to sell in every week

    popularity = (place + 1.0) ** -0.8 * rng.lognormal(0, 0.4, products)
    launch = np.where(~evergreen & (rng.random(products) < 0.12), rng.integers(1, WEEKS, products), -1)
    retire = np.where(~evergreen & (rng.random(products) < 0.08), rng.integers(8, WEEKS, products), NEVER)
    retire = np.where(retire <= launch, NEVER, retire)
    weeks = np.arange(WEEKS)[:, None]
    out_from = np.where(~evergreen & (rng.random(products) < 0.5), rng.integers(0, WEEKS, products), NEVER)
    is_out = (weeks >= out_from) & (weeks < out_from + rng.integers(1, 5, products))
    hot_from = np.where(rng.random(products) < 0.2, rng.integers(0, WEEKS, products), NEVER)
    is_hot = (weeks >= hot_from) & (weeks < hot_from + rng.integers(4, 10, products))
    weight = popularity * np.where(is_hot, 4.0, 1.0) * ((launch <= weeks) & (weeks < retire) & ~is_out)
    in_cell = np.add.reduceat(weight, first_of_cell[:-1], axis=1)
    probability = weight / in_cell[:, cell]

    upto = np.cumsum(weight / weight.sum(axis=1, keepdims=True), axis=1)
    starts = np.minimum(np.hstack([np.zeros((WEEKS, 1)), upto[:, :-1]]), 1.0) + weeks

    low, high = (np.array([category.cents[end] for category in CATEGORIES])[cell // len(STYLES)] for end in (0, 1))
    price = np.exp(np.log(low) + rng.random(products) * (np.log(high) - np.log(low)))
    change = rng.choice([0.8, 0.9, 1.05, 1.1], products)
    never_changes = rng.random(products) < 0.25
    first_day = day_number(FIRST_DELIVERY) - 60
    first_morning = moment(np.zeros(products, dtype=np.int64), clock(rng, products))
    return Catalogue(
        names=_names(rng, cell),
        cell=cell,
        price=_rounded(price),
        new_price_from=np.where(never_changes, NEVER, rng.integers(first_day, DAYS, products)),
        new_price=_rounded(price * change),
        launch_week=launch,
        retire_week=retire,
        launched_at=np.where(
            launch < 0,
            first_morning - rng.integers(30, 1200, products) * 86_400,
            moment(np.maximum(launch, 0) * 7, np.zeros(products, dtype=np.int64)),
        ),
        stock=rng.integers(1, 200, products),
        is_out=is_out,
        probability=probability,
        starts=starts.ravel(),
        first_of_cell=first_of_cell,
        seasons=season_factors(),
    )


def _cells(rng: np.random.Generator, products: int) -> Ints:
    """The cell of each product, in order: one for every cell, the rest spread unevenly."""
    crowding = rng.gamma(6.0, 1.0, CELLS)
    spread = np.sort(rng.choice(CELLS, products - CELLS, p=crowding / crowding.sum()))
    return np.sort(np.concatenate([np.arange(CELLS), spread])).astype(np.int64)


def _rounded(cents: Floats) -> Ints:
    """Prices as shops like them: whole tens of cents less one."""
    return (np.maximum(np.round(cents / 10), 2) * 10 - 1).astype(np.int64)


def _names(rng: np.random.Generator, cell: Ints) -> pl.DataFrame:
    """One row per product: product_id, title, department, category, subcategory, brand, tags and its flags.

    Ids are shuffled, so that they say nothing about cell or popularity.
    """
    count = len(cell)
    category, style = cell // len(STYLES), cell % len(STYLES)
    kinds = np.array([len(entry.kinds) for entry in CATEGORIES])
    kind = (rng.random(count) * kinds[category]).astype(np.int64)
    brand = rng.integers(0, 3, count)
    labels = pl.DataFrame(
        [
            (number, k, entry.department, entry.name, name)
            for number, entry in enumerate(CATEGORIES)
            for k, name in enumerate(entry.kinds)
        ],
        schema={
            "c": pl.Int64,
            "k": pl.Int64,
            "department": pl.String,
            "category": pl.String,
            "subcategory": pl.String,
        },
        orient="row",
    )
    brands = pl.DataFrame(
        [
            (number, b, word, name)
            for number, (word, names) in enumerate(STYLES.items())
            for b, name in enumerate(names)
        ],
        schema={"s": pl.Int64, "b": pl.Int64, "style": pl.String, "brand": pl.String},
        orient="row",
    )
    frame = pl.DataFrame({"id": rng.permutation(count) + 1, "c": category, "k": kind, "s": style, "b": brand})
    return (
        frame.join(labels, on=["c", "k"], how="left", maintain_order="left")
        .join(brands, on=["s", "b"], how="left", maintain_order="left")
        .select(
            product_id=pl.lit("P") + pl.col("id").cast(pl.String).str.zfill(6),
            title=pl.format(
                "{} {}, no. {}", "brand", "subcategory", pl.int_range(1, pl.len() + 1).over(["brand", "subcategory"])
            ),
            department="department",
            category="category",
            subcategory="subcategory",
            brand="brand",
            tags=pl.concat_list("style", "department"),
            style="style",
            replenishable=pl.Series(RHYTHM_DAYS[category] > 0),
            sensitive=pl.Series(IS_SENSITIVE[category]),
            is_project=pl.Series(IS_PROJECT[category]),
        )
    )
