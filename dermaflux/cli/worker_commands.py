"""The flags of the verb worker as a frozen record, read by tyro. Text beside a field is its help."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """Do the jobs that pages in other processes submit, until it is stopped (Ctrl+C or SIGTERM)."""

    until_idle: bool = False
    """End as soon as no job waits."""
