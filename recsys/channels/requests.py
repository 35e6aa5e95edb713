"""Klaviyo's bulk import as a file: one request body per line, each within the limits of the endpoint.

`POST /api/profile-bulk-import-jobs`: at most 10,000 profiles, 5 MB per body and 100 KB per profile. Read and written
as a table with one row per profile: `email`, `phone_number`, and `profile`, the profile's JSON.
"""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from recsys.errors import CannotRender

MAX_PROFILES = 10_000
MAX_BYTES = 5_000_000
MAX_PROFILE_BYTES = 100_000
BEFORE = '{"data":{"type":"profile-bulk-import-job","attributes":{"profiles":{"data":['
AFTER = "]}}}}\n"
SCHEMA = {"email": pl.String, "phone_number": pl.String, "profile": pl.String}


def encoded(profiles: pl.DataFrame) -> bytes:
    """The request bodies of these profiles, in their order; nothing for none.

    Raises CannotRender when a profile is larger than the endpoint takes.
    """
    if profiles.is_empty():
        return b""
    sizes = profiles["profile"].str.len_bytes().to_numpy().astype(np.int64) + 1
    too_large = int((sizes > MAX_PROFILE_BYTES).sum())
    if too_large:
        raise CannotRender(
            f"{too_large} profiles are larger than {MAX_PROFILE_BYTES:,} bytes, which Klaviyo takes at most. "
            "Configure fewer slots."
        )
    ends, cumulated = [0], np.concatenate([[0], np.cumsum(sizes)])
    room = MAX_BYTES - len(BEFORE) - len(AFTER)
    while ends[-1] < len(sizes):
        by_size = int(np.searchsorted(cumulated, cumulated[ends[-1]] + room, side="right")) - 1
        ends.append(min(by_size, ends[-1] + MAX_PROFILES))
    bodies = [BEFORE + ",".join(profiles["profile"][start:end]) + AFTER for start, end in pairwise(ends)]
    return "".join(bodies).encode()


def read(path: Path) -> pl.DataFrame:
    """The profiles of a file, one row each, in their order."""
    found = [profile for line in path.open(encoding="utf-8") for profile in _profiles(line)]
    rows = [
        (
            profile["attributes"].get("email"),
            profile["attributes"].get("phone_number"),
            json.dumps(profile, ensure_ascii=False, separators=(",", ":")),
        )
        for profile in found
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def count(path: Path) -> int:
    """How many profiles a file holds."""
    with path.open(encoding="utf-8") as stream:
        return sum(len(_profiles(line)) for line in stream)


def _profiles(line: str) -> list[dict[str, dict[str, str]]]:
    profiles: list[dict[str, dict[str, str]]] = json.loads(line)["data"]["attributes"]["profiles"]["data"]
    return profiles
