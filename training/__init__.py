"""Makes weights: data sets, losses and trainers. Never imported by the app; imports no pages, services or curation."""

import logging

# As in `dermaflux`, which the programs import after torch and peft.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
