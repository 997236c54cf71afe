"""Capability: work that outlives a browser tab. Tables, a fair queue, workers in any process, and events to follow.

It knows no generation code: what a job does is a handler's business.
"""

from dermaflux.jobs.crew import JobCrew
from dermaflux.jobs.events import (
    Ended,
    JobChannels,
    JobEvent,
    Paused,
    Progress,
    Result,
    Update,
    Waiting,
)
from dermaflux.jobs.following import Following
from dermaflux.jobs.outlook import Forecast, OpenJob, Outlook
from dermaflux.jobs.queue import JobQueue
from dermaflux.jobs.records import SKIPPED, Job, JobState, QueuePause
from dermaflux.jobs.worker import JobContext, JobWorker, Rests

__all__ = [
    "SKIPPED",
    "Ended",
    "Following",
    "Forecast",
    "Job",
    "JobChannels",
    "JobContext",
    "JobCrew",
    "JobEvent",
    "JobQueue",
    "JobState",
    "JobWorker",
    "OpenJob",
    "Outlook",
    "Paused",
    "Progress",
    "QueuePause",
    "Rests",
    "Result",
    "Update",
    "Waiting",
]
