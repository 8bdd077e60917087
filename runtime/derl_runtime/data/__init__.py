"""Rows of data: files of any size read in parts, written whole or not at all."""

from derl_runtime.data.places import JSON_SUFFIXES, PARQUET_SUFFIXES
from derl_runtime.data.problems import DataError, DataProblem
from derl_runtime.data.rollouts import (
    Part,
    Rollouts,
    Watch,
    give_back,
    listed,
    read_logs,
    read_rows,
    rollouts_of,
    value_of,
)
from derl_runtime.data.writing import replacing, write_batches, write_rows

__all__ = [
    "JSON_SUFFIXES",
    "PARQUET_SUFFIXES",
    "DataError",
    "DataProblem",
    "Part",
    "Rollouts",
    "Watch",
    "give_back",
    "listed",
    "read_logs",
    "read_rows",
    "replacing",
    "rollouts_of",
    "value_of",
    "write_batches",
    "write_rows",
]
