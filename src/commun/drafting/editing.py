"""Single changes of a charter's folder, such as a board makes often: the folder in, the changed folder out.

- only the lines that must change do: comments, order and layout stay as people wrote them (tomlkit);
- what comes out is read again by ``charter.source`` and must say exactly what was meant, and nothing else;
- nothing is signed or adopted here; a folder with mistakes is refused (CharterMistakes) before it is touched.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any, Final

import tomlkit
from tomlkit.items import AoT, Comment, Table, Whitespace

from commun.charter.clauses import Board, Charter, Entrenched, Member, Model
from commun.charter.source import read_charter
from commun.drafting.models import model_file, model_path
from commun.errors import N_, CommunError, InternalError

CHARTER_FILE: Final = "charter.toml"
Files = Mapping[str, bytes]


class CannotEdit(CommunError):
    """A change that no charter could hold."""

    code = "cannot_edit"
    status = 409


class UnknownMember(CannotEdit):
    """``details``: ``member``."""

    code = "unknown_member"
    problem = N_("Nobody on the board is called “%(member)s”.")
    cure = N_("“commun charter show” lists the board.")


class AlreadyMember(CannotEdit):
    """``details``: ``member``."""

    code = "already_member"
    problem = N_("“%(member)s”, or this key, is on the board already.")
    cure = N_("Each member needs a name and a key of their own.")


class QuorumImpossible(CannotEdit):
    """``details``: ``quorum``, ``members`` (numbers)."""

    code = "quorum_impossible"
    problem = N_("A quorum of %(quorum)s is not possible with a board of %(members)s.")
    cure = N_("Change the quorum or the board first.")


class StillGuard(CannotEdit):
    """``details``: ``member``."""

    code = "still_guard"
    problem = N_("“%(member)s” guards the entrenched clauses.")
    cure = N_("Take this away too: all guards together must sign it.")


class UnknownModel(CannotEdit):
    """``details``: ``model``."""

    code = "unknown_model"
    problem = N_("The charter has not adopted a model “%(model)s”.")
    cure = N_("Adopt it first; “commun charter show” lists the adopted models.")


def with_member(files: Files, member: Member) -> dict[str, bytes]:
    """Adds a member at the end of the board. Raises AlreadyMember."""
    charter, document = _opened(files)
    board = charter.board
    if any(member.name == other.name or member.key == other.key for other in board.members):
        raise AlreadyMember(member=member.name)
    entry: Any = tomlkit.inline_table()
    members = document["board"]["members"]
    if isinstance(members, AoT):
        entry = tomlkit.table()
    entry.update({"name": member.name, "key": member.key})
    _append(members, entry)
    return _closed(files, document, replace(charter, board=replace(board, members=(*board.members, member))))


def without_member(files: Files, name: str, *, guard: bool = False) -> dict[str, bytes]:
    """``guard``: whether the member stops being a guard, too. Raises UnknownMember, QuorumImpossible, StillGuard."""
    charter, document = _opened(files)
    board, entrenched = charter.board, charter.entrenched
    position = _position(board, name)
    if len(board.members) - 1 < board.quorum:
        raise QuorumImpossible(quorum=board.quorum, members=len(board.members) - 1)
    if name in entrenched.guards:
        if not guard:
            raise StillGuard(member=name)
        document["entrenched"]["guards"].remove(name)  # (the charter has them in order, the file as people wrote them)
    _remove(document["board"]["members"], position)
    members = tuple(member for member in board.members if member.name != name)
    guards = tuple(other for other in entrenched.guards if other != name)
    meant = replace(charter, board=replace(board, members=members), entrenched=Entrenched(entrenched.clauses, guards))
    return _closed(files, document, meant)


def with_guard(files: Files, name: str) -> dict[str, bytes]:
    """Makes a member a guard of the entrenched clauses. Raises UnknownMember."""
    charter, document = _opened(files)
    _position(charter.board, name)
    entrenched = charter.entrenched
    if name in entrenched.guards:
        return dict(files)
    document["entrenched"]["guards"].append(name)
    guards = tuple(sorted((*entrenched.guards, name)))
    return _closed(files, document, replace(charter, entrenched=replace(entrenched, guards=guards)))


def with_quorum(files: Files, quorum: int) -> dict[str, bytes]:
    """Raises QuorumImpossible."""
    charter, document = _opened(files)
    if not 1 <= quorum <= len(charter.board.members):
        raise QuorumImpossible(quorum=quorum, members=len(charter.board.members))
    document["board"]["quorum"] = quorum
    return _closed(files, document, replace(charter, board=replace(charter.board, quorum=quorum)))


def with_default_model(files: Files, model_id: str) -> dict[str, bytes]:
    """Raises UnknownModel."""
    charter, document = _opened(files)
    if model_id not in {model.id for model in charter.models.adopted}:
        raise UnknownModel(model=model_id)
    document["models"]["default"] = model_id
    return _closed(files, document, replace(charter, models=replace(charter.models, default=model_id)))


def with_model(files: Files, model: Model) -> dict[str, bytes]:
    """Adopts a model, in the place of one with its id where there is one."""
    charter = read_charter(files)
    if model in charter.models.adopted:
        return dict(files)
    changed = {**files, model_path(model.id): model_file(model)}
    others = {other for other in charter.models.adopted if other.id != model.id}
    found = read_charter(changed).models.adopted
    if set(found) != {*others, model}:
        raise InternalError
    return changed


def with_mandate(files: Files, until: date) -> dict[str, bytes]:
    """``until``: the mandate's new last day (UTC)."""
    charter, document = _opened(files)
    document["mandate"]["until"] = until
    return _closed(files, document, replace(charter, mandate=replace(charter.mandate, until=until)))


def _opened(files: Files) -> tuple[Charter, Any]:
    """The charter, and its main file as tomlkit has it. Raises CharterMistakes."""
    charter = read_charter(files)
    text = files[CHARTER_FILE].decode()
    return charter, tomlkit.parse(text if text.endswith("\n") else text + "\n")


def _closed(files: Files, document: Any, meant: Charter) -> dict[str, bytes]:
    text = document.as_string()
    if b"\r\n" in files[CHARTER_FILE]:  # new lines end like the others; TOML reads both the same
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    changed = {**files, CHARTER_FILE: text.encode()}
    if read_charter(changed) != meant:
        raise InternalError
    return changed


def _position(board: Board, name: str) -> int:
    names = [member.name for member in board.members]
    if name not in names:
        raise UnknownMember(member=name)
    return names.index(name)


def _append(members: Any, entry: Any) -> None:
    if not isinstance(members, AoT):
        members.append(entry)
        return
    rest = _cut_tail(members[-1])
    _put_tail(members[-1], "\n")
    members.append(entry)
    _put_tail(members[-1], rest)


def _remove(members: Any, position: int) -> None:
    if not isinstance(members, AoT):
        del members[position]
        return
    rest = _cut_tail(members[position])
    del members[position]
    if position:
        before = _cut_tail(members[position - 1])
        if not before.strip() and (rest or position == len(members)):
            before = ""  # one empty line is enough
        _put_tail(members[position - 1], before + rest)
    elif rest.strip():
        members[0].trivia.indent = rest.lstrip("\r\n") + members[0].trivia.indent


def _cut_tail(table: Table) -> str:
    """Takes off what tomlkit counts to a member though it stands before what follows: from the first empty line after
    its last value, comments above the next heading.
    """
    body = table.value.body
    end = len(body)
    while end and body[end - 1][0] is None and isinstance(body[end - 1][1], Comment | Whitespace):
        end -= 1
    while end < len(body) and isinstance(body[end][1], Comment):  # right under the last value: the member's own
        end += 1
    rest = "".join(item.as_string() for _, item in body[end:])
    del body[end:]
    return rest


def _put_tail(table: Table, text: str) -> None:
    if text:
        table.value.body.append((None, Whitespace(text)))
