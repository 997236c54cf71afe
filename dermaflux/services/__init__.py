"""Layer 3: the only wiring. `Services` is all that pages and the CLI know of the capabilities."""

from dermaflux.services.admitting import Admitting
from dermaflux.services.boarding import Boarding
from dermaflux.services.charting import Charting
from dermaflux.services.doctoring import Doctoring
from dermaflux.services.explaining import Explaining
from dermaflux.services.keeping import Keeping
from dermaflux.services.planning import Planning
from dermaflux.services.queueing import Queueing
from dermaflux.services.reporting import Reporting
from dermaflux.services.retaining import Retaining
from dermaflux.services.studying import Studying


class Services(
    Keeping, Admitting, Retaining, Planning, Charting, Explaining, Boarding, Studying, Reporting, Queueing, Doctoring
):
    """Everything the product can do, behind one object. Building it opens nothing."""


__all__ = ["Services"]
