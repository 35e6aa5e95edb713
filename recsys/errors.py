"""Every error this package raises on purpose. Each message says what was found, where, and what to do next.

Messages never carry customer data: they name files, lines, columns, counts and settings.
"""


class RecsysError(Exception):
    """The root: catching it catches all of ours. Retrying does not help unless it is a `Transient`."""


class Transient(RecsysError):
    """Something outside may be different in a minute (a file still being written, a lock held): retry."""


class ConfigError(RecsysError):
    """The shop file is wrong: names the field, the value and what is allowed."""


class NotKnown(RecsysError):
    """Somebody asked about a night or a customer that is not there: says what is."""


class SourceRefused(RecsysError):
    """A delivered file or a query result breaks its contract as a whole; nothing of it was loaded."""


class StateDamaged(RecsysError):
    """A file of our own that outlives a night cannot be read any more."""


class TooManyBadRows(RecsysError):
    """More rows went to quarantine than the shop file allows; the night stops before anything else happens."""


class PermissionFeedUnfit(RecsysError):
    """Consents or suppressions are missing, too old, or fewer than last night: nobody's permission can be decided."""


class SuppressionKeyUnfit(RecsysError):
    """The key of the remembered suppressions is missing, another one, or none at all: who is suppressed is unknown."""


class ErasureUnfinished(RecsysError):
    """An erasure was interrupted; no night runs before it is finished."""


class StageInputMissing(RecsysError):
    """A stage was started before the one that makes its input."""


class FeaturesFailed(RecsysError):
    """dbt ended with failing models or tests."""


class ModelError(RecsysError):
    """The model cannot be trained or scored on this input."""


class EvaluationError(RecsysError):
    """Lists cannot be judged on this input: rows repeat, or somebody has nothing to be judged by."""


class SumsDoNotReconcile(RecsysError):
    """Customers, decisions and files do not add up to the same totals."""


class GateRed(RecsysError):
    """A critical check failed, so nothing may leave."""


class NotAudited(RecsysError):
    """A file has no passing verdict for exactly its bytes."""


class AlreadyPublished(RecsysError):
    """This day was published before with other bytes; published days do not change."""


class Fenced(RecsysError):
    """A newer attempt of the same night has taken over; this one must not publish."""


class HistoryUnreadable(RecsysError):
    """The analysts' database of earlier nights is damaged or not ours; it is left as it is, and nothing replaces it."""


class CannotRender(RecsysError):
    """The decisions do not make a valid file for a channel; that file was not made."""


class CannotPublish(RecsysError):
    """The disk or the folder under the final names refuses the files: full, read-only, not ours, a symbolic link."""


class CannotDeliver(RecsysError):
    """A target refuses what is to be delivered, or what is asked would send something twice."""


class DeliveryInDoubt(RecsysError):
    """Nobody can tell whether something arrived: it is not sent again before that is settled."""


class NotApproved(RecsysError):
    """A channel that a person has to approve was not approved, or not with these files."""
