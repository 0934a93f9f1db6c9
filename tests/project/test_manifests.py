"""The manifests of the documents, by the schemas that Kubernetes publishes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS = re.findall(
    r"(?ms)^```yaml\n(apiVersion: .*?)^```",
    (ROOT / "docs" / "kubernetes.md").read_text("utf-8"),
)
KINDS = [re.findall(r"(?m)^kind: (\w+)$", manifest)[0] for manifest in MANIFESTS]
SLIPS = {
    "a name that is none": ("readOnlyRootFilesystem", "readOnlyRootFileSystem"),
    "a name in another place": ("restartPolicy: Never", "concurrencyPolicy: Forbid"),
    "a value of another kind": ("runAsNonRoot: true", "runAsNonRoot: 'yes'"),
    "a container without a name": ("- name: ", "- workingDir: "),
}
"""What is to be noticed, with what is written right and wrong."""


def refused(
    folder: Path, manifests: Iterable[tuple[str, str]], version: str
) -> set[str]:
    """Return the names of those that a Kubernetes would refuse."""
    files = []
    for name, text in manifests:
        files.append(folder / f"{name}.yaml")
        files[-1].write_text(text, encoding="utf-8")
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("uv"), "run", "--quiet", "--isolated"),
            *("--locked", "--only-group=manifests", "kubernetes-validate"),
            *("--strict", f"--kubernetes-version={version}"),
            *files,
        ],
        cwd=ROOT,
        capture_output=True,
        check=False,
        encoding="utf-8",
        timeout=300,
    )
    said = {
        Path(path).stem: level
        for level, path in re.findall(r"(?m)^(INFO|ERROR) (\S+) ", done.stdout)
    }
    # One whose kind it does not know is neither.
    assert len(said) == len(files), done.stdout + done.stderr
    return {name for name, level in said.items() if level == "ERROR"}


@pytest.mark.parametrize("version", ["1.25", "1.37"])
def test_kubernetes_takes_the_manifests_of_the_documents(
    tmp_path: Path, version: str
) -> None:
    assert KINDS == ["CronJob", "Pod"]
    assert not refused(tmp_path, zip(KINDS, MANIFESTS, strict=True), version)


def test_a_slip_in_a_manifest_is_noticed(tmp_path: Path) -> None:
    slips = [
        (f"{kind} {slip}".replace(" ", "-"), manifest.replace(right, wrong, 1))
        for kind, manifest in zip(KINDS, MANIFESTS, strict=True)
        for slip, (right, wrong) in SLIPS.items()
    ]

    assert refused(tmp_path, slips, "1.37") == {name for name, _ in slips}
