"""What was decided about one customer per channel, and whether the file that left says the same."""

import re
from pathlib import Path

import duckdb
import polars as pl

from recsys.channel_settings import Channel
from recsys.database import small_frame
from recsys.manifest import SUCCESS, PublishedFile
from recsys.night import Night
from recsys.report.facts import Facts
from recsys.report.summary import shown
from recsys.report.words import STATUS_WORDS, departure_words
from recsys.vocabulary import Status

_DECISION = """
    SELECT status, reason, items FROM read_parquet($decisions) WHERE customer_id = $customer AND channel = $channel
"""

_PRODUCTS = """
    SELECT product_id FROM read_parquet($listed) WHERE customer_id = $customer AND rank <= $items ORDER BY rank
"""


_REMOVALS = """
    SELECT left_since, reason FROM read_parquet($removals) WHERE customer_id = $customer AND channel = $channel
    ORDER BY left_since, reason
"""

_QUESTIONS = """
    SELECT topic, reason FROM read_parquet($check_ins) WHERE customer_id = $customer AND channel = $channel
    ORDER BY rank
"""


def tell_delivery(
    con: duckdb.DuckDBPyConnection, facts: Facts, customer: str, channel: Channel, faults: list[str]
) -> list[str]:
    """The decision with its first reason, and what a look into the published file shows.

    A file that disagrees with the decision, or is no longer what was published, is one more of the `faults`.
    """
    night = facts.night
    decisions = small_frame(
        con,
        _DECISION,
        {
            "customer": customer,
            "channel": channel.name,
            "decisions": str(night.decisions / "fct_decisions.parquet"),
        },
    ).rows(named=True)
    if not decisions:
        return ["No decision: this channel was not among the channels of that night."]
    decision = decisions[0]
    status = decision["status"]
    words = STATUS_WORDS.get(status, (status, ""))[0]
    lines = [f"Decided: {words.lower()}. {decision['reason']}.", *_beside(con, night, customer, channel)]
    if channel.name not in facts.published:
        folder = night.audience(channel.name)
        if (folder / SUCCESS).exists():
            faults.append(f"{channel.name}: what lies in {shown(folder)} is not what was published there.")
            return [*lines, "File: one has left, but what lies under its name has changed since. It is not read here."]
        return [*lines, "File: none has left, so nobody got anything over this channel; the cause is at the top."]
    wanted = _wanted(con, night, customer, decision["items"]) if status == Status.EXPORTED else None
    file = facts.published[channel.name].manifest.audience_file
    if file is not None:
        path = night.audience(channel.name) / file.file
        found = products_in(path, file, customer)
        lines.append(f"File: {shown(path)}")
        agrees = found == wanted
        row = "they have no row" if found is None else f"they have a row, with {', '.join(found) or 'no product'}"
        lines.append(
            f"Looked up in it just now (sha256 {file.sha256[:12]}, as published): {row}, "
            f"{'as' if agrees else 'which is not what was'} decided."
        )
        if not agrees and facts.published[channel.name].manifest.redacted:
            lines.append("Other customers were erased since, and the lists were made again without what they did.")
        elif not agrees:
            faults.append(
                f"{channel.name}: the published file and the decision disagree. The file is what was handed over; "
                "the decision may have been made again after that."
            )
    return lines


def _beside(con: duckdb.DuckDBPyConnection, night: Night, customer: str, channel: Channel) -> list[str]:
    """Whether the customer left the audience since its last file, and what a check-in asks them over this channel."""
    values: dict[str, object] = {"customer": customer, "channel": channel.name}
    removals, check_ins = night.decisions / "fct_removals.parquet", night.decisions / "fct_check_ins.parquet"
    lines = []
    if removals.is_file():
        for since, reason in small_frame(con, _REMOVALS, values | {"removals": str(removals)}).rows():
            words = departure_words(reason).lower()
            lines.append(f"Left the audience: the file of {since} named them, tonight's remove file does: {words}.")
    if check_ins.is_file():
        for topic, sentence in small_frame(con, _QUESTIONS, values | {"check_ins": str(check_ins)}).rows():
            lines.append(f"Asked tonight about {topic}: {sentence}")
    return lines


def products_in(path: Path, file: PublishedFile, customer: str) -> list[str] | None:
    """The product ids in the customer's row of a published file, in the order of its slots; None without a row."""
    slots = [column for column in file.columns if re.fullmatch(r"rec_\d+_id", column)]
    rows = (
        pl.scan_csv(path, infer_schema=False)
        .filter(pl.col("customer_id") == customer)
        .select(pl.col(slots).replace("", None))
        .collect()
    )
    return [product for product in rows.row(0) if product is not None] if rows.height else None


def _wanted(con: duckdb.DuckDBPyConnection, night: Night, customer: str, items: int) -> list[str]:
    listed = str(night.decisions / "fct_recommendations.parquet")
    found = small_frame(con, _PRODUCTS, {"customer": customer, "listed": listed, "items": items})
    return [str(product) for (product,) in found.rows()]
