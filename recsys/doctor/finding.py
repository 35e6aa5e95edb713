"""What the doctor has to say: what is ready, what is missing, what would stop a night, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ready", "note", "missing", "stops"]
"""`note` is there and not as it should be; `missing` makes rows poorer or an audience smaller; `stops` keeps a night or
a channel from leaving at all."""


@dataclass(frozen=True)
class Finding:
    """One sentence about one thing, and what to do (empty: nothing). Holds no customer's data."""

    level: Level
    about: str
    sentence: str
    advice: str = ""
