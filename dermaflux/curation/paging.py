"""Pages of a filter in any order by keyset: each begins after the last image of the one before, however far that is.

The key is the id, or a figure and the id; images without the figure come last. It decides nothing about which pass.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal

from dermaflux.curation.queries import VerdictScope, passing
from dermaflux.curation.records import ImageFilter, Order
from dermaflux.curation.tables import ImageRow
from dermaflux.domain.errors import InvalidRequest

_FIGURES: Mapping[Order, Any] = MappingProxyType({
    Order.MOST_MALIGNANT: ImageRow.malignant_probability,
    Order.LEAST_MALIGNANT: ImageRow.malignant_probability,
    Order.FARTHEST: ImageRow.distance,
    Order.CLOSEST: ImageRow.distance,
})  # fmt: skip
_DESCENDING = (Order.NEWEST, Order.MOST_MALIGNANT, Order.FARTHEST, Order.MOST_REALISTIC)
_BEYOND = 1e9  # a figure that none has, for images without one


def slice_of(
    filters: ImageFilter, scope: VerdictScope | None, after: str | None, offset: int, limit: int
) -> Select[str, float | None]:
    """(image id, figure) of a stretch of what passes; `after` is the cursor of the page before.

    Raises InvalidRequest for a cursor of another order, and as `passing` does.
    """
    query = passing(filters, scope)
    key, figure = query.selected_columns[0], _figure(filters.order, scope)
    falling = filters.order in _DESCENDING
    by = [key] if figure is None else [figure, key]
    if after is not None:
        query = query.where(_beyond(by, _values(after, len(by)), falling))
    query = query.add_columns(literal(None) if figure is None else figure)
    return query.order_by(*(one.desc() if falling else one.asc() for one in by)).offset(offset).limit(limit)


def cursor_of(found: Sequence[Any], limit: int) -> str | None:
    """The cursor of the page after one of these rows (image id, figure); None at the end."""
    if len(found) < limit:
        return None
    image_id, figure = tuple(found[-1])
    return image_id if figure is None else f"{image_id} {figure!r}"


def _figure(order: Order, scope: VerdictScope | None) -> ColumnElement[float] | None:
    beyond = -_BEYOND if order in _DESCENDING else _BEYOND
    if order.by_realism:
        assert scope is not None  # `passing` refuses without a dataset
        return func.coalesce(scope.columns.realism, beyond)
    column = _FIGURES.get(order)
    return None if column is None else func.coalesce(column, beyond)


def _beyond(by: Sequence[ColumnElement[Any]], last: Sequence[Any], falling: bool) -> ColumnElement[bool]:
    if len(by) == 1:
        return by[0] < last[0] if falling else by[0] > last[0]
    (figure, key), (value, image_id) = by, last
    if falling:
        return (figure < value) | ((figure == value) & (key < image_id))
    return (figure > value) | ((figure == value) & (key > image_id))


def _values(cursor: str, number: int) -> Sequence[Any]:
    parts = cursor.split(" ")
    try:
        if len(parts) != number:
            raise ValueError("another number of keys")
        return parts if number == 1 else (float(parts[1]), parts[0])
    except ValueError as error:
        raise InvalidRequest("This page belongs to another order. Begin again at the first page.") from error
