"""Whether a text holds a word, in capitals or not, on any database. It knows no table."""

from typing import Any

from sqlalchemy import Boolean, ColumnElement, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

_ESCAPE = "/"


class _HoldsLike(FunctionElement[bool]):
    """text LIKE pattern, where capitals of ASCII do not matter."""

    name = "holds_like"
    type = Boolean()
    inherit_cache = True


def holds_word(text: Any, word: str) -> ColumnElement[bool]:
    """The condition that a text column holds the word somewhere; `%` and `_` mean themselves."""
    meant = word
    for sign in (_ESCAPE, "%", "_"):
        meant = meant.replace(sign, _ESCAPE + sign)
    return _HoldsLike(text, literal(f"%{meant}%"))


@compiles(_HoldsLike)
def _lowered(element: _HoldsLike, compiler: Any, **options: Any) -> str:
    text, pattern = (compiler.process(clause, **options) for clause in element.clauses)
    return f"lower({text}) LIKE lower({pattern}) ESCAPE '{_ESCAPE}'"


@compiles(_HoldsLike, "sqlite")
def _as_it_is(element: _HoldsLike, compiler: Any, **options: Any) -> str:
    """SQLite's LIKE disregards capitals by itself: lowering every caption first takes as long as the search."""
    text, pattern = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{text} LIKE {pattern} ESCAPE '{_ESCAPE}'"
