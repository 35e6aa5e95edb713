"""The export stage: one channel's finished files get their final names, if the gate let exactly these bytes pass."""

from pathlib import Path

import polars as pl

from recsys import ledger
from recsys.audit import Verdict
from recsys.channels.check_in import CHECK_IN
from recsys.channels.forms import contents
from recsys.channels.kinds import kind_of
from recsys.channels.render import channels_of
from recsys.errors import ConfigError, ModelError, StageInputMissing
from recsys.lock import Attempt, exclusive
from recsys.manifest import Published
from recsys.night import Night
from recsys.publisher import Outgoing, attempt_file, publish, require_audited, start_attempt


def channels(night: Night) -> list[str]:
    """What can be exported: the shop's channels, their check-ins and the catalogue."""
    return [channel.name for channel in channels_of(night.shop)]


def run(night: Night, channel: str, token: int | None = None) -> dict[str, int | str]:
    """Publish one channel of the night: rows, bytes, whether it is new, and the manifest's hash.

    `token` is the number of an attempt that was started before; without it a new one starts here. Raises NotAudited
    without a green verdict on exactly these bytes, AlreadyPublished, Fenced, CannotPublish, StageInputMissing without
    finished files, and Transient while another process holds the data root.
    """
    if channel not in channels(night):
        raise ConfigError(f"channel '{channel}' is not in the shop file; there are: {', '.join(channels(night))}.")
    with exclusive(night.shop.root):
        attempt = start_attempt(night, channel) if token is None else Attempt(attempt_file(night, channel), token)
        verdict = Verdict.read(night.verdict)
        folder = night.files / channel
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
        missing = sorted({*_files(night, channel)} - {path.name for path in paths})
        if missing:
            raise StageInputMissing(
                f"{folder}: no finished {', '.join(missing)} to export. Run render and the gate first."
            )
        recommendations = verdict.audited(night.folder, night.recommendations)
        outgoing = [
            Outgoing(file, *contents(file.path)) for file in (verdict.audited(night.folder, path) for path in paths)
        ]
        model_version = _model_version(recommendations.path)
        require_audited(night, channel, outgoing)
        _enter(night, channel, verdict)
        done = publish(
            night,
            channel,
            outgoing,
            model_version=model_version,
            checks_passed=sum(check.passed for check in verdict.checks if check.severity == "critical"),
            attempt=attempt,
        )
    return {
        "channel": channel,
        "files": len(done.manifest.files),
        "rows": done.manifest.audience_rows,
        "bytes": sum(file.bytes for file in done.manifest.files),
        "manifest_sha256": done.manifest_sha256,
        "published": _how(done),
    }


def _files(night: Night, name: str) -> tuple[str, ...]:
    """The files that leave together: no audience without those about who left it."""
    return next(channel.files(night.run_date) for channel in channels_of(night.shop) if channel.name == name)


def _how(done: Published) -> str:
    if done.manifest.redacted:
        return f"before; rows were erased on {done.manifest.redacted[-1].on}, so nothing was published again"
    return "now" if done.is_new else "before, with the same bytes"


def _enter(night: Night, name: str, verdict: Verdict) -> None:
    """Put a channel's recipients and items, or whom its check-in asks, on record; the catalogue has none.

    Its rows only as they were when the gate checked the files that they were made with.
    """
    for channel in night.shop.channels:
        if channel.name == name:
            rows = night.rows(name) if kind_of(channel.kind).has_delta else None
            if rows is not None and not rows.is_file():
                raise StageInputMissing(f"{rows}: not there. Run render and the gate first.")
            ledger.enter(night, channel, rows and verdict.audited(night.folder, rows).path)
        if f"{CHECK_IN}{channel.name}" == name:
            ledger.enter_check_in(night, channel, name)


def _model_version(recommendations: Path) -> str | None:
    found = pl.scan_parquet(recommendations).select(pl.col("model_version").unique().sort()).collect().to_series()
    if len(found) > 1:
        raise ModelError(f"{recommendations.name}: made by {len(found)} model versions. Run recommend again.")
    return found.item() if len(found) else None
