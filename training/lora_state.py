"""What a LoRA in training consists of beside its loss: weights, their average, the optimiser, the step.

It knows no data, no device and no file; `state` and `load` are all that going on needs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers.training_utils import EMAModel

from training.lora_layers import trainable
from training.quantized_base import load_bitsandbytes


class LoraState:
    """The trainable weights of a transformer with AdamW and an average of them (EMA).

    `eight_bits` keeps the optimiser's moments in 8 bits; raises ModelNotAvailable when bitsandbytes is not installed.
    """

    def __init__(
        self,
        transformer: Any,
        *,
        learning_rate: float,
        weight_decay: float,
        ema_decay: float,
        eight_bits: bool = False,
    ) -> None:
        self.weights = trainable(transformer)
        self.average = EMAModel(self.weights, decay=ema_decay, use_ema_warmup=True, power=0.75)
        kind = load_bitsandbytes().optim.AdamW8bit if eight_bits else torch.optim.AdamW
        self.optimizer = kind(self.weights, lr=learning_rate, betas=(0.9, 0.99), weight_decay=weight_decay)
        self.step = 0
        self._learning_rate = learning_rate

    def advance(self, rate_scale: float, grad_clip: float) -> float:
        """One optimiser step on the gradients that are there; the norm they had before clipping."""
        norm = float(torch.nn.utils.clip_grad_norm_(self.weights, grad_clip))
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate * rate_scale
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.stepped()
        return norm

    def stepped(self) -> None:
        """The optimiser has made a step: the average follows."""
        self.average.step(self.weights)
        self.step += 1

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """For a while the weights are the averaged ones."""
        self.average.store(self.weights)
        self.average.copy_to(self.weights)
        try:
            yield
        finally:
            self.average.restore(self.weights)

    def state(self) -> dict[str, Any]:
        """All that going on needs."""
        return {
            "weights": [weight.detach().cpu() for weight in self.weights],
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        for weight, kept in zip(self.weights, state["weights"], strict=True):
            weight.data.copy_(kept)
        self.average.load_state_dict(state["average"])
        self.average.to(self.weights[0].device)
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
