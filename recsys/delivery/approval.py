"""Approvals: a person has looked at a night's page and lets a channel's files leave, exactly those.

`published/deliveries/<channel>/<run_date>.approval.json`: the manifest's SHA-256 and who approved it.
"""

from pathlib import Path

from recsys.delivery.audiences import Audience, audience_of, channels, owner_of, setting_of
from recsys.erasure.records import require_finished
from recsys.errors import AlreadyPublished, ConfigError, NotApproved, StageInputMissing
from recsys.files import read_json, write_json
from recsys.lock import exclusive
from recsys.night import Night


def path_of(night: Night, channel: str) -> Path:
    """Where the approval of a channel and night is."""
    return night.deliveries / channel / f"{night.run_date.isoformat()}.approval.json"


def approve_channel(night: Night, channel: str, by: str) -> list[str]:
    """Approve a channel's published audiences, its check-in included; their names.

    Raises ConfigError for a channel that needs no approval, StageInputMissing when nothing of it is published.
    """
    if not setting_of(night, channel).approve:
        raise ConfigError(f"channel '{channel}' needs no approval: it has no approve: true in its section deliver.")
    names = [name for name in channels(night) if owner_of(night, name) == owner_of(night, channel)]
    with exclusive(night.shop.root):
        require_finished(night.shop.root)
        audiences = [audience_of(night, name) for name in names]
        for audience in audiences:
            approve(audience, by)
    return names


def approve(audience: Audience, by: str) -> None:
    """Put on record that a person lets these published files leave. The first to approve them stays on record."""
    if is_approved(audience):
        return
    content = {
        "channel": audience.name,
        "run_date": audience.night.run_date.isoformat(),
        "manifest_sha256": audience.published.manifest_sha256,
        "by": by,
    }
    with exclusive(audience.night.shop.root):
        write_json(path_of(audience.night, audience.name), content)


def is_approved(audience: Audience) -> bool:
    """Whether exactly these files were approved."""
    path = path_of(audience.night, audience.name)
    return path.is_file() and read_json(path).get("manifest_sha256") == audience.published.manifest_sha256


def waits(night: Night, channel: str) -> bool:
    """Whether an audience's published files wait for a person to approve them.

    Those that are not there, or are not what was published, wait for nobody: delivering them says what is wrong.
    """
    if not setting_of(night, channel).approve:
        return False
    try:
        return not is_approved(audience_of(night, channel))
    except (StageInputMissing, AlreadyPublished):
        return False


def require_approved(audience: Audience) -> None:
    """Raise NotApproved unless a person has approved exactly these files."""
    if not is_approved(audience):
        night = audience.night
        raise NotApproved(
            f"{audience.name}: nobody has approved the files of {night.run_date} (manifest "
            f"{audience.published.manifest_sha256[:12]}), so they do not leave. Look at {night.page}, then run `recsys "
            f"approve {night.shop.path} {night.run_date} --channel {audience.name}` and deliver again."
        )
