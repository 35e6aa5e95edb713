"""Klaviyo's bulk import: profiles and their properties, and never anybody's consent.

A request makes an import job, which is read until it is complete; its errors name the profiles that were not taken. A
request whose answer was lost is looked for among the jobs: one with the very profiles of a part is that part. That no
such job is there proves nothing, so then the part stays in doubt.
Limits and shapes: Klaviyo's OpenAPI of revision 2026-07-15, `bulk_import_profiles` and the jobs that belong to it.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import date

from recsys.delivery.answers import Answer, object_in, objects_in
from recsys.delivery.api import Api, Clock, Pace, connect
from recsys.delivery.api_carrier import ApiCarrier
from recsys.delivery.audiences import Audience
from recsys.delivery.batches import Batch, Problem, Record, as_json
from recsys.delivery.credentials import Connection
from recsys.delivery.journal import Entry, Journal, Outcome
from recsys.delivery.klaviyo_jobs import CALLS, FIRST_POLL, JOBS, Jobs, id_of, identifiers, repeated
from recsys.delivery.record_errors import NOBODY, Identifier
from recsys.delivery.tool_rules import Found, Taken
from recsys.errors import CannotDeliver
from recsys.night import Night

HOST = "https://a.klaviyo.com"
REVISION = "2026-07-15"
PACE = Pace(between=0.4)
"""150 requests a minute; evenly, so that the 10 a second hold as well."""
ENVELOPE = 1_000
"""Bytes of a request beside its profiles."""
PROFILE_BYTES = 100_000
LOOKS = 3
"""So often a job is looked for that may just be coming into being."""

_ROW = re.compile(r"^/data/attributes/profiles/data/(\d+)(?:/|$)")
_WORD = re.compile(r"(?!.*\d{4})[A-Za-z_$][\w.$-]{0,60}")
_JOB = re.compile(r"job ([\w-]+)")


class KlaviyoApi(ApiCarrier):
    """One audience on its way into Klaviyo profiles."""

    suffix = ".json"
    lines_per_batch = 1
    most_records = 10_000
    most_bytes = 5_000_000 - ENVELOPE
    path = JOBS

    def __init__(
        self, audience: Audience, connection: Connection, clock: Clock | None = None, pace: Pace = PACE
    ) -> None:
        """`extra` of the connection: `list_id`, the list that profiles are added to, and `revision`."""
        api = self.connected(connection, clock or Clock(), pace)
        super().__init__(audience, api)
        self._jobs = Jobs(api)
        self._list = str(connection.extra.get("list_id") or "")
        self._mark: str | None = None

    @classmethod
    def connected(cls, connection: Connection, clock: Clock, pace: Pace = PACE) -> Api:
        revision = str(connection.extra.get("revision") or REVISION)
        media = "application/vnd.api+json"
        headers = {"revision": revision, "Accept": media, "Content-Type": media}
        return connect(
            connection,
            default=HOST,
            scheme="Klaviyo-API-Key",
            headers=headers,
            calls=CALLS,
            pace=pace,
            clock=clock,
        )

    @classmethod
    def look(cls, api: Api) -> str:
        """Read its newest import job."""
        Jobs(api).newest()
        return "it answers, and takes the key"

    def batch(self, name: str, lines: Sequence[Record], first: Record) -> Batch:  # noqa: ARG002
        try:
            profiles = lines[0]["data"]["attributes"]["profiles"]["data"]
            problems = {row: problem for row, profile in enumerate(profiles) if (problem := _unfit(profile))}
        except (KeyError, TypeError, AttributeError):
            raise CannotDeliver(f"{name}: not the body of a bulk import. Set the channel's format to json.") from None
        return Batch(name, profiles, problems)

    def identifier(self, record: Record) -> Identifier:
        return identifiers(record["attributes"])[0]

    def body(self, records: Sequence[Record]) -> bytes:
        lists = {"lists": {"data": [{"type": "list", "id": self._list}]}}
        attributes = {"profiles": {"data": list(records)}}
        data: Record = {"type": "profile-bulk-import-job", "attributes": attributes}
        return as_json({"data": data | ({"relationships": lists} if self._list else {})})

    def refused(self, answer: Answer, records: Sequence[Record]) -> list[Found] | None:
        errors = objects_in(answer.content, "errors")
        if answer.reason == "status 413" or not errors:
            return []
        named = [(row, problem) for row, problem in map(_pointed, errors) if row in range(len(records))]
        return [*named] or None

    def accepted(self, answer: Answer, records: Sequence[Record]) -> Taken | None:  # noqa: ARG002
        job = id_of(object_in(answer.content, "data"))
        if not job:
            return None
        self._mark = job
        return Taken(f"job {job}")

    def mark(self) -> str:
        """The newest job there is: one that is made now comes after it."""
        if self._mark is None:
            self._mark = self._jobs.newest()
        return f"after {self._mark}"

    def find(self, entry: Entry, records: Sequence[Record], journal: Journal) -> str | None:
        """The job that holds exactly the profiles of a part: made after the part's mark, and no other part's.

        Parts of other nights and channels may be about the same people; while one of these is in doubt as well, a job
        could be either's, and nobody knows.
        """
        others = list(self._other_journals(journal))
        if any(_may_be(each, entry) for other in others for each in other.entries):
            return None
        known = {job for each in (journal, *others) for line in each.entries if (job := _job_of(line.receipt))}
        for look in range(LOOKS):
            if look:
                self.api.clock.sleep(FIRST_POLL * 2**look)
            for job in self._jobs.after(entry.receipt.removeprefix("after ")):
                if job not in known and self._jobs.holds(job, records):
                    return f"job {job}"
        return None

    def confirm(self, taken: Taken, records: Sequence[Record]) -> Taken | None:
        """Wait for a job and read its errors. None when it takes too long, was cancelled or is not kept any more."""
        job = _job_of(taken.receipt)
        done = self._jobs.complete(job) if job else None
        if not job or done is None:
            return None
        total, completed, failed = (int(done.get(f"{what}_count") or 0) for what in ("total", "completed", "failed"))
        problems = [_placed(error, records) for error in self._jobs.errors(job)] if failed else []
        return Taken(f"job {job}: {total} in all, {completed} completed, {failed} failed", tuple(problems))

    def _other_journals(self, journal: Journal) -> Iterator[Journal]:
        night = self.audience.night
        for path in sorted(night.deliveries.glob("*/*.jsonl")):
            if path != journal.path and journal.target.encode() in path.read_bytes():
                yield Journal.open(Night(night.shop, date.fromisoformat(path.stem)), path.parent.name)


def _unfit(profile: Record) -> Problem | None:
    """Why a profile is not even sent: too large, or nothing to know it by."""
    if len(as_json(profile)) > PROFILE_BYTES:
        return Problem("too_large", f"more than {PROFILE_BYTES:,} bytes")
    if identifiers(profile["attributes"]) == [NOBODY]:
        return Problem("no_identifier", "none of external_id, email, phone_number")
    return None


def _placed(error: Record, records: Sequence[Record]) -> Found:
    """Which of a job's records an import error is about: by what the error repeats of it, else by its position."""
    row, problem = _pointed(error)
    named = repeated(error)
    same = [at for at, each in enumerate(records) if named.intersection(identifiers(each["attributes"]))]
    if len(same) == 1:
        return same[0], problem
    return (row if row in range(len(records)) else None), problem


def _pointed(error: Record) -> Found:
    """Position and problem of an error: its code and the field, but not its detail, which quotes what was sent."""
    pointer = str(object_in(error, "source").get("pointer") or "")
    row = _ROW.match(pointer)
    field, code = pointer.rpartition("/")[2], str(error.get("code") or "")
    problem = Problem(code if _WORD.fullmatch(code) else "refused", field if _WORD.fullmatch(field) else "")
    return (int(row.group(1)) if row else None), problem


def _may_be(entry: Entry, doubted: Entry) -> bool:
    """Whether another part's request may have made the job that one in doubt would have made."""
    return entry.outcome is Outcome.IN_DOUBT and not _job_of(entry.receipt) and entry.rows == doubted.rows


def _job_of(receipt: str) -> str | None:
    found = _JOB.match(receipt)
    return found.group(1) if found else None
