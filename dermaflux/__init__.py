"""DermaFlux: synthetic skin lesions from a description, measured, judged and curated. Research use only."""

import os

__version__ = "0.1.0"

# Read by OpenMP when torch is loaded: threads that wait by spinning make an image take six times
# as long when anything else uses the cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
