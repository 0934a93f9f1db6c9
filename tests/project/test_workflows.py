"""The workflows for GitHub."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import metadata, version
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
DEPENDABOT = GITHUB / "dependabot.yml"
VERSION = version("tap-kommo-chats")


def test_the_workflows_are_valid_by_githubs_schema() -> None:
    tool("check-jsonschema", "--builtin-schema=vendor.github-workflows", *WORKFLOWS)


def test_what_dependabot_is_told_is_valid_by_githubs_schema() -> None:
    tool("check-jsonschema", "--builtin-schema=vendor.dependabot", DEPENDABOT)


def test_the_workflows_have_no_weakness_that_zizmor_knows() -> None:
    tool(
        "zizmor",
        *("--offline", "--no-progress", "--persona=auditor"),
        f"--config={GITHUB / 'zizmor.yml'}",
        *(*WORKFLOWS, DEPENDABOT),
    )


def test_a_bot_proposes_newer_versions_of_all_that_is_locked() -> None:
    updates = {
        update["package-ecosystem"]: update["directory"]
        for update in read(DEPENDABOT)["updates"]
    }

    assert updates == {"uv": "/", "pip": "/requirements", "github-actions": "/"}
    assert (ROOT / "uv.lock").exists()
    assert [path.name for path in ROOT.glob("requirements/*")] == ["uv.txt"]


def test_the_tests_run_on_every_python_that_the_package_names() -> None:
    said = "Programming Language :: Python :: "
    classifiers = metadata("tap-kommo-chats").get_all("Classifier") or []

    assert jobs("test.yml")["test"]["strategy"]["matrix"]["python"] == [
        classifier.removeprefix(said)
        for classifier in classifiers
        if classifier.startswith(f"{said}3.")
    ]


def test_no_job_may_do_more_than_it_has_to() -> None:
    assert {
        (path.name, name): job["permissions"]
        for path in WORKFLOWS
        for name, job in jobs(path.name).items()
    } == {
        ("bench.yml", "bench"): {"contents": "read"},
        ("release.yml", "test"): {"contents": "read"},
        ("release.yml", "build"): {"contents": "read"},
        ("release.yml", "publish"): {"id-token": "write"},
        ("release.yml", "announce"): {"contents": "write"},
        ("test.yml", "test"): {"contents": "read"},
    }


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_gives_no_permission_to_all_of_its_jobs(path: Path) -> None:
    assert read(path)["permissions"] == {}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_says_what_becomes_of_two_runs_at_once(path: Path) -> None:
    assert set(read(path)["concurrency"]) == {"group", "cancel-in-progress"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_job_with_steps_has_an_end(path: Path) -> None:
    for job in jobs(path.name).values():
        assert "uses" in job or 0 < job["timeout-minutes"] <= 60


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_an_action_is_used_by_its_commit_and_its_version_is_told(path: Path) -> None:
    used = re.findall(r"(?m)\buses: (.+)$", path.read_text(encoding="utf-8"))

    assert used
    for action in used:
        assert action.startswith("./") or re.fullmatch(
            r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action
        )


def test_an_action_is_used_by_one_commit_everywhere() -> None:
    used = {
        action
        for path in WORKFLOWS
        for action in re.findall(r"uses: ([\w-]+/.+)", path.read_text("utf-8"))
    }

    assert len(used) == len({action.partition("@")[0] for action in used})


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_calls_make_for_what_make_has(path: Path) -> None:
    make = shutil.which("make")
    assert make
    for job in jobs(path.name).values():
        for step in job.get("steps", []):
            if (command := step.get("run", "")).startswith("make "):
                _, target, python = command.split()
                assert python == "PYTHON=python"
                subprocess.run(
                    [make, "--dry-run", target, f"PYTHON={sys.executable}"],
                    cwd=ROOT,
                    check=True,
                    stdout=subprocess.DEVNULL,
                    timeout=60,
                )


def test_nothing_is_published_before_it_is_tested_and_built() -> None:
    assert set(jobs("release.yml")["publish"]["needs"]) == {"test", "build"}


def test_only_packages_are_published() -> None:
    kept = {
        step["with"]["name"]: step["with"]["path"].split()
        for step in jobs("release.yml")["build"]["steps"]
        if "upload-artifact" in step.get("uses", "")
    }
    (published, *_) = jobs("release.yml")["publish"]["steps"]

    assert published["with"]["name"] == "packages"
    assert kept["packages"] == ["dist/*.tar.gz", "dist/*.whl"]


def test_a_release_has_its_bill_of_materials(tmp_path: Path) -> None:
    fetch, release = jobs("release.yml")["announce"]["steps"]
    bash = shutil.which("bash")
    assert bash
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "tap-kommo-chats.cdx.json").touch()
    # Stands in for GitHub's command, which no test may run.
    gh = tmp_path / "gh"
    gh.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    gh.chmod(0o755)

    done = subprocess.run(
        [bash, "-e", "-c", release["run"]],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
        | {"GITHUB_REF_NAME": "v1.2.3"},
        capture_output=True,
        check=True,
        encoding="utf-8",
        timeout=60,
    )

    assert fetch["with"] == {"name": "bill-of-materials", "path": "dist/"}
    assert done.stdout.startswith(
        "release create v1.2.3 dist/tap-kommo-chats.cdx.json --verify-tag"
    )


def test_publishing_is_trusted_by_its_environment_and_has_no_password() -> None:
    publish = jobs("release.yml")["publish"]

    assert publish["environment"] == "pypi"
    assert "password" not in str(publish)
    assert "secrets." not in (GITHUB / "workflows/release.yml").read_text("utf-8")


@pytest.mark.parametrize(
    ("tag", "changelog", "wrong"),
    [
        (f"v{VERSION}", f"## {VERSION}\n", None),
        (f"v{VERSION}", f"## {VERSION} (2030-01-01)\n", None),
        (f"v{VERSION}", "## Unreleased\n", "has no section"),
        (f"v{VERSION}", f"## {VERSION}1\n", "has no section"),
        (f"v{VERSION}.1", f"## {VERSION}.1\n", "is not the version"),
        (f"x{VERSION}", f"## {VERSION}\n", "is not the version"),
    ],
    ids=["right", "dated", "no section", "a longer one", "another version", "no v"],
)
def test_a_tag_is_the_projects_version_and_in_the_changelog(
    tmp_path: Path, tag: str, changelog: str, wrong: str | None
) -> None:
    (tmp_path / "CHANGELOG.md").write_text(changelog, encoding="utf-8")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / f"tap_kommo_chats-{VERSION}.tar.gz").touch()
    (check,) = (
        step["run"]
        for step in jobs("release.yml")["build"]["steps"]
        if "the tag" in step.get("name", "")
    )
    bash = shutil.which("bash")
    assert bash

    # As GitHub runs a step.
    done = subprocess.run(
        [bash, "-e", "-c", check],
        cwd=tmp_path,
        env={**os.environ, "GITHUB_REF_NAME": tag},
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )

    assert (done.returncode != 0) == (wrong is not None)
    assert (wrong or "") in done.stdout


def tool(name: str, *arguments: str | Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name(name), *arguments],
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def jobs(workflow: str) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(GITHUB / "workflows" / workflow)["jobs"]
    return found


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found
