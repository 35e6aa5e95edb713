"""Stage `gate`: everything that must hold before anything leaves, and the verdict on it.

Suites of Great Expectations, companions for what it lets pass, the volume against the last nights, and the independent
re-count on the finished files. Whatever crashes counts as a critical check that failed. The verdict is written in any
case; a red one stops the night.
"""

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from functools import partial
from pathlib import Path

from expectations import (
    check_in,
    companions,
    contributions,
    facts,
    hashed,
    learnt,
    linting,
    messages,
    needs,
    permission,
    preferences,
    reasons,
    recount,
    removals,
    shape,
    subscription,
    tools,
    unheard,
    variety,
    volume,
)
from expectations import evidence as evidence_of
from expectations.batches import batches
from expectations.columns import plain_channels, tool_channels
from expectations.evidence import Evidence
from expectations.facts import Facts
from expectations.findings import guarded
from expectations.permission import Permissions
from expectations.suites import Validator
from recsys import pipeline
from recsys.audit import Check, Verdict
from recsys.errors import GateRed, RecsysError
from recsys.night import Night


def run(night: Night) -> dict[str, int | str]:
    """Check the night, write `gate/verdict.json`, and say how many checks were made.

    The verdict of an earlier run is removed first. Raises GateRed, after the verdict is written, when a critical check
    failed; the message's last lines name every one of them.
    """
    night.verdict.unlink(missing_ok=True)
    verdict, recipients = audit(night)
    verdict.write(night.verdict)
    if not verdict.is_green:
        raise GateRed(_explained(night, verdict))
    return {
        "checks": len(verdict.checks),
        "warnings": len(verdict.warnings),
        "files": len(verdict.files),
        "recipients": recipients,
    }


def audit(night: Night) -> tuple[Verdict, int]:
    """The verdict on a night as it lies there, and how many recipients its audiences have. Writes nothing."""
    hashes: dict[str, str] = {}
    recipients = 0

    def everything() -> list[Check]:
        nonlocal recipients
        evidence, checks = evidence_of.gather(night)
        if evidence is None:
            return checks
        hashes.update(evidence.hashes)
        recipients = sum(evidence.audience(channel).height for channel in night.shop.channels)
        return checks + _examined(evidence)

    checks = guarded("gate", "ran", everything)
    return Verdict(run_date=night.run_date, checks=tuple(checks), files=hashes), recipients


def _examined(evidence: Evidence) -> list[Check]:
    night = evidence.night
    permissions = permission.gather(night)
    known = facts.gather(night, permissions)
    with ThreadPoolExecutor(1) as aside:  # suites are Python on one core, and leave the other one idle
        validated = aside.submit(guarded, "suites", "ran", partial(_validated, evidence, known))
        checks = guarded("companions", "tables_ran", partial(companions.tables, evidence, known))
        checks += guarded("companions", "files_ran", partial(companions.files, evidence))
        checks += guarded("subscription", "ran", partial(subscription.check, night))
        checks += guarded("lint", "ran", partial(linting.check, night))
        checks += recounted(evidence, known, permissions)
        checks += guarded("unheard", "ran", partial(unheard.check, night, permissions))
        checks += guarded("volume", "ran", partial(volume.check, evidence))
        checks += guarded("shape", "ran", partial(shape.check, evidence, known))
        return validated.result() + checks


def recounted(evidence: Evidence, known: Facts, permissions: Permissions) -> list[Check]:
    """Every check of the independent re-count: the lists, what they were learnt from, and each channel's audience."""
    night = evidence.night
    choices = preferences.gather(night, permissions)
    checks = guarded("recount/lists", "ran", partial(recount.lists, evidence, permissions))
    checks += guarded("recount/lists", "choices_ran", partial(preferences.lists, evidence, choices, permissions))
    checks += guarded("recount/needs", "ran", partial(needs.check, evidence, permissions))
    checks += guarded("recount/variety", "ran", partial(variety.check, evidence, permissions))
    checks += guarded("recount/reasons", "ran", partial(contributions.check, evidence, permissions))
    checks += guarded("recount/learnt", "ran", partial(learnt.check, night, known, permissions))
    for channel in tool_channels(night.shop):
        recount_of = hashed.check if channel.kind in hashed.HEADERS else tools.check
        checks += guarded(f"recount/{channel.name}", "ran", partial(recount_of, evidence, permissions, channel))
    for channel in plain_channels(night.shop):
        for name, check in (
            ("ran", partial(recount.check, evidence, permissions, channel)),
            ("reasons_ran", partial(reasons.check, evidence, permissions, channel)),
            ("choices_ran", partial(preferences.file, evidence, choices, channel)),
            ("sentences_ran", partial(contributions.file, evidence, permissions, channel)),
            ("removals_ran", partial(removals.check, evidence, channel)),
        ):
            checks += guarded(f"recount/{channel.name}", name, check)
    checks += guarded("recount/check_in", "ran", partial(check_in.check, evidence, permissions, choices))
    checks += guarded("recount/messages", "ran", partial(_messages, evidence, permissions))
    return checks


def _validated(evidence: Evidence, known: Facts) -> list[Check]:
    validator = Validator()
    checks: list[Check] = []
    for batch in batches(evidence, known):
        checks += guarded(batch.about, f"{batch.suite}_suite_ran", partial(validator.run, batch))
    return checks


def _messages(evidence: Evidence, permissions: Permissions) -> list[Check]:
    past = messages.gather(evidence.night, permissions)
    return [found for channel in evidence.night.shop.channels for found in messages.check(evidence, past, channel)]


def _explained(night: Night, verdict: Verdict) -> str:
    failed = [f"  {check.suite}: {check.check}: {check.detail}" for check in verdict.failures]
    return "\n".join(
        [
            f"The gate of {night.run_date} is red: {len(failed)} of {len(verdict.checks)} checks failed, so nothing "
            f"leaves and earlier nights stay as they are. Correct the cause and run the night again from the stage "
            f"that made it. All checks: {night.verdict}",
            *(failed or ["  gate: nothing critical was checked"]),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m expectations.gate SHOP_FILE RUN_DATE`: 0 when the gate is green, 1 when it is red or cannot start."""
    parser = argparse.ArgumentParser(prog="python -m expectations.gate", description="Check one night.")
    parser.add_argument("shop_file", type=Path)
    parser.add_argument("run_date", type=date.fromisoformat, help="YYYY-MM-DD")
    given = parser.parse_args(arguments)
    try:
        counts = pipeline.record(pipeline.open_night(given.shop_file, given.run_date), "gate", run)
    except RecsysError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(", ".join(f"{name} {count}" for name, count in counts.items()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
