"""MCP tools that state the schema of their answers and answer with JSON in it.

Gradio's MCP server lists tools without an outputSchema and writes answers as Python's repr. Here its two handlers are
wrapped: the schemas are those of the endpoints' outputs (`pages.endpoint`), and several outputs, or one that is no
record, become a record by their titles. It knows no endpoint.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pages.endpoint import Schema

if TYPE_CHECKING:
    import gradio as gr
    from gradio.mcp import GradioMCPServer


def answer_in_schema(app: "gr.Blocks") -> None:
    """Teach the app's MCP server, when it has one. Call it after launch()."""
    if app.mcp_server_obj is not None:
        TypedTools(app.mcp_server_obj).install()


class TypedTools:
    """The tools of one server with what they answer."""

    def __init__(self, server: "GradioMCPServer") -> None:
        from mcp import types

        self._server = server
        self._handlers = server.mcp_server.request_handlers
        self._list, self._call = self._handlers[types.ListToolsRequest], self._handlers[types.CallToolRequest]
        self._outputs = {name: self._schemas(path) for name, path in server.tool_to_endpoint.items()}

    def install(self) -> None:
        """Put the wrapped handlers and the JSON in their places."""
        from mcp import types

        self._handlers[types.ListToolsRequest] = self._listed
        self._handlers[types.CallToolRequest] = self._called
        self._server.postprocess_output_data = _as_json  # type: ignore[method-assign]

    def _schemas(self, endpoint_name: str) -> list[Schema]:
        function = self._server.get_block_fn_from_endpoint_name(endpoint_name)
        assert function is not None  # the server made the list from its functions
        return [output.api_info() for output in function.outputs]  # type: ignore[union-attr]

    async def _listed(self, request: Any) -> Any:
        result: Any = await self._list(request)  # the SDK's type is that of every handler's result
        for tool in result.root.tools:
            tool.outputSchema = _record_schema(self._outputs[tool.name])
        return result

    async def _called(self, request: Any) -> Any:
        result: Any = await self._call(request)
        answer = result.root
        if not answer.isError:
            (text,) = answer.content
            answer.structuredContent = _record(json.loads(text.text), self._outputs[request.params.name])
            text.text = json.dumps(answer.structuredContent, ensure_ascii=False)
        return result


def _as_json(data: Sequence[Any], root_url: str) -> list[Any]:
    """All outputs as one text of JSON, addresses of files made whole."""
    from gradio.processing_utils import add_root_url
    from mcp import types

    return [types.TextContent(type="text", text=json.dumps(add_root_url(list(data), root_url, None)))]


def _is_record(schemas: Sequence[Schema]) -> bool:
    return len(schemas) == 1 and (schemas[0].get("type") == "object" or "anyOf" in schemas[0])


def _record_schema(schemas: Sequence[Schema]) -> Schema:
    if _is_record(schemas):
        return {"type": "object"} | schemas[0]
    fields = {schema["title"]: schema for schema in schemas}
    return {"type": "object", "properties": fields, "required": list(fields)}


def _record(outputs: list[Any], schemas: Sequence[Schema]) -> dict[str, Any]:
    if _is_record(schemas):
        return outputs[0]
    if len(outputs) == 1 and len(schemas) > 1:  # without progress, Gradio's client hands over several as one
        (outputs,) = outputs
    return {schema["title"]: value for schema, value in zip(schemas, outputs, strict=True)}
