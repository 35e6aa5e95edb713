"""A night as far as its finished files, in a folder of its own that is gone afterwards. Nothing is sent or kept."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from recsys.erasure.records import require_finished
from recsys.errors import RecsysError
from recsys.files import REHEARSAL, private_folder, sweep
from recsys.night import Night
from recsys.pipeline import BEFORE_THE_GATE, work_of
from recsys.quiet import only_warnings


@dataclass(frozen=True)
class Rehearsal:
    """What became of it: `night` lies in the scratch folder; `stopped_at` names the stage that failed, with `error`."""

    night: Night
    stopped_at: str | None = None
    error: str = ""

    def reached(self, stage: str) -> bool:
        """Whether the stage was passed."""
        stages = [*BEFORE_THE_GATE]
        return self.stopped_at is None or stages.index(stage) < stages.index(self.stopped_at)


@contextmanager
def rehearse(night: Night, progress: Callable[[str], None]) -> Iterator[Rehearsal]:
    """Run every stage before the gate on what is delivered now, with the history that nights have published.

    Call it while holding the data root (`recsys.lock`). The folder lies below it, since a night links what it counts
    with; it is removed however this ends, and so is what an earlier rehearsal left that was killed. Raises
    ErasureUnfinished while an erasure is.
    """
    root = private_folder(night.shop.root)
    require_finished(root)
    sweep(root)
    with tempfile.TemporaryDirectory(prefix=REHEARSAL, dir=root) as scratch:
        published = private_folder(night.published)
        (Path(scratch) / "published").symlink_to(published, target_is_directory=True)
        trial = Night(night.shop.model_copy(update={"data_root": scratch}), night.run_date)
        with only_warnings("recsys"):  # of their progress nobody asked
            yield _run(trial, progress)


def _run(trial: Night, progress: Callable[[str], None]) -> Rehearsal:
    for stage in BEFORE_THE_GATE:
        started = perf_counter()
        try:
            work_of(stage)(trial)
        except RecsysError as error:
            progress(f"{stage:<10} stops after {perf_counter() - started:.1f} s")
            return Rehearsal(trial, stage, str(error))
        progress(f"{stage:<10} passes after {perf_counter() - started:.1f} s")
    return Rehearsal(trial)
