"""The re-count of what lists say about the person: that every reason is their own, allowed, and said as decided.

From raw orders, visits, products and consents, the lists, and the finished files as they would leave; it shares no SQL
with the dbt project and no wording with the channels. Whatever it finds is critical.
"""

import polars as pl

from expectations.evidence import Evidence
from expectations.findings import found_none
from expectations.permission import Permissions
from expectations.tastes import unspoken_for
from recsys.audit import Check
from recsys.channel_settings import Channel
from recsys.list_settings import PLACEHOLDERS
from recsys.night import Night
from recsys.vocabulary import OF_MODEL, Reason, Source

SUITE = "recount/reasons"
ROW = ["customer_id", "rank", "product_id"]
OWN = (Reason.BOUGHT.value, Reason.LOOKED_AT.value)
GENERAL = (Reason.POPULAR.value, Reason.POPULAR_DAY.value, Reason.RANGE.value)
"""Kinds of reason that say nothing about the person."""
ROUNDING = 1e-9
LONGEST_TAG = 4
"""So many parts of a language tag are compared, as in zh-hant-hk."""
CONTROL = r"[\p{Cc}\x{2028}\x{2029}]+"


def check(evidence: Evidence, permissions: Permissions) -> list[Check]:
    """The reasons of all lists, exported or not, and what was decided to say."""
    night, lists = evidence.night, evidence.recommendations
    reasons = pl.read_parquet(night.reasons)
    decided = evidence.tables["fct_recommendations"]
    individual = lists.filter(pl.col("source").is_in(OF_MODEL)).select(ROW)
    own = touched(night, permissions).rename({"product_id": "because_product_id"})
    pair = ["customer_id", "because_product_id"]
    strange = reasons.join(own, on=pair, how="anti")
    kept = own.filter(pl.col("quantity") > 0)
    returned = reasons.filter(pl.col("kind") == Reason.BOUGHT.value).join(kept, on=pair, how="anti")
    sensitive = pl.read_parquet(night.raw / "products.parquet").filter(pl.col("sensitive").fill_null(value=False))
    barred = sensitive.select(because_product_id="product_id")
    personal = decided.filter(~pl.col("reason_kind").is_in(GENERAL)).select("customer_id")
    return [
        found_none(SUITE, "of_individual_rows", reasons.join(individual, on=ROW, how="anti").height, reasons.height),
        found_none(
            SUITE,
            "only_where_personalisation_is_allowed",
            pl.concat([reasons.select("customer_id"), personal])
            .join(permissions.personalised, on="customer_id", how="anti")
            .height,
            reasons.height + personal.height,
        ),
        found_none(SUITE, "are_their_own", strange.height, reasons.height),
        found_none(SUITE, "bought_was_bought", returned.height, reasons.height),
        found_none(
            SUITE,
            "nothing_sensitive",
            reasons.join(barred, on="because_product_id", how="semi").height
            + decided.join(barred, on="because_product_id", how="semi").height,
            reasons.height,
        ),
        found_none(SUITE, "shares_add_up", _odd_shares(reasons), reasons.height),
        found_none(SUITE, "the_model_speaks_for_them", unspoken_for(night, reasons, lists), reasons.height),
        found_none(SUITE, "decided_as_explained", _misdecided(night, reasons, decided), decided.height),
    ]


def touched(night: Night, permissions: Permissions) -> pl.DataFrame:
    """customer_id, product_id and quantity (ordered less returned) of everything somebody did before the night's end.

    Under any id that leads to the customer.
    """
    orders = (
        pl.scan_parquet(night.raw / "order_lines.parquet")
        .filter(pl.col("ordered_at") < night.end)
        .select("customer_id", "visitor_id", "product_id", pl.col("quantity").cast(pl.Int64))
    )
    visits = (
        pl.scan_parquet(night.raw / "web_events.parquet")
        .filter(pl.col("occurred_at") < night.end)
        .select("customer_id", "visitor_id", "product_id", quantity=pl.lit(0, pl.Int64))
    )
    return (
        pl.concat([orders, visits])
        .drop_nulls("product_id")
        .select("product_id", "quantity", id=pl.coalesce("customer_id", "visitor_id"))
        .join(permissions.ids.lazy(), on="id")
        .group_by("customer_id", "product_id")
        .agg(pl.col("quantity").sum())
        .collect()
    )


def _odd_shares(reasons: pl.DataFrame) -> int:
    """Rows of reasons.parquet that are out of their place, no share, or part of more than a whole.

    The rows of one recommendation stand together, strongest first.
    """
    share, is_share = pl.col("share"), pl.col("share").is_between(0, 1 + ROUNDING, closed="right")
    goes_on = pl.all_horizontal(pl.col(name) == pl.col(name).shift() for name in ROW).fill_null(value=False)
    place = pl.when("goes_on").then(pl.col("place").shift() + 1).otherwise(1)
    return (
        reasons.with_columns(goes_on=goes_on)
        .with_columns(recommendation=(~pl.col("goes_on")).cum_sum())
        .filter(
            ~is_share.fill_null(value=False)
            | (pl.col("place") != place)
            | (share.sum().over("recommendation") > 1 + ROUNDING)
            | (pl.col("goes_on") & (share > share.shift()))
        )
        .height
    )


def _misdecided(night: Night, reasons: pl.DataFrame, decided: pl.DataFrame) -> int:
    """Decided rows that name another reason than the strongest, or say more than it carries or their source allows."""
    strongest = reasons.filter(pl.col("place") == 1).select(
        *ROW, "kind", expected="because_product_id", expected_share="share"
    )
    both = decided.join(strongest, on=ROW, how="left")
    kind, is_own = pl.col("reason_kind"), pl.col("reason_kind").is_in(OWN)
    carries = (pl.col("expected_share") >= night.shop.reasons.min_share) & (kind == pl.col("kind"))
    is_popular = pl.col("source") == Source.POPULAR.value
    return both.filter(
        pl.col("because_product_id").ne_missing(pl.col("expected"))
        | pl.col("because_share").ne_missing(pl.col("expected_share"))
        | (is_own & ~carries.fill_null(value=False))
        | (is_popular & (is_own | (kind == Reason.INDIVIDUAL.value)))
        | (~is_popular & kind.is_in(GENERAL))
        | kind.is_null()
    ).height


def file(evidence: Evidence, permissions: Permissions, channel: Channel) -> list[Check]:
    """One channel's finished file: sentences as decided, in the recipient's language; nothing personal unallowed."""
    suite, slots = f"recount/{channel.name}", evidence.slots(channel)
    kinds = evidence.tables[f"sync_{channel.kind}__items"].filter(pl.col("channel") == channel.name)
    said = (
        slots.select("customer_id", pl.col("rank").cast(pl.Int64), cell="reason")
        .join(
            kinds.select("customer_id", pl.col("rank").cast(pl.Int64), "reason_kind", "reason_about"),
            on=["customer_id", "rank"],
            how="left",
        )
        .join(evidence.audience(channel).select("customer_id", "language"), on="customer_id", how="left")
    )
    expected = pl.col("expected").str.replace_all(CONTROL, " ")
    is_meant = (pl.col("cell") == expected) | (pl.col("cell") == pl.lit("'") + expected)
    distinct = ["cell", "reason_kind", "reason_about", "language"]
    wrong = sentences(evidence.night, said.group_by(distinct).len()).filter(~is_meant.fill_null(value=False))
    unallowed = said.join(permissions.personalised, on="customer_id", how="anti")
    personal = unallowed.filter(~pl.col("reason_kind").is_in(GENERAL).fill_null(value=False))
    return [
        found_none(suite, "reasons_are_said_as_decided", int(wrong["len"].sum()), said.height, noun="items"),
        found_none(suite, "nothing_personal_unallowed", personal.height, unallowed.height, noun="items"),
    ]


def sentences(night: Night, rows: pl.DataFrame) -> pl.DataFrame:
    """The rows (language, reason_kind, reason_about) with `expected`: the shop's sentence, about what it is about."""
    settings = night.shop.reasons
    known = list(settings.sentences)
    tag = pl.col("language").str.strip_chars().str.replace_all("_", "-", literal=True).str.to_lowercase()
    parts = tag.str.split("-")
    spoken = pl.coalesce(
        *(
            pl.when(parts.list.head(length).list.join("-").is_in(known)).then(parts.list.head(length).list.join("-"))
            for length in range(LONGEST_TAG, 0, -1)
        ),
        pl.lit(settings.language),
    )
    texts = [
        (language, kind.value, *text.partition(PLACEHOLDERS.get(kind, "\x00"))[::2], kind in PLACEHOLDERS)
        for language, of_kind in settings.sentences.items()
        for kind, text in of_kind.items()
    ]
    columns = ["spoken", "reason_kind", "before", "after", "is_about"]
    about = pl.when("is_about").then("reason_about").otherwise(pl.lit(""))
    return (
        rows.with_columns(spoken=spoken)
        .join(pl.DataFrame(texts, schema=columns, orient="row"), on=["spoken", "reason_kind"], how="left")
        .with_columns(expected=pl.col("before") + about + pl.col("after"))
    )
