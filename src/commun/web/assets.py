"""The files of ``static/``: one content hash over all of them stands in every URL, so browsers keep them for ever.

One hash for the folder, not one per file: the script modules name each other by relative paths.
"""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from commun.errors import NotFound

STATIC: Final = Path(__file__).parent / "static"
MEDIA_TYPES: Final = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
FOR_EVER: Final = "public, max-age=31536000, immutable"


@cache
def files() -> dict[str, Path]:
    """What may be served, by its path inside ``static/``. Nothing else is ever opened."""
    found = sorted(path for path in STATIC.rglob("*") if path.suffix in MEDIA_TYPES and path.is_file())
    return {path.relative_to(STATIC).as_posix(): path for path in found}


@cache
def version() -> str:
    """Twelve hex digits that change with any byte of any file."""
    digest = hashlib.sha256()
    for name, path in files().items():
        digest.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]


def asset(name: str) -> str:
    """The URL of a file of ``static/``. KeyError if there is none."""
    return f"/static/{version()}/{files()[name].relative_to(STATIC).as_posix()}"


async def serve_static(request: Request) -> Response:
    """Any hash is answered with the present file, but only the right one may be kept."""
    path = files().get(request.path_params["path"])
    if path is None:
        raise NotFound
    current = request.path_params["version"] == version()
    headers = {"Cache-Control": FOR_EVER if current else "no-cache"}
    return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], headers=headers)
