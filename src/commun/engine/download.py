"""Model files from Hugging Face, by its plain HTTP interface.

- what a repository says is not believed: file names stay in their folder, sizes are bounded by what was announced,
  every byte is checked against the published hash (SHA-256 for large files, git's own for small ones);
- the revision is fixed by the first answer: all files are of one commit;
- a download that breaks off goes on where it stopped, now (a few times) and at the next call.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from commun.engine.manifest import CHUNK, DOWNLOADING, Progress, is_inside
from commun.errors import DownloadFailed, UnsupportedModel

ENDPOINT = "https://huggingface.co"
REFERENCE = re.compile(r"(?P<repository>[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(:(?P<file>[^:]{1,255}))?")
REVISION = re.compile(r"[0-9a-f]{40}")
TIMEOUT_S = 30
ATTEMPTS = 4  # each goes on where the one before stopped
MAX_ANSWER_BYTES = 16 << 20  # of the list of files
GGUF_SUFFIX = ".gguf"
OPENVINO_GRAPH = "openvino_model.xml"
OPENVINO_SUFFIXES = (".xml", ".bin", ".json", ".jinja", ".txt")
HEADERS = {"User-Agent": "commun", "Accept-Encoding": "identity"}  # sizes are those of the files themselves
PARTIAL_CONTENT = 206
RANGE_NOT_SATISFIABLE = 416


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """``size`` in bytes; one of ``sha256`` and ``git_sha1`` (of git's blob), hex, is there."""

    path: str
    size: int
    sha256: str | None
    git_sha1: str | None


@dataclass(frozen=True, slots=True)
class Repository:
    name: str
    revision: str
    licence: str
    files: tuple[RemoteFile, ...]


def is_reference(source: str) -> bool:
    """Whether ``source`` looks like OWNER/NAME or OWNER/NAME:FILE."""
    return REFERENCE.fullmatch(source) is not None


class HuggingFace:
    """One server. ``partial`` is the folder where unfinished files wait."""

    def __init__(self, partial: Path, endpoint: str = ENDPOINT) -> None:
        self._partial = partial
        self._endpoint = endpoint.rstrip("/")

    def look_up(self, source: str) -> tuple[Repository, tuple[RemoteFile, ...]]:
        """The repository and the files that make the model. Raises DownloadFailed, UnsupportedModel."""
        match = REFERENCE.fullmatch(source)
        if match is None:
            raise UnsupportedModel(model=source, reason="it is not a name of the form OWNER/NAME:FILE")
        address = f"{self._endpoint}/api/models/{match['repository']}"
        try:
            with self._client() as client, client.stream("GET", address, params={"blobs": "true"}) as answer:
                self._check_status(answer, source)
                body = bytearray()
                for piece in answer.iter_bytes():
                    body += piece
                    if len(body) > MAX_ANSWER_BYTES:
                        raise DownloadFailed(model=source, reason="the server's answer does not end")
                data = json.loads(body)
            repository = _repository(match["repository"], data)
        except httpx2.HTTPError as error:
            raise DownloadFailed(model=source, reason=f"{self._endpoint} cannot be reached") from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DownloadFailed(model=source, reason="the server's answer makes no sense") from error
        return repository, _choose(source, repository, match["file"])

    def fetch(self, repository: Repository, file: RemoteFile, target: Path, progress: Progress) -> None:
        """Writes ``target``, whole and checked. Raises DownloadFailed; what has come stays for the next time."""
        self._partial.mkdir(parents=True, exist_ok=True)
        address = f"{self._endpoint}/{repository.name}/resolve/{repository.revision}/{file.path}"
        key = hashlib.sha256(f"{address} {file.sha256 or file.git_sha1}".encode()).hexdigest()
        part = self._partial / f"{key}.part"
        label = f"{repository.name}:{file.path}"
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._continue(address, part, file, label, progress)
                break
            except httpx2.HTTPError as error:
                if attempt == ATTEMPTS:
                    raise DownloadFailed(model=label, reason="the connection broke off") from error
        if not _is_whole(part, file):
            part.unlink(missing_ok=True)
            raise DownloadFailed(model=label, reason="its hash is not the published one")
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)

    def _continue(self, address: str, part: Path, file: RemoteFile, label: str, progress: Progress) -> None:
        done = part.stat().st_size if part.is_file() else 0
        if done > file.size:
            part.unlink()
            done = 0
        if done == file.size and part.is_file():
            return
        headers = {"Range": f"bytes={done}-"} if done else {}
        with self._client() as client, client.stream("GET", address, headers=headers) as answer:
            if answer.status_code == RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
                raise httpx2.RemoteProtocolError("the server has less than it said")
            self._check_status(answer, label)
            resumed = answer.status_code == PARTIAL_CONTENT
            if resumed and not answer.headers.get("content-range", "").startswith(f"bytes {done}-"):
                raise DownloadFailed(model=label, reason="the server sent another part than was asked for")
            done = done if resumed else 0
            with part.open("ab" if resumed else "wb") as out:
                for piece in answer.iter_raw():  # as it comes: what is here when the line breaks is kept
                    done += len(piece)
                    if done > file.size:
                        raise DownloadFailed(model=label, reason="the server sends more than it said")
                    out.write(piece)
                    progress(DOWNLOADING, done, file.size)
        if done < file.size:
            raise httpx2.RemoteProtocolError("the server stopped early")

    def _client(self) -> httpx2.Client:
        return httpx2.Client(follow_redirects=True, timeout=TIMEOUT_S, headers=HEADERS)

    def _check_status(self, answer: httpx2.Response, label: str) -> None:
        reasons = {401: "it is private or gated", 403: "it is private or gated", 404: "there is no such model or file"}
        if not answer.is_success:
            code = answer.status_code
            raise DownloadFailed(model=label, reason=reasons.get(code, f"the server answers {code}"))


def _repository(name: str, data: Mapping[str, Any]) -> Repository:
    revision = data["sha"]
    if not REVISION.fullmatch(revision):
        raise ValueError
    licences = [tag.removeprefix("license:") for tag in data.get("tags", ()) if tag.startswith("license:")]
    files = []
    for item in data["siblings"]:
        large = item.get("lfs") or {}
        size = int(large.get("size", item.get("size", -1)))
        sha256, git_sha1 = large.get("sha256"), item.get("blobId")
        if size >= 0 and is_inside(item["rfilename"]) and (sha256 or git_sha1):
            files.append(RemoteFile(item["rfilename"], size, sha256, None if sha256 else git_sha1))
    return Repository(name, revision, licences[0] if licences else "", tuple(files))


def _choose(source: str, repository: Repository, wanted: str | None) -> tuple[RemoteFile, ...]:
    """One GGUF file, or the files of an OpenVINO folder."""
    if wanted is not None:
        found = [file for file in repository.files if file.path == wanted]
        if not found or not wanted.endswith(GGUF_SUFFIX):
            raise UnsupportedModel(model=source, reason="there is no such GGUF file in it")
        return tuple(found)
    if any(file.path == OPENVINO_GRAPH for file in repository.files):
        return tuple(
            file for file in repository.files if file.path.endswith(OPENVINO_SUFFIXES) and "/" not in file.path
        )
    choices = [file for file in repository.files if file.path.endswith(GGUF_SUFFIX)]
    if len(choices) == 1:
        return tuple(choices)
    raise UnsupportedModel(model=source, reason=_which(source, choices))


def _which(source: str, choices: Sequence[RemoteFile]) -> str:
    if not choices:
        return "it holds neither a GGUF file nor an OpenVINO model"
    return f"it holds several files, so name one, such as {source}:{choices[0].path}"


def _is_whole(path: Path, file: RemoteFile) -> bool:
    digest = hashlib.sha256() if file.sha256 else hashlib.sha1(usedforsecurity=False)
    if not file.sha256:
        digest.update(f"blob {file.size}\0".encode())
    with path.open("rb") as stream:
        while piece := stream.read(CHUNK):
            digest.update(piece)
    return digest.hexdigest() == (file.sha256 or file.git_sha1)
