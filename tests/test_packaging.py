"""What is installed and published: extras, licences of bundled data, the changelog, and one source of the version."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import flairlite
from flairlite.bundled import bundled_path

PACKAGE = Path(flairlite.__file__).parent
ROOT = Path(__file__).resolve().parents[1]
FOR_DEVELOPERS = {"all", "dev", "docs", "test"}  # extras that are not part of `all`


def read(name: str) -> str:
    if not (ROOT / name).is_file():
        pytest.skip(f"{name} is not beside the tests")
    return (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    """Return the content of pyproject.toml."""
    tomllib = pytest.importorskip("tomllib", reason="tomllib is not in Python 3.10")
    content: dict[str, Any] = tomllib.loads(read("pyproject.toml"))
    return content


# ---------------------------------------------------------------------------------------------------------- extras


def test_all_names_every_extra_for_users(project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"]
    (requirement,) = extras["all"]  # one list, and no versions that could differ from those of the extras
    found = re.fullmatch(r"flairlite\[([a-z,]+)\]", requirement)
    assert found, requirement
    expected = ",".join(sorted(set(extras) - FOR_DEVELOPERS))
    assert found[1] == expected, f'write in pyproject.toml: all = ["flairlite[{expected}]"]'


def test_each_package_has_one_lowest_version(project: dict[str, Any]) -> None:
    extras = project["project"]["optional-dependencies"].values()
    found: dict[str, set[str]] = {}
    for line in [*project["project"]["dependencies"], *(line for extra in extras for line in extra)]:
        if not line.startswith("flairlite["):
            name, _, version = line.partition(";")[0].partition(">=")
            found.setdefault(name.strip().lower(), set()).add(version.strip())
    assert {name: versions for name, versions in found.items() if len(versions) > 1} == {}


# ----------------------------------------------------------------------------------------------- packages and data


@pytest.mark.skipif(not (PACKAGE.parent / "pyproject.toml").is_file(), reason="the package is installed")
def test_every_folder_with_modules_is_a_listed_package(project: dict[str, Any]) -> None:
    packages = {path.parent.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*.py")}
    listed = set(project["tool"]["setuptools"]["packages"]) - {"flairlite.resources"}
    assert listed == {package.replace("/", ".") for package in packages}


@pytest.mark.skipif(not (PACKAGE.parent / "pyproject.toml").is_file(), reason="the package is installed")
def test_every_other_file_is_listed_as_data(project: dict[str, Any]) -> None:
    listed = set()
    for package, patterns in project["tool"]["setuptools"]["package-data"].items():
        folder = ROOT / project["tool"]["setuptools"]["package-dir"].get(package, package.replace(".", "/"))
        listed |= {path for pattern in patterns for path in folder.glob(pattern)}
    ignored = {".py", ".pyc"}
    expected = {path for path in PACKAGE.rglob("*") if path.is_file() and path.suffix not in ignored}
    folders = [path.parent for path in ROOT.glob("resources/*/README.md")]  # others are written by examples
    expected |= {path for folder in folders for path in folder.rglob("*") if path.is_file()}
    assert {path.relative_to(ROOT) for path in listed} == {path.relative_to(ROOT) for path in expected}


def test_bundled_data_state_their_source_and_licence(project: dict[str, Any]) -> None:
    names = [pattern.split("/")[0] for pattern in project["tool"]["setuptools"]["package-data"]["flairlite.resources"]]
    assert {"glove-mini", "sample_english"} <= set(names)
    licences = set(project["project"]["license"].split(" AND "))
    for name in set(names):
        text = (bundled_path(name) / "README.md").read_text(encoding="utf-8")
        assert len(re.findall(r"^- Source: \S", text, re.MULTILINE)) == 1, f"{name}: README.md needs `- Source: `"
        stated = re.findall(r"^- Licence: (.*)$", text, re.MULTILINE)
        assert len(stated) == 1, f"{name}: README.md needs `- Licence: `"
        assert any(licence.partition("-")[0] in stated[0] for licence in licences), (
            f"{name} has the licence {stated[0]}: add it to `license` in pyproject.toml"
        )


def test_licences_of_the_package_are_those_of_its_data(project: dict[str, Any]) -> None:
    assert project["project"]["license"].split(" AND ") == ["MIT", "CC-BY-SA-4.0", "PDDL-1.0"]
    assert read("LICENSE").startswith("MIT License")


# ------------------------------------------------------------------------------------------ version and changelog


def test_the_version_is_written_once(project: dict[str, Any]) -> None:
    version = project["project"]["version"]
    pattern = re.compile(rf"(?i)version\W{{1,6}}{re.escape(version)}\b")
    files = [path for path in PACKAGE.rglob("*.py") if pattern.search(path.read_text(encoding="utf-8"))]
    assert files == []
    assert not re.search(r"^version:", read("CITATION.cff"), re.MULTILINE)


def test_the_changelog_has_the_form_of_keep_a_changelog(project: dict[str, Any]) -> None:
    text = read("CHANGELOG.md")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings[0] == "[Unreleased]"
    released = [re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d\d-\d\d", heading) for heading in headings[1:]]
    versions = [tuple(map(int, found.groups())) for found in released if found]
    assert len(versions) == len(released), headings
    assert versions == sorted(set(versions), reverse=True)
    current = tuple(map(int, project["project"]["version"].split(".")))
    assert all(version <= current for version in versions)
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= kinds


def test_the_citation_has_what_its_format_requires() -> None:
    keys = re.findall(r"^([a-z-]+):", read("CITATION.cff"), re.MULTILINE)
    assert len(keys) == len(set(keys))
    assert {"cff-version", "message", "title", "authors", "type", "license"} <= set(keys)


def test_badges_of_the_readme_are_true(project: dict[str, Any]) -> None:
    badges = dict(re.findall(r"img\.shields\.io/badge/([^-]+)-(.+?)-\w+\)", read("README.md")))
    supported = [line.rpartition(" ")[2] for line in project["project"]["classifiers"] if "Python :: 3." in line]
    assert project["project"]["requires-python"] == f">={supported[0]}"
    assert badges == {"python": "%20%7C%20".join(supported), "licence": "MIT"}
