"""Writes tests/vectors/receipts anew, or says what differs:  python tests/receipts/corpus.py [--write]"""

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from broken import broken
from golden import Case, golden

FOLDER = Path(__file__).parents[1] / "vectors" / "receipts"
NOT_MADE = ("README.md", ".gitattributes")


def cases() -> list[Case]:
    return [*golden(), *broken()]


def file_of(case: Case) -> str:
    return f"{'broken' if case.reason else 'golden'}/{case.name}.bundle.json"


def files() -> dict[str, bytes]:
    """The whole published corpus but its README, by name."""
    found: dict[str, bytes] = {}
    index: list[dict[str, Any]] = []
    policies: dict[bytes, str] = {}
    for case in cases():
        name = file_of(case)
        assert name not in found, name
        found[name] = case.data
        policy = case.trust.policy
        if policy is not None and policy not in policies:
            policies[policy] = f"policies/{len(policies) + 1}.txt"
            found[policies[policy]] = policy
        index.append(
            {
                "file": name,
                "about": case.about,
                "charter": case.trust.charter,
                "keys": list(case.trust.keys),
                "policy": "" if policy is None else policies[policy],
                "verdict": case.verdict.value,
                "reason": case.reason,
            }
        )
    found["index.json"] = (json.dumps(index, indent=1, ensure_ascii=False) + "\n").encode()
    return found


def on_disk() -> dict[str, bytes]:
    found = (path for path in sorted(FOLDER.rglob("*")) if path.is_file() and path.name not in NOT_MADE)
    return {path.relative_to(FOLDER).as_posix(): path.read_bytes() for path in found}


def write() -> None:
    wanted = files()
    for name in on_disk().keys() - wanted.keys():
        (FOLDER / name).unlink()
    for name, data in wanted.items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


if __name__ == "__main__":
    if "--write" in sys.argv:
        write()
    wanted, there = files(), on_disk()
    for name in sorted(wanted.keys() | there.keys()):
        if wanted.get(name) != there.get(name):
            print("differs:", name)
    print(len(wanted), "files;", sum(map(len, there.values())), "bytes")
