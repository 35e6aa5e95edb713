"""A company's own kind of channel, made as the README says and of nothing else."""

import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
import toy
import yaml
from test_tool_gate import failed, night_of
from tool_night import finish

from expectations import tool_readers
from recsys.audit import Verdict
from recsys.channels import kinds
from recsys.config import load_shop

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The README's class and entry point, as an installer leaves them."""
    [code] = re.findall(r"```python\n([^`]*class Acme[^`]*)```", README)
    [project] = re.findall(r"```toml\n([^`]*acme_channel[^`]*)```", README)
    card = tmp_path / "site" / "acme-1.0.dist-info"
    card.mkdir(parents=True)
    (tmp_path / "site" / "acme_channel.py").write_text(code)
    (card / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    lines = [
        line
        for group, points in tomllib.loads(project)["project"]["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
    ]
    (card / "entry_points.txt").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(tmp_path / "site")
    yield
    sys.modules.pop("acme_channel", None)
    kinds._loaded.cache_clear()


def test_its_files_pass_the_gates_count(tmp_path: Path) -> None:
    night = night_of(tmp_path / "shop", kind="acme")
    [path] = tool_readers.files_of(night, "tool").paths[""]
    assert path.read_text().startswith('"E-Mail","Vorname","language",')
    assert pl.read_csv(path).height == 2
    assert failed(night) == set()


def test_a_wrong_count_of_its_products_is_found(tmp_path: Path) -> None:
    night = night_of(tmp_path / "shop", kind="acme")
    [path] = tool_readers.files_of(night, "tool").paths[""]
    cells = pl.read_csv(path, infer_schema=False)
    cells.with_columns(rec_items=pl.lit("1")).write_csv(path, quote_style="always")
    assert failed(night) == {"products_are_counted"}


@pytest.mark.thorough
def test_whole_nights_with_it_leave(tmp_path: Path) -> None:
    shop = toy.write_shop(tmp_path / "shop")
    content = yaml.safe_load(shop.path.read_text())
    content |= {"channels": [{"name": "acme", "kind": "acme", "slots": 2, "min_items": 1}]}
    content |= {"gate": {"min_recipients": 0, "min_coverage": 0}}
    shop.path.write_text(yaml.safe_dump(content, sort_keys=False))
    shop = load_shop(shop.path)
    for night in (0, 1):
        day = toy.RUN_DATE + timedelta(days=night)
        if night:
            toy.deliver_permissions(shop, day)
        verdict = Verdict.read(finish(shop, day).verdict)
        assert verdict.is_green
        assert "lint/acme: has_a_linter" in {f"{check.suite}: {check.check}" for check in verdict.checks}
