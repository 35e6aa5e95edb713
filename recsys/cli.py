"""The command `recsys`: everything a night does, one stage at a time, without Airflow."""

import logging
import sys
import tempfile
import traceback
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from recsys import pipeline
from recsys.errors import ConfigError, RecsysError
from recsys.night import Night
from recsys.terminal import terminal

app = typer.Typer(
    help="Nightly recommendations from a company's own data: ingest, features, lists, decisions, checks, files.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
console = terminal()
DEMO_DAY = datetime(2026, 8, 31)  # noqa: DTZ001 (only its date counts)

ShopFile = Annotated[Path, typer.Argument(help="The shop file (YAML), for example examples/demo/shop.yaml")]
RunDate = Annotated[
    datetime, typer.Argument(formats=["%Y-%m-%d"], help="The night's date; data strictly before its end counts")
]


@app.command("demo-data")
def demo_data(
    folder: Annotated[Path, typer.Argument(help="Where the demo shop's folders go")] = Path("data/demo"),
    customers: Annotated[int, typer.Option(min=10, max=5_000_000, help="How many customers the shop has")] = 2000,
    products: Annotated[int | None, typer.Option(min=50, help="How many products; follows from customers")] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes")] = 7,
    through: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The last day that is delivered")] = DEMO_DAY,
) -> None:
    """Make the demo shop's deliveries: one folder of files per day, and the hidden truth beside them."""
    from recsys.demo.shop import write_demo

    summary = write_demo(
        folder, customers=customers, products=products, seed=seed, through=through.date(), progress=console.print
    )
    console.print(str(summary))


@app.command()
def config() -> None:
    """List every field of a shop file with its default, and every column that a table can have."""
    from recsys.config import Shop
    from recsys.contracts import CONTRACTS
    from recsys.reference import fields_of, kinds_of_channel

    for title, fields in (("The shop file", fields_of(Shop)), ("What each kind of channel takes", kinds_of_channel())):
        table = Table("field", "default", "what it is", title=title, title_justify="left")
        for field in fields:
            table.add_row(field.name, field.default, field.description)
        console.print(table)
    for contract in CONTRACTS.values():
        needed = ", required" if contract.required else ""
        table = Table("column", "type", "what it is", title=f"{contract.name}: {contract.grain}{needed}")
        table.title_justify = "left"
        for column in contract.columns:
            limits = f" (one of {', '.join(column.allowed)})" if column.allowed else ""
            name = f"{column.name} *" if column.required else column.name
            table.add_row(name, column.type, f"{column.description}{limits}")
        for group in contract.any_of:
            table.caption = f"* or at least one of {', '.join(group)}"
        console.print(table)


@app.command()
def check(
    shop_file: ShopFile,
    run_date: RunDate,
) -> None:
    """Read a shop file and everything delivered up to a date, and say what a night would take in. Keeps nothing."""
    from recsys.files import read_json
    from recsys.ingest.stage import run

    night = pipeline.open_night(shop_file, run_date.date())
    with tempfile.TemporaryDirectory(prefix="recsys-check-") as scratch:
        trial = Night(night.shop.model_copy(update={"data_root": scratch}), night.run_date)
        run(trial)
        inputs = read_json(trial.inputs)
    table = Table("table", "files", "rows", "bad rows", "left out", title=f"{night.shop.shop}, up to {night.run_date}")
    for name, entry in inputs["tables"].items():
        files = entry["files"]
        skipped: dict[str, int] = {}
        for file in files:
            for reason, rows in file["skipped_rows"].items():
                skipped[reason] = skipped.get(reason, 0) + rows
        left_out = ", ".join(f"{reason} {rows:,}" for reason, rows in sorted(skipped.items()))
        if entry["present"]:
            bad = sum(file["bad_rows"] for file in files)
            table.add_row(name, f"{len(files):,}", f"{entry['rows']:,}", f"{bad:,}", left_out)
        else:
            table.add_row(name, "absent", "", "", "")
    console.print(table)


@app.command()
def doctor(
    shop_file: ShopFile,
    run_date: RunDate,
    reach: Annotated[
        bool, typer.Option("--reach", help="Also open every target and look at it: nothing is written there")
    ] = False,
) -> None:
    """Say what is ready, what is missing for which channel, and what would be sent that night. Sends and keeps nothing.

    Rehearses the night up to its finished files on what is delivered now; exit code 1 when something would stop it.
    """
    from recsys.doctor.data import findings
    from recsys.doctor.prospects import prospects
    from recsys.doctor.rehearsal import rehearse
    from recsys.doctor.show import show
    from recsys.lock import exclusive

    night = pipeline.open_night(shop_file, run_date.date())
    with exclusive(night.shop.root), rehearse(night, console.print) as rehearsal:
        is_ready = show(console, list(findings(rehearsal)), prospects(night, rehearsal, reach=reach), reached=reach)
    raise typer.Exit(0 if is_ready else 1)


@app.command()
def stage(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(s for s in pipeline.STAGES if s != 'gate')}")],
    shop_file: ShopFile,
    run_date: RunDate,
    channel: Annotated[str | None, typer.Option(help="For export and deliver: which channel")] = None,
) -> None:
    """Run one stage of a night again. The gate is `python -m expectations.gate SHOP_FILE RUN_DATE`."""
    night = pipeline.open_night(shop_file, run_date.date())
    label = f"{name}.{channel}" if channel else name
    counts = pipeline.record(night, label, pipeline.work_of(name, channel))
    console.print_json(pipeline.printable(counts))


@app.command()
def night(shop_file: ShopFile, run_date: RunDate) -> None:
    """Run a whole night without Airflow, each stage in a process of its own."""
    passed = pipeline.run_night(shop_file, run_date.date(), console.print)
    complete = _show(shop_file, run_date)
    raise typer.Exit(0 if passed and complete else 1)


@app.command()
def summary(shop_file: ShopFile, run_date: RunDate) -> None:
    """Show how a night went: lists, audiences, who was held back and why, seconds, and where the files are."""
    raise typer.Exit(0 if _show(shop_file, run_date) else 1)


@app.command()
def why(
    shop_file: ShopFile,
    customer: Annotated[str, typer.Argument(help="The customer's id, exactly as in the shop's own data")],
    run_date: Annotated[
        datetime | None, typer.Option("--date", formats=["%Y-%m-%d"], help="Which night; the newest unless given")
    ] = None,
    channel: Annotated[str | None, typer.Option(help="Only this channel of the shop file")] = None,
) -> None:
    """Tell why one customer did or did not get something: permission, history, rules, list, decision, file."""
    from recsys.why.story import night_asked, tell

    story = tell(night_asked(shop_file, run_date.date() if run_date else None), customer, channel)
    typer.echo("\n".join(story.lines))
    raise typer.Exit(0 if story.holds else 1)


@app.command()
def tune(shop_file: ShopFile, run_date: RunDate) -> None:
    """Tune the model on closed windows of a night, judge it on the last one, and keep or change the champion.

    The night must have been run up to its features. Nights from the next one on use the champion. Cut off and started
    again it goes on with the trials that are done.
    """
    from recsys.evaluation.weekly import run

    night = pipeline.open_night(shop_file, run_date.date())
    counts = pipeline.record(night, "tune", lambda it: run(it, console.print))
    console.print_json(pipeline.printable(counts))


@app.command()
def approve(
    shop_file: ShopFile,
    run_date: RunDate,
    channel: Annotated[str, typer.Option(help="The channel whose files may leave")],
    by: Annotated[str | None, typer.Option(help="Who approves; the login name unless given")] = None,
) -> None:
    """Let a channel's published files leave that wait for a person's approval: exactly those. It delivers nothing."""
    from getpass import getuser

    from recsys.delivery.approval import approve_channel

    night = pipeline.open_night(shop_file, run_date.date())
    for name in approve_channel(night, channel, by or getuser()):
        console.print(f"approved: {name}, night of {night.run_date}", soft_wrap=True)
    console.print(f"deliver: recsys redeliver {shop_file} {night.run_date} --channel {channel}", soft_wrap=True)


@app.command()
def redeliver(
    shop_file: ShopFile,
    run_date: RunDate,
    channel: Annotated[str | None, typer.Option(help="Only this channel, with its check-in")] = None,
    settle: Annotated[
        str | None, typer.Option(help="delivered or lost: what you found became of the named parts in doubt")
    ] = None,
    part: Annotated[list[str] | None, typer.Option(help="A part in doubt to settle; may be given again")] = None,
) -> None:
    """Deliver what is certainly not there, and show every part. What is acknowledged never leaves again.

    Of parts in doubt the target is asked; what it cannot tell, a person has to settle.
    """
    from recsys.delivery.redeliver import redeliver_night
    from recsys.report.summary import show_deliveries

    night = pipeline.open_night(shop_file, run_date.date())
    if settle not in {None, "delivered", "lost"}:
        raise ConfigError(f"--settle is '{settle}', allowed: delivered, lost.")
    ends = redeliver_night(night, channel, settle, part or [])  # type: ignore[arg-type]
    told = pipeline.tell_again(shop_file, night.run_date, console.print)
    show_deliveries(night, console)
    for name, error in ends.items():
        if error is not None:
            console.print(f"[bold red]{name}:[/] {escape(str(error))}", soft_wrap=True, highlight=False)
    raise typer.Exit(0 if told and not any(ends.values()) else 1)


@app.command()
def erase(
    shop_file: ShopFile,
    on: Annotated[datetime, typer.Option("--date", formats=["%Y-%m-%d"], help="The date of the erasure")],
    customers: Annotated[
        list[str] | None, typer.Argument(help="Customer ids, exactly as in the shop's own data", show_default=False)
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A text file with one customer id per line")] = None,
) -> None:
    """Erase customers from everything below the data root, for good; the newest night is made again without them."""
    from recsys.config import load_shop
    from recsys.erasure.erase import erase as erase_customers
    from recsys.erasure.erase import read_request

    asked = [*(customers or []), *(read_request(file) if file else [])]
    done = erase_customers(load_shop(shop_file), asked, on.date())
    for place in done.unknown:
        console.print(f"customer {place} of {done.customers}: not known; the id is remembered all the same")
    rebuilt = done.night is None or pipeline.rebuild_night(shop_file, done.night, console.print)
    if not rebuilt:
        console.print(f"They are erased, but the night of {done.night} could not be made again: see its page.")
    told = ", ".join(done.channels) or "none"
    console.print(f"channels whose published files had them: {told}", soft_wrap=True)
    console.print(f"report: {done.report}", soft_wrap=True)
    raise typer.Exit(0 if rebuilt and len(done.unknown) < done.customers else 1)


@app.command()
def lint(
    files: Annotated[list[Path], typer.Argument(help="Finished files, made here or elsewhere; they are only read")],
    channel: Annotated[str, typer.Option(help="The kind of tool that they are for, for example klaviyo")],
    what: Annotated[
        str, typer.Option(help="What they are for: audience, add, remove, clear, optout, catalogue, check_in")
    ] = "audience",
) -> None:
    """Say what would keep a tool from taking files as they are: the rule, where, what it leads to, what to do.

    Kinds: email_file, crm_file, klaviyo, braze, sfmc, mailchimp, hubspot, google_customer_match, meta_custom_audiences,
    and a company's own. Exit code 1 when anything was found. No cell of a person is shown.
    """
    from recsys.lint.text import told

    faults = 0
    for file in files:
        report, lines = told(file, channel, what)
        faults += len(report.findings)
        typer.echo("\n".join(lines))
    raise typer.Exit(1 if faults else 0)


def _show(shop_file: Path, run_date: datetime) -> bool:
    from recsys.report.summary import show

    return show(pipeline.open_night(shop_file, run_date.date()), console)


def main() -> None:
    """Run the command; our own errors end it with their message and exit code 1, without a traceback.

    Of an error that is not ours only the kind and the place are told: an engine's text may quote a customer's row.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        app()
    except RecsysError as error:
        complaints = Console(stderr=True, soft_wrap=True, highlight=False)
        complaints.print(f"[bold red]{type(error).__name__}[/]")
        complaints.print(str(error), markup=False)
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 (told by kind and place)
        places = "".join(traceback.format_tb(error.__traceback__))
        sys.stderr.write(f"{type(error).__name__}: a fault in the program, at\n{places}")
        sys.exit(1)


if __name__ == "__main__":
    main()
