"""Images that went and left their hash, and when the chain of decisions was written anew.

Revision 0005, after 0004. A decision may now be about an image that is no longer in the pool, so its foreign key goes.
Going down keeps every decision and the hashes of images that went; the key comes back when no image did.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
KEY = "fk_decisions_image_id_images"
NOTED = "noted_purged_images"


def upgrade() -> None:
    if sa.inspect(op.get_bind()).has_table(NOTED):
        op.rename_table(NOTED, "purged_images")
    else:
        op.create_table(
            "purged_images",
            sa.Column("id", sa.String(36), nullable=False),
            sa.Column("sha256", sa.String(64), nullable=False),
            sa.Column("purged_at", MOMENT, nullable=False),
            sa.Column("reason", sa.String(255), nullable=False),
            sa.PrimaryKeyConstraint("id", name="pk_purged_images"),
        )
    op.create_table(
        "chain_rewrites",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("rewritten_at", MOMENT, nullable=False),
        sa.Column("reason", sa.String(255), nullable=False),
        sa.Column("first_sequence", sa.Integer(), nullable=False),
        sa.Column("old_head", sa.String(64), nullable=False),
        sa.Column("new_head", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_chain_rewrites"),
    )
    if any(key["name"] == KEY for key in sa.inspect(op.get_bind()).get_foreign_keys("decisions")):
        with op.batch_alter_table("decisions") as table:
            table.drop_constraint(KEY, type_="foreignkey")


def downgrade() -> None:
    op.drop_table("chain_rewrites")
    if op.get_bind().scalar(sa.text("SELECT count(*) FROM purged_images")):
        op.rename_table("purged_images", NOTED)
        return
    op.drop_table("purged_images")
    with op.batch_alter_table("decisions") as table:
        table.create_foreign_key(KEY, "images", ["image_id"], ["id"])
