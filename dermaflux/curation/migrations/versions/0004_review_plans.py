"""Review plans, leases, adjudications, and decisions that know their request.

Revision 0004, after 0003. Going down keeps every decision; which of them are adjudications is noted in a table of
its own, where going up again finds it, because their hashes say so. Plans, leases and request ids are dropped.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
NOTED = "noted_adjudications"
REBUILD = (
    "DELETE FROM image_verdicts",
    "DELETE FROM current_decisions",
    """
INSERT INTO adjudications (dataset_id, image_id, decision_id, verdict)
SELECT d.dataset_id, d.image_id, d.id, d.verdict
FROM decisions d
WHERE d.adjudicates AND d.verdict IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes = d.id)
  AND NOT EXISTS (
    SELECT 1 FROM decisions later
    WHERE later.dataset_id = d.dataset_id AND later.image_id = d.image_id AND later.adjudicates
      AND later.sequence > d.sequence AND later.verdict IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes = later.id))
""",
    """
INSERT INTO current_decisions (dataset_id, image_id, reviewer, decision_id, verdict, realism)
SELECT d.dataset_id, d.image_id, d.reviewer, d.id, d.verdict, d.realism
FROM decisions d
WHERE NOT d.adjudicates AND d.verdict IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes = d.id)
  AND NOT EXISTS (
    SELECT 1 FROM decisions later
    WHERE later.dataset_id = d.dataset_id AND later.image_id = d.image_id AND later.reviewer = d.reviewer
      AND NOT later.adjudicates AND later.sequence > d.sequence AND later.verdict IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM decisions u WHERE u.undoes = later.id))
""",
    """
INSERT INTO image_verdicts (dataset_id, image_id, verdict, num_reviewers, realism)
SELECT dataset_id, image_id,
  CASE WHEN MAX(settled) IS NOT NULL THEN MAX(settled)
       WHEN SUM(CASE WHEN verdict = 'reject' THEN 1 ELSE 0 END) > 0 THEN 'reject'
       WHEN SUM(CASE WHEN verdict = 'accept' THEN 1 ELSE 0 END) > 0 THEN 'accept'
       ELSE 'unsure' END,
  COUNT(verdict), AVG(CAST(realism AS FLOAT))
FROM (
  SELECT dataset_id, image_id, verdict, realism, CAST(NULL AS VARCHAR(16)) AS settled FROM current_decisions
  UNION ALL
  SELECT dataset_id, image_id, NULL, NULL, verdict FROM adjudications) said
GROUP BY dataset_id, image_id
""",
)


def upgrade() -> None:
    op.add_column("decisions", sa.Column("adjudicates", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("decisions", sa.Column("request_id", sa.String(64)))
    op.create_index("ix_decisions_request_id", "decisions", ["request_id"], unique=True)
    op.create_index("ix_image_verdicts_progress", "image_verdicts", ["dataset_id", "num_reviewers", "image_id"])
    _create_review_plans_and_leases()
    op.create_table(
        "adjudications",
        sa.Column("dataset_id", sa.String(36), nullable=False),
        sa.Column("image_id", sa.String(36), nullable=False),
        sa.Column("decision_id", sa.String(36), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "image_id", name="pk_adjudications"),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_adjudications_dataset_id_datasets"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_adjudications_image_id_images"),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name="fk_adjudications_decision_id_decisions"),
    )
    if sa.inspect(op.get_bind()).has_table(NOTED):
        _take_up_noted_adjudications()


def _create_review_plans_and_leases() -> None:
    op.create_table(
        "review_plans",
        sa.Column("dataset_id", sa.String(36), nullable=False),
        sa.Column("reviewers_per_image", sa.Integer(), nullable=False),
        sa.Column("blinded", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", name="pk_review_plans"),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_review_plans_dataset_id_datasets"),
    )
    op.create_table(
        "leases",
        sa.Column("dataset_id", sa.String(36), nullable=False),
        sa.Column("image_id", sa.String(36), nullable=False),
        sa.Column("reviewer", sa.String(100), nullable=False),
        sa.Column("leased_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("dataset_id", "image_id", "reviewer", name="pk_leases"),
        sa.ForeignKeyConstraint(["dataset_id"], ["datasets.id"], name="fk_leases_dataset_id_datasets"),
        sa.ForeignKeyConstraint(["image_id"], ["images.id"], name="fk_leases_image_id_images"),
    )
    op.create_index("ix_leases_reviewer", "leases", ["dataset_id", "reviewer", "leased_at"])
    op.create_index("ix_leases_expires_at", "leases", ["expires_at"])


def _take_up_noted_adjudications() -> None:
    op.execute(f"UPDATE decisions SET adjudicates = {_true()} WHERE id IN (SELECT decision_id FROM {NOTED})")
    for statement in REBUILD:  # an earlier version took the adjudications for plain verdicts
        op.execute(statement)
    op.drop_table(NOTED)


def _true() -> str:
    return "true" if op.get_bind().dialect.name == "postgresql" else "1"


def downgrade() -> None:
    op.execute(f"CREATE TABLE {NOTED} AS SELECT id AS decision_id FROM decisions WHERE adjudicates")
    if not op.get_bind().scalar(sa.text(f"SELECT count(*) FROM {NOTED}")):
        op.drop_table(NOTED)
    op.drop_table("adjudications")
    op.drop_table("leases")
    op.drop_table("review_plans")
    op.drop_index("ix_image_verdicts_progress", "image_verdicts")
    op.drop_index("ix_decisions_request_id", "decisions")
    op.drop_column("decisions", "request_id")
    op.drop_column("decisions", "adjudicates")
