"""All that was known at one moment: events, products and customers. Nothing later can get in."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from recsys.errors import ModelError
from recsys.model_settings import Recommend
from recsys.vocabulary import Interaction

EVENTS = pl.Schema(
    {
        "customer_id": pl.String(),
        "product_id": pl.String(),
        "order_id": pl.String(),
        "kind": pl.String(),
        "quantity": pl.Int64(),
        "unit_price": pl.Float64(),
        "occurred_at": pl.Datetime("us"),
    }
)
"""One row per order line or web event. order_id and unit_price may be null; kind is an `Interaction`; UTC."""

PRODUCTS = pl.Schema(
    {
        "product_id": pl.String(),
        "name": pl.String(),
        "category": pl.String(),
        "brand": pl.String(),
        "is_eligible": pl.Boolean(),
        "replenishable": pl.Boolean(),
    }
)
"""One row per product. Category is a path, general to special: a > b > c. All but product_id may be null."""

TOPICS = pl.Schema({"product_id": pl.String(), "topic": pl.String()})
"""One row per product and topic."""

FACTS = pl.Schema(
    {
        "orders": pl.Float32(),
        "products_bought": pl.Float32(),
        "active_days": pl.Float32(),
        "recency_days": pl.Float32(),
        "orders_90d": pl.Float32(),
        "median_days_between_orders": pl.Float32(),
        "spend": pl.Float32(),
        "spend_365d": pl.Float32(),
        "average_order_value": pl.Float32(),
    }
)
"""What dbt's customer_features say about a customer, in their units: counts, days, units of currency. May be null."""

CUSTOMERS = pl.Schema({"customer_id": pl.String()} | FACTS | {"top_category": pl.String()})
"""One row per customer; a customer without a row, or a missing column, is a customer of whom that is not known."""

DAY = timedelta(days=1)


@dataclass(frozen=True)
class History:
    """What was known at `end` (naive UTC). Events lie strictly before it; those of unlisted products are left out.

    Frames come in any order of rows and columns, with columns as in EVENTS, PRODUCTS, TOPICS and CUSTOMERS, and leave
    in one total order: equal rows are equal histories. Raises ModelError when an event is not before `end` or has no
    time, when ids are missing or repeated, or when a kind or a column is unknown.
    """

    end: datetime
    events: pl.DataFrame
    products: pl.DataFrame
    topics: pl.DataFrame = field(default_factory=TOPICS.to_frame)
    customers: pl.DataFrame = field(default_factory=CUSTOMERS.to_frame)

    def __post_init__(self) -> None:
        if self.end.tzinfo is not None:
            raise ModelError("history.end: has a time zone; expected naive UTC.")
        events = _typed("events", self.events, EVENTS, ("customer_id", "product_id", "kind", "occurred_at"))
        late = events.filter(pl.col("occurred_at") >= self.end).height
        if late:
            raise ModelError(f"history.events: {late:,} of {events.height:,} are not before the end, {self.end}.")
        unknown = events.filter(~pl.col("kind").is_in([kind.value for kind in Interaction])).height
        if unknown:
            raise ModelError(f"history.events: {unknown:,} are of no kind in {', '.join(Interaction)}.")
        products = _typed("products", self.products, PRODUCTS, ("product_id",)).sort("product_id")
        customers = _typed("customers", self.customers, CUSTOMERS, ("customer_id",)).sort("customer_id")
        for name, frame in (("products", products), ("customers", customers)):
            if frame.get_column(frame.columns[0]).n_unique() < frame.height:
                raise ModelError(f"history.{name}: an id comes more than once.")
        topics = _typed("topics", self.topics, TOPICS, ("product_id", "topic")).unique().sort("product_id", "topic")
        events = events.join(products.select("product_id"), on="product_id", how="semi").sort(EVENTS.names())
        for name, frame in (("events", events), ("products", products), ("topics", topics), ("customers", customers)):
            object.__setattr__(self, name, frame)

    def before(self, end: datetime, customers: pl.DataFrame | None = None) -> "History":
        """What was known at an earlier `end`, with `customers` as they were then; facts of today are not kept."""
        if end > self.end:
            raise ModelError(f"history: asked for {end}, later than its end, {self.end}.")
        facts = CUSTOMERS.to_frame() if customers is None else customers
        return History(end, self.events.filter(pl.col("occurred_at") < end), self.products, self.topics, facts)

    def orders(self) -> pl.DataFrame:
        """Positive order lines, one row per customer, order and product, ordered so: quantity, unit_price, occurred_at.

        A line without order_id is an order of its own moment. What was sent back in full over time is left out.
        """
        lines = self.events.filter(pl.col("kind") == Interaction.ORDER.value)
        kept = lines.group_by("customer_id", "product_id").agg(pl.col("quantity").sum()).filter(pl.col("quantity") > 0)
        moment = pl.col("occurred_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f")
        return (
            lines.filter(pl.col("quantity") > 0)
            .join(kept.select("customer_id", "product_id"), on=["customer_id", "product_id"], how="semi")
            .with_columns(pl.col("order_id").fill_null(moment))
            .group_by("customer_id", "order_id", "product_id")
            .agg(pl.col("quantity").sum(), pl.col("unit_price").min(), pl.col("occurred_at").min())
            .sort("customer_id", "order_id", "product_id")
        )

    def weighted(self, settings: Recommend) -> pl.DataFrame:
        """`weights` as settings of the model have them."""
        kinds = {kind: float(getattr(settings.weights, kind.value)) for kind in Interaction}
        return self.weights(settings.half_life_days, kinds, settings.window_days)

    def weights(
        self, half_life_days: float, kinds: Mapping[Interaction, float], window_days: int | None = None
    ) -> pl.DataFrame:
        """Interactions to learn tastes from: customer_id, product_id, weight above 0; one row per pair, ordered.

        An event counts the weight of its kind, halved every `half_life_days`, in whole millionths; an order counts
        once per product, at its first positive line, and nothing where more was sent back than bought. What is older
        than `window_days` counts nothing.
        """
        order = Interaction.ORDER.value
        lines = self.events.filter(pl.col("kind") == order)
        single = pl.when(pl.col("order_id").is_null()).then(pl.col("occurred_at"))
        ordered = lines.group_by("customer_id", "product_id", "order_id", single.alias("moment")).agg(
            pl.col("quantity").sum(), occurred_at=pl.col("occurred_at").filter(pl.col("quantity") > 0).min()
        )
        pair = ["customer_id", "product_id"]
        seen = self.events.filter(pl.col("kind") != order).with_columns(quantity=pl.lit(0, pl.Int64))
        columns = [*pair, "kind", "quantity", "occurred_at"]
        rows = pl.concat([ordered.with_columns(kind=pl.lit(order)).select(columns), seen.select(columns)])
        base = pl.col("kind").replace_strict({kind.value: float(kinds[kind]) for kind in Interaction}, default=None)
        age = (pl.lit(self.end) - pl.col("occurred_at")).dt.total_seconds() / (86400.0 * half_life_days)
        if window_days is not None:
            base = base * (pl.col("occurred_at") >= self.end - window_days * DAY).cast(pl.Float64)
        rows = rows.with_columns(
            millionths=(1e6 * base * (0.5**age)).round().cast(pl.Int64), bought=pl.col("kind") == order
        )
        per_pair = rows.group_by(pair).agg(
            pl.col("quantity").sum(),
            bought=pl.col("millionths").filter("bought").sum(),
            seen=pl.col("millionths").filter(~pl.col("bought")).sum(),
        )
        bought = pl.when(pl.col("quantity") > 0).then("bought").otherwise(0)
        weight = (bought + pl.col("seen")) / 1e6
        return per_pair.select(*pair, weight=weight).filter(pl.col("weight") > 0).sort(pair)


def _typed(name: str, frame: pl.DataFrame, schema: pl.Schema, needed: tuple[str, ...]) -> pl.DataFrame:
    """The frame with exactly the schema's columns; null where one that may be missing is missing."""
    missing = [column for column in needed if column not in frame.columns]
    if missing:
        raise ModelError(f"history.{name}: without {', '.join(missing)}.")
    columns = [
        pl.col(column).cast(dtype) if column in frame.columns else pl.lit(None, dtype).alias(column)
        for column, dtype in schema.items()
    ]
    typed = frame.select(columns)
    empty = typed.filter(pl.any_horizontal(pl.col(needed).is_null())).height
    if empty:
        raise ModelError(f"history.{name}: {', '.join(needed)} empty in {empty:,} of {typed.height:,} rows.")
    return typed
