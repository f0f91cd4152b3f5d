"""Under which rules an answer was written, told to programs: two headers and ``system_fingerprint``.

``Commun-Charter: NUMBER DIGEST`` names the edition; ``Commun-Charter-Stale: DATE`` stands beside it when the board's
mandate has ended (the last day, UTC). ``system_fingerprint`` is the edition's short name.
"""

from commun.charter.edition import InForce

CHARTER_HEADER = "commun-charter"
STALE_HEADER = "commun-charter-stale"
SHORT = 12  # hexadecimal digits of the digest


def charter_headers(in_force: InForce) -> dict[str, str]:
    """For each answer of the API."""
    edition = in_force.edition
    headers = {CHARTER_HEADER: f"{edition.number} {edition.digest}"}
    if in_force.stale_since is not None:
        headers[STALE_HEADER] = edition.charter.mandate.until.isoformat()
    return headers


def fingerprint(in_force: InForce) -> str:
    """The same under the same rules: model, profile, prompts, bounds."""
    return f"charter-{in_force.edition.number}-{in_force.edition.digest[:SHORT]}"
