"""What every table is made with."""

from sqlalchemy import Column, MetaData, String

metadata = MetaData()


def random_id() -> Column[str]:
    return Column("id", String, primary_key=True, comment="A random name. Reveals nothing.")
