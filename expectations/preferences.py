"""What customers chose in the preference centre, straight from raw/, and whether lists and finished files follow it.

Nothing that dbt made decides here, and no SQL is shared with it.
"""

from dataclasses import dataclass
from datetime import timedelta

import polars as pl

from expectations.evidence import Evidence
from expectations.findings import found_none, warning
from expectations.normal import EDGE
from expectations.permission import Permissions
from recsys.audit import Check
from recsys.channel_settings import Channel
from recsys.night import Night
from recsys.vocabulary import Source

WORDS = {"not_interested": "not interested", "less_like_this": "less like this", "interested": "interested"}
"""The choices, the strictest first, and how a recipient's row says them."""
WITHOUT_PRODUCT = 0.05
"""Share of choices about topics that no product has; more mean that a category or tag was renamed."""
ROUNDING = 1e-9
PAIR = ["customer_id", "product_id"]


@dataclass(frozen=True)
class Choices:
    """What holds at the night's end. `chosen`: customer_id, topic, choice, stated_at; one row per customer and topic.

    `products`: product_id, topic, is_eligible; of products that are not sensitive.
    """

    chosen: pl.DataFrame
    products: pl.DataFrame

    def about(self, *choices: str) -> pl.DataFrame:
        """customer_id and topic of what was chosen so."""
        return self.chosen.filter(pl.col("choice").is_in(choices)).select("customer_id", "topic")

    def touched(self, rows: pl.DataFrame, *choices: str) -> pl.DataFrame:
        """customer_id and product_id, each pair once, of rows whose product is of a topic that was chosen so."""
        said = self.about(*choices)
        return (
            rows.select(PAIR)
            .join(said.select("customer_id").unique(), on="customer_id", how="semi")
            .join(self.products, on="product_id")
            .join(said, on=["customer_id", "topic"], how="semi")
            .select(PAIR)
            .unique()
        )


def gather(night: Night, permissions: Permissions) -> Choices:
    """Read the choices of a night from its raw tables; none of minors, none about sensitive products alone."""
    products = product_topics(night)
    said = (
        pl.read_parquet(night.raw / "preferences.parquet")
        .filter(pl.col("choice").is_in(list(WORDS)))
        .filter((pl.col("occurred_at") < night.end) | (pl.col("choice") != "interested"))
        .with_columns(topic=normalised("topic"))
        .drop_nulls("topic")
    )
    sensitive = products.group_by("topic").agg(pl.col("is_sensitive").all()).filter("is_sensitive")
    chosen = (
        said.join(permissions.ids, left_on="customer_id", right_on="id")
        .select(
            "topic",
            "choice",
            customer_id="customer_id_right",
            stated_at="occurred_at",
            strictness=pl.col("choice").replace_strict(list(WORDS), list(range(len(WORDS))), return_dtype=pl.Int8),
        )
        .join(permissions.minors, on="customer_id", how="anti")
        .join(sensitive, on="topic", how="anti")
        .sort("stated_at", "strictness", descending=[True, False])
        .unique(["customer_id", "topic"], keep="first", maintain_order=True)
        .select("customer_id", "topic", "choice", "stated_at")
    )
    return Choices(chosen, products.filter(~pl.col("is_sensitive")).drop("is_sensitive"))


def product_topics(night: Night) -> pl.DataFrame:
    """product_id, topic, is_eligible, is_sensitive: every level of each product's category path, and its tags."""
    products = pl.read_parquet(night.raw / "products.parquet").select(
        "product_id",
        "tags",
        levels=levels_of("category"),
        is_sensitive=pl.col("sensitive").fill_null(value=False),
        is_eligible=pl.col("is_active").fill_null(value=False)
        & pl.col("in_stock").fill_null(value=False)
        & ~pl.col("sensitive").fill_null(value=False),
    )
    deepest = products["levels"].list.len().max()
    depth = deepest if isinstance(deepest, int) else 0
    facts = ("product_id", "is_eligible", "is_sensitive")
    parts = [products.explode("tags").select(*facts, topic=normalised("tags"))]
    for level in range(depth):
        here = products.filter(pl.col("levels").list.len() > level)
        parts.append(here.select(*facts, topic=pl.col("levels").list.head(level + 1).list.join(" > ")))
        parts.append(here.select(*facts, topic=pl.col("levels").list.get(level)))
    return pl.concat(parts).drop_nulls("topic").unique()


def levels_of(column: str) -> pl.Expr:
    """The levels of a path without blanks and in lower case; empty ones left out."""
    level = pl.element().str.replace_all(EDGE, "").str.to_lowercase()
    return pl.col(column).str.split(">").list.eval(level).list.eval(pl.element().filter(pl.element() != ""))


def normalised(column: str) -> pl.Expr:
    """A topic as topics are compared; null when nothing is left of it."""
    levels = levels_of(column)
    return pl.when(levels.list.len() > 0).then(levels.list.join(" > "))


def lists(evidence: Evidence, choices: Choices, permissions: Permissions) -> list[Check]:
    """All lists, exported or not: no product of a refused topic, no interest beyond its end or without consent."""
    rows = evidence.recommendations
    said = rows.filter(pl.col("because") == "interested")
    night = evidence.night
    oldest = night.end - timedelta(days=night.shop.preferences.expire_days)
    current = (
        choices.chosen.filter(pl.col("choice") == "interested", pl.col("stated_at") > oldest)
        .join(permissions.personalised, on="customer_id", how="semi")
        .select("customer_id", "topic")
    )
    holds = (
        said.select(*PAIR, "topic")
        .join(current, on=["customer_id", "topic"], how="semi")
        .join(choices.products, on=["product_id", "topic"], how="semi")
        .join(choices.touched(said, "not_interested", "less_like_this"), on=PAIR, how="anti")
    )
    named = rows.select(pl.col("because").is_null() != pl.col("topic").is_null()).to_series().sum()
    unknown = choices.chosen.join(choices.products, on="topic", how="anti").height
    suite = "recount/lists"
    return [
        found_none(suite, "nothing_not_interested_in", choices.touched(rows, "not_interested").height, rows.height),
        found_none(suite, "interest_holds", said.height - holds.height, said.height),
        found_none(suite, "less_like_this_is_demoted", _not_demoted(evidence, choices), rows.height),
        found_none(suite, "because_names_its_topic", int(named), rows.height),
        warning(
            "shape",
            "choices_have_products",
            passed=unknown <= WITHOUT_PRODUCT * choices.chosen.height,
            detail=f"{unknown:,} of {choices.chosen.height:,} choices are about a topic that no product has, "
            f"usually {WITHOUT_PRODUCT:.0%} or less",
        ),
    ]


def _not_demoted(evidence: Evidence, choices: Choices) -> int:
    """Popular rows of a topic to see less of whose score is above the product's own times the configured factor.

    A product's own score is that of everybody's popular list, so it is seen in the rows that nothing lifts: the
    highest of them. Individual scores cannot be told apart from a lower opinion.
    """
    rows = evidence.recommendations.filter(pl.col("source") == Source.POPULAR.value)
    own = rows.filter(pl.col("because").is_null()).join(
        choices.touched(rows, "less_like_this", "interested"), on=PAIR, how="anti"
    )
    highest = own.group_by("product_id").agg(own=pl.col("score").max())
    limit = pl.col("own") * evidence.night.shop.preferences.less_like_this_factor * (1 + ROUNDING)
    return (
        rows.join(choices.touched(rows, "less_like_this"), on=PAIR, how="semi")
        .join(highest, on="product_id")
        .filter(pl.col("score") > limit)
        .height
    )


def file(evidence: Evidence, choices: Choices, channel: Channel) -> list[Check]:
    """One channel's finished file: nothing of a refused topic, and each row states the choices that shape it."""
    suite, slots = f"recount/{channel.name}", evidence.slots(channel)
    cells = evidence.audience(channel).select("customer_id", "choices_applied")
    expected = stated(evidence, choices, channel)
    wrong = (
        cells.join(expected, on="customer_id", how="left")
        .filter(pl.col("choices_applied").ne_missing(pl.col("stated")))
        .height
    )
    return [
        found_none(
            suite,
            "nothing_not_interested_in",
            choices.touched(slots, "not_interested").height,
            slots.height,
            noun="items",
        ),
        found_none(suite, "choices_applied_are_stated", wrong, cells.height),
    ]


def stated(evidence: Evidence, choices: Choices, channel: Channel) -> pl.DataFrame:
    """customer_id and what a row must state: every no that touches an eligible product, and the interests used."""
    touchable = choices.products.filter("is_eligible").select("topic").unique()
    used = evidence.recommendations.filter(pl.col("because") == "interested", pl.col("rank") <= channel.slots)
    said = pl.concat(
        [
            *(
                choices.about(choice).join(touchable, on="topic", how="semi").with_columns(choice=pl.lit(choice))
                for choice in ("not_interested", "less_like_this")
            ),
            used.select("customer_id", "topic").unique().with_columns(choice=pl.lit("interested")),
        ]
    )
    order = pl.col("choice").replace_strict(list(WORDS), list(range(len(WORDS))), return_dtype=pl.Int8)
    shown = pl.col("topic").str.replace_all(r"[\p{Cc}\x{2028}\x{2029}]+", " ")
    return (
        said.sort("customer_id", order, "topic")
        .group_by("customer_id", "choice", maintain_order=True)
        .agg(topics=shown.str.join(", "))
        .group_by("customer_id", maintain_order=True)
        .agg(stated=pl.format("{}: {}", pl.col("choice").replace(WORDS), "topics").str.join("; "))
    )
