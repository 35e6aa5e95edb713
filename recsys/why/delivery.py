"""What was decided about one customer per channel, and whether the file that left says the same."""

import re
from pathlib import Path

import duckdb
import polars as pl

from recsys.channel_settings import Channel
from recsys.channels.base import Kind
from recsys.channels.kinds import kind_of
from recsys.database import small_frame
from recsys.delivery.messages import messages_of
from recsys.delivery.record_errors import read_errors, shown_path
from recsys.manifest import SUCCESS
from recsys.night import Night
from recsys.report.facts import Facts
from recsys.report.summary import shown
from recsys.report.words import OUTCOME_WORDS, STATUS_WORDS, departure_words
from recsys.vocabulary import Status

_DECISION = """
    SELECT status, reason, items FROM read_parquet($decisions) WHERE customer_id = $customer AND channel = $channel
"""

_PRODUCTS = """
    SELECT product_id FROM read_parquet($listed) WHERE customer_id = $customer AND rank <= $items ORDER BY rank
"""


_PLACE = """
    SELECT count(*) FILTER (customer_id <= $customer), count(*) FROM read_parquet($decisions)
    WHERE channel = $channel AND status = $exported
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
    manifest = facts.published[channel.name].manifest
    if manifest.audience_file is not None:
        paths = [night.audience(channel.name) / file.file for file in manifest.audience_files]
        if not kind_of(channel.kind).shows_products:
            lines += [*(f"File: {shown(path)}" for path in paths), *_hashed(night, channel, customer, paths)]
            return lines + (_delivered(con, night, customer, channel) if status == Status.EXPORTED else [])
        names = {"customer_id": customer, channel.identifier: _address(night, channel, customer)}
        found = products_in(kind_of(channel.kind).of(channel, night.shop), paths, {**names, "customer_id": customer})
        lines += [f"File: {shown(path)}" for path in paths]
        if found is None and wanted is not None and channel.rows == "delta":
            return [
                *lines,
                "No row of theirs is in it: it says what changed, and theirs is as the tool has it already.",
            ]
        agrees = found == wanted
        row = "they have no row" if found is None else f"they have a row, with {', '.join(found) or 'no product'}"
        hashes = ", ".join(file.sha256[:12] for file in manifest.audience_files)
        lines.append(
            f"Looked up in it just now (sha256 {hashes}, as published): {row}, "
            f"{'as' if agrees else 'which is not what was'} decided."
        )
        if not agrees and manifest.redacted:
            lines.append("Other customers were erased since, and the lists were made again without what they did.")
        elif not agrees:
            faults.append(
                f"{channel.name}: the published file and the decision disagree. The file is what was handed over; "
                "the decision may have been made again after that."
            )
    if status == Status.EXPORTED:
        lines += _delivered(con, night, customer, channel)
    return lines


def _hashed(night: Night, channel: Channel, customer: str, paths: list[Path]) -> list[str]:
    """Whether the files of an audience of hashes have an address of theirs."""
    audience, kept = kind_of(channel.kind).of(channel, night.shop), night.rows(channel.name)
    if not kept.is_file():
        return ["What they were hashed from is gone with the night's folder. Make the night again to look them up."]
    theirs = pl.read_parquet(kept).filter(pl.col("customer_id") == customer)
    if theirs.is_empty():
        return ["None of tonight's hashes is of an address of theirs."]
    hashes = [text for name in ("email", "phone") for text in theirs[name].drop_nulls()]
    found = any(
        rows[name].is_in(hashes).any()
        for rows in map(audience.read, paths)
        for name in ("email", "phone")
        if name in rows.columns
    )
    where = "is in them" if found else "is in none of them"
    said = "" if found or channel.rows == "full" else "; they say what changed, and the platform has theirs already"
    return [f"The hash of an address of theirs {where}{said}."]


def _delivered(con: duckdb.DuckDBPyConnection, night: Night, customer: str, channel: Channel) -> list[str]:
    """Whether and how the customer's row was delivered, by the journal; nothing for files that people import.

    What the tool said of their own record goes before what became of its part.
    """
    messages = messages_of(night, channel.name)
    if messages is None:
        return []
    said = read_errors(night, channel.name).filter(pl.col("customer_id") == customer)
    if said.height:
        where = shown_path(night, channel.name)
        return [
            f"Delivery to {messages.target}, in {part}: not delivered, the tool refused their record "
            f"({': '.join(filter(None, (code, detail)))}). See {where}."
            for part, code, detail in said.select("part", "code", "detail").sort(pl.all()).iter_rows()
        ]
    values: dict[str, object] = {
        "customer": customer,
        "channel": channel.name,
        "decisions": str(night.decisions / "fct_decisions.parquet"),
        "exported": Status.EXPORTED.value,
    }
    place, people = small_frame(con, _PLACE, values).row(0)
    entry = messages.entry_of(place, people)
    if entry is None:
        return [f"Delivery to {messages.target}: {messages.least.value}, at least, for everybody in it."]
    words, meaning = OUTCOME_WORDS[entry.outcome]
    told = f" ({entry.receipt or entry.reason})" if entry.receipt or entry.reason else f". {meaning}"
    return [f"Delivery to {entry.target or messages.target}, in {entry.part}: {words.lower()}{told}"]


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


def products_in(audience: Kind, paths: list[Path], names: dict[str, str | None]) -> list[str] | None:
    """The product ids in somebody's row of published parts, in the order of its slots; None without a row.

    `names` are what the person may be found by, as customer_id or email; the first that the file has decides.
    """
    for path in paths:
        rows = audience.read(path)
        key = next((name for name in names if name in rows.columns), None)
        if key is None or names[key] is None:
            continue
        theirs = rows.filter(pl.col(key) == names[key])
        if theirs.height:
            slots = [column for column in rows.columns if re.fullmatch(r"rec_\d+_id", column)]
            return [product for product in theirs.select(slots).row(0) if product]
    return None


def _address(night: Night, channel: Channel, customer: str) -> str | None:
    """What a channel's files find a customer by; None when they are no recipient."""
    path = night.decisions / f"sync_{channel.tables}__recipients.parquet"
    ours = (pl.col("channel") == channel.name) & (pl.col("customer_id") == customer)
    found = pl.scan_parquet(path).filter(ours).select(channel.identifier).collect()
    return found.item() if found.height else None


def _wanted(con: duckdb.DuckDBPyConnection, night: Night, customer: str, items: int) -> list[str]:
    listed = str(night.decisions / "fct_recommendations.parquet")
    found = small_frame(con, _PRODUCTS, {"customer": customer, "listed": listed, "items": items})
    return [str(product) for (product,) in found.rows()]
