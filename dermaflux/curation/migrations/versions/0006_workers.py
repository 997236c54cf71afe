"""Jobs that any worker may take: who has one, who is alive, pauses, previews for other processes, and what parts take.

Revision 0006, after 0005. What an earlier version left running is interrupted, as its next start would have made it.
Going down, jobs at rest are interrupted too: earlier versions can try them again, but know no pause.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
_INDEXES = {"ix_jobs_user_id": ["user", "id"], "ix_jobs_pace_key_id": ["pace_key", "id"]}


def upgrade() -> None:
    op.create_table(
        "job_workers",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("beat_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job_workers"),
    )
    op.create_table(
        "job_queue_pause",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("paused_at", MOMENT, nullable=False),
        sa.Column("paused_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_job_queue_pause"),
    )
    op.create_table(
        "job_previews",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("part", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_job_previews"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name="fk_job_previews_job_id_jobs", ondelete="CASCADE"),
    )
    for column in (
        sa.Column("worker_id", sa.String()),
        sa.Column("num_deaths", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("pause_asked", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("hidden", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("pace_key", sa.String()),
        sa.Column("worked_seconds", sa.Double(), nullable=False, server_default=sa.text("0")),
    ):
        op.add_column("jobs", column)
    for name, columns in _INDEXES.items():
        op.create_index(name, "jobs", columns)
    _interrupt("running")


def downgrade() -> None:
    _interrupt("running")
    _interrupt("paused")
    for name in _INDEXES:
        op.drop_index(name, "jobs")
    for table in ("job_previews", "job_queue_pause", "job_workers"):
        op.drop_table(table)
    with op.batch_alter_table("jobs") as jobs:
        for name in ("worked_seconds", "pace_key", "hidden", "pause_asked", "num_deaths", "worker_id"):
            jobs.drop_column(name)


def _interrupt(state: str) -> None:
    jobs = sa.table("jobs", sa.column("state", sa.String()))
    op.execute(jobs.update().where(jobs.c.state == state).values(state="interrupted"))
