"""The short table that a night ends with in the terminal: how many, held back why, how long, and where it all lies."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recsys.delivery.journal import Entry, Outcome
from recsys.delivery.record_errors import path_of
from recsys.night import Night
from recsys.report.audience import Audience, read_audience
from recsys.report.facts import Facts, channels_of, read_facts
from recsys.report.words import OUTCOME_WORDS, STATUS_WORDS
from recsys.report.worth import Worth, interval, read_worth
from recsys.terminal import terminal
from recsys.vocabulary import Status

NUMBER_WORDS = {"taste_swap_gain": "taste-swap gain", "lift_over_segment": "lift over segment"}
_LIGHTS = {"green": "[bold green]green[/]", "red": "[bold red]red[/]", "unfinished": "[bold yellow]not finished[/]"}


def show(night: Night, console: Console | None = None) -> bool:
    """Print the night's summary; True when the night is complete and green, its page and analysts' database included.

    Shows what there is of a night that is red or half done, and which stage failed and why.
    """
    console = console or terminal()
    facts, audience = read_audience(read_facts(night))
    facts, worth = read_worth(facts)
    missing = [path for path in (night.page, night.analysts) if not path.is_file()]
    is_whole = facts.light == "green" and not missing
    console.print()
    console.print(f"[bold]{escape(night.shop.shop)}[/], night of {night.run_date}: {_LIGHTS[facts.light]}")
    if not is_whole:
        _show_faults(console, facts, missing)
    if audience is not None:
        console.print()
        console.print(_counts(facts, audience))
    if worth is not None:
        console.print()
        _show_worth(console, worth)
    if facts.deliveries:
        console.print()
        console.print(_deliveries(facts.deliveries))
        _show_left_over(console, facts)
    if facts.stages:
        console.print()
        console.print(_seconds(facts))
    console.print()
    _show_paths(console, facts)
    return is_whole


def show_deliveries(night: Night, console: Console) -> None:
    """Print every part of a night's deliveries and what is known about it."""
    facts = read_facts(night)
    console.print(_deliveries(facts.deliveries))
    _show_left_over(console, facts)


def _show_left_over(console: Console, facts: Facts) -> None:
    """What a delivery to an API did not bring: records that the tool refused, and files that it does not take."""
    for name, records in facts.refused.items():
        where = shown(path_of(facts.night, name))
        records_of = f"{records:,} record{'' if records == 1 else 's'} of {escape(name)}"
        line = f"[yellow]refused:[/] {records_of}; who and why: {escape(where)}"
        console.print(line, soft_wrap=True, highlight=False)
    for name, files in facts.by_hand.items():
        for file in files:
            path = shown(facts.night.audience(name) / file)
            console.print(f"to import by hand  {escape(path)}", soft_wrap=True, highlight=False)


def _deliveries(deliveries: dict[str, tuple[Entry, ...]]) -> Table:
    """Per part where it went and what is known about it."""
    table = Table(show_edge=False, pad_edge=False, box=None)
    for title in ("delivered to", "part", "rows", "", ""):
        table.add_column(title, style="bold" if title == "delivered to" else None, overflow="fold")
    for name, entries in deliveries.items():
        for entry in entries:
            bright = {Outcome.ACKNOWLEDGED: "green", Outcome.PENDING: "yellow", Outcome.DECLINED: "yellow"}
            colour = bright.get(entry.outcome, "red")
            words = f"[{colour}]{OUTCOME_WORDS[entry.outcome][0].lower()}[/]"
            target = entry.target or name
            table.add_row(escape(target), escape(entry.part), f"{entry.rows:,}", words, escape(entry.reason))
        if not entries:
            table.add_row("", escape(name), "", "[yellow]not begun[/]", "")
    return table


def _show_faults(console: Console, facts: Facts, missing: list[Path]) -> None:
    lines = [
        f"[bold red]failed:[/] {escape(record.stage)}: {escape(record.error or 'see its log')}"
        for record in facts.failed
    ]
    lines += [
        f"[bold red]check failed:[/] {escape(check.suite)}: {escape(check.check)}: {escape(check.detail)}"
        for check in (facts.verdict.failures if facts.verdict else ())
    ]
    lines += [f"[bold red]problem:[/] {escape(problem)}" for problem in facts.problems]
    lines += [f"[bold red]in doubt:[/] {escape(part)} of {escape(name)}" for name, part in facts.in_doubt]
    lines += [f"waits for approval: {escape(name)}" for name in facts.waits_for_approval]
    if facts.missing:
        lines.append(f"not done: {', '.join(facts.missing)}")
    elif facts.not_published:
        lines.append(f"not exported: {', '.join(facts.not_published)}")
    lines += [f"not made: {escape(shown(path))}" for path in missing]
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False)


def _counts(facts: Facts, audience: Audience) -> Table:
    """Customers, lists, and per channel exported and held back, by reason."""
    table = Table(show_edge=False, pad_edge=False, box=None)
    table.add_column("customers", style="bold")
    table.add_column("", justify="right")
    for channel in audience.channels:
        table.add_column(escape(channel.channel), justify="right")
    known = "?" if facts.customers is None else f"{facts.customers:,}"
    table.add_row("known", known, *("" for _ in audience.channels))
    table.add_row("recommended", f"{audience.customers_with_list:,}", *("" for _ in audience.channels))
    table.add_row("  broad variant", f"{audience.customers_broad:,}", *("" for _ in audience.channels), style="dim")
    exported = [
        f"{channel.exported:,}" if channel.channel in facts.published else f"({channel.exported:,}, not exported)"
        for channel in audience.channels
    ]
    table.add_row("exported", "", *exported)
    table.add_row("held back", "", *(f"{channel.held_back:,}" for channel in audience.channels))
    for status in Status:
        counts = [channel.statuses.get(status, 0) for channel in audience.channels]
        if status is not Status.EXPORTED and any(counts):
            table.add_row(f"  {STATUS_WORDS[status][0].lower()}", "", *(f"{count:,}" for count in counts), style="dim")
    removed = [sum(channel.removed.values()) for channel in audience.channels]
    table.add_row("left since the last file", "", *(f"{count:,}" for count in removed))
    asked = [sum(channel.asked.values()) for channel in audience.channels]
    table.add_row("to be asked", "", *(f"{count:,}" for count in asked))
    return table


def _show_worth(console: Console, worth: Worth) -> None:
    """Whether the lists are individual, and what makes them."""
    numbers = [
        f"{words} {interval(worth.numbers[metric])}"
        for metric, words in NUMBER_WORDS.items()
        if metric in worth.numbers
    ]
    chosen = f"champion of {worth.made.run_date}" if worth.made.run_date else "no champion yet"
    console.print(f"[bold]individual?[/]  {escape(worth.sentence)}", soft_wrap=True, highlight=False)
    if numbers:
        console.print(f"             {', '.join(numbers)}", soft_wrap=True, highlight=False)
    console.print(f"[bold]made by[/]      {worth.made.kind} ({chosen})", soft_wrap=True, highlight=False)


def _seconds(facts: Facts) -> Table:
    """Seconds and peak memory per stage, and their sum."""
    table = Table(show_edge=False, pad_edge=False, box=None)
    table.add_column("stage", style="bold")
    table.add_column("seconds", justify="right")
    table.add_column("peak MiB", justify="right")
    table.add_column("")
    for record in facts.stages:
        peak = "" if record.peak_mib is None else f"{record.peak_mib:,.0f}"
        table.add_row(
            escape(record.stage), f"{record.seconds:.1f}", peak, "[red]failed[/]" if record.status == "failed" else ""
        )
    table.add_row("together", f"{sum(record.seconds for record in facts.stages):.1f}", "", "", style="bold")
    return table


def _show_paths(console: Console, facts: Facts) -> None:
    """Paths on lines of their own, never wrapped, so that they can be copied."""
    night = facts.night
    files = [
        night.audience(channel) / file.file
        for channel in channels_of(night)
        if channel in facts.published
        for file in facts.published[channel].manifest.audience_files
    ]
    named = (
        *(("audience file", path) for path in files),
        ("audience page", night.page),
        ("analysts' database", night.analysts),
    )
    for name, path in named:
        if path.is_file():
            console.print(f"{name:<18} {escape(shown(path))}", soft_wrap=True, highlight=False)


def shown(path: Path) -> str:
    """The path relative to the working folder when it lies below it, and whole otherwise."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
