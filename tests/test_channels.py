"""Finished files: each kind of channel against the one contract, golden files, and the render stage."""

from pathlib import Path

import polars as pl
import pytest
from channel_contract import (
    RUN_DATE,
    ChannelContract,
    item,
    only,
    product,
    recipient,
    toy_decisions,
    write_decisions,
)
from toy import write_shop

from recsys.channels import render
from recsys.channels.base import Channel
from recsys.channels.catalogue import Catalogue
from recsys.channels.crm_file import CrmFile
from recsys.channels.csv_file import plain_amount
from recsys.channels.email_file import EmailFile
from recsys.channels.forms import contents
from recsys.channels.wording import Wording
from recsys.errors import CannotRender
from recsys.list_settings import Reasons
from recsys.night import Night
from recsys.vocabulary import Reason

AS_GIVEN = Wording(Reasons(templates={"en": {Reason.BOUGHT: "{product}"}}))
"""Says of a purchase the product's name and nothing else, so that what stands in the cell is free text alone."""
GOLDEN = Path(__file__).parent / "golden"


class TestEmailFile(ChannelContract):
    free_text = ("choices_applied", "first_name", "rec_1_name", "rec_1_reason", "rec_2_name", "rec_2_reason")

    def channel(self) -> Channel:
        return EmailFile("email_file", slots=2, wording=AS_GIVEN)

    def put(self, folder: Path, texts: dict[str, str | None]) -> Path:
        return write_decisions(
            folder,
            sync_email_file__recipients=[
                recipient(who, email="x@example.com", first_name=t, choices_applied=t) for who, t in texts.items()
            ],
            sync_email_file__items=[
                item(who, rank, "p", product_name=text, reason_kind="bought", reason_about=text)
                for who, text in texts.items()
                for rank in (1, 2)
            ],
        )

    def test_addresses_leave_byte_for_byte(self, tmp_path: Path) -> None:
        addresses = {"a": "+ann@example.com", "b": "=ben@example.com", "c": "cléo@exämple.com"}
        folder = write_decisions(
            tmp_path / "decisions",
            sync_email_file__recipients=[recipient(who, email=email) for who, email in addresses.items()],
            sync_email_file__items=[item(who, 1, "p") for who in addresses],
        )
        self.channel().render(folder, tmp_path / "files", RUN_DATE)
        rows = self.read(tmp_path / "files" / "email_file_20260331.csv")
        assert {row["customer_id"]: row["email"] for row in rows} == addresses


class TestCrmFile(ChannelContract):
    free_text = ("choices_applied", "rec_1_name", "rec_1_reason", "rec_2_name", "rec_2_reason")

    def channel(self) -> Channel:
        return CrmFile("crm_file", slots=2, wording=AS_GIVEN)

    def put(self, folder: Path, texts: dict[str, str | None]) -> Path:
        recipients = [recipient(who, choices_applied=text) for who, text in texts.items()]
        items = [
            item(who, rank, "p", product_name=t, reason_kind="bought", reason_about=t)
            for who, t in texts.items()
            for rank in (1, 2)
        ]
        return write_decisions(
            folder,
            sync_crm_file__recipients=list(only("sync_crm_file__recipients", recipients, "crm_file")),
            sync_crm_file__items=list(only("sync_crm_file__items", items, "crm_file")),
        )

    def test_has_no_address_and_no_name(self) -> None:
        assert not {"email", "phone", "first_name", "last_name"} & set(self.channel().columns)


class TestCatalogue(ChannelContract):
    free_text = ("name", "category", "brand")

    def channel(self) -> Channel:
        return Catalogue()

    def put(self, folder: Path, texts: dict[str, str | None]) -> Path:
        rows = [product(which, name=text, category=text, brand=text) for which, text in texts.items()]
        return write_decisions(folder, sync_catalogue__products=rows)


FILES = [
    "catalogue",
    "check_in_crm_file",
    "check_in_email_file",
    "crm_file",
    "crm_file_clear",
    "crm_file_remove",
    "email_file",
    "email_file_clear",
    "email_file_remove",
]


def made(night: Night) -> dict[str, str]:
    """The night's finished files by name without date."""
    return {path.stem[:-9]: path.read_text(encoding="utf-8") for path in sorted(night.files.rglob("*.csv"))}


def test_toy_audience_gives_the_golden_files(tmp_path: Path) -> None:
    night = Night(write_shop(tmp_path), RUN_DATE)
    toy_decisions(night.decisions)
    assert render.run(night) == {
        "email_file": 3,
        "crm_file": 3,
        "check_in_email_file": 0,
        "check_in_crm_file": 0,
        "catalogue": 3,
    }
    for name, text in made(night).items():
        golden = (GOLDEN / f"{name}_20260331.csv").read_text(encoding="utf-8")
        assert text == (golden.split("\n")[0] + "\n" if name.startswith("check_in") else golden), name
    assert sorted(made(night)) == FILES


def test_nobody_to_write_to_gives_the_golden_empty_files(tmp_path: Path) -> None:
    night = Night(write_shop(tmp_path), RUN_DATE)
    write_decisions(night.decisions)
    assert render.run(night) == dict.fromkeys(
        ["email_file", "crm_file", "check_in_email_file", "check_in_crm_file", "catalogue"], 0
    )
    headers = {name: (GOLDEN / f"{name}_20260331.csv").read_text(encoding="utf-8").split("\n")[0] for name in FILES}
    assert made(night) == {name: f"{header}\n" for name, header in headers.items()}
    for name in ("email_file", "crm_file", "catalogue"):
        assert made(night)[name] == (GOLDEN / f"{name}_empty.csv").read_text(encoding="utf-8")


def test_files_of_an_earlier_run_are_gone(tmp_path: Path) -> None:
    night = Night(write_shop(tmp_path), RUN_DATE)
    toy_decisions(night.decisions)
    stale = night.files / "old_channel" / "old_channel_20260331.csv"
    stale.parent.mkdir(parents=True)
    stale.write_text("stale")
    render.run(night)
    assert sorted(made(night)) == FILES
    assert not stale.parent.exists()
    assert all(path.stat().st_mode & 0o077 == 0 for path in [night.files, *night.files.rglob("*")])


def test_two_audiences_of_one_kind_get_their_own_rows(tmp_path: Path) -> None:
    folder = write_decisions(
        tmp_path,
        sync_email_file__recipients=[recipient("ann", channel="mornings"), recipient("ben", channel="evenings")],
        sync_email_file__items=[
            item("ann", 1, "green", channel="mornings"),
            item("ben", 1, "mint", channel="evenings"),
        ],
    )
    for name, who in (("mornings", "ann"), ("evenings", "ben")):
        assert EmailFile(name, slots=1).render(folder, tmp_path / name, RUN_DATE) == 1
        text = (tmp_path / name / f"{name}_20260331.csv").read_text(encoding="utf-8")
        assert text.splitlines()[1].startswith(f'"{who}"')


@pytest.mark.parametrize(
    ("items", "what"),
    [
        ([item("ann", 1, "green"), item("ann", 3, "mint")], "1 items have a rank outside 1 to 2"),
        ([item("ann", 1, "green"), item("bob", 1, "mint")], "1 belong to nobody"),
        ([item("ann", 1, "green"), item("ann", 1, "mint")], "1 rows repeat"),
    ],
)
def test_items_that_fit_no_slot_stop_the_file(tmp_path: Path, items: list[dict[str, object]], what: str) -> None:
    folder = write_decisions(tmp_path, sync_email_file__recipients=[recipient("ann")], sync_email_file__items=items)
    with pytest.raises(CannotRender, match=what):
        EmailFile("email_file", slots=2).render(folder, tmp_path / "files", RUN_DATE)


@pytest.mark.parametrize(
    ("amount", "text"),
    [("9.9", "9.90"), ("0", "0.00"), ("100", "100.00"), ("0.125", "0.125"), ("1234567.5", "1234567.50"), (None, None)],
)
def test_amounts_are_plain(amount: str | None, text: str | None) -> None:
    column = pl.Series("amount", [amount], dtype=pl.String).cast(pl.Decimal(18, 4))
    assert column.to_frame().select(plain_amount(pl.col("amount"))).item() == text


def test_contents_are_counted_in_the_bytes(tmp_path: Path) -> None:
    folder = toy_decisions(tmp_path)
    channel = CrmFile("crm_file", slots=2)
    channel.render(folder, tmp_path / "files", RUN_DATE)
    assert contents(tmp_path / "files" / "crm_file_20260331.csv") == (3, channel.columns)
