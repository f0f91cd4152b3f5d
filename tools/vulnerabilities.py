"""The known vulnerabilities of what the locks name, as pip-audit finds them: one fails, and its cure is told.

    python tools/vulnerabilities.py             part of `make check`; where nobody answers, it says so and passes
    python tools/vulnerabilities.py --strict    `make vulnerabilities`: asks now, and fails where something is not known

- The service (pypi.org, or with ``--service`` an address that speaks OSV's form) is asked first about a version that
  everybody knows to be vulnerable. A mirror, which has the packages and no advisories, would let everything pass: who
  does not know that one is believed in nothing.
- Who knows nothing of a package has not been asked about it: it is named.
- An answer holds for a day (``.make/``), as long as the locks stay as they are.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-model.lock")
KEPT = ROOT / ".make"
KNOWN_BAD = "jinja2==2.10"  # CVE-2019-10906
KEPT_S = 86_400.0
REQUEST_S = 5  # for one package
FIRST_S = 15.0  # for the first one, pip-audit's own start included
ALL_S = 180.0


class NotAsked(Exception):
    """Why nothing is known."""


@dataclass(frozen=True, slots=True)
class Found:
    """``bad``: one line for each vulnerability. ``unknown``: packages of which the service knows nothing."""

    packages: int
    bad: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


def asked(service: str) -> Found:
    """Of all locks. Raises NotAsked."""
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder, "known-bad.txt")
        first.write_text(KNOWN_BAD + "\n")
        if not any(each.get("vulns") for each in audit(service, FIRST_S, "--no-deps", "-r", str(first))):
            raise NotAsked(f"{service or 'pypi.org'} knows no advisories (a mirror?)")
    locks = [word for lock in LOCKS for word in ("-r", str(ROOT / lock))]
    found = audit(service, ALL_S, "--require-hashes", *locks)
    return Found(
        packages=len({each["name"] for each in found}),
        bad=tuple(line for each in found for line in told(each)),
        unknown=tuple(sorted({each["name"] for each in found if "skip_reason" in each})),
    )


def audit(service: str, seconds: float, *arguments: str) -> list[dict[str, Any]]:
    """What pip-audit says of each package. Raises NotAsked."""
    command = [sys.executable, "-m", "pip_audit", "--format=json", "--progress-spinner=off", "--disable-pip"]
    command += [f"--timeout={REQUEST_S}", f"--cache-dir={KEPT / 'pip-audit'}"]
    command += [f"--vulnerability-service={'osv' if service else 'pypi'}", *(["--osv-url", service] if service else [])]
    try:
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=seconds, check=False)
        dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        raise NotAsked(f"{service or 'pypi.org'} did not answer within {seconds:.0f} s") from None
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or [""])[-1].removeprefix("ERROR:pip_audit._cli:")
        raise NotAsked(f"{service or 'pypi.org'} gave no answer ({last.partition(': ')[0][:120]})") from None
    return dependencies


def told(package: dict[str, Any]) -> list[str]:
    """A line for each of its vulnerabilities, with what to do."""
    lines = []
    for each in package.get("vulns", ()):
        names = ", ".join([each["id"], *each["aliases"]])
        fixed = ", ".join(each["fix_versions"])
        cure = (
            f"fixed in {fixed}: make lock" if fixed else "no version is without it: leave it out, or show it harmless"
        )
        lines.append(f"{package['name']} {package['version']}: {names}; {cure}")
    return lines


# --- an answer that is still good


def mark(service: str) -> str:
    """Of what was asked, of whom."""
    digest = hashlib.sha256(service.encode())
    for lock in LOCKS:
        digest.update((ROOT / lock).read_bytes())
    return digest.hexdigest()


def kept(service: str) -> Found | None:
    """What was found within KEPT_S, where it was nothing and the locks are the same."""
    try:
        said = json.loads((KEPT / "vulnerabilities.json").read_text())
        fresh = said["of"] == mark(service) and 0 <= time.time() - said["at"] < KEPT_S
        return Found(said["packages"]) if fresh else None
    except (OSError, ValueError, KeyError):
        return None


def keep(service: str, found: Found) -> None:
    KEPT.mkdir(exist_ok=True)
    said = {"of": mark(service), "at": time.time(), "packages": found.packages}
    (KEPT / "vulnerabilities.json").write_text(json.dumps(said))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Known vulnerabilities of what the locks name.")
    parser.add_argument("--strict", action="store_true", help="ask now, and fail where something is not known")
    parser.add_argument("--service", default="", help="another service, such as https://api.osv.dev/v1/query")
    options = parser.parse_args(arguments)
    try:
        found = (None if options.strict else kept(options.service)) or asked(options.service)
    except NotAsked as why:
        print(f"NOT CHECKED FOR KNOWN VULNERABILITIES: {why}. Where the service can be reached: make vulnerabilities")
        return 1 if options.strict else 0
    if found.unknown:
        print(f"NOT CHECKED FOR KNOWN VULNERABILITIES, the service does not know them: {', '.join(found.unknown)}")
    elif not found.bad:
        keep(options.service, found)
    print("\n".join(found.bad) or f"{found.packages - len(found.unknown)} packages, no known vulnerability")
    return 1 if found.bad or (options.strict and found.unknown) else 0


if __name__ == "__main__":
    sys.exit(main())
