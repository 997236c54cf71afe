"""What curation in the browser needs: owners' datasets, saved filters, verdicts given together, facts to sort by.

Also images known to be no duplicates. Revision 0008, after 0005. Going down keeps every decision; who may see a
dataset, saved filters and what is no duplicate are dropped, so an older version shares datasets that were private.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from dermaflux.columns import AnyJson

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
OLD_FILTER = (
    "id", "diagnosis", "asymmetry", "border", "num_colours", "measured_asymmetry", "measured_border",
    "measured_num_colours", "malignant_probability", "memorised", "model", "caption",
)  # fmt: skip
NEW_FILTER = (*OLD_FILTER[:-2], "skin_tone", "agrees", "distance", *OLD_FILTER[-2:])
ROWS_A_FETCH = 1000
NUM_COLOURS = 6


def upgrade() -> None:
    op.add_column("datasets", sa.Column("private", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("datasets", sa.Column("archived_at", MOMENT))
    op.add_column("decisions", sa.Column("batch_id", sa.String(64)))
    op.create_index("ix_decisions_batch_id", "decisions", ["batch_id"])
    op.add_column("images", sa.Column("skin_tone", sa.String(4)))
    op.add_column("images", sa.Column("agrees", sa.Boolean()))
    op.add_column("images", sa.Column("distance", sa.Double()))
    _fill_images()
    op.drop_index("ix_images_filter", "images")
    op.create_index("ix_images_filter", "images", list(NEW_FILTER))
    op.create_table(
        "saved_filters",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("owner", sa.String(100), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("words", AnyJson(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_saved_filters"),
        sa.UniqueConstraint("owner", "name", name="uq_saved_filters_owner_name"),
    )
    op.create_table(
        "distinct_images",
        sa.Column("first_id", sa.String(36), nullable=False),
        sa.Column("second_id", sa.String(36), nullable=False),
        sa.Column("said_by", sa.String(100), nullable=False),
        sa.Column("said_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("first_id", "second_id", name="pk_distinct_images"),
        sa.ForeignKeyConstraint(["first_id"], ["images.id"], name="fk_distinct_images_first_id_images"),
        sa.ForeignKeyConstraint(["second_id"], ["images.id"], name="fk_distinct_images_second_id_images"),
    )
    op.create_index("ix_distinct_images_second_id", "distinct_images", ["second_id"])


def _fill_images() -> None:
    images = sa.table(
        "images", sa.column("id", sa.String), sa.column("generated", AnyJson()), sa.column("assessment", AnyJson()),
        sa.column("skin_tone", sa.String), sa.column("agrees", sa.Boolean), sa.column("distance", sa.Double),
    )  # fmt: skip
    connection, last = op.get_bind(), ""
    while True:
        query = sa.select(images.c.id, images.c.generated, images.c.assessment).where(images.c.id > last)
        rows = connection.execute(query.order_by(images.c.id).limit(ROWS_A_FETCH)).all()
        if not rows:
            return
        last = rows[-1].id
        found = [{"key": row.id, **_facts(row.generated, row.assessment)} for row in rows]
        connection.execute(
            sa.update(images)
            .where(images.c.id == sa.bindparam("key"))
            .values({name: sa.bindparam(name) for name in ("skin_tone", "agrees", "distance")}),
            found,
        )


def _facts(generated: dict[str, Any], assessment: dict[str, Any]) -> dict[str, Any]:
    """As of this revision what the store writes with a new image."""
    spec, measured = generated.get("spec"), assessment.get("measurement") or {}
    predicted = assessment.get("prediction") or {}
    if not spec:
        return {"skin_tone": None, "agrees": None, "distance": None}
    malignant, threshold = predicted.get("malignant"), predicted.get("threshold")
    asked_malignant = spec["diagnosis"] in ("mel", "bcc", "akiec", "malignant")
    agrees = None if malignant is None or threshold is None else (malignant >= threshold) == asked_malignant
    distance = None
    if measured.get("asymmetry") is not None and measured.get("border") is not None:
        wrong = set(spec["colours"]) ^ set(measured.get("colours") or ())
        parts = [
            abs(spec["asymmetry"] - measured["asymmetry"]) / 2,
            abs(spec["border"] - measured["border"]) / 8,
            len(wrong) / NUM_COLOURS,
        ]
        if malignant is not None:
            parts.append(1 - malignant if asked_malignant else malignant)
        distance = sum(parts) / len(parts)
    return {"skin_tone": spec.get("skin_tone"), "agrees": agrees, "distance": distance}


def downgrade() -> None:
    op.drop_table("distinct_images")
    op.drop_table("saved_filters")
    op.drop_index("ix_images_filter", "images")
    op.create_index("ix_images_filter", "images", list(OLD_FILTER))
    for name in ("distance", "agrees", "skin_tone"):
        op.drop_column("images", name)
    op.drop_index("ix_decisions_batch_id", "decisions")
    op.drop_column("decisions", "batch_id")
    op.drop_column("datasets", "archived_at")
    op.drop_column("datasets", "private")
