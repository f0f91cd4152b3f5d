"""Fetches what is vendored, checks it against ``static/vendor/vendor.lock`` and makes the icon sprite from it.

    python tools/vendor.py            (needs npm and the network; maintainers only)

What is vendored: two dozen icons of lucide-static (ISC) as ``static/icons.svg``, and axe-core (MPL-2.0), which only
the browser tests load, as ``tests/e2e/vendor/axe.min.js``. The lock names version and SHA-256 of each package's
tarball; `--lock` writes it anew after a version was changed here.
"""

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
STATIC = ROOT / "src/commun/web/static"
LOCK = STATIC / "vendor/vendor.lock"
TESTS = ROOT / "tests/e2e/vendor"
PACKAGES = {"lucide-static": "1.62.0", "axe-core": "4.14.1"}
ICONS = [
    "arrow-down",
    "arrow-left",
    "arrow-up",
    "check",
    "chevron-left",
    "chevron-right",
    "circle-alert",
    "copy",
    "download",
    "ellipsis",
    "eye",
    "folder",
    "folder-input",
    "image",
    "inbox",
    "info",
    "key-round",
    "keyboard",
    "lightbulb",
    "lock",
    "log-out",
    "menu",
    "message-circle-dashed",
    "panel-left",
    "pencil",
    "plus",
    "printer",
    "refresh-cw",
    "search",
    "settings",
    "square",
    "square-pen",
    "stamp",
    "thumbs-down",
    "thumbs-up",
    "trash-2",
    "users",
    "x",
]


def fetched(name: str, version: str, folder: Path) -> Path:
    """The package's tarball, from whichever registry npm is set to."""
    subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return next(folder.glob(f"{name}-{version}.tgz"))


def member(tarball: Path, path: str) -> str:
    with tarfile.open(tarball) as archive:
        file = archive.extractfile(f"package/{path}")
        if file is None:
            raise SystemExit(f"{tarball.name} has no {path}")
        return file.read().decode()


def sprite(tarball: Path) -> str:
    symbols = []
    for name in ICONS:
        svg = member(tarball, f"icons/{name}.svg")
        inner = re.sub(r"\s+", " ", re.search(r"<svg[^>]*>(.*)</svg>", svg, re.DOTALL).group(1)).strip()
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{inner}</symbol>')
    note = f"<!-- lucide-static {PACKAGES['lucide-static']}, ISC, licence in vendor/lucide-LICENSE.txt -->"
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + note + "\n" + "\n".join(symbols) + "\n</svg>\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tarballs = {name: fetched(name, version, Path(folder)) for name, version in PACKAGES.items()}
        sums = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in tarballs.items()}
        if "--lock" in sys.argv:
            lines = [f'[{name}]\nversion = "{PACKAGES[name]}"\nsha256 = "{digest}"\n' for name, digest in sums.items()]
            LOCK.write_text("# What is vendored, by SHA-256 of its npm tarball (tools/vendor.py).\n" + "\n".join(lines))
        locked = tomllib.loads(LOCK.read_text())
        if locked != {name: {"version": PACKAGES[name], "sha256": sums[name]} for name in PACKAGES}:
            raise SystemExit("a package is not the one that vendor.lock names")
        (STATIC / "icons.svg").write_text(sprite(tarballs["lucide-static"]))
        (STATIC / "vendor/lucide-LICENSE.txt").write_text(member(tarballs["lucide-static"], "LICENSE"))
        TESTS.mkdir(parents=True, exist_ok=True)
        (TESTS / "axe.min.js").write_text(member(tarballs["axe-core"], "axe.min.js"))
        (TESTS / "axe-LICENSE.txt").write_text(member(tarballs["axe-core"], "LICENSE"))


if __name__ == "__main__":
    main()
