"""The doctor's findings in the terminal: the data, then every channel, then whether tonight could leave."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recsys.doctor.finding import Finding
from recsys.doctor.prospects import Prospect
from recsys.report.words import STATUS_WORDS

_SIGNS = {
    "ready": "[green]ready[/]",
    "note": "[yellow]note[/]",
    "missing": "[yellow]missing[/]",
    "stops": "[bold red]stops[/]",
}


def show(console: Console, findings: list[Finding], prospects: tuple[Prospect, ...], *, reached: bool = False) -> bool:
    """Print everything; True when nothing stops a night or a channel. `reached`: targets were opened and looked at."""
    _print(console, "The data", findings)
    for prospect in prospects:
        _print(console, f"{prospect.channel.name} ({prospect.channel.kind})", list(prospect.findings))
    if prospects:
        console.print()
        console.print(_tonight(prospects))
    stops = [
        finding
        for finding in (*findings, *(one for it in prospects for one in it.findings))
        if finding.level == "stops"
    ]
    console.print()
    if not reached and any(it.channel.deliver for it in prospects):
        console.print("Targets were not contacted; `recsys doctor --reach` opens each, and writes nothing.")
    if stops:
        about = ", ".join(dict.fromkeys(finding.about for finding in stops))
        console.print(
            f"[bold red]Not ready:[/] {escape(about)}. Nothing was sent and nothing was kept.", soft_wrap=True
        )
    else:
        console.print("[bold green]Ready.[/] Nothing was sent and nothing was kept.", soft_wrap=True)
    return not stops


def _print(console: Console, title: str, findings: list[Finding]) -> None:
    console.print(f"\n[bold]{escape(title)}[/]")
    table = Table(show_header=False, show_edge=False, pad_edge=False, box=None)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for finding in findings:
        advice = f" [dim]{escape(finding.advice)}[/]" if finding.advice else ""
        table.add_row(_SIGNS[finding.level], escape(finding.about), f"{escape(finding.sentence)}{advice}")
    console.print(table)


def _tonight(prospects: tuple[Prospect, ...]) -> Table:
    table = Table(title="What would be sent tonight", title_justify="left", show_edge=False, pad_edge=False, box=None)
    for name in ("channel", "recipients", "held back", "files"):
        table.add_column(name, justify="left" if name in {"channel", "held back", "files"} else "right")
    for it in prospects:
        held = ", ".join(f"{STATUS_WORDS[status][0].lower()} {count:,}" for status, count in it.held_back.items())
        files = ", ".join(f"{name} ({size:,} bytes)" for name, size in it.files)
        table.add_row(escape(it.channel.name), f"{it.recipients:,}", escape(held), escape(files))
    return table
