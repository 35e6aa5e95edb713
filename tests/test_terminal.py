"""What commands print into a pipe or a file: every name whole, however many there are."""

import io

import pytest
import report_night

from recsys.config import load_shop
from recsys.delivery.audiences import channels
from recsys.delivery.journal import Journal, Part
from recsys.doctor.finding import Finding
from recsys.doctor.prospects import Prospect
from recsys.doctor.show import show
from recsys.night import Night
from recsys.report import summary
from recsys.terminal import terminal

NAMES = [f"a_channel_with_a_rather_long_name_{number}" for number in range(15)]


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    night = report_night.night_of(tmp_path_factory.mktemp("shop"))
    text = night.shop.path.read_text()
    start = text.index("  - {name: email_file")
    line = "  - {{name: {}, kind: email_file, slots: 2, min_items: 1, deliver: {{to: 'file:///srv/outgoing'}}}}\n"
    night.shop.path.write_text(text[:start] + "".join(line.format(name) for name in NAMES))
    return Night(load_shop(night.shop.path), night.run_date)


def test_every_part_of_a_delivery_is_on_one_line(night: Night) -> None:
    for name in channels(night):
        Journal.open(night, name, "file:///srv/outgoing").plan([Part(f"{name}_20260331.csv", "0" * 64, 2, 9)])
    stream = io.StringIO()
    summary.show_deliveries(night, terminal(stream))
    lines = [line.split() for line in stream.getvalue().splitlines()]
    for name in channels(night):
        assert ["file:///srv/outgoing", f"{name}_20260331.csv", "2"] in [line[:3] for line in lines]


def test_the_doctor_names_every_channel_and_file_whole(night: Night) -> None:
    found = [
        Prospect(it, 1, {}, ((f"{it.name}_20260331.csv", 9),), (Finding("ready", f"{it.name}: target", "x" * 300),))
        for it in night.shop.channels
    ]
    stream = io.StringIO()
    assert show(terminal(stream), [], tuple(found))
    for name in NAMES:
        assert f"{name}_20260331.csv (9 bytes)" in stream.getvalue()
        assert f"{name}: target  {'x' * 300}" in stream.getvalue()


def test_a_summary_with_many_channels_names_each_of_them(night: Night) -> None:
    stream = io.StringIO()
    summary.show(report_night.build(night), terminal(stream))
    assert any(set(NAMES) <= set(line.split()) for line in stream.getvalue().splitlines())
