"""Two hashes of what a picture shows: of its exact pixels, and of its coarse shape. They know no file and no store."""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image


def content_hash(image: "Image.Image") -> str:
    """The SHA-256 of size and pixels, not of the file: another time stamp makes no other picture."""
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()


def perceptual_hash(image: "Image.Image") -> "np.uint64":
    """The 64-bit DCT hash (pHash) of a picture: it differs in few bits where pictures are almost the same."""
    import imagehash
    import numpy as np

    return np.uint64(int(str(imagehash.phash(image)), 16))
