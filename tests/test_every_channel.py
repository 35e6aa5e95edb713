"""A channel of every kind and form, on the demo shop and on a real one: the gate is green, and every linter content."""

from datetime import date
from pathlib import Path

import pytest
import yaml
from test_online_retail import DATA, shop_file
from tool_night import CHANNELS, finish

from expectations import linting
from recsys.audit import Verdict
from recsys.channels.kinds import BUILT_IN
from recsys.config import Shop, load_shop
from recsys.demo.shop import write_demo
from recsys.lint import lint
from recsys.night import Night

REPOSITORY = Path(__file__).resolve().parents[1]
ADS = [
    {"name": "google", "kind": "google_customer_match", "contact_channel": "ads", "slots": 2, "min_items": 1},
    {"name": "meta", "kind": "meta_custom_audiences", "contact_channel": "ads", "slots": 2, "min_items": 1}
    | {"rows": "delta", "options": {"audience_name": "nightly tea lovers"}},
]
EVERY = [*CHANNELS, *ADS]
pytestmark = [pytest.mark.thorough, pytest.mark.usefixtures("recorded_dbt")]


def with_every_channel(path: Path) -> Shop:
    """A shop file with all channels and no caps: ten of them are e-mail, and one person gets all ten."""
    content = yaml.safe_load(path.read_text())
    content |= {"channels": EVERY, "caps": [], "quiet_hours": [], "evaluate": {"nightly": False}}
    content["gate"] = {"min_recipients": 0, "min_coverage": 0}
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    return load_shop(path)


def demo(folder: Path) -> tuple[Shop, date]:
    write_demo(folder, customers=500, through=date(2026, 8, 31))
    text = (REPOSITORY / "examples" / "demo" / "shop.yaml").read_text(encoding="utf-8")
    path = folder / "shop.yaml"
    path.write_text(text.replace("../../data/demo", "."), encoding="utf-8")
    return with_every_channel(path), date(2026, 8, 31)


def online_retail(folder: Path) -> tuple[Shop, date]:
    """Ads consents are made of those for letters: the example has none."""
    path = shop_file(folder, until=date(2011, 11, 8))
    consents = folder / "consents.csv"
    header, *rows = consents.read_text().splitlines()
    consents.write_text("\n".join([header, *rows, *(row.replace(",post,", ",ads,") for row in rows)]) + "\n")
    return with_every_channel(path), date(2011, 11, 8)


@pytest.mark.parametrize(
    "shop_of",
    [demo, pytest.param(online_retail, marks=pytest.mark.skipif(not DATA.is_dir(), reason=f"not here: {DATA}"))],
)
def test_every_file_of_every_channel_passes_the_gate_and_its_linter(shop_of, tmp_path: Path) -> None:
    shop, run_date = shop_of(tmp_path)
    night = finish(shop, run_date)
    verdict = Verdict.read(night.verdict)
    assert verdict.is_green
    linted = {check.check for check in verdict.checks if check.suite.startswith("lint/")}
    finished = {path.name for path in night.files.rglob("*") if path.is_file()}
    assert finished <= linted
    rows = {channel.name: sum(_rows(night, channel.name)) for channel in shop.channels}
    assert min(rows.values()) > 0, rows


def _rows(night: Night, name: str) -> list[int]:
    kind = next(channel.kind for channel in night.shop.channels if channel.name == name)
    paths = [path for path in sorted(night.audience(name).glob(f"{name}*")) if path.suffix != ".sha256"]
    own = [path for path in paths if linting.WHAT.fullmatch(path.stem.removeprefix(name))]
    return [
        lint(path, kind).rows
        for path in own
        if not {"remove", "clear", "optout", "catalogue"} & set(path.stem.split("_"))
    ]


def test_every_kind_of_the_product_is_among_these_channels() -> None:
    assert {channel["kind"] for channel in EVERY} == set(BUILT_IN)
