"""Looks whether the database is sound: its file or server, schema, references, the chain, the derived verdicts.

It changes nothing and opens no image file (`file_health` does). A check that cannot be made says why.
"""

from collections.abc import Callable

from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, exists, func, inspect, select, text
from sqlalchemy.orm import Session, aliased
from sqlalchemy.sql.schema import ForeignKeyConstraint

from dermaflux.curation import chain, verdicts
from dermaflux.curation.database import READS_ONLY, head_revision, storage_errors
from dermaflux.curation.health_records import Check, Repair
from dermaflux.curation.tables import Base
from dermaflux.domain.errors import StorageNotWritable

_MAX_COMPLAINTS = 3


def check_database(engine: Engine) -> tuple[Check, ...]:
    """Every check of the database, the later ones only where the earlier ones let them be made."""
    reader = engine.execution_options(**READS_ONLY)
    checks = [_made("database", reader, _integrity)]
    if not checks[0].ok:
        return tuple(checks)
    checks.append(_made("schema", reader, _schema))
    if not checks[1].ok:
        return tuple(checks)
    checks.append(_made("references", reader, _references))
    checks.append(_made("decisions", reader, _decisions))
    checks.append(_made("verdicts", reader, _verdicts))
    return tuple(checks)


def _made(name: str, engine: Engine, look: Callable[[Connection], Check]) -> Check:
    try:
        with storage_errors("be examined"), engine.connect() as connection:
            return look(connection)
    except StorageNotWritable as error:
        return Check(name=name, ok=False, says=str(error))


def _integrity(connection: Connection) -> Check:
    if connection.dialect.name != "sqlite":
        version = ".".join(str(part) for part in connection.dialect.server_version_info or ())
        return Check(name="database", ok=True, says=f"{connection.dialect.name} {version} answers")
    complaints = connection.exec_driver_sql(f"PRAGMA integrity_check({_MAX_COMPLAINTS})").scalars().all()
    if complaints == ["ok"]:
        return Check(name="database", ok=True, says="the SQLite file is sound")
    says = f"the file is damaged ({'; '.join(' '.join(str(c).split()) for c in complaints)}). Restore a backup."
    return Check(name="database", ok=False, says=says)


def _schema(connection: Connection) -> Check:
    found, wanted = MigrationContext.configure(connection).get_current_revision(), head_revision()
    if found == wanted:
        return Check(name="schema", ok=True, says=f"revision {found}, the newest")
    if found is None or found < str(wanted):
        says = f"revision {found or 'none'}, this program needs {wanted}; the next start of the app brings it there"
        return Check(name="schema", ok=False, says=says, repair=Repair.SCHEMA)
    return Check(name="schema", ok=False, says=f"revision {found} is newer than {wanted}. Update the program.")


def _references(connection: Connection) -> Check:
    if connection.dialect.name == "sqlite":
        broken = [f"{row[0]} -> {row[2]}" for row in connection.exec_driver_sql("PRAGMA foreign_key_check")]
    else:
        broken = _dangling(connection) + _not_enforced(connection)
    if broken:
        kinds = sorted(set(broken))
        says = f"{len(broken)} rows point at nothing ({', '.join(kinds)}). Restore a backup."
        return Check(name="references", ok=False, says=says, items=tuple(kinds))
    return Check(name="references", ok=True, says="every row points at rows that are there")


def _dangling(connection: Connection) -> list[str]:
    found: list[str] = []
    tables = set(inspect(connection).get_table_names())
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_key_constraints:
            if {table.name, key.referred_table.name} <= tables:
                found += [f"{table.name} -> {key.referred_table.name}"] * _number_dangling(connection, key)
    return found


def _number_dangling(connection: Connection, key: ForeignKeyConstraint) -> int:
    (element,) = key.elements  # no key of ours has two columns
    target = aliased(element.column.table)
    own = element.parent
    there = exists().where(target.c[element.column.name] == own)
    statement = select(func.count()).select_from(key.table).where(own.is_not(None), ~there)
    return connection.scalar(statement) or 0


def _not_enforced(connection: Connection) -> list[str]:
    statement = text("SELECT conname FROM pg_constraint WHERE contype = 'f' AND NOT convalidated")
    return [f"{name} is not enforced" for name in connection.execute(statement).scalars()]


def _decisions(connection: Connection) -> Check:
    with Session(connection) as session:
        report = chain.check(session)
    if report.problem:
        says = f"{report.problem} Keep this database as it is and restore a backup."
        return Check(name="decisions", ok=False, says=says)
    says = f"{report.num_decisions} in an unbroken chain, head {report.head[:12]}"
    return Check(name="decisions", ok=True, says=says)


def _verdicts(connection: Connection) -> Check:
    with Session(connection) as session:
        problem = verdicts.disagreement(session)
    if problem:
        return Check(name="verdicts", ok=False, says=problem, repair=Repair.VERDICTS)
    return Check(name="verdicts", ok=True, says="the derived verdicts are what the decisions say")
