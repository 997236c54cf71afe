"""Reads the style sheets and scripts of assets/web, and puts plain HTML on a page.

It knows where they are, not what they do.
"""

from pathlib import Path
from typing import Any

import gradio as gr

WEB_DIR = Path(__file__).parents[2] / "assets" / "web"
STYLE_SHEETS = tuple(
    WEB_DIR / f"{name}.css"
    for name in (
        "theme", "board", "queue", "login", "accounts", "tour", "modes", "curate", "curate_views", "curate_boards",
        "study", "insight", "skip", "saliency", "training",
    )
)  # fmt: skip


def read_web(*names: str) -> str:
    """The texts of several files of assets/web, one after the other."""
    return "\n".join((WEB_DIR / name).read_text(encoding="utf-8") for name in names)


def plain_html(value: str, **options: Any) -> gr.HTML:
    """HTML that only our own style sheets dress."""
    return gr.HTML(value, apply_default_css=False, **options)
