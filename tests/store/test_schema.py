"""The tables in the code, in the migrations and in the documentation are the same."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from commun.store import schema, upgrade

COLUMNS = [column for table in schema.metadata.sorted_tables for column in table.columns]
DOCUMENT = Path(__file__).parents[2] / "docs" / "what-is-visible.md"


def test_the_migrations_make_the_tables_of_the_code(store, run):
    def differences(connection):
        return compare_metadata(MigrationContext.configure(connection), schema.metadata)

    assert run(store.database.read(differences)) == []


def test_the_newest_migration_is_the_one_that_the_code_names():
    config = Config()
    config.set_main_option("script_location", str(upgrade._MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.REVISION


@pytest.mark.parametrize("column", COLUMNS, ids=str)
def test_every_column_says_what_it_reveals(column):
    assert column.comment
    assert column.comment.split()[0] in {"In", "Sealed:", "SHA-256", "A", "Derived"}


def test_titles_messages_and_keys_are_sealed():
    sealed = {str(column) for column in COLUMNS if column.comment.startswith("Sealed")}
    assert sealed == {
        "audit_samples.sealed",
        "conversations.title",
        "conversations.sealed_key",
        "folders.instructions",
        "folders.name",
        "feedback.sealed",
        "messages.content",
        "readers.sealed_key",
        "receipts.caller_sealed",
        "receipts.sealed",
        "sent_answers.sealed",
        "sent_keys.sealed_key",
        "sessions.wrapped_key",
        "shares.sealed",
        "unlocks.wrapped_key",
        "vaults.instructions",
    }


def test_the_page_about_what_is_visible_is_the_one_that_the_tables_give():
    assert DOCUMENT.read_text() == schema.describe()
