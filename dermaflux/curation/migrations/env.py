"""Runs migrations on the connection that `dermaflux.curation.database` hands over, inside its transaction."""

from alembic import context

from dermaflux.curation.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot ALTER most things
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
