"""Brings a published audience to a tool's API, request by request, each record at most once.

A part leaves by one request. What the tool certainly does not have may be sent again; what it may have is asked for
where the API can tell, else it stays in doubt for a person. A request that is refused because of some records is cut
around them, or in halves until they are found, so that no bad record keeps another from arriving.
"""

import logging
from collections.abc import Sequence
from functools import lru_cache

from recsys.delivery.answers import Answer, Fate, denied_advice
from recsys.delivery.api import Api
from recsys.delivery.apis import for_a_person
from recsys.delivery.audiences import Audience
from recsys.delivery.batches import Batch, JsonLines, Problem, Slice, require_no_consent, slice_of
from recsys.delivery.carrier import Carrier
from recsys.delivery.journal import Journal, Outcome, Part, State, Step
from recsys.delivery.record_errors import NOBODY, Identifier, People, enter, shown_path
from recsys.delivery.tool_rules import Taken, ToolRules, read_problems, written
from recsys.errors import CannotDeliver, Transient

log = logging.getLogger("recsys")

DOUBTS_IN_A_ROW = 3
"""After so many requests in a row whose fate is unknown no other part is put in doubt."""
REFUSALS_IN_A_ROW = 200
"""After so many refused requests in a row the tool refuses more than records; halving two batches takes fewer."""
PROGRESS_EVERY = 20
UNREADABLE = "taken, but the answer cannot be read"


class ApiCarrier(Carrier, ToolRules):
    """One audience on its way to one tool's API; the tool's own rules are in the subclasses."""

    def __init__(self, audience: Audience, api: Api) -> None:
        self.audience, self.api = audience, api
        self.target = f"{api.address}{self.path}"
        self.people = People(audience.night, audience.name)
        names = [file.file for file in audience.published.manifest.files]
        self._clear = [name for name in names if name.startswith(f"{audience.name}_clear_")]
        """Rows about people who left go first: an address may have moved from one person to another."""
        self._left = for_a_person(audience.name, names, self.suffix)
        own = [name for name in names if name not in self._clear]
        sent = [name for name in (*self._clear, *own) if name not in self._left]
        self._lines = {name: JsonLines(audience.folder / name) for name in sent}
        self._batch = lru_cache(maxsize=1)(self._read)
        self._doubts = self._refusals = self._planned = self._carried = 0
        self._declined: set[str] = set()
        """Parts that the tool has just answered about, and so is not asked about again now."""
        self._stopped: CannotDeliver | Transient | None = None
        """What ended the delivery: it is true of every further part as well."""

    def parts(self) -> list[Part]:
        if self._left:
            log.info("%s: the API takes no %s; a person has to import these", self.audience.name, ", ".join(self._left))
        found = []
        for name, lines in self._lines.items():
            for number in range(1, -(-len(lines) // self.lines_per_batch) + 1):
                batch = self._batch(f"{name}#{number}")
                found += [piece.part for piece in batch.slices(self.most_records, self.most_bytes)]
        self._planned = len(found)
        return found

    def carry(self, part: Part, journal: Journal) -> None:
        if self._stopped:
            raise self._stopped
        if part.name in self._declined:
            return
        try:
            self._carry(part, journal)
        except (CannotDeliver, Transient) as error:
            self._stopped = error
            raise
        self._carried += 1
        if self._carried % PROGRESS_EVERY == 0:
            log.info("%s: %d of %d parts, the last one %s", self.audience.name, self._carried, self._planned, part.name)

    def _carry(self, part: Part, journal: Journal) -> None:
        batch = self._batch(part.name.partition(":")[0])
        piece = slice_of(part.name, batch)
        if piece.part != part:
            raise _changed(part.name)
        if journal.outcome(part.name) is not Outcome.IN_DOUBT:
            self._send(piece, journal)
        elif journal.state(part.name) is State.RESERVED:
            self._look_for(piece, journal)
        if journal.state(part.name) is State.EXPORTED:
            self._confirm(piece, journal)

    def close(self) -> None:
        self.api.client.close()

    def _read(self, name: str) -> Batch:
        file, _, number = name.partition("#")
        first = (int(number) - 1) * self.lines_per_batch if number.isdecimal() else -1
        if not 0 <= first < len(self._lines.get(file, ())):
            raise _changed(name)
        lines = self._lines[file]
        return self.batch(name, lines.read(first, first + self.lines_per_batch), lines.read(0, 1)[0])

    def _send(self, piece: Slice, journal: Journal) -> None:
        if piece.problem:
            self._refuse([(piece, piece.problem)], journal)
        elif begun := self._pieces_on_record(piece, journal):
            journal.split(piece.name, [part.part for part in begun], reason="was being cut when it was interrupted")
        else:
            self._judge(self._post(piece, journal), piece, journal)

    def _post(self, piece: Slice, journal: Journal) -> Answer:
        """Send a part until the tool has taken it, refused it, or may have it. Raises Transient when it stays busy."""
        body = self.body(piece.records)
        require_no_consent(body, piece.name)
        mark = self.mark()
        for tried in range(1, self.api.pace.tries + 1):
            journal.append(piece.name, State.RESERVED, Step.SENDING, receipt=mark)
            answer = self.api.post(self.path, body)
            if answer.fate in {Fate.ACCEPTED, Fate.UNKNOWN}:
                return answer
            journal.append(piece.name, State.FAILED, Step.REFUSED, reason=answer.reason)
            if answer.fate is not Fate.NOT_ACCEPTED:
                return answer
            if tried < self.api.pace.tries:
                self.api.wait(answer, tried)
        raise Transient(
            f"{piece.name}: {self.api.address} took nothing in {self.api.pace.tries} tries ({answer.reason}). "
            "Run deliver again later; nothing is in doubt."
        )

    def _judge(self, answer: Answer, piece: Slice, journal: Journal) -> None:
        """Say in the journal what an answer means for a part."""
        if answer.fate is Fate.ACCEPTED:
            self._doubts = self._refusals = 0
            taken = self.accepted(answer, piece.records)
            receipt = taken.receipt if taken else journal.entry(piece.name).receipt
            reason = written(taken.problems) if taken else UNREADABLE
            journal.append(piece.name, State.EXPORTED, Step.SENT, receipt=receipt, reason=reason)
        elif answer.fate is Fate.UNKNOWN:
            self._doubts += 1
            log.info("%s: %s; it is not sent again, the tool is asked", piece.name, answer.reason)
            self._look_for(piece, journal)
            if self._doubts >= DOUBTS_IN_A_ROW:
                raise Transient(
                    f"{self.api.address}: {self._doubts} requests in a row without an answer that says what became of "
                    f"them (the last one: {answer.reason}). No further part is put in doubt; run deliver again later."
                )
        else:
            self._isolate(answer, piece, journal)

    def _isolate(self, answer: Answer, piece: Slice, journal: Journal) -> None:
        """Cut a refused part so that the bad records stand alone; the rest of it leaves in further parts."""
        named = self.refused(answer, piece.records) if answer.fate is Fate.REFUSED else None
        if named is None:
            raise CannotDeliver(f"{piece.name}: {self.target}: {answer.reason}. {denied_advice(answer)}")
        self._refusals += 1
        problems = {piece.first + row: problem for row, problem in named if row is not None}
        if len(piece.records) == 1:
            self._refuse([(piece, next((problem for _, problem in named), Problem(answer.reason)))], journal)
        else:
            pieces = piece.around(problems) if problems else piece.halves()
            journal.split(piece.name, [part.part for part in pieces], reason=answer.reason)
            self._refuse([(part, problems[part.first]) for part in pieces if part.first in problems], journal)
        if self._refusals >= REFUSALS_IN_A_ROW:
            raise CannotDeliver(
                f"{self.target}: {self._refusals} requests in a row were refused ({answer.reason}), so more is wrong "
                "than single records. Compare the channel's fields with what the tool takes, then run deliver again."
            )

    def _refuse(self, problems: Sequence[tuple[Slice, Problem]], journal: Journal) -> None:
        """Records that are not taken: each a part by itself that certainly did not arrive.

        The reasons first: a part that is settled is not looked at again.
        """
        self._enter({piece.name: [(self.identifier(piece.records[0]), problem)] for piece, problem in problems})
        self._declined.update(piece.name for piece, _ in problems)
        for piece, problem in problems:
            journal.append(piece.name, State.FAILED, Step.DECLINED, reason=str(problem))

    def _look_for(self, piece: Slice, journal: Journal) -> None:
        """Ask the tool about a part in doubt."""
        receipt = self.find(journal.entry(piece.name), piece.records, journal)
        if receipt:
            self._doubts = 0
            journal.append(piece.name, State.EXPORTED, Step.SENT, receipt=receipt)
        else:
            log.info("%s: in doubt; the tool cannot tell, so a person has to", piece.name)

    def _confirm(self, piece: Slice, journal: Journal) -> None:
        """Read back what became of a part that the tool has taken."""
        entry = journal.entry(piece.name)
        receipt = self.find(entry, piece.records, journal) if entry.reason == UNREADABLE else entry.receipt
        done = self.confirm(Taken(receipt, read_problems(entry.reason)), piece.records) if receipt else None
        if done is None:
            log.info("%s: taken, and what became of it cannot be read yet", piece.name)
            return
        said = [
            (NOBODY if row is None else self.identifier(piece.records[row]), problem) for row, problem in done.problems
        ]
        self._enter({piece.name: said})
        where = shown_path(self.audience.night, self.audience.name)
        reason = f"of its records {len(said)} were refused: see {where}" if said else ""
        journal.append(piece.name, State.ACKNOWLEDGED, Step.CONFIRMED, receipt=done.receipt, reason=reason)

    def _pieces_on_record(self, piece: Slice, journal: Journal) -> list[Slice]:
        """How a part was already being cut when a crash came between; empty for one that was not."""
        names = (entry.part for entry in journal.entries if entry.part.startswith(f"{piece.batch.name}:"))
        known = [slice_of(name, piece.batch) for name in names if name != piece.name]
        within = [part for part in known if piece.first <= part.first and part.end <= piece.end]
        return piece.around_edges({edge for part in within for edge in (part.first, part.end)}) if within else []

    def _enter(self, found: dict[str, list[tuple[Identifier, Problem]]]) -> None:
        enter(self.audience.night, self.audience.name, self.people, found)


def _changed(name: str) -> CannotDeliver:
    return CannotDeliver(
        f"{name}: the published file no longer holds what was to be sent (rows may have been erased from it), so "
        "nothing of it is sent. The next night brings the rest."
    )
