"""Which models may answer, and what each of them is: the differences (rules: ``changes.py``)."""

from commun.charter.clauses import Model, ModelFile, Models
from commun.charter.differences import (
    Change,
    Found,
    Kind,
    by_key,
    change,
    from_to,
    given,
    listed,
    sheet,
    unsaid,
    up_or_down,
)
from commun.errors import N_

_ADOPTED = N_("The model “%(name)s” (%(id)s) is adopted: it may answer.")
_ADOPTED_REMOTE = N_(
    "The model “%(name)s” (%(id)s) on another server, %(url)s, is adopted: it may answer, and nobody can check here "
    "which weights it really uses."
)
_DROPPED = N_("The model “%(name)s” (%(id)s) is no longer adopted: it may not answer any more.")
_ORDER = N_("The adopted models are listed in another order.")
_DEFAULT = N_("Unless another one is chosen, the model “%(after)s” now answers instead of “%(before)s”.")

_NAME = N_("The model %(id)s is now called “%(after)s” (so far: “%(before)s”).")
_FAMILY = N_("The model %(id)s is now of the family “%(after)s” (so far: “%(before)s”).")
_LONGER = N_("The model %(id)s can now take in more text at once: %(after)s tokens instead of %(before)s.")
_SHORTER = N_("The model %(id)s can now take in less text at once: %(after)s tokens instead of %(before)s.")
_FORMAT = N_("The model %(id)s is now kept in the format “%(after)s” (so far: “%(before)s”).")
_NOW_REMOTE = N_(
    "The model %(id)s now runs on another server (so far it ran here, in the format “%(before)s”): nobody can check "
    "here any more which weights it really uses."
)
_NOW_LOCAL = N_("The model %(id)s now runs here, in the format “%(after)s”, and its weights are checked.")
_LICENCE = N_("The licence of the model %(id)s is now “%(after)s” (so far: “%(before)s”).")
_SOURCE = N_("The model %(id)s now comes from “%(after)s” (so far: “%(before)s”).")
_TRAINING = N_("The summary of what the model %(id)s was trained on is now at “%(after)s” (so far: “%(before)s”).")
_TRAINING_ADDED = N_("A summary of what the model %(id)s was trained on is now given: %(after)s")
_TRAINING_GONE = N_("A summary of what the model %(id)s was trained on is no longer given (so far: %(before)s).")
_DIGEST = N_(
    "The name %(id)s now stands for another model: the digest of its manifest is %(after)s instead of %(before)s."
)
_DIGEST_ADDED = N_("The manifest of the model %(id)s is now bound by its digest, %(after)s.")
_DIGEST_GONE = N_("The manifest of the model %(id)s is no longer bound by a digest (so far: %(before)s).")
_FILE_ADDED = N_("The model %(id)s gets the file %(path)s (%(size)s bytes, SHA-256 %(sha256)s).")
_FILE_GONE = N_("The model %(id)s loses the file %(path)s (%(size)s bytes, SHA-256 %(sha256)s).")
_FILE_CHANGED = N_("The file %(path)s of the model %(id)s is another one.")
_FILES_ORDER = N_("The files of the model %(id)s are listed in another order.")
_CONVERTED = N_("Under the engine version %(engine)s, the model %(id)s may now be loaded as converted to %(after)s.")
_CONVERTED_GONE = N_(
    "Under the engine version %(engine)s, the model %(id)s may no longer be loaded (so far: as converted to "
    "%(before)s)."
)
_CONVERTED_CHANGED = N_(
    "Under the engine version %(engine)s, the model %(id)s is now loaded from other converted weights: %(after)s "
    "instead of %(before)s."
)
_CONVERTED_ORDER = N_("The engine versions of the model %(id)s are listed in another order.")
_URL = N_("The model %(id)s is now asked at another address: “%(after)s” instead of “%(before)s”.")
_REMOTE_MODEL = N_("At its server, the model %(id)s is now the one called “%(after)s” (so far: “%(before)s”).")


def models(before: Models, after: Models) -> Found:
    found = by_key(before.adopted, after.adopted, lambda model: model.id)
    if found is None:
        yield unsaid("models", before, after)
        return
    old, new = found

    def say(model_id: str, kind: Kind) -> Change:
        return _came_or_went((old if kind == "removed" else new)[model_id], kind)

    yield from listed("models", old, new, say, _ORDER)
    for name, model in new.items():
        if name in old:
            yield from _model(old[name], model)
    yield from from_to("models", before.default, after.default, _DEFAULT)


def _came_or_went(model: Model, kind: Kind) -> Change:
    if kind == "removed":
        return change("models", _DROPPED, kind, (sheet(model), ""), name=model.name, id=model.id)
    sentence = _ADOPTED_REMOTE if model.format == "remote" else _ADOPTED
    return change("models", sentence, kind, ("", sheet(model)), name=model.name, id=model.id, url=model.url)


def _model(before: Model, after: Model) -> Found:
    called = after.id
    yield from from_to("models", before.name, after.name, _NAME, id=called)
    yield from from_to("models", before.family, after.family, _FAMILY, id=called)
    yield from from_to("models", before.format, after.format, _format, id=called)
    yield from from_to("models", before.digest, after.digest, given(_DIGEST_ADDED, _DIGEST_GONE, _DIGEST), id=called)
    yield from _files(before, after)
    yield from _conversions(before, after)
    yield from from_to("models", before.url, after.url, _URL, id=called)
    yield from from_to("models", before.remote_model, after.remote_model, _REMOTE_MODEL, id=called)
    yield from from_to("models", before.context_length, after.context_length, up_or_down(_LONGER, _SHORTER), id=called)
    yield from from_to("models", before.licence, after.licence, _LICENCE, id=called)
    yield from from_to("models", before.source, after.source, _SOURCE, id=called)
    training = given(_TRAINING_ADDED, _TRAINING_GONE, _TRAINING)
    yield from from_to("models", before.training_summary, after.training_summary, training, id=called)


def _format(before: str, after: str) -> str:
    return _NOW_REMOTE if after == "remote" else _NOW_LOCAL if before == "remote" else _FORMAT


def _files(before: Model, after: Model) -> Found:
    found = by_key(before.files, after.files, lambda file: file.path)
    if found is None:
        if before.files != after.files:
            yield unsaid("models", before, after)
        return
    old, new = found

    def say(path: str, kind: Kind) -> Change:
        return _file(after.id, (old if kind == "removed" else new)[path], kind)

    yield from listed("models", old, new, say, _FILES_ORDER, id=after.id)
    for path, file in new.items():
        if path in old and old[path] != file:
            yield change("models", _FILE_CHANGED, "changed", (sheet(old[path]), sheet(file)), id=after.id, path=path)


def _file(model_id: str, file: ModelFile, kind: Kind) -> Change:
    sentence = _FILE_ADDED if kind == "added" else _FILE_GONE
    return change("models", sentence, kind, id=model_id, path=file.path, size=str(file.size), sha256=file.sha256)


def _conversions(before: Model, after: Model) -> Found:
    if by_key(before.converted, after.converted, lambda pair: pair[0]) is None:
        if before.converted != after.converted:
            yield unsaid("models", before, after)
        return
    old, new = dict(before.converted), dict(after.converted)

    def say(engine: str, kind: Kind) -> Change:
        if kind == "added":
            return change("models", _CONVERTED, kind, id=after.id, engine=engine, after=new[engine])
        return change("models", _CONVERTED_GONE, kind, id=after.id, engine=engine, before=old[engine])

    yield from listed("models", old, new, say, _CONVERTED_ORDER, id=after.id)
    for engine, digest in new.items():
        if engine in old:
            yield from from_to("models", old[engine], digest, _CONVERTED_CHANGED, id=after.id, engine=engine)
