"""What every table is made with."""

from typing import Any

from sqlalchemy import Column, ForeignKey, MetaData, String

metadata = MetaData()


def random_id(comment: str = "A random name. Reveals nothing.") -> Column[str]:
    return Column("id", String, primary_key=True, comment=comment)


def belongs_to(name: str, table: str, *, comment: str, **facts: Any) -> Column[str]:
    """The id of a row of another table, with which this row goes. ``facts``: as of any column."""
    return Column(name, String, ForeignKey(f"{table}.id", ondelete="CASCADE"), comment=comment, **facts)
