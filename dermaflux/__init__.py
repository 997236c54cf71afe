"""DermaFlux: synthetic skin lesions from a description, measured, judged and curated. Research use only."""

import logging
import os

__version__ = "0.1.0"

# Read by OpenMP when torch is loaded. Threads that wait by spinning make an image take six times as long
# when anything else uses the cores; threads that sleep at once make a small network twice as slow. So they
# spin for some microseconds.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

# Where bitsandbytes is installed peft loads it, and it complains of a faster kernel on every start.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
