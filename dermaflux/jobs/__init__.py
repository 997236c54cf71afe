"""Capability: work that outlives a browser tab. A table, a fair queue, one worker thread, and events to follow.

It knows no generation code: what a job does is a handler's business.
"""

from dermaflux.jobs.events import Ended, JobEvent, Progress, Result, Update, Waiting
from dermaflux.jobs.queue import JobQueue
from dermaflux.jobs.records import Job, JobState
from dermaflux.jobs.worker import JobContext, JobWorker

__all__ = [
    "Ended",
    "Job",
    "JobContext",
    "JobEvent",
    "JobQueue",
    "JobState",
    "JobWorker",
    "Progress",
    "Result",
    "Update",
    "Waiting",
]
