"""Text for a table that a spreadsheet will open."""

_BEGINS_FORMULA = "=+-@\t\r"


def inert(text: str) -> str:
    """A text that a spreadsheet takes for text, whatever it begins with."""
    return f"'{text}" if text[:1] and text[:1] in _BEGINS_FORMULA else text
