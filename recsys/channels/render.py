"""The render stage: every channel and the catalogue as finished files, not yet under a final name."""

import shutil

from recsys.channels.base import Channel, Kind
from recsys.channels.catalogue import Catalogue
from recsys.channels.kinds import kind_of
from recsys.config import Shop
from recsys.files import private_folder
from recsys.night import Night


def audiences(shop: Shop) -> tuple[Kind, ...]:
    """The shop's channels in the order of its file."""
    return tuple(kind_of(channel.kind).of(channel, shop) for channel in shop.channels)


def channels_of(shop: Shop) -> tuple[Channel, ...]:
    """The shop's channels in the order of its file, then their check-ins, then the catalogue."""
    made = audiences(shop)
    asking = {channel.name for channel in shop.channels if channel.asks}
    check_ins = [audience.check_in(shop.check_in.topics) for audience in made if audience.name in asking]
    return (*made, *(check_in for check_in in check_ins if check_in is not None), Catalogue())


def run(night: Night) -> dict[str, int | str]:
    """Make the night's finished files anew; whatever lay in their folder before is gone. Rows per channel.

    And `rows/<channel>.parquet` of kinds with deltas, after the channel's files: an attempt that dies leaves none.
    Raises StageInputMissing without decisions, and CannotRender when they do not make a valid file.
    """
    for made in (night.files, night.rows("").parent):
        if made.exists():
            shutil.rmtree(made)
    return {channel.name: make(night, channel) for channel in channels_of(night.shop)}


def make(night: Night, channel: Channel) -> int:
    """Make the finished files of one of `channels_of`; rows of its own file."""
    rows = {"rows": night.rows(channel.name)} if isinstance(channel, Kind) and channel.has_delta else {}
    return channel.render(night.decisions, private_folder(night.files / channel.name), night.run_date, **rows)
