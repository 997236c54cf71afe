"""Drawn lesions with known answers: a shape, its exact mask and its colours, at any size."""

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

SKIN_RGB = (214, 170, 150)
LESION_RGB = (120, 70, 50)
Radius = Callable[[np.ndarray], np.ndarray]
Paint = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Drawing:
    """A lesion given by its radius as a function of the angle, in units of half the picture's height."""

    def __init__(self, size_px: int = 256, centre: tuple[float, float] = (0.0, 0.0)) -> None:
        fine = size_px * 4
        y, x = (np.indices((fine, fine)) + 0.5 - fine / 2) / (fine / 2)
        self.x, self.y = x - centre[0], y - centre[1]
        self.size_px = size_px

    def shape(self, radius: Radius) -> np.ndarray:
        """Coverage (4N, 4N) of the shape, 0 or 1."""
        angle = np.arctan2(self.y, self.x)
        return (np.hypot(self.x, self.y) < radius(angle)).astype(np.float32)

    def picture(
        self, inside: np.ndarray, paint: Paint | None = None, edge: np.ndarray | None = None
    ) -> tuple[Image.Image, np.ndarray]:
        """The RGB picture and the bool mask (N, N), both antialiased from four times the size.

        paint gives the lesion's colour (4N, 4N, 3) from x and y; edge (4N, 4N) replaces the sharp coverage.
        """
        lesion = np.broadcast_to(np.array(LESION_RGB, dtype=np.float32), (*self.x.shape, 3))
        if paint is not None:
            lesion = paint(self.x, self.y)
        alpha = (inside if edge is None else edge)[..., None]
        colours = np.array(SKIN_RGB, dtype=np.float32) * (1 - alpha) + lesion * alpha
        return Image.fromarray(self._shrunk(colours).round().astype(np.uint8)), self._shrunk(
            inside
        ) >= 0.5

    def _shrunk(self, plane: np.ndarray) -> np.ndarray:
        size = self.size_px
        return plane.reshape(size, 4, size, 4, *plane.shape[2:]).mean(axis=(1, 3))


@pytest.fixture
def draw() -> type[Drawing]:
    """The drawing class."""
    return Drawing
