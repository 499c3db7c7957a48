"""Print, check or set the one version that genebench and its plugins share.

``pyproject.toml`` of each holds it, because each is built by itself. So do the bounds between them,
the citation and the recipe for conda. ``python packaging/version.py 0.2.0`` sets all of them.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = (ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml")))

_VERSION = re.compile(r'^(version = )"([^"]+)"', re.MULTILINE)
_BOUND = re.compile(r'("genebench-[a-z]+~=)([^"]+)"')
_ELSEWHERE = {
    "CITATION.cff": re.compile(r"^(version: )(\S+)()$", re.MULTILINE),
    "packaging/recipe.yaml": re.compile(r'^(  version: ")([^"]+)(")$', re.MULTILINE),
}
_ACCEPTED = re.compile(r"\d+\.\d+\.\d+(rc\d+)?")


def faults(version: str) -> list[str]:
    """Return the places that have another version than this one."""
    found = []
    for path in PROJECTS:
        text, name = path.read_text("utf-8"), path.relative_to(ROOT)
        found += [f"{name}: version {own}" for _, own in _VERSION.findall(text) if own != version]
        found += [
            f"{name}: {package}{bound}"
            for package, bound in _BOUND.findall(text)
            if bound != lowest(version)
        ]
    for name, pattern in _ELSEWHERE.items():
        [(_, other, _)] = pattern.findall((ROOT / name).read_text("utf-8"))
        if other != version:
            found.append(f"{name}: version {other}")
    return found


def lowest(version: str) -> str:
    """Return the oldest version that goes with this one: before 1.0, a minor version may break."""
    return re.sub(r"(\d+\.\d+)\..*", r"\1.0", version)


def current() -> str:
    """Return the version of genebench."""
    found = _VERSION.search(PROJECTS[0].read_text("utf-8"))
    assert found, "pyproject.toml has a version"
    return found[2]


def set_version(version: str) -> None:
    """Write a version to every place that holds it."""
    for path in PROJECTS:
        text = _VERSION.sub(rf'\1"{version}"', path.read_text("utf-8"))
        path.write_text(_BOUND.sub(rf'\g<1>{lowest(version)}"', text), "utf-8")
    for name, pattern in _ELSEWHERE.items():
        path = ROOT / name
        path.write_text(pattern.sub(rf"\g<1>{version}\g<3>", path.read_text("utf-8")), "utf-8")


def main() -> None:
    """Print the version, check that it is a given one, or set it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("version", nargs="?", help="the version to set, such as 0.2.0")
    parser.add_argument("--check", metavar="VERSION", help="fail if any place has another version")
    given = parser.parse_args()
    if given.check:
        if found := faults(given.check):
            raise SystemExit("\n".join([f"not version {given.check}:", *found]))
    elif given.version:
        if not _ACCEPTED.fullmatch(given.version):
            raise SystemExit(f"{given.version} is no version such as 0.2.0 or 0.2.0rc1")
        set_version(given.version)
    else:
        print(current())


if __name__ == "__main__":
    main()
