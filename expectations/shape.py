"""What the night looks like from afar. All of it warnings: unusual, not wrong."""

import polars as pl

from expectations.evidence import Evidence
from expectations.facts import Facts
from expectations.findings import warning
from recsys.audit import Check
from recsys.contracts import CONTRACTS
from recsys.vocabulary import OF_MODEL

FULL_LISTS = 0.8
"""Fewer full lists mean that the range is too small or too much of it is not eligible."""
CATALOGUE_COVERAGE = 0.05
"""Share of the eligible products that anybody is recommended; below it the lists are one list."""
TOP_PRODUCT = 0.3
"""Share of the individual lists that begin with the same product; popular lists are meant to."""
BAD_ROWS_OF_LIMIT = 0.5
"""Half the share of bad rows at which ingestion stops the night."""


def check(evidence: Evidence, facts: Facts) -> list[Check]:
    """Warnings about the lists and about what was put into quarantine."""
    return [*_lists(evidence, facts), _quarantine(evidence)]


def _lists(evidence: Evidence, facts: Facts) -> list[Check]:
    rows, k = evidence.recommendations, evidence.night.shop.recommend.k
    customers, eligible = facts.customers.height, facts.products.filter("is_eligible")
    full = rows.group_by("customer_id").len().filter(pl.col("len") >= k).height
    shown = rows.select("product_id").unique().join(eligible, on="product_id", how="semi").height
    first = rows.filter(pl.col("rank") == 1, pl.col("source").is_in(OF_MODEL))
    top = first.group_by("product_id").len().get_column("len").max()
    top = top if isinstance(top, int) else 0
    return [
        warning(
            "shape",
            "full_lists",
            passed=full >= FULL_LISTS * customers,
            detail=f"{full:,} of {customers:,} customers have {k} products, usually {FULL_LISTS:.0%} or more",
        ),
        warning(
            "shape",
            "catalogue_coverage",
            passed=shown >= CATALOGUE_COVERAGE * eligible.height,
            detail=f"{shown:,} of {eligible.height:,} eligible products recommended, "
            f"usually {CATALOGUE_COVERAGE:.0%} or more",
        ),
        warning(
            "shape",
            "top_product",
            passed=top <= TOP_PRODUCT * first.height,
            detail=f"{top:,} of {first.height:,} individual lists begin alike, usually {TOP_PRODUCT:.0%} or less",
        ),
    ]


def _quarantine(evidence: Evidence) -> Check:
    """Bad rows over all rows, worst table first; a row that is bad for two reasons is one bad row."""
    night = evidence.night
    bad = (
        pl.scan_parquet(night.raw / "quarantine.parquet")
        .select("table_name", "source_sha256", "line", "row_hash")
        .unique()
        .group_by("table_name")
        .len("bad")
        .collect()
    )
    good = pl.DataFrame(
        {
            "table_name": list(CONTRACTS),
            "good": [_height(evidence, name) for name in CONTRACTS],
        },
        schema={"table_name": pl.String, "good": pl.Int64},
    )
    limit = night.shop.ingest.max_bad_share * BAD_ROWS_OF_LIMIT
    shares = bad.join(good, on="table_name", how="left").with_columns(
        share=pl.col("bad") / (pl.col("bad") + pl.col("good").fill_null(0))
    )
    above = shares.filter(pl.col("share") > limit).sort("share", "table_name", descending=[True, False])
    tables = ", ".join(above["table_name"].to_list())
    return warning(
        "shape",
        "bad_rows",
        passed=above.is_empty(),
        detail=f"more than {limit:.2%} of the rows were bad in {tables}"
        if tables
        else f"at most {limit:.2%} per table",
    )


def _height(evidence: Evidence, table: str) -> int:
    return int(pl.scan_parquet(evidence.night.raw / f"{table}.parquet").select(pl.len()).collect().item())
