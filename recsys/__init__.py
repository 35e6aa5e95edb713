"""Computes and delivers: a plain library and a command that know neither Airflow, dbt nor Great Expectations."""

__version__ = "0.1.0"
