"""Every sentence that the source folder's mistakes are told in, and how they are gathered.

Rules:

- a fault is one problem and its cure, both message ids; what differs from one place to the other are its details;
- text out of the folder stands in details only, cut short, with what cannot be seen written as its number;
- mistakes are told in the order of files and lines, each once; after the first MAX_MISTAKES no more are looked for.
"""

from dataclasses import dataclass
from typing import Final

from commun.charter.errors import CharterMistakes, Mistake
from commun.errors import N_

MAX_MISTAKES: Final = 500
MAX_SHOWN: Final = 80  # characters of a text out of the folder
MAX_CHOICES: Final = 1_000  # characters of a list to choose from
OUR_OWN: Final = frozenset({"choices", "reason"})  # details that are no text out of the folder


@dataclass(frozen=True, slots=True)
class Fault:
    problem: str
    cure: str


# The folder and its files
NO_FOLDER = Fault(N_("There is no such folder."), N_("Name the folder that holds charter.toml."))
NO_CHARTER_FILE = Fault(N_("charter.toml is missing."), N_("Put it into the folder; “commun charter init” writes one."))
UNREADABLE = Fault(N_("The file cannot be read."), N_("Give yourself the right to read it and try again."))
IS_LINK = Fault(N_("This is a link, and a charter has none."), N_("Put the file itself in its place."))
IS_FOLDER = Fault(N_("A charter has no folder of this name here."), N_("Move it out of the charter's folder."))
NOT_A_FILE = Fault(N_("This is neither a file nor a folder."), N_("Move it out of the charter's folder."))
UNKNOWN_FILE = Fault(
    N_("A charter has no file of this name."),
    N_(
        "Move it away, or name it prompts/system.en.md, prompts/ID.en.md (or .fr.md) or models/ID.toml, "
        "the ID in small letters, digits and dashes."
    ),
)
TOO_MANY_FILES = Fault(N_("The folder has more than %(most)s files."), N_("Take out what does not belong to it."))
FILE_TOO_LARGE = Fault(N_("The file has more than %(most)s bytes."), N_("Shorten it."))
FOLDER_TOO_LARGE = Fault(N_("The files have more than %(most)s bytes together."), N_("Shorten them."))

# Their text
NOT_UTF8 = Fault(N_("This line is not UTF-8 text."), N_("Save the file with the encoding UTF-8."))
BYTE_ORDER_MARK = Fault(
    N_("The file begins with an invisible mark (a byte order mark)."), N_("Save it as UTF-8 “without BOM”.")
)
HIDDEN = Fault(
    N_("There is a character here that nobody can see: %(character)s."),
    N_("Delete it; it is often easiest to type the whole line again."),
)
NOT_TOML = Fault(
    N_("This is not TOML: it cannot be read from here on."),
    N_("Look for a missing quotation mark, bracket or equals sign, here or just above."),
)
REPEATED = Fault(N_("This name has been given already."), N_("Keep one of the two."))
TOO_INVOLVED = Fault(
    N_("This is nested too deeply, or too long, for a charter."), N_("Write it as docs/spec/charter.md shows.")
)

# Keys and values
MISSING_KEY = Fault(N_("“%(key)s” is missing."), N_("Write, for example: %(example)s"))
MISSING_TABLE = Fault(N_("The part [%(key)s] is missing."), N_("Write it as docs/spec/charter.md shows."))
UNKNOWN_KEY = Fault(N_("“%(key)s” means nothing in a charter."), N_("Take it out."))
MISTYPED_KEY = Fault(N_("“%(key)s” means nothing in a charter."), N_("Is “%(near)s” meant? Otherwise take it out."))
NOT_RECOMPUTABLE = Fault(
    N_("“%(key)s” is not allowed, since an answer drawn with it could not be recomputed: %(reason)s."),
    N_("Take it out; “temperature” and “top_p” may be set."),
)
NOT_TEXT = Fault(N_("“%(key)s” must be a text in quotation marks."), N_("Write, for example: %(example)s"))
NOT_TEXTS = Fault(N_("“%(key)s” must be a list of texts in square brackets."), N_("Write, for example: %(example)s"))
NOT_WHOLE = Fault(N_("“%(key)s” must be a whole number."), N_("Write, for example: %(example)s"))
NOT_NUMBER = Fault(N_("“%(key)s” must be a number."), N_("Write, for example: %(example)s"))
NOT_YES_NO = Fault(N_("“%(key)s” must be true or false."), N_("Write, for example: %(example)s"))
NOT_DATE = Fault(N_("“%(key)s” must be a date, without quotation marks."), N_("Write, for example: %(example)s"))
NOT_TABLE = Fault(N_("“%(key)s” must be a part of its own."), N_("Write it as docs/spec/charter.md shows."))
OUT_OF_RANGE = Fault(N_("“%(key)s” must be from %(least)s to %(most)s."), N_("Write, for example: %(example)s"))
TOO_FINE = Fault(N_("“%(key)s” has more than %(most)s decimal places."), N_("Round it."))
NOT_A_CHOICE = Fault(N_("“%(key)s” cannot be “%(value)s”."), N_("Choose from: %(choices)s."))
EMPTY = Fault(N_("“%(key)s” is empty."), N_("Write, for example: %(example)s"))
TOO_LONG = Fault(N_("“%(key)s” is longer than %(most)s characters."), N_("Shorten it."))
TOO_MANY = Fault(N_("“%(key)s” has more than %(most)s entries."), N_("Take some out."))
NOT_ONE_LINE = Fault(
    N_("“%(key)s” must be one line, without spaces at its ends."), N_("Put it on one line and take the spaces out.")
)
WRONG_FORM = Fault(N_("“%(key)s” is not written in the form that it needs."), N_("Write, for example: %(example)s"))
TWICE = Fault(N_("“%(value)s” stands here twice."), N_("Keep one of the two."))

# What must fit together
QUORUM_ABOVE_BOARD = Fault(
    N_("The quorum is %(quorum)s, but the board has %(members)s members."),
    N_("Lower the quorum, or name more members."),
)
BAD_KEY = Fault(N_("This public key cannot be used: %(reason)s."), N_("Ask the member to send the key again."))
SAME_NAME = Fault(N_("Two members are called “%(value)s”."), N_("Give one of them another name."))
SAME_KEY = Fault(
    N_("“%(value)s” has the same key as another member."), N_("Each member needs a key that nobody else has.")
)
NO_SUCH_MEMBER = Fault(N_("“%(value)s” is not a member of the board."), N_("Choose from: %(choices)s."))
NO_GUARDS = Fault(
    N_("There are entrenched clauses, but nobody guards them."),
    N_("Name members of the board as guards, or leave the list of clauses empty."),
)
PROMPTS_WITHOUT_PERSONAS = Fault(
    N_("“prompts” is entrenched and “personas” is not: the guards would not be asked when a persona's text changes."),
    N_("Add “personas” to the list, or take “prompts” out of it."),
)
DEFAULT_OUTSIDE = Fault(
    N_("“%(key)s” is not between “least” and “most”."), N_("Choose it so that least ≤ default ≤ most.")
)
RESERVE_TOO_LARGE = Fault(
    N_("“answer_reserve” leaves no room for the question."), N_("Make it smaller than “most_tokens”.")
)
VERSIONS_CROSSED = Fault(N_("No version is from “least” to before “below”."), N_("Make “below” greater than “least”."))
HOLD_BEYOND_MANDATE = Fault(
    N_("The legal hold lasts longer than the board’s mandate, which ends on %(until)s."),
    N_("Let it end by that day, or prolong the mandate as well."),
)
NO_SUCH_MODEL = Fault(N_("No adopted model is called “%(value)s”."), N_("Choose from: %(choices)s."))
NO_MODELS = Fault(N_("No model is adopted."), N_("Put a file for each model into models/."))
NO_SUCH_PERSONA = Fault(N_("No persona is called “%(value)s”."), N_("Choose from: %(choices)s."))
RESERVED_ID = Fault(N_("No persona can be called “%(value)s”."), N_("Choose another word."))
NO_PROMPT = Fault(N_("This prompt is missing."), N_("Write it: both languages need one."))
EMPTY_PROMPT = Fault(N_("This prompt is empty."), N_("Write it: both languages need one."))
NO_PERSONA_OF_FILE = Fault(
    N_("No persona of charter.toml is called “%(value)s”."), N_("Add it under [[personas]], or take the file out.")
)

# Models
ID_NOT_FILE_NAME = Fault(N_("The id is not the file's name."), N_("Write, for example: %(example)s"))
WRONG_DIGEST = Fault(
    N_("The digest is not the one of these files: they make %(digest)s."),
    N_("Compare the files with the model's publisher; if they are the right ones, write this digest."),
)
UNSAFE_PATH = Fault(
    N_("This is not a path inside the model's folder."), N_("Write it with slashes, without “..” and drive letters.")
)
NO_MODEL_FILES = Fault(N_("The model has no files."), N_("List each with [[files]]: path, size and sha256."))
ONLY_REMOTE = Fault(N_("“%(key)s” is only for a model on another server."), N_("Take it out."))
NOT_REMOTE = Fault(N_("“%(key)s” is not for a model on another server."), N_("Take it out."))
ONLY_CONVERTED = Fault(N_("“%(key)s” is only for a converted model."), N_("Take it out."))
BAD_ADDRESS = Fault(N_("This is not a web address without a password in it."), N_("Write, for example: %(example)s"))


class Mistakes:
    """What has been found so far."""

    def __init__(self) -> None:
        self._found: dict[Mistake, None] = {}
        self._lines: set[tuple[str, int]] = set()

    def __bool__(self) -> bool:
        return bool(self._found)

    @property
    def is_full(self) -> bool:
        """So that a hostile folder cannot buy work with mistakes."""
        return len(self._found) >= MAX_MISTAKES

    def add(self, file: str, line: int, fault: Fault, **details: str | int) -> None:
        if self.is_full:
            return
        filled = tuple(
            (name, shown(str(value), most=MAX_CHOICES if name in OUR_OWN else MAX_SHOWN))
            for name, value in details.items()
        )
        self._found[Mistake(shown(file), line, fault.problem, fault.cure, filled)] = None
        self._lines.add((shown(file), line))

    def has(self, file: str, line: int) -> bool:
        return (shown(file), line) in self._lines

    def check(self) -> None:
        """Raises CharterMistakes, if there is any."""
        if self._found:
            ordered = sorted(self._found, key=lambda mistake: (mistake.file, mistake.line))
            raise CharterMistakes(tuple(ordered))


def shown(text: str, *, most: int = MAX_SHOWN) -> str:
    """A text out of the folder, as it may stand in a sentence: short, and nothing in it invisible."""
    cut = text if len(text) <= most else text[: most - 1] + "…"
    return "".join(char if char.isprintable() else f"U+{ord(char):04X}" for char in cut)
