"""The two tables derived from the decisions, filled from them.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FILL_CURRENT = """
INSERT INTO current_decisions (dataset_id, image_id, reviewer, decision_id, verdict, realism)
SELECT d.dataset_id, d.image_id, d.reviewer, d.id, d.verdict, d.realism
FROM decisions d
WHERE d.verdict IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes = d.id)
  AND NOT EXISTS (
    SELECT 1 FROM decisions later
    WHERE later.dataset_id = d.dataset_id AND later.image_id = d.image_id AND later.reviewer = d.reviewer
      AND later.sequence > d.sequence AND later.verdict IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes = later.id))
"""
FILL_VERDICTS = """
INSERT INTO image_verdicts (dataset_id, image_id, verdict, num_reviewers, realism)
SELECT dataset_id, image_id,
  CASE WHEN SUM(CASE WHEN verdict = 'reject' THEN 1 ELSE 0 END) > 0 THEN 'reject'
       WHEN SUM(CASE WHEN verdict = 'accept' THEN 1 ELSE 0 END) > 0 THEN 'accept'
       ELSE 'unsure' END,
  COUNT(*), AVG(CAST(realism AS FLOAT))
FROM current_decisions GROUP BY dataset_id, image_id
"""


def upgrade() -> None:
    op.create_table(
        "current_decisions",
        sa.Column("dataset_id", sa.String(36), nullable=False),
        sa.Column("image_id", sa.String(36), nullable=False),
        sa.Column("reviewer", sa.String(100), nullable=False),
        sa.Column("decision_id", sa.String(36), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("realism", sa.Integer()),
        sa.PrimaryKeyConstraint("dataset_id", "image_id", "reviewer", name="pk_current_decisions"),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_current_decisions_dataset_id_datasets"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_current_decisions_image_id_images"),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name="fk_current_decisions_decision_id_decisions"),
    )
    op.create_index(
        "ix_current_decisions_reviewer", "current_decisions", ["dataset_id", "reviewer", "verdict", "image_id"]
    )
    op.create_table(
        "image_verdicts",
        sa.Column("dataset_id", sa.String(36), nullable=False),
        sa.Column("image_id", sa.String(36), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("num_reviewers", sa.Integer(), nullable=False),
        sa.Column("realism", sa.Double()),
        sa.PrimaryKeyConstraint("dataset_id", "image_id", name="pk_image_verdicts"),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_image_verdicts_dataset_id_datasets"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_image_verdicts_image_id_images"),
    )
    op.create_index("ix_image_verdicts_verdict", "image_verdicts", ["dataset_id", "verdict", "image_id"])
    op.execute(FILL_CURRENT)
    op.execute(FILL_VERDICTS)


def downgrade() -> None:
    op.drop_table("image_verdicts")
    op.drop_table("current_decisions")
