"""A start waits for what a choice brings along: the caption of a moved slider, the settings of a chosen model.

They come from the server a moment after the choice; a click in that moment would draw with what stood there before,
or be refused over a size that the former model had. assets/web/settling.js counts and waits. It knows no control.
"""

from collections.abc import Callable
from typing import Any

import gradio as gr

from pages.page import QUICK

_BEGIN = "(...values) => { window.dfSettling.begin(); return values; }"
_END = "() => window.dfSettling.end()"
_WAIT = "() => window.dfSettling.done()"


def follow_choice(triggers: list[Any], handler: Callable[..., Any], *, inputs: Any, outputs: Any, **how: Any) -> None:
    """Let the handler follow these events as `gr.on` does; a start that is clicked meanwhile waits for its answer."""
    answered = gr.on(triggers, handler, inputs=inputs, outputs=outputs, js=_BEGIN, **how)
    answered.then(None, None, None, js=_END, **QUICK)
    answered.failure(None, None, None, js=_END, **QUICK)  # Gradio's page calls `then` only where all went well


def when_settled(start: gr.Button) -> Any:
    """The click on a start once every choice made before it is answered; go on with `then`."""
    return start.click(None, None, None, js=_WAIT, **QUICK)
