"""Blinded reader studies: what is shown, who reads, what they answer.

Revision 0009. Going down removes the studies with their answers: export them first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
JSON_TYPE = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "studies",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(100), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT),
        sa.Column("plan", JSON_TYPE, nullable=False),
        sa.Column("sources", JSON_TYPE, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_studies"),
        sa.UniqueConstraint("name", name="uq_studies_name"),
    )
    op.create_table(
        "study_items",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("study_id", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("origin", sa.String(255), nullable=False),
        sa.Column("origin_sha256", sa.String(64), nullable=False),
        sa.Column("diagnosis", sa.String(16)),
        sa.Column("repeats", sa.String(36)),
        sa.Column("wanted_source", sa.String(16)),
        sa.Column("wanted_confidence", sa.Integer()),
        sa.PrimaryKeyConstraint("id", name="pk_study_items"),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_study_items_study_id_studies"),
        sa.ForeignKeyConstraint(["repeats"], ["study_items.id"], name="fk_study_items_repeats_study_items"),
    )
    op.create_index("ix_study_items_study_id", "study_items", ["study_id"])
    _create_readers_and_answers()


def _create_readers_and_answers() -> None:
    op.create_table(
        "study_readers",
        sa.Column("study_id", sa.String(36), nullable=False),
        sa.Column("reader", sa.String(100), nullable=False),
        sa.Column("item_order", JSON_TYPE, nullable=False),
        sa.Column("joined_at", MOMENT, nullable=False),
        sa.Column("turned_at", MOMENT, nullable=False),
        sa.Column("finished_at", MOMENT),
        sa.Column("unblinded_at", MOMENT),
        sa.PrimaryKeyConstraint("study_id", "reader", name="pk_study_readers"),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_study_readers_study_id_studies"),
    )
    op.create_table(
        "study_answers",
        sa.Column("study_id", sa.String(36), nullable=False),
        sa.Column("reader", sa.String(100), nullable=False),
        sa.Column("item_id", sa.String(36), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("confidence", sa.Integer(), nullable=False),
        sa.Column("lesion", sa.String(16)),
        sa.Column("browser_ms", sa.Integer(), nullable=False),
        sa.Column("server_ms", sa.Integer(), nullable=False),
        sa.Column("num_pauses", sa.Integer(), nullable=False),
        sa.Column("zoomed", sa.Boolean(), nullable=False),
        sa.Column("answered_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("study_id", "reader", "item_id", name="pk_study_answers"),
        sa.ForeignKeyConstraint(["study_id"], ["studies.id"], name="fk_study_answers_study_id_studies"),
        sa.ForeignKeyConstraint(["item_id"], ["study_items.id"], name="fk_study_answers_item_id_study_items"),
    )


def downgrade() -> None:
    op.drop_table("study_answers")
    op.drop_table("study_readers")
    op.drop_index("ix_study_items_study_id", "study_items")
    op.drop_table("study_items")
    op.drop_table("studies")
