"""The board of sample cards as a Gradio component: its template, its script and its events.

`value` is `{"job": {...} | None, "cards": [...], "empty": text}`, a card as JSON text (`BoardView.packed`); `verdicts`,
`refusals` (a reason each), `saliency` (a list of `{"picture": URI, "label", "alt", "note"}` each, one a side) and
`originals` are maps by image id that handlers send beside it, so that an answer to one card never disturbs the stream
of the others.
"""

import gradio as gr

from pages.components.web import read_web


def sample_board(
    *, elem_id: str, empty: str, reusable: bool = False, calibration: str = ""
) -> gr.HTML:
    """An empty board. With `table` in its value the cards are cells under headings.

    reusable: cards offer `used`; calibration: what is said beside every probability.
    Events: `decided` (image_id, verdict), `undone` (), `saliency` (image_id), `enlarged` (image_id), `used` (image_id,
    remix), `skipped` (job_id, image_index).
    """
    return gr.HTML(
        value={"job": None, "cards": [], "empty": empty},
        html_template=read_web("board.html"),
        js_on_load=read_web("card.js", "table.js", "zoom.js", "zoom_compare.js", "board.js"),
        apply_default_css=False,
        elem_id=elem_id,
        reusable=reusable,
        calibration=calibration,
        verdicts={},
        refusals={},
        saliency={},
        originals={},
    )


LEGEND = (
    '<div class="df-legend"><span><i class="bar"></i> measured</span><span><i class="tick"></i> requested</span>'
    "<span><kbd>A</kbd> accept</span><span><kbd>R</kbd> reject</span><span><kbd>U</kbd> unsure</span>"
    "<span><kbd>←</kbd><kbd>→</kbd> move</span><span><kbd>S</kbd> saliency</span><span><kbd>Z</kbd> enlarge</span>"
    "<span><kbd>Ctrl</kbd>+<kbd>Z</kbd> undo</span></div>"
)
