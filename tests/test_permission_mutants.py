"""Broken permission rules are noticed; a few of them here, all of them by scripts/permission-mutants."""

import re
from pathlib import Path

import pytest
from permission_mutants import MUTANTS, DoesNotApply, Mutant
from permission_trial import REPORT, Findings, Trial, table

from recsys import dbt

FAST = ("a linked refusal is ignored", "everybody's orders are used")


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(tmp_path_factory.mktemp("mutants"), people=1_500)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_still_applies(mutant: Mutant) -> None:
    sound = (dbt.project_folder() / mutant.file).read_text(encoding="utf-8")
    assert mutant.applied(dbt.project_folder()) != sound


def test_a_mutant_that_no_longer_applies_is_told(tmp_path: Path) -> None:
    (tmp_path / "model.sql").write_text("select 1 union all select 1")
    for old in ("select 2", "select 1"):
        with pytest.raises(DoesNotApply, match=r"times in model\.sql, not once"):
            Mutant("x", "y", "model.sql", old, "select 3").applied(tmp_path)


@pytest.mark.parametrize("name", FAST)
@pytest.mark.thorough
def test_a_broken_rule_is_noticed_by_the_recount_and_by_the_oracle(trial: Trial, name: str) -> None:
    (mutant,) = [mutant for mutant in MUTANTS if mutant.name == name]
    findings = trial.run(mutant)
    assert findings.is_caught, findings


def test_every_mutant_is_in_the_report_and_none_survived() -> None:
    text = REPORT.read_text(encoding="utf-8")
    reported = re.findall(r"^\| ([^|]+) \| [^|]+ \| [^|]+ \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)[1:]
    assert reported == [mutant.name for mutant in MUTANTS]
    assert "**" not in text


def test_a_survivor_stands_out_in_the_report() -> None:
    survived = table([(MUTANTS[0], Findings((), 0, (), ()))])
    assert "0 of 1 were caught by both" in survived
    assert f"| {MUTANTS[0].name} | {MUTANTS[0].rule} | **nobody** | **0** | none |" in survived
