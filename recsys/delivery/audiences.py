"""Which published audiences are delivered, and what lies there of a night."""

from dataclasses import dataclass
from pathlib import Path

from recsys.channels.check_in import CHECK_IN
from recsys.channels.render import channels_of
from recsys.delivery.settings import Deliver
from recsys.errors import ConfigError, StageInputMissing
from recsys.manifest import Published, read_published
from recsys.night import Night


@dataclass(frozen=True)
class Audience:
    """A published audience to deliver: whose night, its name, its folder, and what lies there, verified."""

    night: Night
    name: str
    folder: Path
    published: Published


def channels(night: Night) -> list[str]:
    """What is delivered: the audiences of channels with a section `deliver`, and the check-ins that they make.

    A tool's API takes no check-ins: their files stay where they are published.
    """
    ours = [channel for channel in night.shop.channels if channel.deliver]
    made = {channel.name for channel in channels_of(night.shop)}
    asked = [f"{CHECK_IN}{channel.name}" for channel in ours if channel.deliver and not channel.deliver.api]
    return [*(channel.name for channel in ours), *(name for name in asked if name in made)]


def setting_of(night: Night, channel: str) -> Deliver:
    """How an audience is delivered. Raises ConfigError for one that is not."""
    settings = {channel.name: channel.deliver for channel in night.shop.channels}
    setting = settings.get(owner_of(night, channel))
    if setting is None or channel not in channels(night):
        known = ", ".join(channels(night)) or "none"
        raise ConfigError(f"channel '{channel}' has no section deliver in the shop file; with one: {known}.")
    return setting


def owner_of(night: Night, audience: str) -> str:
    """The channel of the shop file that an audience belongs to: its own name, or of which it is the check-in."""
    return audience if audience in {it.name for it in night.shop.channels} else audience.removeprefix(CHECK_IN)


def audience_of(night: Night, channel: str) -> Audience:
    """A published audience, every hash looked up again. Raises StageInputMissing when it is not published."""
    published = read_published(night.audience(channel))
    if published is None:
        raise StageInputMissing(f"{night.audience(channel)}: nothing is published here to deliver. Run export first.")
    return Audience(night, channel, night.audience(channel), published)
