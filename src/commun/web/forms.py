"""What forms send, read with bounds, and where a browser is sent afterwards."""

from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from commun.errors import BadRequest

MAX_PATH = 300


async def form_of(request: Request) -> FormData:
    """No files, few fields."""
    return await request.form(max_files=0, max_fields=20)


def field(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def number_up_to(text: str, most: int) -> int | None:
    """None for nothing. Raises BadRequest for anything but that or a whole number up to ``most``."""
    digits = "".join(text.split())
    if not digits:
        return None
    if not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(most)) or int(digits) > most:
        raise BadRequest
    return int(digits)


def see(url: str) -> Response:
    return RedirectResponse(url, status_code=303)


def own_path(wanted: str) -> str:
    """``wanted`` if it is a path of this Commun, else the first page: nobody is sent to another site."""
    plain = wanted.isascii() and wanted.isprintable() and "\\" not in wanted and len(wanted) <= MAX_PATH
    if not plain or not wanted.startswith("/") or wanted.startswith("//"):
        return "/"
    parts = urlsplit(wanted)
    return wanted if not parts.scheme and not parts.netloc else "/"
