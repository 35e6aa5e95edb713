"""The independent re-count of the check-in files: whom they ask, whether that is allowed, and about what.

Read from the finished bytes, raw/ and the ledger; no SQL is shared with the dbt project. Whether a need is over is the
project's own finding and is not counted again here.
"""

import math
from datetime import timedelta

import polars as pl

from expectations import tool_readers
from expectations.columns import PLAIN, check_in_file
from expectations.evidence import Evidence
from expectations.findings import critical, found_none
from expectations.normal import normalised_email, normalised_phone
from expectations.permission import ADDRESSES, NOBODY, Permissions, addressed
from expectations.preferences import Choices, levels_of, product_topics
from expectations.recount import permitted
from expectations.sent import by_topic
from recsys.audit import Check
from recsys.channel_settings import Channel
from recsys.night import Night
from recsys.vocabulary import Question

CAMPAIGN = "check_in"
PARTS = ("topic", "why", "reason")
MAY_BE_ASKED = ("exported", "too_few_items", "nothing_new")
"""Statuses of people who pass every rule about being written to; the last two lack a list only."""
FROM_BEHAVIOUR = [Question.FINISHED.value, Question.NARROW.value]
ROUNDING = timedelta(minutes=2)
"""Strengths have six places; near the limit an interest may be asked about that much too early."""


def check(evidence: Evidence, permissions: Permissions, choices: Choices) -> list[Check]:
    """Every check on the check-in files of a night. Details are counts."""
    night = evidence.night
    asking = [channel for channel in night.shop.channels if channel.asks]
    asked = pl.concat([NOBODY, *(_asked(evidence, channel) for channel in asking)])
    checks = [check for channel in asking for check in _of_channel(evidence, permissions, choices, channel)]
    people = asked.select("customer_id").unique()
    addresses = pl.concat(
        addressed(permissions, contact_channel).join(people, on="customer_id", how="semi")
        for contact_channel in ADDRESSES
    )
    again = _asked_lately(night, permissions)
    return [
        *checks,
        found_none("recount/check_in", "asked_over_one_channel", asked.height - people.height, asked.height),
        found_none(
            "recount/check_in",
            "asked_at_an_address_once",
            addresses.height - addresses["address"].n_unique(),
            addresses.height,
            noun="addresses",
        ),
        found_none(
            "recount/check_in",
            f"not_asked_within_{night.shop.check_in.every_days}_days",
            people.join(again, on="customer_id", how="semi").height,
            people.height,
        ),
    ]


def questions(evidence: Evidence, channel: Channel) -> pl.DataFrame:
    """The topics of a channel's check-in file below each other: customer_id, rank, topic, why, reason."""
    cells = finished(evidence, channel)
    parts = list(PARTS)
    return pl.concat(
        cells.select(
            "customer_id",
            pl.lit(slot, pl.Int64).alias("rank"),
            *(pl.col(f"{part}_{slot}").alias(part) for part in parts),
        )
        .filter(pl.any_horizontal(pl.col(parts).is_not_null()))
        .with_columns(shown("topic"), shown("reason"))
        for slot in range(1, evidence.night.shop.check_in.topics + 1)
    )


def shown(column: str) -> pl.Expr:
    """A text as a finished file shows it, but for the ' in front of what could be a formula."""
    return pl.col(column).str.replace("^'", "").str.replace_all(r"[\p{Cc}\x{2028}\x{2029}]+", " ")


def _of_channel(evidence: Evidence, permissions: Permissions, choices: Choices, channel: Channel) -> list[Check]:
    suite, night = f"recount/check_in_{channel.name}", evidence.night
    cells, asked = finished(evidence, channel), questions(evidence, channel)
    allowed_columns = check_in_file(channel, night.shop.check_in.topics) if channel.kind in PLAIN else cells.columns
    statuses = evidence.tables["fct_decisions"].filter(pl.col("channel") == channel.name)
    allowed = statuses.filter(pl.col("status").is_in(list(MAY_BE_ASKED))).select("customer_id")
    decided = evidence.tables["fct_check_ins"].filter(pl.col("channel") == channel.name)
    columns = ["customer_id", "rank", "topic", "why", "reason"]
    promised = decided.select(
        "customer_id", pl.col("rank").cast(pl.Int64), shown("topic"), "why", shown("reason")
    ).sort("customer_id", "rank")
    behaved = asked.filter(pl.col("why").is_in(FROM_BEHAVIOUR)).select("customer_id")
    words = [question.value for question in Question]
    sensitive = product_topics(night).filter("is_sensitive").select(shown("topic"))
    unwanted = choices.about("not_interested", "less_like_this").with_columns(shown("topic"))
    facts = {
        "asked_are_let_through_by_every_rule": cells.select("customer_id").join(allowed, on="customer_id", how="anti"),
        "everybody_is_asked_something": cells.filter(pl.col("topic_1").is_null()),
        "topics_are_whole": asked.filter(pl.any_horizontal(pl.col("topic", "why", "reason").is_null())),
        "topics_are_filled_from_the_first": asked.filter(
            pl.col("rank") != pl.col("rank").rank("ordinal").over("customer_id").cast(pl.Int64)
        ),
        "topics_differ": asked.filter(pl.struct("customer_id", "topic").is_duplicated()),
        "reasons_are_known": asked.filter(~pl.col("why").is_in(words)),
        "behaviour_asks_only_where_allowed": behaved.join(permissions.personalised, on="customer_id", how="anti"),
        "no_sensitive_topic": asked.join(sensitive, on="topic", how="semi"),
        "no_topic_they_do_not_want": asked.join(unwanted, on=["customer_id", "topic"], how="semi"),
        "aged_was_said_and_is_old": _not_aged(night, asked, choices),
        "narrow_was_sent_too_much": _not_narrow(night, asked),
        "asked_tonight": cells.filter(pl.col("run_date").ne_missing(night.run_date.isoformat())),
    }
    return [
        *permitted(suite, cells, permissions, channel.contact_channel.value, night.end),
        critical(
            suite,
            "topics_are_those_decided",
            passed=asked.sort("customer_id", "rank").select(columns).equals(promised),
            detail=f"{asked.height:,} topics in the file, {promised.height:,} decided",
        ),
        critical(
            suite,
            "columns_are_allowed",
            passed=list(cells.columns) == list(allowed_columns),
            detail=f"{len(cells.columns)} columns",
        ),
        *(found_none(suite, name, wrong.height, asked.height) for name, wrong in facts.items()),
    ]


def _asked(evidence: Evidence, channel: Channel) -> pl.DataFrame:
    return finished(evidence, channel).select("customer_id")


def finished(evidence: Evidence, channel: Channel) -> pl.DataFrame:
    """The cells of a channel's check-in file; of a tool's with the customer_id of whom its identifier was decided for.

    Somebody whom nobody decided to ask has no customer_id then, and is found by that.
    """
    if channel.kind in PLAIN:
        return evidence.files[f"check_in_{channel.name}"].cells
    files = tool_readers.files_of(evidence.night, f"check_in_{channel.name}")
    rows = tool_readers.read(evidence.night, channel, files.paths[""])
    parts = [f"{part}_{slot}" for slot in range(1, evidence.night.shop.check_in.topics + 1) for part in PARTS]
    if rows.is_empty():
        return pl.DataFrame(schema=dict.fromkeys(("customer_id", channel.identifier, *parts, "run_date"), pl.String))
    decided = evidence.tables["sync_check_in__recipients"].filter(pl.col("channel") == channel.name)
    people = decided.select(sorted({"customer_id", channel.identifier}))
    known = rows.join(people, on=channel.identifier, how="left", maintain_order="left")
    if "customer_id" not in known.columns:
        known = known.with_columns(customer_id=channel.identifier)
    return known.with_columns(run_date=pl.lit(evidence.night.run_date.isoformat()))


def _asked_lately(night: Night, permissions: Permissions) -> pl.DataFrame:
    """customer_id of whom a check-in of the ledger asked lately, or who has an address of somebody it asked."""
    since = night.run_date - timedelta(days=night.shop.check_in.every_days)
    entries = pl.read_parquet(night.raw / "ledger" / "recipients" / "*.parquet").filter(
        pl.col("campaign") == CAMPAIGN, pl.col("run_date") > since, pl.col("run_date") < night.run_date
    )
    known = pl.concat(addressed(permissions, contact_channel) for contact_channel in ADDRESSES)
    exported = entries.select(normalised_email("address")).drop_nulls()
    phones = entries.select(normalised_phone("address")).drop_nulls()
    theirs = known.join(entries, on="customer_id", how="semi").select("address")
    there = known.join(pl.concat([exported, phones, theirs]).unique(), on="address", how="semi")
    return pl.concat([entries.select("customer_id"), there.select("customer_id")]).unique()


def _not_aged(night: Night, asked: pl.DataFrame, choices: Choices) -> pl.DataFrame:
    """Rows of why aged whose newest choice is no interest, or one that is still fresh or has expired long ago."""
    preferences, settings = night.shop.preferences, night.shop.check_in
    faded_after = timedelta(days=preferences.half_life_days * -math.log2(settings.faded_below))
    expire_after = timedelta(days=preferences.expire_days)
    fresh_since = night.end - min(faded_after, expire_after) + ROUNDING
    forgotten = night.end - expire_after - timedelta(days=settings.lately_days)
    old = choices.chosen.filter(
        pl.col("choice") == "interested", pl.col("stated_at") <= fresh_since, pl.col("stated_at") > forgotten
    )
    aged = asked.filter(pl.col("why") == Question.AGED.value)
    return aged.join(old.with_columns(shown("topic")), on=["customer_id", "topic"], how="anti")


def _not_narrow(night: Night, asked: pl.DataFrame) -> pl.DataFrame:
    """Rows of why narrow about a category that is not most of what the ledger says was sent, or of too little.

    A product counts once a night, however many channels carried it.
    """
    products = pl.read_parquet(night.raw / "products.parquet", columns=["product_id", "category", "sensitive"])
    tops = products.filter(~pl.col("sensitive").fill_null(value=False)).select(
        "product_id", topic=levels_of("category").list.first()
    )
    sent = (
        by_topic(night, tops.with_columns(shown("topic")).drop_nulls())
        .with_columns(everything=pl.col("items").sum().over("customer_id"))
        .filter(
            pl.col("everything") >= night.shop.needs.narrow_min_items,
            pl.col("items") / pl.col("everything") > night.shop.needs.narrow_share,
        )
    )
    narrow = asked.filter(pl.col("why") == Question.NARROW.value)
    return narrow.join(sent, on=["customer_id", "topic"], how="anti")
