"""`LesionClassifier`: the calibrated view of a picture, its saliency map and its embedding.

It serves a checkpoint folder and works on any PIL picture. It knows no page, store or setting, and it
holds one network whose weights never change, so several threads may use it at once.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from dermaflux.classification import saliency
from dermaflux.classification.checkpoint import CheckpointFacts, load_checkpoint
from dermaflux.classification.faithfulness import Faithfulness, faithfulness
from dermaflux.classification.preprocessing import View, normalised, refusal, to_rgb, turned, views
from dermaflux.domain.errors import ModelNotAvailable, NotMeasurable
from dermaflux.domain.records import Prediction

log = logging.getLogger(__name__)
BATCH_VIEWS = 64


class LesionClassifier:
    """A trained classifier ready to answer. Make one with `from_folder`."""

    def __init__(self, network: nn.Module, facts: CheckpointFacts, device: torch.device | None = None) -> None:
        self.facts = facts
        self.device = device or torch.device("cpu")
        self._network = network.eval().requires_grad_(False).to(self.device)
        self._probe = saliency.Probe(self._network)

    @classmethod
    def from_folder(cls, folder: Path, device: str = "cpu") -> "LesionClassifier":
        """The classifier of a checkpoint folder.

        Raises ModelNotAvailable when a file is missing or damaged, or the device is not there.
        """
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise ModelNotAvailable(f"The classifier was asked to run on {device}, but no GPU is visible. Use cpu.")
        network, facts = load_checkpoint(Path(folder))
        log.info("classifier %s of %s loaded on %s", facts.architecture.name, folder, device)
        return cls(network, facts, torch.device(device))

    def predict(self, images: Sequence[Image.Image]) -> list[Prediction]:
        """One prediction a picture, in order; blank and too small ones come back with `refused` set."""
        pictures = [to_rgb(image) for image in images]
        reasons = [refusal(picture) for picture in pictures]
        usable = [picture for picture, reason in zip(pictures, reasons, strict=True) if reason is None]
        answers = iter(self._probabilities(usable, self.facts.num_turns))
        return [self._prediction(None if reason else next(answers), reason) for reason in reasons]

    def saliency(self, image: Image.Image, *, malignant: bool) -> np.ndarray:
        """Where the evidence for a side, malignant or not, lies: float32 (H, W) in 0..1 on the picture's own frame.

        `classification.saliency` says how; what no view showed is 0. Raises NotMeasurable for a picture that `predict`
        refuses.
        """
        picture = to_rgb(image)
        if reason := refusal(picture):
            raise NotMeasurable(reason)
        seen = views(picture, self.facts.inputs)
        maps = self._view_maps(seen, malignant)
        return saliency.on_frame(maps, [view.box for view in seen], picture.size)

    def faithfulness(self, image: Image.Image, where: np.ndarray, *, malignant: bool) -> Faithfulness:
        """How far a map (H, W) names what speaks for a side, malignant or not, by that side's probability.

        Pictures are judged upright alone, not in all their turns: a quarter of the work, for nearly the same scores.
        """
        mask = np.asarray(self.facts.malignant) == malignant

        def answer(pictures: Sequence[Image.Image]) -> np.ndarray:
            return self._probabilities(pictures, num_turns=1)[:, mask].sum(axis=1)

        return faithfulness(to_rgb(image), where, answer)

    def embed(self, images: Sequence[Image.Image]) -> np.ndarray:
        """L2-normalised features (N, D) float32 from before the head, for distances between pictures."""
        pictures = [to_rgb(image) for image in images]
        per_picture = [self._shown(picture, self.facts.num_turns) for picture in pictures]
        if not per_picture:
            return np.zeros((0, self._network.num_features), dtype=np.float32)  # type: ignore[arg-type]
        features = _means(self._run(np.concatenate(per_picture), features=True), [len(s) for s in per_picture])
        return features / np.linalg.norm(features, axis=1, keepdims=True).clip(1e-12)

    def _prediction(self, probabilities: np.ndarray | None, refused: str | None) -> Prediction:
        facts = self.facts
        if probabilities is None:
            return Prediction(model_sha256=facts.weights_sha256, refused=refused)
        values = [float(p) for p in probabilities]
        malignant = sum(p for p, is_malignant in zip(values, facts.malignant, strict=True) if is_malignant)
        return Prediction(
            malignant=min(malignant, 1.0),
            diagnosis=dict(zip(facts.class_names, values, strict=True)),
            threshold=facts.threshold,
            model_sha256=facts.weights_sha256,
        )

    def _probabilities(self, pictures: Sequence[Image.Image], num_turns: int) -> np.ndarray:
        if not pictures:
            return np.zeros((0, len(self.facts.class_names)))
        shown = [self._shown(picture, num_turns) for picture in pictures]
        logits = _means(self._run(np.concatenate(shown)), [len(part) for part in shown])
        return self.facts.calibration.probabilities(logits)

    def _shown(self, picture: Image.Image, num_turns: int) -> np.ndarray:
        """The first turns of every view of a picture, uint8 (V, S, S, 3)."""
        pixels = [v.pixels for v in views(picture, self.facts.inputs)]
        return np.stack([turn for view in pixels for turn in turned(view, num_turns)])

    @torch.inference_mode()
    def _run(self, pixels: np.ndarray, features: bool = False) -> np.ndarray:
        rows = []
        for start in range(0, len(pixels), BATCH_VIEWS):
            some = torch.from_numpy(pixels[start : start + BATCH_VIEWS]).to(self.device)
            x_BCHW = normalised(some, self.facts.inputs)
            out = self._features(x_BCHW) if features else self._network(x_BCHW)
            rows.append(out.float().cpu().numpy())
        return np.concatenate(rows)

    def _features(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        network = self._network
        return network.forward_head(network.forward_features(x_BCHW), pre_logits=True)  # type: ignore[operator]

    def _view_maps(self, seen: Sequence[View], malignant: bool) -> list[np.ndarray]:
        shown = np.concatenate([np.stack(turned(view.pixels, saliency.NUM_TURNS)) for view in seen])
        x_BCHW = normalised(torch.from_numpy(shown).to(self.device), self.facts.inputs)
        side = torch.tensor(self.facts.malignant, device=self.device) == malignant
        return saliency.merge_turns(self._probe.maps(x_BCHW, side), len(seen))


def _means(rows: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """The mean of each run of `counts` rows."""
    starts = np.cumsum([0, *counts[:-1]])
    return np.add.reduceat(rows, starts, axis=0) / np.asarray(counts, dtype=np.float32)[:, None]
