"""A model on another server, written down as a manifest: where it is, what it is called there, how much fits into it.

The server is asked once, when the model is added, for what it offers (``GET …/models``); its answer is a stranger's:
bounded and checked. An address may name the model it means: ``http://gpu:8000/v1#NAME``.
"""

from typing import Any, Final

import httpx2

from commun.engine.manifest import Manifest
from commun.engine.remote import DEFAULT_CONTEXT, PROBE_TIMEOUT_S
from commun.engine.remote_address import check_address
from commun.engine.wire import WireError, parse_object
from commun.errors import ModelError

MAX_REPLY: Final = 1 << 20
MAX_NAME: Final = 200
MAX_CONTEXT: Final = 1 << 31
OUR_DEFAULT: Final = "default"  # another Commun offers its model under this name too


def look_up(address: str, key: str = "") -> Manifest:
    """The manifest; its id is still to be chosen. Raises ModelError."""
    url, _, wanted = address.partition("#")
    url = url.rstrip("/")
    check_address(url)
    offered = _offered(url, key)
    if wanted:
        chosen = wanted
    elif len(offered) == 1 or OUR_DEFAULT in offered:
        chosen = OUR_DEFAULT if OUR_DEFAULT in offered else next(iter(offered))
    else:
        raise ModelError(model=url, reason=f"it offers {len(offered)} models; add #NAME to the address")
    if chosen not in offered:
        raise ModelError(model=url, reason="it does not offer this model")
    return Manifest(
        id="",
        name=chosen,
        family="unknown",
        context_length=offered[chosen] or DEFAULT_CONTEXT,
        licence="unknown",
        source=url,
        files=(),
        format="remote",
        fidelity={"weights": "on another server: they cannot be checked"},
        url=url,
        remote_model=chosen,
    )


def _offered(url: str, key: str) -> dict[str, int]:
    """The models' names and contexts (0: not told)."""
    headers = {"accept-encoding": "identity", "user-agent": "commun"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    try:
        with (
            httpx2.Client(timeout=PROBE_TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", f"{url}/models", headers=headers) as response,
        ):
            if response.status_code != httpx2.codes.OK:
                raise ModelError(model=url, reason=f"the server answers with status {response.status_code}")
            data = bytearray()
            for chunk in response.iter_raw():
                data += chunk
                if len(data) > MAX_REPLY:
                    raise ModelError(model=url, reason="its list of models is too long")
            listed = parse_object(bytes(data)).get("data")
    except (httpx2.HTTPError, httpx2.StreamError, WireError) as error:
        raise ModelError(model=url, reason=f"the server could not be asked ({type(error).__name__})") from error
    entries: list[Any] = listed if isinstance(listed, list) else []
    offered = {}
    for entry in entries:
        name = entry.get("id") if isinstance(entry, dict) else None
        if isinstance(name, str) and 0 < len(name) <= MAX_NAME and name.isprintable():
            told = entry.get("max_model_len")
            offered[name] = told if type(told) is int and 0 < told < MAX_CONTEXT else 0
    return offered
