"""The analysts' database: one DuckDB file with the marts of the last night and the history of all nights.

`run(night)` is the publish stage. The nightly job never holds the published file open; readers of the old one finish
undisturbed, and see the new one when they open it again.
"""

from recsys.analysts.edition import run

__all__ = ["run"]
