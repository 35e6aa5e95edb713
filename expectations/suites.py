"""Great Expectations suites: plain JSON beside this file, run over one frame at a time.

The library passes an empty suite, passes all-missing columns, and answers in its own order; what it fails to say is
checked here around it. Results carry counts only, never values.
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from expectations.batches import Batch
from expectations.crashes import MASK, harmless
from expectations.frames import pandas_frame
from recsys.audit import Check, Severity

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult

FOLDER = Path(__file__).parent / "suites"
DECLARED = {
    "header": 1,
    "recommendations": 19,
    "decisions": 15,
    "recipients": 8,
    "addresses": 4,
    "items": 13,
    "audience_file": 3,
    "catalogue": 11,
}
"""How many expectations each suite has at least: a suite that lost some must not pass for it."""
MAY_BE_EMPTY = frozenset({"language", "country", "url", "image_url", "price", "currency"})
"""Columns that a shop may not fill at all; `product_facts_agree` sees when they got lost on the way."""
COUNTS_ONLY = {"result_format": "SUMMARY", "partial_unexpected_count": 0}


def suite_content(name: str) -> list[dict[str, Any]]:
    """The expectations of a suite file, as written."""
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    expectations: list[dict[str, Any]] = content["expectations"]
    return expectations


class Validator:
    """Great Expectations with an ephemeral context: nothing is written, nothing is sent, nothing is printed."""

    def __init__(self) -> None:
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
        logging.getLogger("great_expectations").setLevel(logging.CRITICAL)  # before the import, which talks already
        import great_expectations
        from great_expectations.data_context.types.base import (
            DataContextConfig,
            InMemoryStoreBackendDefaults,
            ProgressBarsConfig,
        )

        self._library = great_expectations
        settings = DataContextConfig(
            store_backend_defaults=InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
            progress_bars=ProgressBarsConfig(globally=False),
            analytics_enabled=False,
        )
        context = great_expectations.get_context(mode="ephemeral", project_config=settings)
        rows = context.data_sources.add_pandas("night").add_dataframe_asset("rows")
        self._rows = rows.add_batch_definition_whole_dataframe("all")

    def run(self, batch: Batch) -> list[Check]:
        """One check per expectation of the batch's suite, in the file's order, then the companions of the suite."""
        return self.checks(batch, batch.rows(), suite_content(batch.suite))

    def checks(self, batch: Batch, rows: pl.DataFrame, content: list[dict[str, Any]]) -> list[Check]:
        """The same for given rows and expectations."""
        companions = [_declared(batch, content), *_filled(batch, rows, content)]
        if not content:
            return companions
        used = _columns_used(content)
        frame = pandas_frame(rows.select([name for name in rows.columns if name in used]) if used else rows)
        validated = self._rows.get_batch({"dataframe": frame}).validate(
            self._library.ExpectationSuite(name=batch.suite, expectations=content),
            result_format=COUNTS_ONLY,
            expectation_parameters=batch.parameters,
        )
        results = {
            result.expectation_config.meta["check"]: result
            for result in validated.results
            if result.expectation_config and result.expectation_config.meta
        }
        return [_check(batch, expectation, results) for expectation in content] + companions


def _check(
    batch: Batch,
    expectation: dict[str, Any],
    results: "Mapping[str, ExpectationValidationResult]",
) -> Check:
    name = expectation["meta"]["check"]
    severity: Severity = "warning" if expectation.get("severity") == "warning" else "critical"
    result = results.get(name)
    if result is None:
        return Check(suite=batch.about, check=name, severity=severity, passed=False, detail="gave no result")
    error = _exception_in(result.exception_info or {})
    if error:
        detail = f"could not be checked: {harmless(error)}"
    else:
        detail = _counted(expectation, result.result, batch.parameters)
    return Check(
        suite=batch.about, check=name, severity=severity, passed=result.success is True and not error, detail=detail
    )


def _exception_in(info: Mapping[str, Any]) -> str:
    """The first exception text in a result, which holds one or a mapping of one per metric; empty without any."""
    entries = [info, *(entry for entry in info.values() if isinstance(entry, Mapping))]
    messages = (str(entry.get("exception_message") or MASK) for entry in entries if entry.get("raised_exception"))
    return next(messages, "")


def _counted(expectation: dict[str, Any], result: Mapping[str, Any], parameters: Mapping[str, Any]) -> str:
    """Counts of a result in words: rows that broke the rule, or the number that was found."""
    if "unexpected_count" in result:
        return f"{result['unexpected_count']:,} of {result['element_count']:,} rows"
    found = result.get("observed_value")
    if isinstance(found, list):
        allowed = parameters.get("columns", [])
        missing, extra = len(set(allowed) - set(found)), len(set(found) - set(allowed))
        said = f"{len(found)} columns, {len(allowed)} allowed; {missing} missing, {extra} not allowed"
        place = next(
            (place for place, pair in enumerate(zip(found, allowed, strict=False), start=1) if pair[0] != pair[1]), 0
        )
        if missing or extra or not place:
            return said
        return f"{said}; in another order from column {place} on"
    wanted = expectation["kwargs"].get("value")
    if isinstance(wanted, dict):
        return f"{found:,} found, {parameters[wanted['$PARAMETER']]:,} expected"
    return f"{found:,} found" if isinstance(found, int | float) else ""


def _columns_used(content: list[dict[str, Any]]) -> set[str]:
    used: set[str] = set()
    for expectation in content:
        kwargs = expectation["kwargs"]
        used |= {kwargs[key] for key in ("column", "column_A", "column_B") if key in kwargs}
        used |= set(kwargs["column_list"]) if isinstance(kwargs.get("column_list"), list) else set()
    return used


def _declared(batch: Batch, content: list[dict[str, Any]]) -> Check:
    names = {expectation["meta"]["check"] for expectation in content}
    wanted = DECLARED[batch.suite]
    return Check(
        suite=batch.about,
        check=f"{batch.suite}_suite_is_whole",
        severity="critical",
        passed=len(names) == len(content) and len(content) >= wanted > 0,
        detail=f"{len(names)} expectations, at least {wanted} declared",
    )


def _filled(batch: Batch, rows: pl.DataFrame, content: list[dict[str, Any]]) -> list[Check]:
    """Nearly every expectation passes a column that is missing everywhere; a table with rows must not have one."""
    used = sorted((_columns_used(content) - MAY_BE_EMPTY) & set(rows.columns))
    if not used:
        return []
    empty = [name for name in used if rows.height and rows[name].null_count() == rows.height]
    return [
        Check(
            suite=batch.about,
            check=f"{batch.suite}_columns_are_filled",
            severity="critical",
            passed=not empty,
            detail=f"without any value: {', '.join(empty)}" if empty else f"{len(used)} columns",
        )
    ]
