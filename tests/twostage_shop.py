"""A toy shop whose answers one can see: tea drinkers and tool users, who order every ten days for half a year.

A tea drinker takes green tea in every order, and one of the other teas in turn; a tool user one of the tools in turn.
Nobody crosses over. The last tea, `mint`, was launched a month before the end.
"""

from datetime import datetime, timedelta

import polars as pl

from recsys.model_settings import Recommend
from recsys.twostage.history import EVENTS, History
from recsys.twostage.lessons import Lesson
from recsys.twostage.ranker import Ranker
from recsys.twostage.ranker_settings import RankerSettings

END = datetime(2026, 3, 31)
DAYS = 180
TEAS = ("assam", "black", "chai", "darjeeling", "earl", "fennel", "ginger", "mint")
TOOLS = ("axe", "bolt", "chisel", "drill", "file", "gauge", "hammer", "jack")
DRINKERS, USERS = 16, 16

SETTINGS = RankerSettings(
    trees=20, pairs_per_leaf=5, share_of_features=1.0, tastes=Recommend(factors=4, half_life_days=120, threads=1)
)


def events() -> pl.DataFrame:
    """All order lines, as EVENTS."""
    rows = []
    for person in range(DRINKERS + USERS):
        who, is_drinker = f"c{person:02}", person < DRINKERS
        for turn, day in enumerate(range(person % 10, DAYS, 10)):
            at = END - timedelta(days=DAYS - day, hours=-12)
            shelf = TEAS if is_drinker else TOOLS
            on_sale = shelf if day > DAYS - 30 else shelf[:-1]
            wanted = [on_sale[(person + turn) % len(on_sale)], *(["green"] if is_drinker else [])]
            rows += [(who, product, f"{who}-{turn}", "order", 1, 5.0, at) for product in wanted]
    return pl.DataFrame(rows, schema=EVENTS, orient="row")


def products() -> pl.DataFrame:
    """Teas, green tea and tools; every one is eligible."""
    rows = [(name, f"{name} tea", "kitchen > tea", None, True, True) for name in ("green", *TEAS)]
    rows += [(name, f"steel {name}", "workshop > tools", "Forge", True, False) for name in TOOLS]
    names = ["product_id", "name", "category", "brand", "is_eligible", "replenishable"]
    return pl.DataFrame(rows, schema=names, orient="row", infer_schema_length=None)


def history(end: datetime = END) -> History:
    """What was known at `end`."""
    return History(end, events().filter(pl.col("occurred_at") < end), products())


def lesson(days: int) -> Lesson:
    """What was known so many days before the end, and what was bought in the 20 days after."""
    cut = END - timedelta(days=days)
    after = pl.col("occurred_at").is_between(cut, cut + timedelta(days=20), closed="left")
    return Lesson(history(cut), events().filter(after).select("customer_id", "product_id"))


def ranker(settings: RankerSettings = SETTINGS) -> Ranker:
    """Taught by two older moments."""
    return Ranker.fit([lesson(20), lesson(40)], settings)
