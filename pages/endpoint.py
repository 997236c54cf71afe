"""What every endpoint for programs does first, and what its answer looks like: role, types, schema.

Gradio passes on whatever a program sends and knows no range and no meaning of an answer; here the annotations of an
endpoint are held against what comes in, and become JSON Schemas. It knows no endpoint.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

import gradio as gr
from gradio.context import get_blocks_context
from pydantic import TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from starlette.requests import Request
from starlette.responses import JSONResponse

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.roles import Role
from pages.page import in_words, visitor_of

if TYPE_CHECKING:
    from dermaflux.services import Services

Schema = dict[str, Any]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
_SHOWN_CHARS = 60


class Titled(GenerateJsonSchema):
    """Fields are named by their names alone; titles are for what says so."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never."""
        return False


def endpoint(role: Role, what: str) -> Callable[[Endpoint], Endpoint]:
    """A method of an object with `services` as an endpoint: it asks for the role, then takes what fits its types only.

    Raises NotAllowed or InvalidRequest, said in words as `in_words` does.
    """

    def made(function: Endpoint) -> Endpoint:
        checks = _checks(function)

        @functools.wraps(function)
        def admitted(self: Any, request: gr.Request, *values: Any, **named: Any) -> Any:
            services: Services = self.services
            visitor_of(services, request).require(role, what)
            given = dict(zip(checks, values, strict=False)) | named
            return function(self, request, **{name: _checked(name, value, checks) for name, value in given.items()})

        @functools.wraps(function)
        def streamed(self: Any, request: gr.Request, *values: Any, **named: Any) -> Iterator[Any]:
            yield from admitted(self, request, *values, **named)

        return in_words(streamed if inspect.isgeneratorfunction(function) else admitted)  # type: ignore[return-value]

    return made


def add_endpoint(function: Callable[..., Any], **how: Any) -> None:
    """Add an endpoint under its name to the current Blocks, with the whole schema of its answer.

    gr.api makes one of the bare types only, and none of a stream's. how: as of gr.api.
    """
    added = gr.api(function, api_name=function.__name__, **how)
    app = get_blocks_context()
    assert app is not None  # gr.api refuses to work without
    for output, schema in zip(app.fns[added["id"]].outputs, output_schemas(function), strict=True):
        output._api_info, output.label = schema, schema["title"]  # type: ignore[attr-defined] - of its Api component


async def wrong_arguments(request: Request, error: Exception) -> JSONResponse:
    """The answer to a call over plain HTTP whose arguments are missing or not known, which Gradio has no answer to.

    A TypeError anywhere else goes on.
    """
    if not request.url.path.partition("/gradio_api/call/v2/")[1]:
        raise error
    said = str(error).partition(" Please click on")[0]
    return JSONResponse({"error": f"{said} GET /gradio_api/info states the arguments."}, 422)


def output_schemas(function: Callable[..., Any]) -> list[Schema]:
    """The JSON Schema of each value an endpoint answers with, of a stream that of every answer; without references."""
    hint = get_type_hints(function, include_extras=True)["return"]
    if get_origin(hint) is Iterator:
        (hint,) = get_args(hint)
    parts = get_args(hint) if get_origin(hint) is tuple else (hint,)
    schemas = [TypeAdapter(part).json_schema(schema_generator=Titled) for part in parts]
    return [_inlined(schema, schema.get("$defs", {})) for schema in schemas]


def _checks(function: Callable[..., Any]) -> dict[str, TypeAdapter[Any]]:
    """What each parameter of an endpoint takes, in their order."""
    hints = get_type_hints(function, include_extras=True)
    return {name: TypeAdapter(hint) for name, hint in hints.items() if name not in ("request", "return")}


def _checked(name: str, value: Any, checks: dict[str, TypeAdapter[Any]]) -> Any:
    try:
        return checks[name].validate_python(value)
    except ValidationError as error:
        # Of a choice of types that all refuse, the one that got furthest is what was meant.
        worst = max(error.errors(include_url=False), key=lambda problem: len(problem["loc"]))
        place = ".".join([name, *(str(step) for step in worst["loc"] if isinstance(value, dict) and step in value)])
        shown = repr(worst["input"])
        if len(shown) > _SHOWN_CHARS:
            shown = shown[:_SHOWN_CHARS] + "..."
        raise InvalidRequest(f"{place}: {shown} will not do. {worst['msg']}.") from error


def _inlined(part: Any, definitions: dict[str, Schema]) -> Any:
    """The same with every reference replaced: Gradio and many clients follow none."""
    if isinstance(part, list):
        return [_inlined(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    if reference := part.get("$ref"):
        beside = {key: value for key, value in part.items() if key != "$ref"}
        return _inlined(definitions[reference.rpartition("/")[2]] | beside, definitions)
    return {key: _inlined(value, definitions) for key, value in part.items() if key != "$defs"}
