"""The finished files of tools read again, from the tools' own words: which column is what, written from what each tool
expects and not from what wrote the files. A kind of a company's own is read by the reader that it brings along.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from expectations import json_lines
from expectations.columns import PLAIN
from recsys.channel_settings import Channel
from recsys.channels.kinds import BUILT_IN, kind_of
from recsys.night import Night

PERSON = {
    "klaviyo": {"Email Address": "email", "Phone Number": "phone"},
    "braze": {"external_id": "customer_id", "email": "email", "phone": "phone"},
    "sfmc": {"ContactKey": "customer_id", "EmailAddress": "email"},
    "mailchimp": {"Email Address": "email"},
    "hubspot": {"Email": "email"},
}
"""Kind -> header of a column that people are found by -> which of our columns it is."""
SLOT = re.compile(r"(?:rec_|R)(?P<slot>\d+)_(?:id|ID)")
TOPIC = re.compile(r"(topic|why|reason)_(\d+)", re.IGNORECASE)
COUNT = frozenset({"rec_items", "REC_ITEMS"})
NAME = re.compile(r"(?:_(?P<what>remove|clear|optout|catalogue|add))?_(?P<day>\d{8})(?:_(?P<part>\d+))?\.(?P<form>\w+)")


@dataclass(frozen=True)
class ToolFiles:
    """A channel's finished files: per what they are about ("" is the audience's own) the parts in their order."""

    paths: dict[str, list[Path]]
    strange: int
    """Files whose names are none of a channel's."""


def is_read(channel: Channel) -> bool:
    """Whether there is any reader for the files of this channel."""
    return channel.kind in PERSON or channel.kind not in BUILT_IN


def files_of(night: Night, name: str) -> ToolFiles:
    """The finished files in the folder of an audience; hidden ones are not finished."""
    found: dict[str, list[tuple[int, Path]]] = {}
    strange = 0
    folder = night.files / name
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith("."):
            continue
        match = NAME.fullmatch(path.name.removeprefix(name))
        if match is None or not path.name.startswith(name):
            strange += 1
            continue
        found.setdefault(match["what"] or "", []).append((int(match["part"] or 1), path))
    return ToolFiles({what: [path for _, path in sorted(parts)] for what, parts in found.items()}, strange)


def read(night: Night, channel: Channel, paths: list[Path]) -> pl.DataFrame:
    """customer_id, email or phone, `items`, `rec_<slot>_id` and `<topic|why|reason>_<slot>` of parts, below each other.

    Only what the files have; an empty cell is null. `filled` counts the cells of a row that say anything else.
    """
    parts = [_read(night, channel, path) for path in paths]
    return pl.concat([part for part in parts if part.height] or parts[:1], how="diagonal_relaxed")


def _read(night: Night, channel: Channel, path: Path) -> pl.DataFrame:
    if channel.kind not in BUILT_IN and channel.kind not in PLAIN:
        rows = kind_of(channel.kind).of(channel, night.shop).read(path)
        known = re.compile(r"customer_id|email|phone|items|rec_\d+_id|(topic|why|reason)_\d+")
        rest = [pl.col(name).is_not_null() for name in rows.columns if not known.fullmatch(name)]
        return rows.with_columns(filled=pl.sum_horizontal(rest).cast(pl.Int64) if rest else pl.lit(0, pl.Int64))
    if path.suffix == ".json":
        return _requests(path)
    rows = _cells(path)
    if "PAYLOAD" in rows.columns:
        payload = pl.col("PAYLOAD")
        names = sorted({*payload_keys(rows["PAYLOAD"])})
        rows = rows.select(
            *(pl.col(name).alias(name.lower()) for name in rows.columns if name != "PAYLOAD"),
            *(payload.str.json_path_match(f"$.{name}").alias(name) for name in names),
        )
    return _ours(rows, PERSON[channel.kind])


def payload_keys(payloads: pl.Series) -> set[str]:
    """The names of a row's attributes; every row has the same."""
    return {key for text in payloads.head(1) for key in re.findall(r'"([A-Za-z0-9_]+)":', text)}


def _cells(path: Path) -> pl.DataFrame:
    if path.suffix == ".parquet":
        return pl.read_parquet(path)
    if path.suffix == ".jsonl":
        return json_lines.read(path.read_bytes())
    separator = {".csv": ",", ".txt": "\t"}[path.suffix]
    rows = pl.read_csv(path, separator=separator, infer_schema=False)
    return rows.with_columns(pl.all().replace("", None))


def _requests(path: Path) -> pl.DataFrame:
    if not path.stat().st_size:
        return pl.DataFrame()
    profiles = (
        json_lines.read(path.read_bytes())
        .select(pl.col("data").struct.field("attributes").struct.field("profiles").struct.field("data").explode())
        .unnest("data")
        .unnest("attributes")
    )
    names = {"email": "email", "phone_number": "phone"}
    rows = profiles.select(*(name for name in names if name in profiles.columns), "properties").unnest("properties")
    texts = rows.select(pl.all().cast(pl.String).replace("", None))
    return _ours(texts, names)


def _ours(rows: pl.DataFrame, person: dict[str, str]) -> pl.DataFrame:
    slots = {name: f"rec_{int(match['slot'])}_id" for name in rows.columns if (match := SLOT.fullmatch(name))}
    topics = {name: name.lower() for name in rows.columns if TOPIC.fullmatch(name)}
    counts = {name: "items" for name in rows.columns if name in COUNT}
    known = {name: person[name] for name in rows.columns if name in person} | slots | topics | counts
    rest = [pl.col(name).is_not_null() for name in rows.columns if name not in known]
    if not known:  # without rows there may be no header either
        return pl.DataFrame()
    filled = pl.sum_horizontal(rest).cast(pl.Int64) if rest else pl.lit(0, pl.Int64)
    return rows.select(*(pl.col(name).alias(ours) for name, ours in known.items()), filled.alias("filled"))
