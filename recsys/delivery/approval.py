"""Approvals: a person has looked at a night's page and lets a channel's files leave, exactly those.

`published/deliveries/<channel>/<run_date>.approval.json`: the manifest's SHA-256 and who approved it.
"""

from pathlib import Path

from recsys.delivery.audiences import Audience
from recsys.errors import NotApproved
from recsys.files import read_json, write_json
from recsys.lock import exclusive
from recsys.night import Night


def path_of(night: Night, channel: str) -> Path:
    """Where the approval of a channel and night is."""
    return night.deliveries / channel / f"{night.run_date.isoformat()}.approval.json"


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


def require_approved(audience: Audience) -> None:
    """Raise NotApproved unless a person has approved exactly these files."""
    if not is_approved(audience):
        night = audience.night
        raise NotApproved(
            f"{audience.name}: nobody has approved the files of {night.run_date} (manifest "
            f"{audience.published.manifest_sha256[:12]}), so they do not leave. Look at {night.page}, then run `recsys "
            f"approve {night.shop.path} {night.run_date} --channel {audience.name}` and deliver again."
        )
