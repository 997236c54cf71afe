"""Images, datasets and the chain of decisions: what can never be made again.

Revision 0001, the first.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON_TYPE = sa.JSON().with_variant(JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True)
FILTER_COLUMNS = (
    "id", "diagnosis", "asymmetry", "border", "num_colours", "measured_asymmetry", "measured_border",
    "measured_num_colours", "malignant_probability", "memorised", "model", "caption",
)  # fmt: skip


def upgrade() -> None:
    op.create_table(
        "images",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("content_sha256", sa.String(64), nullable=False),
        sa.Column("path", sa.String(255), nullable=False),
        sa.Column("width_px", sa.Integer(), nullable=False),
        sa.Column("height_px", sa.Integer(), nullable=False),
        sa.Column("job_id", sa.String(36)),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("model", sa.String(255), nullable=False),
        sa.Column("diagnosis", sa.String(16)),
        sa.Column("asymmetry", sa.Double()),
        sa.Column("border", sa.Double()),
        sa.Column("num_colours", sa.Integer()),
        sa.Column("measured_asymmetry", sa.Double()),
        sa.Column("measured_border", sa.Double()),
        sa.Column("measured_num_colours", sa.Integer()),
        sa.Column("malignant_probability", sa.Double()),
        sa.Column("memorised", sa.Boolean()),
        sa.Column("caption", sa.Text(), nullable=False),
        sa.Column("generated", JSON_TYPE, nullable=False),
        sa.Column("assessment", JSON_TYPE, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_images"),
        sa.UniqueConstraint("sha256", name="uq_images_sha256"),
        sa.UniqueConstraint("content_sha256", name="uq_images_content_sha256"),
    )
    op.create_index("ix_images_job_id", "images", ["job_id"])
    op.create_index("ix_images_filter", "images", list(FILTER_COLUMNS))
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(100), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_datasets"),
        sa.UniqueConstraint("name", name="uq_datasets_name"),
    )
    _create_decisions()


def _create_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("reviewer", sa.String(100), nullable=False),
        sa.Column("dataset_id", sa.String(36), nullable=False),
        sa.Column("image_id", sa.String(36), nullable=False),
        sa.Column("verdict", sa.String(16)),
        sa.Column("realism", sa.Integer()),
        sa.Column("tags", JSON_TYPE, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("undoes", sa.String(36)),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
        sa.UniqueConstraint("sequence", name="uq_decisions_sequence"),
        sa.UniqueConstraint("undoes", name="uq_decisions_undoes"),
        sa.UniqueConstraint("hash", name="uq_decisions_hash"),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_decisions_dataset_id_datasets"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_decisions_image_id_images"),
        sa.ForeignKeyConstraint(["undoes"], ["decisions.id"], name="fk_decisions_undoes_decisions"),
    )
    op.create_index("ix_decisions_image_id", "decisions", ["image_id"])
    op.create_index("ix_decisions_state", "decisions", ["dataset_id", "image_id", "reviewer", "sequence"])
    op.create_index("ix_decisions_reviewer", "decisions", ["dataset_id", "reviewer", "sequence"])


def downgrade() -> None:
    op.drop_table("decisions")
    op.drop_table("datasets")
    op.drop_table("images")
