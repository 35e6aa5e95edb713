"""Files of every tool as a marketer sees them: the toy audience, byte for byte."""

from pathlib import Path

import pytest
from channel_contract import RUN_DATE, item, product, recipient, write_decisions
from test_channels import GOLDEN
from tool_contract import gone, tool

KINDS: dict[str, dict[str, object]] = {
    "klaviyo": {"kind": "klaviyo"},
    "klaviyo_requests": {"kind": "klaviyo", "format": "json", "slots": 1},
    "braze": {"kind": "braze"},
    "braze_ingestion": {"kind": "braze", "format": "jsonl"},
    "sfmc": {"kind": "sfmc", "format": "txt"},
    "mailchimp": {"kind": "mailchimp"},
    "hubspot": {"kind": "hubspot"},
}


def made(folder: Path, name: str) -> dict[str, str]:
    """Ann reads English; Cleo French, and her name and her product need care; Dan withdrew, Zoe is paused."""
    channel = tool(name=name, **KINDS[name])
    people = [recipient("ann"), recipient("cleo", language="fr", first_name='Cl"éo', choices_applied="interested: tea")]
    slots = range(1, channel.settings.slots + 1)
    items = [
        *(item("ann", rank, what) for rank, what in zip(slots, ("green", "mint"), strict=False)),
        item("cleo", 1, "kettle", product_name='=Kettle, 5"', reason_kind="bought", reason_about="Green\ttea"),
    ]
    left = [gone("dan"), gone("zoe", reason="paused")]
    by_address = channel.settings.address_kind is not None
    decisions = write_decisions(
        folder / "decisions",
        sync_tool__recipients=[{"may_personalise": True} | row | {"channel": name} for row in people],
        sync_tool__items=[row | {"channel": name} for row in items],
        sync_tool__removals=[
            row | {"channel": name, "phone": None} | ({} if by_address else {"email": None}) for row in left
        ],
        sync_catalogue__products=[product("green"), product("kettle", name='=Kettle, 5"'), product("mint")],
    )
    channel.render(decisions, folder / "files", RUN_DATE)
    return {path.name: path.read_text(encoding="utf-8") for path in sorted((folder / "files").iterdir())}


@pytest.mark.parametrize("name", KINDS)
def test_the_toy_audience_gives_the_golden_files(tmp_path: Path, name: str) -> None:
    found = made(tmp_path, name)
    golden = {path.name: path.read_text(encoding="utf-8") for path in sorted((GOLDEN / "tools" / name).iterdir())}
    assert found == golden
