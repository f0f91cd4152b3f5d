"""Alembic's environment: one connection, handed over by ``upgrade.py``; there is no other way to run it."""

from alembic import context

from commun.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the transaction is upgrade.py's, around everything
    render_as_batch=True,
)
context.run_migrations()
