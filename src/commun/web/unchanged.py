"""What its reader has already: the tag by which both sides know it, and the short answer where it is still the same."""

import hashlib
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response


def tag_of(data: bytes) -> str:
    return f'"{hashlib.sha256(data).hexdigest()[:32]}"'


def has_already(request: Request, tag: str) -> bool:
    return tag.removeprefix("W/") in request.headers.get("if-none-match", "")


def file_unless_had(request: Request, data: bytes, media_type: str, headers: Mapping[str, str]) -> Response:
    """The file, or that it is unchanged. ``headers``: of both answers, the ETag excepted."""
    tag = tag_of(data)
    tagged = {**headers, "ETag": tag}
    if has_already(request, tag):
        return Response(status_code=304, headers=tagged)
    response = Response(data, headers=tagged)
    response.headers["Content-Type"] = media_type  # as it is: Starlette would add a charset to any text
    return response
