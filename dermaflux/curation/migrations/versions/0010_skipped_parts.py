"""Parts of a job that its owner asked to skip.

Revision 0010. Going down forgets what was asked and not yet done. What was skipped stays in the results of its job:
earlier versions take it for an image that was removed, show nothing in its place, and draw it when they try again.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("skip_asked", sa.JSON().with_variant(JSONB(), "postgresql")))


def downgrade() -> None:
    with op.batch_alter_table("jobs") as jobs:
        jobs.drop_column("skip_asked")
