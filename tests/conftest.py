"""Fixtures that several test modules share."""

from dbt_nights import hard_night, toy_night

__all__ = ["hard_night", "toy_night"]
