"""The gate as a whole: what makes it red, that nothing leaves then, and that it says why without naming anybody."""

import json
import logging
import re
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thorough import tries

from expectations import companions, facts, gate, permission, recount, shape, suites, volume
from expectations import evidence as evidence_of
from expectations.crashes import explained, harmless
from expectations.evidence import Evidence, file_of, read_finished
from expectations.findings import guarded
from recsys.audit import AuditedFile, Check, Verdict
from recsys.config import load_shop
from recsys.errors import GateRed, NotAudited
from recsys.night import Night
from tests import gate_night, toy

PERSONAL = re.compile(r"\b(ann|ben|cat|dan|eve|fay)\b|@example|4915112345678", re.IGNORECASE)


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pattern")
    gate_night.write_night(folder)
    return folder


@pytest.fixture
def night(pattern: Path, tmp_path: Path) -> Night:
    shutil.copytree(pattern, tmp_path / "shop")
    return Night(load_shop(tmp_path / "shop" / "shop.yaml"), toy.RUN_DATE)


def evidence_in(night: Night) -> Evidence:
    evidence, checks = evidence_of.gather(night)
    assert evidence is not None, checks
    return evidence


def red(night: Night) -> tuple[str, Verdict]:
    """Run the gate, which must be red, and must have kept everything in."""
    with pytest.raises(GateRed) as caught:
        gate.run(night)
    verdict = Verdict.read(night.verdict)
    assert not verdict.is_green
    for path in (night.recommendations, *(file_of(night, c.name) for c in night.shop.channels)):
        with pytest.raises(NotAudited, match="is red"):
            verdict.audited(night.folder, path)
    return str(caught.value), verdict


def failures(checks: list[Check] | Verdict) -> set[str]:
    found = checks.checks if isinstance(checks, Verdict) else checks
    return {f"{check.suite}: {check.check}" for check in found if not check.passed}


def without_suites(monkeypatch: pytest.MonkeyPatch) -> None:
    """For what has nothing to do with Great Expectations: leave it out, it takes seconds."""
    passed = Check(suite="suites", check="left_out", severity="critical", passed=True)
    monkeypatch.setattr(gate, "_validated", lambda evidence, known: [passed])


# --- the truth table -------------------------------------------------------------------------------------------------


def test_the_good_night_is_green_and_bound_to_every_file(night: Night) -> None:
    counts = gate.run(night)
    verdict = Verdict.read(night.verdict)
    assert verdict.is_green
    assert failures(verdict) == set()
    made = [night.recommendations, *night.decisions.glob("*.parquet"), *night.files.rglob("*.csv")]
    assert counts == {"checks": len(verdict.checks), "warnings": 0, "files": len(made), "recipients": 4}
    assert set(verdict.files) == {path.relative_to(night.folder).as_posix() for path in made}
    for path in made:
        assert verdict.audited(night.folder, path) == AuditedFile(path, verdict.files[_name(night, path)], toy.RUN_DATE)
    assert not PERSONAL.search(night.verdict.read_text())
    before = night.verdict.read_bytes()
    gate.run(night)
    assert night.verdict.read_bytes() == before


def _name(night: Night, path: Path) -> str:
    return path.relative_to(night.folder).as_posix()


def test_recipients_without_permission_make_it_red_and_are_not_named(
    night: Night, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)

    def more(frame: pl.DataFrame) -> pl.DataFrame:
        extra = [
            frame.tail(1).with_columns(customer_id=pl.lit(who), email=pl.lit(f"{who}@example.com"))
            for who in ("cat", "dan", "eve")
        ]
        return pl.concat([frame, *extra])

    gate_night.change_file(night, "email_file", more)
    message, verdict = red(night)
    assert {
        "recount/email_file: newest_statement_is_granted",
        "recount/email_file: not_suppressed",
        "recount/email_file: consent_not_expired",
        "recount/email_file: recipients_are_those_decided",
        "files/email_file: decided_to_export",
    } <= failures(verdict)
    lines = message.splitlines()
    assert "  recount/email_file: newest_statement_is_granted: 1 of 5 rows" in lines
    assert lines[-len(verdict.failures) :] == [f"  {c.suite}: {c.check}: {c.detail}" for c in verdict.failures]
    shown = [message, night.verdict.read_text(), caplog.text, *capfd.readouterr()]
    assert [PERSONAL.findall(text) for text in shown] == [[]] * len(shown)


def test_no_recommendations_at_all_make_it_red(night: Night) -> None:
    for path in (night.recommendations, night.decisions / "fct_recommendations.parquet"):
        gate_night.change_parquet(path, lambda frame: frame.clear())
    message, verdict = red(night)
    assert {"recommendations: not_empty", "recommendations: customers_covered"} <= failures(verdict)
    said = "0 rows for 6 customers; 6 of 8 products are active, in stock and not sensitive"
    assert f"  recommendations: not_empty: {said}" in message.splitlines()


def test_a_column_that_is_missing_everywhere_makes_it_red(night: Night) -> None:
    def emptied(frame: pl.DataFrame) -> pl.DataFrame:
        return frame.with_columns(score=pl.lit(None, pl.Float64), source=pl.lit(None, pl.String))

    for path in (night.recommendations, night.decisions / "fct_recommendations.parquet"):
        gate_night.change_parquet(path, emptied)
    _, verdict = red(night)
    assert "recommendations: recommendations_columns_are_filled" in failures(verdict)
    (check,) = (check for check in verdict.failures if check.check == "recommendations_columns_are_filled")
    assert check.detail == "without any value: score, source"


def test_suites_without_expectations_make_it_red(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suites, "suite_content", lambda name: [])
    _, verdict = red(night)
    assert {name.split(": ")[1] for name in failures(verdict)} >= {
        f"{suite}_suite_is_whole" for suite in suites.DECLARED
    }


def test_a_check_that_crashes_makes_it_red_and_the_others_still_run(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> list[Check]:
        raise ValueError("no cast in column 'email' for 'ann@example.com', call +49 151 12345678, [ben, cat]")

    without_suites(monkeypatch)
    monkeypatch.setattr(recount, "check", crash)
    message, verdict = red(night)
    assert failures(verdict) == {"recount/email_file: ran", "recount/crm_file: ran"}
    assert any(check.suite == "shape" for check in verdict.checks)
    assert message.splitlines()[-1] == (
        "  recount/crm_file: ran: could not be checked: ValueError: no cast in column 'email' for …, call …, …"
    )


def test_the_library_that_does_not_start_makes_it_red(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash() -> None:
        raise ImportError("no such library")

    monkeypatch.setattr(gate, "Validator", crash)
    message, verdict = red(night)
    assert failures(verdict) == {"suites: ran"}
    assert "no such library" in message


def test_raw_tables_that_cannot_be_read_make_it_red(night: Night) -> None:
    (night.raw / "consents.parquet").write_bytes(b"not a table")
    _, verdict = red(night)
    assert failures(verdict) == {"gate: ran"}


@pytest.mark.parametrize("missing", ["recommendations.parquet", "decisions/fct_decisions.parquet", "files/crm_file"])
def test_a_missing_file_makes_it_red(night: Night, missing: str) -> None:
    path = night.folder / missing
    path = path if path.suffix else file_of(night, "crm_file")
    path.unlink()
    message, verdict = red(night)
    assert failures(verdict) == {f"evidence: {_name(night, path)}"}
    assert message.endswith("is missing; run the stages before the gate")


@pytest.mark.parametrize("content", [b"", b'"customer_id"\n"1","2"\n', b'"a"\n"\xff"\n'])
def test_a_torn_file_makes_it_red(night: Night, content: bytes) -> None:
    file_of(night, "email_file").write_bytes(content)
    _, verdict = red(night)
    assert failures(verdict) == {"evidence: files/email_file/email_file_20260331.csv"}


def test_an_earlier_verdict_is_gone_before_anything_is_checked(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    Verdict(run_date=toy.RUN_DATE, checks=(GREEN,), files={}).write(night.verdict)

    def stopped(_: Night) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(gate, "audit", stopped)
    with pytest.raises(KeyboardInterrupt):
        gate.run(night)
    with pytest.raises(NotAudited, match="no verdict"):
        Verdict.read(night.verdict)


def test_the_command_says_why_and_exits_with_1_when_red(
    night: Night, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_suites(monkeypatch)
    arguments = [str(night.shop.path), "2026-03-31"]
    assert gate.main(arguments) == 0
    assert capsys.readouterr().out.endswith("recipients 4\n")
    gate_night.change_file(night, "crm_file", lambda frame: frame.clear())
    assert gate.main(arguments) == 1
    assert "recount/crm_file: recipients_are_those_decided: 0 rows in the file, 2" in capsys.readouterr().err
    assert gate.main([str(night.shop.path.with_name("absent.yaml")), "2026-03-31"]) == 1


# --- the verdict -----------------------------------------------------------------------------------------------------

GREEN = Check(suite="s", check="c", severity="critical", passed=True)


def test_a_verdict_on_other_bytes_lets_nothing_out(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text("checked")
    verdict = Verdict(run_date=toy.RUN_DATE, checks=(GREEN,), files={"file.csv": "0" * 64})
    with pytest.raises(NotAudited, match="bytes changed"):
        verdict.audited(tmp_path, path)


def test_a_verdict_on_another_file_lets_nothing_out(tmp_path: Path) -> None:
    (tmp_path / "file.csv").write_text("x")
    verdict = Verdict(run_date=toy.RUN_DATE, checks=(GREEN,), files={})
    with pytest.raises(NotAudited, match="did not check this file"):
        verdict.audited(tmp_path, tmp_path / "file.csv")
    with pytest.raises(NotAudited, match="outside"):
        verdict.audited(tmp_path, tmp_path.parent / "file.csv")


def test_a_verdict_is_green_only_when_something_critical_passed_and_nothing_critical_failed() -> None:
    warned = Check(suite="s", check="w", severity="warning", passed=False)
    broken = Check(suite="s", check="b", severity="critical", passed=False)

    def is_green(*checks: Check) -> bool:
        return Verdict(run_date=toy.RUN_DATE, checks=checks, files={}).is_green

    assert is_green(GREEN)
    assert is_green(GREEN, warned)
    assert not is_green()
    assert not is_green(warned.model_copy(update={"passed": True}))
    assert not is_green(GREEN, broken)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"is_green": true}', '{"is_green": true, "checks": 1}', '"x"'])
def test_what_is_no_verdict_lets_nothing_out(tmp_path: Path, content: str) -> None:
    (tmp_path / "verdict.json").write_text(content)
    with pytest.raises(NotAudited, match="not a verdict"):
        Verdict.read(tmp_path / "verdict.json")


# --- finished files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        b'\xef\xbb\xbf"a","b"\n"1","2"\n',
        b'"a","b"\r\n"1","2"\r\n',
        b'"a","b"\n"1","2"',
        b'"a","b"\n1,"2"\n',
        b'"a","b"\n"1"\n',
        b'"a","b"\n"1","2"\n\n',
        b'a,b\n"1","2"\n',
        b'"a","a"\n"1","2"\n',
    ],
)
def test_a_file_that_is_written_any_other_way_is_not_canonical(content: bytes) -> None:
    assert read_finished(b'"a","b"\n"1","2"\n').is_canonical
    assert not read_finished(content).is_canonical


@settings(max_examples=tries(50), deadline=None)
@given(st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=5))
def test_a_canonical_file_gives_back_its_cells(rows: list[tuple[str, str]]) -> None:
    frame = pl.DataFrame(rows, schema={"a": pl.String, "b": pl.String}, orient="row")
    file = read_finished(frame.write_csv(quote_style="always").encode())
    assert file.is_canonical
    assert file.cells.rows() == [tuple(cell or None for cell in row) for row in rows]


@pytest.mark.parametrize("columns", [1, 8, 32, 33, 44, 200])
def test_json_lines_are_canonical_however_many_columns_they_have(columns: int) -> None:
    names = [f"rec_{place}" for place in range(columns, 0, -1)]
    lines = "".join(json.dumps(dict.fromkeys(names, cell), separators=(",", ":")) + "\n" for cell in ("a", None, "b"))
    file = read_finished(lines.encode(), "jsonl")
    assert file.is_canonical
    assert file.cells.columns == names
    assert file.cells.rows() == [(cell,) * columns for cell in ("a", None, "b")]


@pytest.mark.parametrize(
    "line",
    [
        '{"b":"1","a":"2"}',
        '{"a":"1"}',
        '{"a":"1","b":"2","c":"3"}',
        '{"a":"1","a":"1","b":"2"}',
        '{"a":1,"b":"2"}',
        '{"a":"1", "b":"2"}',
    ],
)
def test_a_line_that_is_written_any_other_way_is_not_canonical(night: Night, line: str) -> None:
    good = '{"a":"1","b":"2"}\n'
    assert read_finished((good + good).encode(), "jsonl").is_canonical
    file = read_finished(f"{good}{line}\n".encode(), "jsonl")
    assert not file.is_canonical
    evidence = evidence_in(night)
    as_it_is = replace(evidence.files["email_file"], is_canonical=file.is_canonical, form=file.form)
    found = companions.files(replace(evidence, files={**evidence.files, "email_file": as_it_is}))
    [check] = [check for check in found if (check.suite, check.check) == ("files/email_file", "written_canonically")]
    assert "one object" in check.detail
    assert "quoted" not in check.detail


DANGEROUS = [
    "=1+1",
    "+1",
    "-1",
    "@x",
    " =1",
    "\u200b=1",
    "\ufeff@x",
    "\u00a0\u2060-1",
    "\uff1d1",
    "\uff20x",
    "\ufe621",
    "\t1",
    "\r1",
]


@pytest.mark.parametrize("text", DANGEROUS)
def test_a_text_that_a_spreadsheet_would_run_is_found(night: Night, text: str) -> None:
    gate_night.change_file(night, "email_file", lambda frame: frame.with_columns(rec_2_name=pl.lit(text)))
    found = companions.files(evidence_in(night))
    assert failures(found) == {"files/email_file: texts_are_no_formulas"}
    assert next(check for check in found if not check.passed).detail == "2 of 12 cells"


def test_ordinary_texts_and_disarmed_ones_are_left_alone() -> None:
    texts = pl.Series(["Tea = good", "'=1+1", "x@y", "9.90", "", "Ä-Tee", "(+5)"])
    assert not companions.dangerous(texts).any()


@pytest.mark.parametrize("column", ["first_name", "rec_1_reason"])
def test_every_free_text_is_looked_at(night: Night, column: str) -> None:
    gate_night.change_file(night, "email_file", lambda frame: frame.with_columns(pl.lit("=1").alias(column)))
    assert failures(companions.files(evidence_in(night))) == {"files/email_file: texts_are_no_formulas"}


def test_catalogue_texts_are_looked_at(night: Night) -> None:
    gate_night.change_file(night, "catalogue", lambda frame: frame.with_columns(brand=pl.lit("@brand")))
    assert failures(companions.files(evidence_in(night))) == {"files/catalogue: texts_are_no_formulas"}


def test_rows_out_of_order_are_found(night: Night) -> None:
    gate_night.change_file(night, "crm_file", lambda frame: frame.reverse())
    assert failures(companions.files(evidence_in(night))) == {"files/crm_file: ordered_by_customer_id"}


@pytest.mark.parametrize(
    "emptied", [("rec_1_id", "rec_1_name", "rec_1_reason"), ("rec_2_id",), ("rec_2_id", "rec_2_name")]
)
def test_a_gap_or_a_half_empty_slot_is_found(night: Night, emptied: tuple[str, ...]) -> None:
    gate_night.change_file(
        night, "crm_file", lambda frame: frame.with_columns(pl.lit("").alias(name) for name in emptied)
    )
    assert failures(companions.files(evidence_in(night))) == {"files/crm_file: slots_filled_from_the_first"}


# --- tables against each other ---------------------------------------------------------------------------------------


def tables(night: Night) -> set[str]:
    return failures(companions.tables(evidence_in(night), facts.gather(night, permission.gather(night))))


def test_the_tables_of_the_good_night_agree(night: Night) -> None:
    assert tables(night) == set()


def test_recommendations_that_changed_on_the_way_are_found(night: Night) -> None:
    path = night.decisions / "fct_recommendations.parquet"
    gate_night.change_parquet(path, lambda frame: frame.with_columns(pl.col("score") * 2))
    assert tables(night) == {"fct_recommendations: same_rows_as_recommendations"}


def test_recommendations_without_a_reason_are_found(night: Night) -> None:
    path = night.decisions / "fct_recommendations.parquet"
    gate_night.change_parquet(path, lambda frame: frame.with_columns(reason=pl.lit(" ")))
    assert tables(night) == {"fct_recommendations: reason_present"}


def test_too_few_customers_with_a_list_are_found(night: Night) -> None:
    gate_night.change_parquet(night.recommendations, lambda frame: frame.filter(pl.col("customer_id") < "cat"))
    assert "recommendations: customers_covered" in tables(night)


def test_no_decisions_are_found(night: Night) -> None:
    gate_night.change_parquet(night.decisions / "fct_decisions.parquet", lambda frame: frame.clear())
    assert tables(night) == {"fct_decisions: not_empty"}


def test_a_product_missing_from_the_catalogue_is_found(night: Night) -> None:
    gate_night.change_file(night, "catalogue", lambda frame: frame.head(1))
    assert tables(night) == {"files/catalogue: same_products_as_the_table"}
    path = night.decisions / "sync_catalogue__products.parquet"
    gate_night.change_parquet(path, lambda frame: frame.head(1))
    assert tables(night) == {"sync_catalogue__products: every_exported_product"}


def test_a_file_that_nobody_expects_is_found(night: Night) -> None:
    (night.files / "email_file" / "extra.csv").write_text("x")
    assert tables(night) == {"files: only_expected_files"}


# --- volume ----------------------------------------------------------------------------------------------------------


def volumes(recipients: int, history: list[int], night: Night) -> set[str]:
    return {name.split(": ")[1] for name in failures(volume.compared("volume", recipients, history, night))}


FAR, SOMEWHAT = "recipients_not_far_off_the_median", "recipients_not_somewhat_off_the_median"


@pytest.mark.parametrize(
    ("recipients", "expected"),
    [
        (49, {FAR, SOMEWHAT}),
        (50, {SOMEWHAT}),
        (79, {SOMEWHAT}),
        (80, set()),
        (100, set()),
        (125, set()),
        (126, {SOMEWHAT}),
        (200, {SOMEWHAT}),
        (201, {FAR, SOMEWHAT}),
        (0, {FAR, SOMEWHAT}),
    ],
)
def test_an_audience_far_off_the_median_is_critical_and_somewhat_off_a_warning(
    night: Night, recipients: int, expected: set[str]
) -> None:
    history = [100] * 12 + [1, 10_000]
    assert volumes(recipients, history, night) == expected
    assert volumes(recipients, [100] * 3, night) - {"recipients_within_bounds"} == expected
    severities = {check.check: check.severity for check in volume.compared("volume", 1, history, night)}
    assert severities == {"recipients_within_bounds": "critical", FAR: "critical", SOMEWHAT: "warning"}


@pytest.mark.parametrize("history", [[], [100], [100] * 2, [100] * 13])
def test_the_first_nights_are_held_to_the_shops_bounds(night: Night, history: list[int]) -> None:
    bounded = night.shop.gate.model_copy(update={"min_recipients": 90, "max_recipients": 110})
    night = Night(night.shop.model_copy(update={"gate": bounded}), night.run_date)
    assert volumes(100, history, night) == set()
    assert volumes(89, history, night) == {"recipients_within_bounds"}
    assert volumes(111, history, night) == {"recipients_within_bounds"}


def test_fourteen_nights_replace_the_bounds(night: Night) -> None:
    assert volumes(0, [0] * 14, night) == {"recipients_within_bounds"}, "a median of 0 compares with nothing"
    assert volumes(5, [0] * 14, night) == set()
    bounded = night.shop.gate.model_copy(update={"max_recipients": 90})
    night = Night(night.shop.model_copy(update={"gate": bounded}), night.run_date)
    assert volumes(100, [100] * 14, night) == set()


def test_only_the_last_fourteen_published_nights_before_this_one_count(night: Night) -> None:
    days = [(toy.RUN_DATE - timedelta(days=number)).isoformat() for number in range(-2, 18)]
    gate_night.write_published(night, "email_file", {day: number for number, day in enumerate(days)})
    assert volume.earlier(night, "email_file") == list(range(3, 17))
    assert volume.earlier(night, "crm_file") == []


def test_a_night_without_success_or_with_another_manifest_does_not_count(night: Night) -> None:
    gate_night.write_published(
        night, "email_file", {"2026-03-27": 1, "2026-03-28": 2, "2026-03-29": 3, "2026-03-30": 4}
    )
    folder = night.audience("email_file").parent
    (folder / "2026-03-30" / "_SUCCESS").unlink()
    (folder / "2026-03-29" / "manifest.json").write_text('{"files": [{"rows": 9}]}')
    (folder / "2026-03-28" / "manifest.json").unlink()
    (folder / "2026-03-xx").mkdir()
    assert volume.earlier(night, "email_file") == [1]


def test_an_audience_that_shrank_overnight_makes_it_red(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    without_suites(monkeypatch)
    days = [(toy.RUN_DATE - timedelta(days=number)).isoformat() for number in range(1, 15)]
    gate_night.write_published(night, "crm_file", dict.fromkeys(days, 5))
    message, verdict = red(night)
    assert failures(verdict) == {f"volume/crm_file: {FAR}", f"volume/crm_file: {SOMEWHAT}"}
    assert [check.check for check in verdict.failures] == [FAR]
    assert message.splitlines()[-1] == (
        f"  volume/crm_file: {FAR}: 2 recipients, median of the last 14 published nights 5, allowed 0.5 to 2 times that"
    )


# --- shape -----------------------------------------------------------------------------------------------------------


def test_the_shape_of_the_night_only_warns(night: Night) -> None:
    assert failures(shape.check(evidence_in(night), facts.gather(night, permission.gather(night)))) == set()
    same = evidence_in(night).recommendations.with_columns(product_id=pl.lit("green")).filter(pl.col("rank") < 3)
    known = facts.gather(night, permission.gather(night))
    many = pl.concat([known.products] + [known.products.with_columns(product_id=pl.lit(str(n))) for n in range(4)])
    checks = shape.check(replace(evidence_in(night), recommendations=same), replace(known, products=many))
    assert failures(checks) == {"shape: full_lists", "shape: catalogue_coverage", "shape: top_product"}
    assert {check.severity for check in checks} == {"warning"}


def test_popular_lists_that_begin_alike_are_nothing_unusual(night: Night) -> None:
    rows = evidence_in(night).recommendations.with_columns(source=pl.lit("popular"), product_id=pl.lit("green"))
    checks = shape.check(
        replace(evidence_in(night), recommendations=rows), facts.gather(night, permission.gather(night))
    )
    assert "shape: top_product" not in failures(checks)


def test_many_bad_rows_warn_before_they_stop_the_night(night: Night) -> None:
    from recsys.ingest.assemble import QUARANTINE_SCHEMA, write_quarantine

    row = ("order_lines", "orders.csv", 7, "quantity", "not a number", "abc", "def")
    bad = pl.DataFrame([row, (*row[:3], "unit_price", *row[4:])], schema=QUARANTINE_SCHEMA, orient="row")
    write_quarantine(night, [bad])
    checks = shape.check(evidence_in(night), facts.gather(night, permission.gather(night)))
    assert failures(checks) == {"shape: bad_rows"}
    assert checks[-1].detail == "more than 0.25% of the rows were bad in order_lines"


# --- what may be said ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("could not convert string to float: 'ann'", "could not convert string to float: …"),
        ('unable to find column "email"; valid columns: ["a", "b"]', 'unable to find column "email"; valid columns: …'),
        ("for 1 out of 6 values: [ann, ben\nsecond line", "for 1 out of 6 values: …"),
        ("mail ann@example.com or +49 151 12345678 now", "mail … or … now"),
        ("", ""),
    ],
)
def test_an_error_text_is_shown_without_values(text: str, shown: str) -> None:
    assert harmless(text) == shown
    assert explained(KeyError("ann")) == "could not be checked: KeyError: …"


def test_a_check_that_gives_nothing_has_failed() -> None:
    (check,) = guarded("suite", "ran", list)
    assert not check.passed
    assert check.severity == "critical"
