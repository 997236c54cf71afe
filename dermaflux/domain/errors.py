"""The one error tree. Every message says what went wrong, why, and what to do about it.

It knows nothing of front ends: pages turn these into a notice, the CLI into one line and exit code 2.
"""


class DermaFluxError(Exception):
    """Anything the user can understand and usually mend; never a fault of our own code."""


class InvalidRequest(DermaFluxError):
    """A value is outside its range, or a choice is unknown."""


class InvalidCaption(InvalidRequest):
    """A caption does not follow the grammar of `domain.caption`, so no lesion can be read from it."""


class DataNotFound(DermaFluxError):
    """A file, folder or data set that was named is not there, or holds nothing usable."""


class ImageNotReadable(DermaFluxError):
    """A file is not an image that can be decoded, or is larger than allowed."""


class NotMeasurable(DermaFluxError):
    """The image is readable but no honest number can be given (blank, frame-filling, touching the frame)."""


class ModelNotAvailable(DermaFluxError):
    """Weights are missing, incomplete, of another kind, or the device cannot hold them."""


class AdapterNotApplied(ModelNotAvailable):
    """A LoRA file was read but not every tensor of it reached the model."""


class NotAllowed(DermaFluxError):
    """The visitor's role does not cover what was asked."""


class TooManyAttempts(NotAllowed):
    """Wrong passwords came too often; the name has to wait a number of seconds."""

    def __init__(self, message: str, wait_seconds: float) -> None:
        super().__init__(message)
        self.wait_seconds = wait_seconds


class StorageNotWritable(DermaFluxError):
    """The data directory or the database cannot be written."""


class StaleDecision(DermaFluxError):
    """An image was decided on since the reviewer saw it; the decision was not stored."""


class QueueFull(DermaFluxError):
    """More work is waiting than the queue takes."""


class QuotaExceeded(DermaFluxError):
    """A user keeps as many images as allowed, or the data folder has used up its budget."""


class Cancelled(DermaFluxError):
    """The user stopped the work; what was finished before is kept."""
