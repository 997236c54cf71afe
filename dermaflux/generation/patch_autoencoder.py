"""A linear autoencoder on 8x8 patches: the VAE of the small pipeline.

Encode is one strided convolution, decode its transpose; the basis is the principal components of real
patches, so no training is needed and 16 numbers keep a patch at about 38 dB. It knows no diffusion.
"""

import math

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_outputs import AutoencoderKLOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional

# Shapes: B batch, C colour or latent channels, H W pixels, h w = H/8 W/8.


class ExactPosterior:
    """The posterior of a deterministic encoder: its mode, its mean and every sample are the same."""

    def __init__(self, latents: Tensor) -> None:
        self.mean = latents

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """The latents; nothing is random here."""
        return self.mean

    def mode(self) -> Tensor:
        """The latents."""
        return self.mean


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """Images (B, 3, H, W) in -1..1 <-> latents (B, 16, H/8, W/8) of about unit variance.

    The config holds the fields FluxPipeline reads; the number of `block_out_channels` says 2**3 = 8 px a latent.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 16,
        patch_px: int = 8,
        scaling_factor: float = 1.0,
        shift_factor: float = 0.0,
        block_out_channels: tuple[int, ...] = (3, 3, 3, 16),
    ) -> None:
        super().__init__()
        if 2 ** (len(block_out_channels) - 1) != patch_px:
            raise ValueError(f"block_out_channels says {2 ** (len(block_out_channels) - 1)} px, patch_px {patch_px}")
        self._patch_px, self._num_latents = patch_px, latent_channels
        shape = (latent_channels, 3, patch_px, patch_px)
        self.analysis = nn.Parameter(torch.zeros(shape), requires_grad=False)
        self.synthesis = nn.Parameter(torch.zeros(shape), requires_grad=False)
        self.mean = nn.Parameter(torch.zeros(3, patch_px, patch_px), requires_grad=False)

    def encode(self, x: Tensor, return_dict: bool = True) -> AutoencoderKLOutput | tuple[ExactPosterior]:
        """Latents of images in -1..1 whose sides are multiples of the patch."""
        offset = (self.analysis * self.mean).sum(dim=(1, 2, 3))
        posterior = ExactPosterior(functional.conv2d(x, self.analysis, -offset, stride=self._patch_px))
        return AutoencoderKLOutput(latent_dist=posterior) if return_dict else (posterior,)  # type: ignore[arg-type]

    def decode(self, z: Tensor, return_dict: bool = True, **_: object) -> DecoderOutput | tuple[Tensor]:
        """Images, not clipped, of latents (B, 16, h, w)."""
        image = functional.conv_transpose2d(z, self.synthesis, stride=self._patch_px)
        image = image + self.mean.repeat(1, z.shape[-2], z.shape[-1])
        return DecoderOutput(sample=image) if return_dict else (image,)

    @torch.no_grad()
    def fit(self, images: Tensor) -> "PatchAutoencoder":
        """Set the basis to the principal components of the patches of images (B, 3, H, W) in -1..1.

        Component i is divided by sqrt(sd_i * mean sd): whitening it fully would make faint texture as loud
        as shape and colour, so the strong ones stay somewhat stronger.
        """
        p, k = self._patch_px, self._num_latents
        patches = functional.unfold(images, p, stride=p).transpose(1, 2).reshape(-1, 3 * p * p).double()
        mean = patches.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov((patches - mean).T))
        basis = vectors[:, -k:].flip(1).T  # (k, 3pp), strongest first
        sd = values[-k:].flip(0).clamp_min(1e-12).sqrt()
        scale = (sd * sd.mean()).sqrt() * math.sqrt(float((sd / sd.mean()).mean()))
        self.analysis.copy_((basis / scale[:, None]).reshape(k, 3, p, p))
        self.synthesis.copy_((basis * scale[:, None]).reshape(k, 3, p, p))
        self.mean.copy_(mean.reshape(3, p, p))
        return self
