"""Layer 3: the only wiring. `Services` is all that pages and the CLI know of the capabilities."""

from dermaflux.services.doctoring import Doctoring
from dermaflux.services.evaluating import Evaluating
from dermaflux.services.explaining import Explaining
from dermaflux.services.reporting import Reporting
from dermaflux.services.retaining import Retaining
from dermaflux.services.reviewing import Reviewing
from dermaflux.services.visiting import Visiting


class Services(Retaining, Evaluating, Explaining, Reviewing, Reporting, Doctoring, Visiting):
    """Everything the product can do, behind one object. Building it opens nothing."""


__all__ = ["Services"]
