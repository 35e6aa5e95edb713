"""The publish stage: the night's suppressions are remembered for good, then the night goes to the analysts."""

from recsys import analysts
from recsys.audit import Verdict
from recsys.errors import NotAudited
from recsys.lock import exclusive
from recsys.night import Night
from recsys.suppression import memory


def run(night: Night) -> dict[str, int | str]:
    """Add to the suppression memory, then make the analysts' database; the counts of both.

    Raises what `recsys.analysts.run` raises, and SuppressionKeyUnfit.
    """
    if not Verdict.read(night.verdict).is_green:
        raise NotAudited(f"{night.verdict}: the gate of {night.run_date} is red; nothing is published.")
    with exclusive(night.shop.root):
        return memory.remember(night) | analysts.run(night)
