"""The render stage: every channel and the catalogue as finished files, not yet under a final name."""

import shutil

from recsys.channels.base import Channel
from recsys.channels.catalogue import Catalogue
from recsys.channels.check_in import CheckInFile
from recsys.channels.crm_file import CrmFile
from recsys.channels.email_file import EmailFile
from recsys.channels.slots import SlotFile
from recsys.channels.wording import Wording
from recsys.config import Shop
from recsys.files import private_folder
from recsys.night import Night

KINDS: dict[str, type[SlotFile]] = {kind.kind: kind for kind in (EmailFile, CrmFile)}


def channels_of(shop: Shop) -> tuple[Channel, ...]:
    """The shop's channels in the order of its file, then their check-ins, then the catalogue."""
    wording = Wording(shop.reasons)
    audiences = [KINDS[channel.kind](channel.name, channel.slots, wording) for channel in shop.channels]
    check_ins = [CheckInFile(it.name, it.recipient_columns, shop.check_in.topics) for it in audiences]
    return (*audiences, *check_ins, Catalogue())


def run(night: Night) -> dict[str, int | str]:
    """Make the night's finished files anew; whatever lay in their folder before is gone. Rows per channel.

    Raises StageInputMissing without decisions, and CannotRender when they do not make a valid file.
    """
    if night.files.exists():
        shutil.rmtree(night.files)
    return {
        channel.name: channel.render(night.decisions, private_folder(night.files / channel.name), night.run_date)
        for channel in channels_of(night.shop)
    }
