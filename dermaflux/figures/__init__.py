"""Layer between capabilities and front ends: reports, histories and studies drawn as figures, with their numbers.

It imports plotly only when something is drawn. It knows no page, no file and no model.
"""

from dermaflux.figures.drawing import Drawing, csv_text, page_html

__all__ = ["Drawing", "csv_text", "page_html"]
