"""Makes a whole demo shop: simulates its thirteen months and writes what it would have delivered up to a day.

```
<folder>/
  inbox/2026-08-18/    everything up to and including this day: eleven tables, one file each
  inbox/2026-08-19/    that day's news; a table without any has no file, consents and suppressions excepted
  truth/*.parquet      what is true (see recsys.demo.truth); no shop file reads it
  made_with.json       the arguments, so that two different shops are never mixed
```
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from recsys.demo.assortment import CELLS
from recsys.demo.browsing import simulate_browsing
from recsys.demo.catalogue import make_catalogue
from recsys.demo.delivery import deliver
from recsys.demo.dirt import faulty_rows
from recsys.demo.horizon import DEFAULT_THROUGH, END, FIRST_DELIVERY, calendar_day
from recsys.demo.messages import simulate_messages
from recsys.demo.people import make_people
from recsys.demo.permissions import simulate_permissions
from recsys.demo.purchases import simulate_purchases
from recsys.demo.sheets import Sheet, make_sheets
from recsys.demo.truth import true_tables
from recsys.errors import ConfigError
from recsys.files import read_json, write_json
from recsys.tables import write_parquet

FEWEST_CUSTOMERS, MOST_CUSTOMERS = 10, 2_000_000
MOST_PRODUCTS = 100_000
MADE_WITH = "made_with.json"


@dataclass(frozen=True)
class DemoSummary:
    """What was delivered: `rows` and `dirty_rows` per table count everything in the day folders up to `through`.

    `rows` includes the dirty ones. `files_written` counts new or changed files, `files_kept` those already there.
    """

    folder: Path
    customers: int
    products: int
    days: tuple[date, ...]
    rows: dict[str, int]
    dirty_rows: dict[str, int]
    files_written: int
    files_kept: int

    def __str__(self) -> str:
        rows = ", ".join(f"{table} {count:,}" for table, count in self.rows.items())
        dirty = ", ".join(f"{table} {count:,}" for table, count in self.dirty_rows.items()) or "none"
        return (
            f"{self.folder}: {self.customers:,} customers, {self.products:,} products, "
            f"{len(self.days)} day folders from {self.days[0]} to {self.days[-1]} "
            f"({self.files_written:,} files written, {self.files_kept:,} already there)\n"
            f"rows: {rows}\nfaulty rows among them, on purpose: {dirty}"
        )


def products_for(customers: int) -> int:
    """How many products a shop of that many customers has: 400 for 2,000 customers, 20,000 for 200,000 and above."""
    return min(max(int(400 * (customers / 2000) ** 0.8495), 200), 20_000)


def write_demo(
    folder: Path,
    *,
    customers: int = 2000,
    products: int | None = None,
    seed: int = 7,
    through: date = DEFAULT_THROUGH,
    progress: Callable[[str], None] | None = None,
) -> DemoSummary:
    """Write the demo shop below `folder`: the day folders up to `through`, and the truth.

    `customers` is how many have signed up by 2026-08-31; they have about ten order lines each by then. The same
    arguments give the same bytes, and a later `through` adds folders without changing one that is there. `progress` is
    called with one line per step. Raises ConfigError when an argument is out of range, or when the folder holds a demo
    shop made with other arguments.
    """
    products = products_for(customers) if products is None else products
    _check(customers, products, through)
    _claim(folder, {"customers": customers, "products": products, "seed": seed})
    say = progress or (lambda _: None)
    sheets = _simulate(folder, customers, products, seed, say)

    rows: Counter[str] = Counter()
    dirty: Counter[str] = Counter()
    written: Counter[bool] = Counter()
    days = set()
    for sheet in sheets:
        say(f"writing {sheet.table}")
        for day, part in sheet.days():
            if calendar_day(day) > through:
                break
            path = folder / "inbox" / calendar_day(day).isoformat() / sheet.file
            written[deliver(sheet, day, part, path, seed)] += 1
            faults = int(faulty_rows(sheet.table, day, len(part))["rows"].sum())
            rows[sheet.table] += len(part) + faults
            dirty[sheet.table] += faults
            days.add(calendar_day(day))
    return DemoSummary(
        folder=folder,
        customers=customers,
        products=products,
        days=tuple(sorted(days)),
        rows=dict(rows),
        dirty_rows={table: count for table, count in dirty.items() if count},
        files_written=written[True],
        files_kept=written[False],
    )


def _simulate(folder: Path, customers: int, products: int, seed: int, say: Callable[[str], None]) -> list[Sheet]:
    """Simulate the whole horizon and write the truth; what remains in memory afterwards is what the files need."""
    say(f"{customers:,} customers and {products:,} products")
    people = make_people(customers, seed)
    catalogue = make_catalogue(products, seed)
    say("orders")
    purchases = simulate_purchases(people, catalogue, seed)
    say("visits to the web page")
    browsing = simulate_browsing(people, catalogue, purchases, seed)
    say("consents, messages and reactions")
    permissions = simulate_permissions(people, seed)
    messages = simulate_messages(people, catalogue, permissions, seed)
    sheets = make_sheets(people, catalogue, purchases, browsing, permissions, messages)
    say("writing the truth")
    for name, table in true_tables(people, catalogue, purchases, browsing, sheets):
        write_parquet(table, folder / "truth" / f"{name}.parquet")
    return sheets


def _check(customers: int, products: int, through: date) -> None:
    if not FEWEST_CUSTOMERS <= customers <= MOST_CUSTOMERS:
        raise ConfigError(f"customers is {customers:,}; allowed: {FEWEST_CUSTOMERS:,} to {MOST_CUSTOMERS:,}.")
    if not CELLS <= products <= MOST_PRODUCTS:
        raise ConfigError(f"products is {products:,}; allowed: {CELLS:,} to {MOST_PRODUCTS:,}.")
    if not FIRST_DELIVERY <= through <= END:
        raise ConfigError(f"through is {through}; the demo shop delivers from {FIRST_DELIVERY} to {END}.")


def _claim(folder: Path, arguments: dict[str, int]) -> None:
    made_with = folder / MADE_WITH
    if not made_with.is_file():
        write_json(made_with, arguments)
    elif (found := read_json(made_with)) != arguments:
        raise ConfigError(
            f"{folder} holds a demo shop made with {_words(found)}, not {_words(arguments)}. "
            "Choose another folder, or delete this one first."
        )


def _words(arguments: dict[str, int]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(arguments.items()))
