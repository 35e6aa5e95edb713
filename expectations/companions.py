"""What Great Expectations cannot see or lets pass: empty tables, sums across tables, and the form of finished files."""

import polars as pl

from expectations.batches import exported_products
from expectations.columns import CATALOGUE as CATALOGUE_COLUMNS
from expectations.columns import FILE_HEAD, FILE_SLOT, FREE_TEXT, plain_channels, slot_column
from expectations.evidence import CATALOGUE, Evidence, FinishedFile, files_of, tool_files
from expectations.facts import Facts
from expectations.findings import critical, found_none
from recsys.audit import Check
from recsys.channel_settings import Channel

KEYS = ["customer_id", "rank", "product_id", "source", "context", "score", "model_version"]
LEADING_NOTHING = r"^[\s\p{C}\p{Z}]+"
FORMULA = r"^[=+\-@]"
CONTROL = r"^[\t\r\n]"
WRITTEN = {
    "csv": "UTF-8 without BOM, every field quoted, the same cells in every row, \\n after each",
    "jsonl": "UTF-8 without BOM, one object of texts and nulls per line, without blanks, with the names of the first "
    "line in its order, \\n after each",
    "parquet": "Parquet",
}
"""Form of a finished file -> the one way in which it is written."""


def tables(evidence: Evidence, facts: Facts) -> list[Check]:
    """The night's tables against each other and against the known customers."""
    night, made, rows = evidence.night, evidence.tables, evidence.recommendations
    customers = facts.customers.height
    listed = rows.select("customer_id").unique().join(facts.customers, on="customer_id", how="semi").height
    least = night.shop.gate.min_coverage
    range_of = facts.products["is_eligible"]
    choice = f"{range_of.sum():,} of {range_of.len():,} products are active, in stock and not sensitive"
    decided = made["fct_recommendations"]
    same = rows.select(KEYS).equals(decided.select(KEYS))
    missing = 0 if same else rows.join(decided, on=KEYS, how="anti", nulls_equal=True).height
    return [
        critical(
            "recommendations",
            "not_empty",
            passed=rows.height > 0 or customers == 0,
            detail=f"{rows.height:,} rows for {customers:,} customers; {choice}",
        ),
        critical(
            "recommendations",
            "customers_covered",
            passed=listed >= least * customers,
            detail=f"{listed:,} of {customers:,} customers have a list, at least {least:.0%} must (gate.min_coverage); "
            f"{choice}",
        ),
        critical(
            "fct_recommendations",
            "same_rows_as_recommendations",
            passed=same,
            detail=f"{decided.height:,} rows of {rows.height:,} in the same order; {missing:,} differ",
        ),
        found_none("fct_recommendations", "reason_present", _blank(decided, "reason"), decided.height),
        critical(
            "fct_decisions",
            "not_empty",
            passed=made["fct_decisions"].height > 0 or customers == 0,
            detail=f"{made['fct_decisions'].height:,} rows for {customers:,} customers",
        ),
        *_catalogue_is_complete(evidence),
        _nothing_else_is_there(evidence),
    ]


def files(evidence: Evidence) -> list[Check]:
    """Every finished file: written the one way that every tool reads, ordered, safe to open in a spreadsheet."""
    checks = []
    for channel in plain_channels(evidence.night.shop):
        slots = range(1, channel.slots + 1)
        texts = [name for name in FILE_HEAD[channel.kind] if name in FREE_TEXT]
        texts += [slot_column(slot, part) for slot in slots for part in FILE_SLOT[channel.kind] if part in FREE_TEXT]
        about, file = f"files/{channel.name}", evidence.files[channel.name]
        checks += [
            _canonical(about, file),
            _ordered(about, file, "customer_id"),
            _harmless_texts(about, file, texts),
            _slots_whole(about, file, channel),
        ]
        check_in = [f"check_in_{channel.name}"] if channel.asks else []
        for beside in (f"{channel.name}_remove", f"{channel.name}_clear", *check_in):
            about, file = f"files/{beside}", evidence.files[beside]
            texts = [
                name for name in file.cells.columns if name == "first_name" or name.startswith(("topic_", "reason_"))
            ]
            checks += [_canonical(about, file), _ordered(about, file, "customer_id")]
            checks += [_harmless_texts(about, file, texts)]
    file, about = evidence.files[CATALOGUE], f"files/{CATALOGUE}"
    texts = [name for name in CATALOGUE_COLUMNS if name in FREE_TEXT]
    return [*checks, _canonical(about, file), _ordered(about, file, "product_id"), _harmless_texts(about, file, texts)]


def dangerous(texts: pl.Series) -> pl.Series:
    """Which texts a spreadsheet would run as a formula.

    They begin with = + - @ once everything invisible is taken off and full-width characters are folded to plain
    ones, or with a tab or line break as they are.
    """
    seen = texts.str.normalize("NFKC").str.replace(LEADING_NOTHING, "")
    return seen.str.contains(FORMULA) | texts.str.contains(CONTROL)


def _harmless_texts(about: str, file: FinishedFile, columns: list[str]) -> Check:
    wrong = 0
    for column in columns:
        texts = file.cells[column].drop_nulls()
        values = texts.unique()
        bad = values.filter(dangerous(values))
        wrong += int(texts.is_in(bad.implode()).sum()) if len(bad) else 0
    cells = file.cells.height * len(columns)
    return found_none(about, "texts_are_no_formulas", wrong, cells, noun="cells")


def _canonical(about: str, file: FinishedFile) -> Check:
    detail = WRITTEN[file.form] if file.is_canonical else f"not {WRITTEN[file.form]}"
    return critical(about, "written_canonically", passed=file.is_canonical, detail=detail)


def _ordered(about: str, file: FinishedFile, key: str) -> Check:
    passed = key in file.cells.columns and file.cells[key].is_sorted()
    return critical(about, f"ordered_by_{key}", passed=passed, detail=f"{file.cells.height:,} rows")


def _slots_whole(about: str, file: FinishedFile, channel: Channel) -> Check:
    """Slots are filled from the first on, and an empty slot has nothing at all in it."""
    has_id = {slot: pl.col(slot_column(slot, "id")).is_not_null() for slot in range(1, channel.slots + 1)}
    ghosts = [
        ~has_id[slot] & pl.col(slot_column(slot, part)).is_not_null()
        for slot in has_id
        for part in FILE_SLOT[channel.kind][1:]
    ]
    gaps = [has_id[slot] & ~has_id[slot - 1] for slot in has_id if slot > 1]
    wrong = file.cells.filter(pl.any_horizontal(*ghosts, *gaps)).height
    return found_none(about, "slots_filled_from_the_first", wrong, file.cells.height)


def _catalogue_is_complete(evidence: Evidence) -> list[Check]:
    """Every product that an exported row names is in the catalogue; the finished file has the table's products."""
    table, cells = evidence.tables["sync_catalogue__products"], evidence.files[CATALOGUE].cells
    wanted = exported_products(evidence)
    absent = wanted.join(table, on="product_id", how="anti").height
    in_file = table.join(cells, on="product_id", how="anti").height
    return [
        found_none("sync_catalogue__products", "every_exported_product", absent, wanted.height, noun="products"),
        critical(
            f"files/{CATALOGUE}",
            "same_products_as_the_table",
            passed=in_file == 0 and cells.height == table.height,
            detail=f"{cells.height:,} rows, {table.height:,} products; {in_file:,} missing",
        ),
    ]


def _nothing_else_is_there(evidence: Evidence) -> Check:
    night = evidence.night
    expected = {*files_of(night).values(), *tool_files(night)}
    found = {path for path in night.files.rglob("*") if not path.is_dir() and not path.name.startswith(".")}
    return critical(
        "files",
        "only_expected_files",
        passed=found == expected,
        detail=f"{len(found)} files, {len(expected)} expected; {len(found - expected)} not expected",
    )


def _blank(rows: pl.DataFrame, column: str) -> int:
    return rows.filter(pl.col(column).is_null() | (pl.col(column).str.strip_chars() == "")).height
