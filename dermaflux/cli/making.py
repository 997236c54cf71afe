"""The verbs that make something: caption and generate."""

from dataclasses import replace

from dermaflux.cli.commands import Caption, Generate
from dermaflux.cli.flags import SamplingFlags
from dermaflux.cli.output import progress_bar, write_line
from dermaflux.domain.caption import parse
from dermaflux.domain.errors import InvalidCaption, InvalidRequest
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import MAX_SEED, GeneratedImage, SamplingRequest
from dermaflux.services import Services


def caption(services: Services, command: Caption) -> None:
    """Print the caption of a lesion."""
    write_line(services.compose_caption(command.lesion.spec(), command.variation))


def generate(services: Services, command: Generate) -> None:
    """Write one PNG an image and print its path when it is done."""
    request = _request(services, command)
    out = services.prepare_folder(command.out)
    request = services.resolve(request)
    num_steps = request.num_images * request.candidates * (request.num_steps or 1)
    with progress_bar("Generating", total=num_steps) as bar:
        for event in services.generate(request):
            if isinstance(event, GeneratedImage):
                path = services.write_generated(event, out)
                bar.clear()
                write_line(str(path))
            else:
                bar.update()


def sampling_request(
    services: Services, caption_text: str, num_images: int, flags: SamplingFlags
) -> SamplingRequest:
    """The request of the sampling flags; model and adapter come from the settings when not given."""
    request = SamplingRequest(
        caption=caption_text,
        num_images=num_images,
        seed=flags.seed,
        num_steps=flags.steps,
        guidance_scale=flags.guidance,
        contrast_scale=flags.contrast,
        size_px=flags.size,
        model=flags.model or services.settings.model,
        adapter=flags.adapter or services.settings.adapter,
        adapter_weight=flags.adapter_weight,
        candidates=flags.candidates,
    )
    if request.last_seed > MAX_SEED:
        raise InvalidRequest(
            f"--seed is {flags.seed}, but the last image's seed may be {MAX_SEED} at most. Lower it."
        )
    return request


def _request(services: Services, command: Generate) -> SamplingRequest:
    if command.caption is not None:
        if not command.lesion.is_empty:
            raise InvalidRequest(
                "--caption and the flags of a lesion were both given. Use one of the two."
            )
        request = sampling_request(services, command.caption, command.num_images, command.sampling)
        return replace(request, spec=_spec_of(command.caption))
    spec = command.lesion.spec()
    request = sampling_request(
        services, services.compose_caption(spec), command.num_images, command.sampling
    )
    return replace(request, spec=spec)


def _spec_of(text: str) -> LesionSpec | None:
    """The lesion of a caption in the grammar; None for free text, which is as good."""
    try:
        return parse(text)
    except InvalidCaption:
        return None
