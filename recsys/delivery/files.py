"""Delivers files to a folder somewhere else: each at most once, under its final name only when it is whole.

```
reserved      uploaded under .<name>.part and looked at: size, and SHA-256 where the target lets it be read
sending       from here on the name may be there
exported      the target has renamed it (an object store: has taken it)
acknowledged  looked at under its final name; a tool that was quicker has taken it already
```

After a crash: the final name is there with these bytes: acknowledged. `sending` was not written: certainly not
delivered, begun again. `sending` was written, the final name is not there and the temporary one is: not renamed, so
certainly not delivered. Neither is there: in doubt, a tool may have taken it. Object stores have no temporary name, so
what is not there is in doubt.
"""

import re
from pathlib import Path

from recsys.delivery.audiences import Audience
from recsys.delivery.carrier import Carrier
from recsys.delivery.journal import Journal, Outcome, Part, State, Step, natural
from recsys.delivery.targets import Target
from recsys.errors import CannotDeliver, Transient
from recsys.manifest import MANIFEST


class FileCarrier(Carrier):
    """Published files, then their manifest, which says that all of them are there."""

    def __init__(self, audience: Audience, target: Target) -> None:
        self.audience, self._target = audience, target
        self.target = target.shown

    def parts(self) -> list[Part]:
        """The files about who left first, then the audience's own, then the manifest."""
        published = self.audience.published
        own = re.compile(rf"{re.escape(self.audience.name)}_\d{{8}}")
        files = sorted(published.manifest.files, key=lambda file: (bool(own.match(file.file)), natural(file.file)))
        parts = [Part(file.file, file.sha256, file.rows, file.bytes) for file in files]
        size = len(published.manifest.content)
        return [*parts, Part(self._marker, published.manifest_sha256, 0, size)]

    @property
    def _marker(self) -> str:
        """The manifest's name there: the date is that of the files it belongs to, which may be the tool's own."""
        ours = re.compile(rf"{re.escape(self.audience.name)}_(?:[a-z]+_)*(\d{{8}})[_.]")
        matches = [ours.match(file.file) for file in self.audience.published.manifest.files]
        days = {match.group(1) for match in matches if match}
        day = days.pop() if len(days) == 1 else f"{self.audience.night.run_date:%Y%m%d}"
        return f"{self.audience.name}_{day}.{MANIFEST}"

    def waits_for_others(self, part: Part) -> bool:
        """The manifest does."""
        return part.name == self._marker

    def close(self) -> None:
        """End the connection."""
        self._target.close()

    def carry(self, part: Part, journal: Journal) -> None:
        """Bring one file on from where its journal says it is; see `Carrier.carry`."""
        entry = journal.entry(part.name)
        if entry.outcome is Outcome.ACKNOWLEDGED:
            return
        if entry.outcome is Outcome.IN_DOUBT:
            if entry.target != self.target:
                return  # only the target it was sent to can tell
            if not self._settled_by_asking(part, journal):
                return
        elif not self._free(part, journal):
            return
        if journal.state(part.name) is not State.ACKNOWLEDGED:
            self._send(part, journal)

    def _free(self, part: Part, journal: Journal) -> bool:
        """Whether the final name is free; a part that lies there already is acknowledged, another file refuses it."""
        found = self._target.find(part.name)
        if found is None:
            return True
        if found.is_part(part) and found.sha256:
            journal.append(
                part.name, State.ACKNOWLEDGED, Step.CONFIRMED, receipt=found.receipt, reason="it was there already"
            )
        else:
            reason = f"another file has its name ({found.receipt}); nothing was replaced"
            journal.append(part.name, State.FAILED, Step.REFUSED, reason=reason)
        return False

    def _settled_by_asking(self, part: Part, journal: Journal) -> bool:
        """Ask the target what became of a part in doubt; True when it is acknowledged, or certainly not there."""
        entry = journal.entry(part.name)
        found = self._target.find(part.name)
        if found is not None and found.is_part(part) and (found.sha256 or found.size is not None):
            journal.append(part.name, State.ACKNOWLEDGED, Step.CONFIRMED, receipt=found.receipt)
            return True
        if entry.step is Step.SENT:  # it was whole, and the target has named it
            reason = "taken since" if found is None else f"changed since ({found.receipt})"
            journal.append(part.name, State.ACKNOWLEDGED, Step.CONFIRMED, receipt=entry.receipt, reason=reason)
            return True
        if found is None and self._target.renames and self._target.find(_aside(part)) is not None:
            reason = "its temporary name is still there, so it never had its final one"
            journal.append(part.name, State.RESERVED, Step.RESERVED, reason=reason)
            return True
        return False

    def _send(self, part: Part, journal: Journal) -> None:
        source = self._source(part)
        if journal.entry(part.name).step is not Step.RESERVED:
            journal.append(part.name, State.RESERVED, Step.RESERVED)
        try:
            receipt = self._upload_aside(part, source) if self._target.renames else "taken whole"
            journal.append(part.name, State.RESERVED, Step.SENDING)
            if self._target.renames:
                self._target.rename(_aside(part), part.name)
            else:
                self._target.upload(source, part.name)
        except CannotDeliver as refusal:  # an answer, so it is certainly not there
            journal.append(part.name, State.FAILED, Step.REFUSED, reason=str(refusal))
            raise
        journal.append(part.name, State.EXPORTED, Step.SENT, receipt=receipt)
        self._settled_by_asking(part, journal)

    def _upload_aside(self, part: Part, source: Path) -> str:
        """Upload under the temporary name; what was seen of it there. Raises Transient when it is not the part."""
        self._target.upload(source, _aside(part))
        found = self._target.find(_aside(part))
        if found is None or not found.is_part(part):
            raise Transient(
                f"{self.target}: {part.name} arrived as {found.receipt if found else 'nothing'}, sent were "
                f"{part.bytes} bytes. It has no final name there; deliver again."
            )
        return found.receipt

    def _source(self, part: Part) -> Path:
        name = MANIFEST if self.waits_for_others(part) else part.name
        path = self.audience.folder / name
        if not path.is_file():
            raise CannotDeliver(f"{path}: is not there any more. Restore this folder from a backup.")
        return path


def _aside(part: Part) -> str:
    return f".{part.name}.part"
