"""How wide is the interval of a reader study, and how often does it hold the truth? Simulated readers who guess.

    python -m benchmarks.reader_study_width

Readers differ (their d' has a standard deviation of .3 around 0), and so do pictures (some look synthetic to all, with
a standard deviation of .5), so that the accuracy over all readers and pictures is exactly 50 %.
"""

import numpy as np

from dermaflux.evaluation.classifier_metrics import Bootstrap, Interval
from dermaflux.evaluation.reader_study import pooled_detection

READERS = (2, 3, 5, 10)
OF_EACH = (25, 50, 100)
NUM_STUDIES = 60
HOW = Bootstrap(num_resamples=250)


def simulated(num_readers: int, of_each: int, rng: np.random.Generator) -> Interval:
    """The accuracy of one study."""
    truth = np.arange(2 * of_each) % 2 == 0
    skill, look = rng.normal(0, 0.3, num_readers), rng.normal(0, 0.5, len(truth))
    seen = rng.normal(size=(len(truth), num_readers)) + look[:, None] + (truth[:, None] - 0.5) * skill
    rating = np.digitize(seen, np.linspace(-2, 2, 9)) + 1.0
    return pooled_detection(truth, rating, HOW).accuracy


def main() -> None:
    """Print half the width in points, and how many of the intervals hold 50 %."""
    print("readers | " + " | ".join(f"{n} + {n} pictures" for n in OF_EACH), flush=True)
    for num_readers in READERS:
        cells = []
        for of_each in OF_EACH:
            rng = np.random.default_rng(num_readers * 1000 + of_each)
            found = [simulated(num_readers, of_each, rng) for _ in range(NUM_STUDIES)]
            half = np.mean([(one.high - one.low) / 2 for one in found])
            held = np.mean([one.low <= 0.5 <= one.high for one in found])
            cells.append(f"± {100 * half:.0f} ({100 * held:.0f} %)")
        print(f"{num_readers:7} | " + " | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
