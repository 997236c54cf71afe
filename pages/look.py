"""The theme and the web assets that launch() needs: system fonts only, calm colours, light and dark."""

import inspect
from typing import Any

import gradio as gr

from pages.components.web import STYLE_SHEETS, read_web

_SANS = (
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "Helvetica Neue",
    "Arial",
    "sans-serif",
)
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")


def theme() -> gr.themes.Base:
    """The Gradio theme in the colours of assets/web/theme.css."""
    look = gr.themes.Base(
        primary_hue="cyan",
        neutral_hue="slate",
        radius_size="md",
        text_size="md",
        font=_SANS,
        font_mono=_MONO,
    )
    values = {
        "body_background_fill": "var(--df-ground)",
        "body_text_color": "var(--df-ink)",
        "body_text_color_subdued": "var(--df-soft)",
        "block_background_fill": "var(--df-surface)",
        "block_border_color": "var(--df-line)",
        "border_color_primary": "var(--df-line)",
        "border_color_accent": "var(--df-accent)",
        "color_accent": "var(--df-accent)",
        "color_accent_soft": "var(--df-accent-wash)",
        "link_text_color": "var(--df-accent)",
        "link_text_color_hover": "var(--df-accent-strong)",
        "link_text_color_visited": "var(--df-accent)",
        "slider_color": "var(--df-accent)",
        "input_background_fill": "var(--df-surface)",
        "input_border_color": "var(--df-line)",
        "input_border_color_focus": "var(--df-accent)",
        "block_label_text_color": "var(--df-soft)",
        "block_title_text_color": "var(--df-ink)",
        "block_info_text_color": "var(--df-soft)",
        "panel_background_fill": "var(--df-surface)",
        "background_fill_primary": "var(--df-surface)",
        "background_fill_secondary": "var(--df-raised)",
        "button_primary_background_fill": "var(--df-accent)",
        "button_primary_background_fill_hover": "var(--df-accent-strong)",
        "button_primary_text_color": "var(--df-on-accent)",
        "button_secondary_background_fill": "var(--df-surface)",
        "button_secondary_background_fill_hover": "var(--df-accent-wash)",
        "button_secondary_border_color": "var(--df-line-strong)",
        "button_secondary_text_color": "var(--df-ink)",
        "checkbox_background_color_selected": "var(--df-accent)",
        "checkbox_border_color_selected": "var(--df-accent)",
        "checkbox_label_background_fill": "var(--df-surface)",
        "table_even_background_fill": "var(--df-surface)",
        "table_odd_background_fill": "var(--df-raised)",
    }
    # The variables themselves change with the theme, so both themes name the same ones.
    known = inspect.signature(look.set).parameters
    dark = {f"{name}_dark": value for name, value in values.items() if f"{name}_dark" in known}
    return look.set(**values, **dark)


def launch_options() -> dict[str, Any]:
    """What every launch() of this app passes: the look, and no history, no telemetry, no sharing."""
    return {
        "theme": theme(),
        "css_paths": [str(path) for path in STYLE_SHEETS],
        "head": f"<script>{read_web('shell.js', 'settling.js', 'tour.js')}</script>",
        "footer_links": ["api"],
        "run_history": False,
        "ssr_mode": False,
        "enable_monitoring": False,
        "share": False,
        "show_error": True,
        "max_file_size": "20mb",
        "quiet": True,
        "_frontend": False,  # only skips a look at our own address, which a busy machine fails within its 3 s
    }
