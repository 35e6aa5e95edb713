"""Klaviyo's import jobs: what became of a request, read back or looked for."""

import re
from collections.abc import Iterator, Mapping, Sequence

from recsys.delivery.answers import object_in
from recsys.delivery.api import Api
from recsys.delivery.batches import Record
from recsys.delivery.record_errors import NOBODY, Identifier

JOBS = "/api/profile-bulk-import-jobs"
CALLS = (f"POST {JOBS}", f"GET {JOBS}", rf"GET {JOBS}/[\w-]+", rf"GET {JOBS}/[\w-]+/(import-errors|profiles)")
PAGE = 100
MOST_PAGES = 200
"""Of profiles or errors of one job: 10,000 at 100 a page, twice over."""
JOB_PAGES = 10
POLLS = 60
FIRST_POLL, LONGEST_POLL = 2.0, 30.0
"""Seconds; about half an hour in all."""

_ID = re.compile(r"[\w-]{1,100}")


class Jobs:
    """The import jobs of an account."""

    def __init__(self, api: Api) -> None:
        self.api = api

    def newest(self) -> str:
        """The id of the newest job, empty when there is none."""
        found = next(self.api.pages(JOBS, {"sort": "-created_at", "page[size]": 1}, 1), {})
        return id_of(found) or ""

    def after(self, mark: str) -> Iterator[str]:
        """The ids of jobs that are newer than one, newest first; of all that are kept when it is empty or gone."""
        for job in self.api.pages(JOBS, {"sort": "-created_at", "page[size]": PAGE}, JOB_PAGES):
            found = id_of(job)
            if found == mark:
                return
            if found:
                yield found

    def complete(self, job: str, of: int | None = None) -> Record | None:
        """A job's attributes once it is complete.

        None when it takes too long, was cancelled, is not kept any more, or is not about so many profiles.
        """
        wait = FIRST_POLL
        for _ in range(POLLS):
            attributes = object_in(object_in(self.api.get(f"{JOBS}/{job}"), "data"), "attributes")
            if of is not None and attributes.get("total_count") != of:
                return None
            if attributes.get("status") not in {"queued", "processing"}:
                return attributes if attributes.get("status") == "complete" else None
            self.api.clock.sleep(wait)
            wait = min(wait * 1.5, LONGEST_POLL)
        return None

    def errors(self, job: str) -> Iterator[Record]:
        """The attributes of a job's import errors."""
        return (object_in(each, "attributes") for each in self._collection(job, "import-errors", {}))

    def holds(self, job: str, profiles: Sequence[Record]) -> bool:
        """Whether a job is about exactly so many profiles, and about these; waits until it is complete.

        Not when it holds a failed profile that its errors do not repeat: that could be anybody's.
        """
        done = self.complete(job, of=len(profiles))
        if done is None:
            return False
        taken = self._collection(job, "profiles", {"fields[profile]": "email,phone_number,external_id"})
        known = [{*identifiers(object_in(each, "attributes"))} for each in taken]
        failed = int(done.get("failed_count") or 0)
        named = [repeated(error) for error in self.errors(job)] if failed else []
        ours = {identifier for profile in profiles for identifier in identifiers(profile["attributes"])} - {NOBODY}
        are_ours = all(not ours.isdisjoint(each) for each in (*known, *named))
        return are_ours and len(known) + failed == len(profiles) and len(named) >= failed

    def _collection(self, job: str, what: str, parameters: Mapping[str, str]) -> Iterator[Record]:
        return self.api.pages(f"{JOBS}/{job}/{what}", {"page[size]": PAGE, **parameters}, MOST_PAGES)


def id_of(resource: Record) -> str | None:
    """A resource's id, None without one or one that does not look like one."""
    found = resource.get("id")
    return found if isinstance(found, str) and _ID.fullmatch(found) else None


def repeated(error: Record) -> set[Identifier]:
    """What the profile that an import error repeats is known by; nothing when it repeats none."""
    payload = object_in(error, "original_payload")
    profile = object_in(payload, "data") or payload
    return {*identifiers(object_in(profile, "attributes") or profile)} - {NOBODY}


def identifiers(attributes: Record) -> list[Identifier]:
    """Everything that a profile is known by, as it is compared: external_id first; NOBODY alone without any."""
    texts = {"external_id": attributes.get("external_id")}
    for kind, name in (("email", "email"), ("phone", "phone_number")):
        texts[kind] = str(attributes.get(name) or "").lower()
    return [(kind, text) for kind, text in texts.items() if isinstance(text, str) and text] or [NOBODY]
