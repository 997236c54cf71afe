"""Local accounts and their access keys. Revision 0007.

Going down deletes them: without the tables nobody could log in with them anyway.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("last_seen_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("key", name="pk_accounts"),
    )
    op.create_table(
        "access_keys",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("account_key", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("label", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("last_used_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_access_keys"),
        sa.UniqueConstraint("sha256", name="uq_access_keys_sha256"),
        sa.ForeignKeyConstraint(
            ["account_key"], ["accounts.key"], name="fk_access_keys_account_key_accounts", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_access_keys_account_key", "access_keys", ["account_key"])


def downgrade() -> None:
    op.drop_table("access_keys")
    op.drop_table("accounts")
