"""What the nights of a demo shop say about needs, beside its truth: `python -m tests.needs_evidence FOLDER`.

The folder is one that `scripts/needs-evidence` has prepared: deliveries, truth, and the nights EARLIER and LATER up to
the stage recommend. Everything printed is counted from both; nothing is asserted.
"""

import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from recsys.database import connect, literal, small_frame
from recsys.night import Night
from recsys.pipeline import open_night

EARLIER, LATER = date(2026, 8, 18), date(2026, 8, 31)

KINDS = """
    SELECT truth.expected, rhythms.kind, count(*) AS categories,
        round(min(rhythms.share_never_again), 3) AS least_never, round(max(rhythms.share_never_again), 3) AS most_never,
        round(min(rhythms.share_same_again), 3) AS least_same, round(max(rhythms.share_same_again), 3) AS most_same,
        round(max(rhythms.irregularity), 2) AS most_irregular
    FROM later.features.category_rhythms AS rhythms
    JOIN (
        SELECT category,
            CASE WHEN is_project THEN 'one_off' WHEN rhythm_days > 0 THEN 'replenishable' ELSE 'recurring' END
                AS expected
        FROM read_parquet($categories)
    ) AS truth ON split_part(rhythms.category, ' > ', 2) = truth.category
    GROUP BY ALL ORDER BY ALL
"""

LEVELS = """
    WITH days AS (
        SELECT DISTINCT purchases.customer_id, purchases.day, truth.is_project,
            array_to_string(list_transform(string_split(products.category, '>'), lambda s : trim(s))[1:level], ' > ')
                AS category,
            level
        FROM later.intermediate.int_purchases__dated AS purchases
        JOIN later.core.dim_products AS products USING (product_id)
        JOIN read_parquet($truth_products) AS truth USING (product_id), (VALUES (1), (2), (3)) AS levels (level)
        WHERE NOT purchases.replenishable
    ), numbered AS (
        SELECT *, count(*) FILTER (pause IS NULL OR pause > 45) OVER (
            PARTITION BY level, category, customer_id ORDER BY day
        ) AS burst
        FROM (SELECT *, day - lag(day) OVER (PARTITION BY level, category, customer_id ORDER BY day) AS pause FROM days)
    ), bursts AS (
        SELECT level, category, is_project, customer_id, burst, max(day) AS last_on,
            lead(min(day)) OVER (PARTITION BY level, category, customer_id ORDER BY burst) AS next_on
        FROM numbered GROUP BY level, category, is_project, customer_id, burst
    ), shares AS (
        SELECT level, category, bool_or(is_project) AS is_project,
            avg((coalesce(next_on > last_on + 180, true))::INTEGER) AS share_never_again
        FROM bursts WHERE burst = 1 AND last_on + 180 <= DATE '2026-08-31' GROUP BY level, category
    )
    SELECT level, count(*) FILTER (is_project) AS project_categories,
        round(min(share_never_again) FILTER (is_project), 3) AS least_of_projects,
        round(max(share_never_again) FILTER (NOT is_project), 3) AS most_of_others
    FROM shares GROUP BY level ORDER BY level
"""

PROJECTS = """
    WITH truth AS (
        SELECT customer_id, category, last_date, last_date <= DATE '2026-08-31' AS has_ended
        FROM read_parquet($projects)
        WHERE first_date <= DATE '2026-08-31'
    ), states AS (
        SELECT customer_id, split_part(category, ' > ', 2) AS category, state, finished_on
        FROM later.features.customer_needs
        WHERE category IN (SELECT category FROM later.features.category_rhythms WHERE kind = 'one_off')
    ), both_sides AS (
        SELECT states.*, truth.last_date, truth.has_ended, states.finished_on - truth.last_date AS days_late
        FROM states LEFT JOIN truth USING (customer_id, category)
    )
    SELECT count(*) FILTER (state = 'finished') AS finished,
        count(*) FILTER (state = 'finished' AND coalesce(has_ended, true)) AS rightly,
        round(rightly / finished, 4) AS precision,
        count(*) FILTER (has_ended) AS ended,
        round(count(*) FILTER (has_ended AND state = 'finished') / ended, 4) AS recall,
        round(
            count(*) FILTER (last_date <= DATE '2026-08-31' - 35 AND state = 'finished')
            / count(*) FILTER (last_date <= DATE '2026-08-31' - 35), 4
        ) AS recall_35_days_on,
        quantile_cont(days_late, 0.1) FILTER (has_ended AND state = 'finished') AS days_late_10,
        quantile_cont(days_late, 0.5) FILTER (has_ended AND state = 'finished') AS days_late_50,
        quantile_cont(days_late, 0.9) FILTER (has_ended AND state = 'finished') AS days_late_90
    FROM both_sides
"""

QUIET = """
    WITH bursts AS (
        SELECT bursts.* FROM later.intermediate.int_bursts__grouped AS bursts
        JOIN later.features.category_rhythms AS rhythms USING (category)
        WHERE rhythms.kind = 'one_off' AND bursts.last_on + 45 < DATE '2026-08-31'
    ), placed AS (
        SELECT longest_pause, cume_dist() OVER (ORDER BY longest_pause) AS place FROM bursts
    ), quiet AS (
        SELECT share, min(longest_pause) AS quiet_days
        FROM placed, (VALUES (0.8), (0.9), (0.95), (0.99)) AS shares (share) WHERE place >= share GROUP BY share
    )
    SELECT share AS quiet_share, quiet_days,
        round((SELECT avg((longest_pause >= quiet_days)::INTEGER) FROM bursts), 4) AS closed_too_early_for_a_while
    FROM quiet ORDER BY share
"""

RHYTHMS = """
    SELECT timed.rhythm_of, count(*) AS pairs,
        round(median(timed.every_days - truth.every_days), 2) AS median_error_days,
        round(median(abs(timed.every_days / truth.every_days - 1)), 3) AS median_relative_error,
        round(quantile_cont(abs(timed.every_days / truth.every_days - 1), 0.9), 3) AS relative_error_90
    FROM later.intermediate.int_replenishments__timed AS timed
    JOIN read_parquet($rhythms) AS truth USING (customer_id, product_id)
    GROUP BY ALL ORDER BY ALL
"""

DUE = """
    WITH next_days AS (
        SELECT DISTINCT customer_id, product_id FROM later.intermediate.int_purchases__dated
        WHERE day > DATE '2026-08-18'
    )
    SELECT CASE WHEN is_lapsed THEN '4 lapsed' WHEN next_due_on <= DATE '2026-08-31' AND is_due THEN '3 due, in time'
        WHEN is_due THEN '2 due, soon' WHEN due_from_on <= DATE '2026-08-31' THEN '1 not due, soon'
        ELSE '0 not due' END AS on_18_august,
        count(*) AS pairs,
        round(avg((next_days.customer_id IS NOT NULL)::INTEGER), 4) AS bought_by_31_august
    FROM earlier.intermediate.int_replenishments__timed AS timed
    LEFT JOIN next_days USING (customer_id, product_id)
    WHERE is_due IS NOT NULL GROUP BY ALL ORDER BY ALL
"""

SHARES = """
    WITH bought AS (
        SELECT customer_id, product_id, min(day) AS day FROM later.intermediate.int_purchases__dated
        WHERE day > DATE '2026-08-18' GROUP BY ALL
    )
    SELECT floor((DATE '2026-08-18' - timed.last_bought_on) / timed.every_days * 10) / 10 AS share_of_rhythm,
        count(*) AS pairs,
        round(count(*) FILTER (bought.day <= DATE '2026-08-18' + 7) / count(*), 4) AS bought_within_7_days
    FROM earlier.intermediate.int_replenishments__timed AS timed LEFT JOIN bought USING (customer_id, product_id)
    WHERE timed.every_days IS NOT NULL AND DATE '2026-08-18' - timed.last_bought_on < 2 * timed.every_days
    GROUP BY ALL ORDER BY ALL
"""

SUCCESSORS = "SELECT count(*) AS claimed FROM later.features.category_successors"

NARROW = """
    WITH listed AS (
        SELECT recommendations.customer_id, products.top_category, count(*) AS items
        FROM read_parquet($recommendations) AS recommendations
        JOIN earlier.core.dim_products AS products USING (product_id)
        WHERE recommendations.rank <= 5 AND recommendations.source = 'individual' GROUP BY ALL
    ), top AS (
        SELECT *, sum(items) OVER (PARTITION BY customer_id) AS all_items FROM listed
        QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY items DESC, top_category) = 1
    ), bought AS (
        SELECT purchases.customer_id, products.top_category
        FROM later.intermediate.int_purchases__dated AS purchases
        JOIN later.core.dim_products AS products USING (product_id)
        WHERE purchases.day > DATE '2026-08-18'
    )
    SELECT top.items AS of_5_in_one_top_category,
        count(DISTINCT top.customer_id) AS customers,
        count(bought.customer_id) AS bought_next,
        round(count(*) FILTER (bought.top_category <> top.top_category) / count(bought.customer_id), 3) AS from_others
    FROM top LEFT JOIN bought USING (customer_id)
    WHERE all_items = 5 GROUP BY ALL ORDER BY ALL
"""

QUESTIONS = {
    "Kinds of categories, expected by the truth and found": KINDS,
    "Which level of the path: share that never comes back, of projects and of everything else": LEVELS,
    "Finished projects (finished, though nobody planned a project there, counts as right)": PROJECTS,
    "How long to wait after a burst": QUIET,
    "Days between repeats, found and true": RHYTHMS,
    "Due on 18 August, bought by the 31st": DUE,
    "Share of the rhythm that had passed on 18 August, bought within 7 days": SHARES,
    "Successors (the truth has none)": SUCCESSORS,
    "Places of 5 in one top category on 18 August, and what was bought next": NARROW,
}


def answers(folder: Path) -> Iterator[tuple[str, pl.DataFrame]]:
    """Each question with its table. Reads the nights' databases and the truth; writes nothing."""
    shop_file = folder / "shop.yaml"
    nights = {"earlier": open_night(shop_file, EARLIER), "later": open_night(shop_file, LATER)}
    with connect(folders=[folder]) as con:
        for name, night in nights.items():
            _attach(con, name, night)
        for title, query in QUESTIONS.items():
            yield title, small_frame(con, query, _parameters(query, folder, nights["earlier"]))


def _attach(con: duckdb.DuckDBPyConnection, name: str, night: Night) -> None:
    con.execute(f"ATTACH {literal(str(night.warehouse))} AS {name} (READ_ONLY)")


def _parameters(query: str, folder: Path, earlier: Night) -> dict[str, object]:
    known: dict[str, object] = {
        "categories": str(folder.resolve() / "truth" / "categories.parquet"),
        "truth_products": str(folder.resolve() / "truth" / "products.parquet"),
        "projects": str(folder.resolve() / "truth" / "projects.parquet"),
        "rhythms": str(folder.resolve() / "truth" / "rhythms.parquet"),
        "recommendations": str(earlier.recommendations),
    }
    return {name: value for name, value in known.items() if f"${name}" in query}


def main() -> None:
    """Print every answer."""
    for title, frame in answers(Path(sys.argv[1])):
        print(f"\n{title}")
        with pl.Config(tbl_rows=50, tbl_cols=20, tbl_width_chars=160, tbl_hide_dataframe_shape=True):
            print(frame)


if __name__ == "__main__":
    main()
