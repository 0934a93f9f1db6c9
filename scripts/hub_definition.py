"""Write the tap's plugin definition for MeltanoHub.

``make hub`` runs this. The settings, the capabilities and the Pythons are what
``tap-kommo-chats --about`` says, the label, the commands and the groups of settings are
those of ``meltano.yml``, and the rest is the package's metadata. So it has nothing to
say that is not said elsewhere, but for the few constants below.

The hub wants the name of the variant, for which it takes the owner of the repository.
That comes from ``Repository`` in ``[project.urls]``. Without it the variant has the
name that Meltano gives one that has none, and the definition names no repository.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

if TYPE_CHECKING:
    from importlib.metadata import Distribution

ROOT = Path(__file__).resolve().parent.parent
NAME = "tap-kommo-chats"
DEFINITION = ROOT / "hub" / f"{NAME}.yml"

DOMAIN_URL = "https://www.kommo.com"
PREREQUISITES = (
    "A chat channel that Kommo has registered, its secret, and an account that it is "
    "connected to."
)
QUALITY = "unknown"
"""The hub rates by use, which it alone knows."""
SDK_KEYWORD = "meltano_sdk"
"""The hub's word for connectors made with the SDK."""
UNNAMED_VARIANT = "original"

STATUS = {
    "3 - Alpha": "development",
    "4 - Beta": "beta",
    "5 - Production/Stable": "active",
    "6 - Mature": "active",
    "7 - Inactive": "inactive",
}
KINDS = {
    "object": "object",
    "array": "array",
    "string": "string",
    "number": "decimal",
    "integer": "integer",
    "boolean": "boolean",
}
"""The hub's kind for a JSON type. Of several types the first here has the say."""


class UnknownKindError(ValueError):
    """A setting is of a type that the hub has no kind for."""


def main(arguments: list[str]) -> int:
    """Write the definition.

    Args:
        arguments: Where to write it; nothing for its place in the project.

    Returns:
        The exit code.
    """
    path = Path(arguments[0]) if arguments else DEFINITION
    path.parent.mkdir(exist_ok=True)
    path.write_text(as_yaml(definition()), encoding="utf-8")
    return 0


def definition() -> dict[str, Any]:
    """Put the definition together.

    Returns:
        The definition, in the form of the hub's schema.
    """
    about = about_the_tap()
    extractor = in_meltano_yml()
    package = distribution(NAME)
    links = project_urls(package)
    defined = {
        "name": about["name"],
        "variant": UNNAMED_VARIANT,
        "namespace": extractor["namespace"],
        "label": extractor["label"],
        "description": about["description"],
        "pip_url": package.name,
        "executable": executable(package),
        "domain_url": DOMAIN_URL,
        "keywords": [*keywords(package), SDK_KEYWORD],
        "maintenance_status": maintenance_status(package),
        "quality": QUALITY,
        "prereq": PREREQUISITES,
        "commands": extractor["commands"],
        "capabilities": about["capabilities"],
        "supported_python_versions": about["supported_python_versions"],
        "settings_group_validation": extractor["settings_group_validation"],
        "settings": [
            setting(name, schema)
            for name, schema in about["settings"]["properties"].items()
        ],
    }
    if "structured-logging" in about["capabilities"]:
        defined["log_parser"] = "singer-sdk"
    if repository := links.get("repository"):
        defined["repo"] = repository
        defined["variant"] = urlsplit(repository).path.split("/")[1].lower()
    if documentation := links.get("documentation"):
        defined["docs"] = documentation
    return defined


def setting(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Say what a setting is in the hub's words.

    Args:
        name: The setting's name.
        schema: Its JSON schema.

    Returns:
        The setting.
    """
    said = {
        "name": name,
        "label": schema.get("title", name.replace("_", " ").capitalize()),
        "kind": kind(name, schema),
    }
    if said["kind"] == "options":
        choices = [str(choice) for choice in schema["enum"] if choice is not None]
        said["options"] = [{"label": text, "value": text} for text in choices]
    if schema.get("secret"):
        said["sensitive"] = True
    if schema.get("default") is not None:
        said["value"] = schema["default"]
    if "description" in schema:
        said["description"] = schema["description"]
    return said


def kind(name: str, schema: dict[str, Any]) -> str:
    """Find the hub's kind for a setting.

    Args:
        name: The setting's name.
        schema: Its JSON schema.

    Returns:
        The kind.

    Raises:
        UnknownKindError: If there is none.
    """
    if "enum" in schema:
        return "options"
    if schema.get("format") == "date-time":
        return "date_iso8601"
    types: set[str] = set()
    for part in (schema, *schema.get("anyOf", []), *schema.get("oneOf", [])):
        given = part.get("type", [])
        types.update([given] if isinstance(given, str) else given)
    for known, found in KINDS.items():
        if known in types:
            return found
    message = f"{name} has no type that the hub knows: {sorted(types)}"
    raise UnknownKindError(message)


def about_the_tap() -> dict[str, Any]:
    """Ask the tap what it is.

    Returns:
        Its answer.
    """
    command = Path(sys.executable).with_name(NAME)
    done = subprocess.run(
        [command, "--about", "--format=json"],
        stdout=subprocess.PIPE,
        check=True,
        encoding="utf-8",
    )
    about: dict[str, Any] = json.loads(done.stdout)
    # The class's first line is a sentence; the hub's descriptions have no full stop.
    about["description"] = about["description"].rstrip(".")
    return about


def in_meltano_yml() -> dict[str, Any]:
    """Read what the Meltano project says of the tap.

    Returns:
        The plugin.
    """
    project = yaml.safe_load((ROOT / "meltano.yml").read_text(encoding="utf-8"))
    plugins: list[dict[str, Any]] = project["plugins"]["extractors"]
    return next(plugin for plugin in plugins if plugin["name"] == NAME)


def project_urls(package: Distribution) -> dict[str, str]:
    """Read the package's links.

    Args:
        package: The installed package.

    Returns:
        Addresses by their label, in lower case.
    """
    pairs = (line.split(", ", 1) for line in lines(package, "Project-URL"))
    return {label.lower(): address for label, address in pairs}


def executable(package: Distribution) -> str:
    """Find the command that the package installs.

    Args:
        package: The installed package.

    Returns:
        Its name.
    """
    (command,) = package.entry_points.select(group="console_scripts", name=package.name)
    return command.name


def keywords(package: Distribution) -> list[str]:
    """Read the package's keywords.

    Args:
        package: The installed package.

    Returns:
        The keywords, in the package's order.
    """
    return [word for line in lines(package, "Keywords") for word in line.split(",")]


def maintenance_status(package: Distribution) -> str:
    """Say how mature the package is in the hub's words.

    Args:
        package: The installed package.

    Returns:
        The status.
    """
    for classifier in lines(package, "Classifier"):
        topic, _, value = classifier.partition(" :: ")
        if topic == "Development Status":
            return STATUS.get(value, "unknown")
    return "unknown"


def lines(package: Distribution, field: str) -> list[str]:
    """Read a field of the package's metadata.

    Args:
        package: The installed package.
        field: Its name.

    Returns:
        Each value it has.
    """
    return [str(value) for value in package.metadata.get_all(field) or []]


def as_yaml(defined: dict[str, Any]) -> str:
    """Write a definition the way the hub keeps its files.

    Args:
        defined: The definition.

    Returns:
        YAML, with a word on where it comes from and where it goes.
    """
    place = f"_data/meltano/extractors/{defined['name']}/{defined['variant']}.yml"
    return (
        "# Written by `make hub`. Change what it is made from, not this file.\n"
        f"# Its place on MeltanoHub: {place}\n"
        + yaml.safe_dump(defined, sort_keys=False, allow_unicode=True, width=88)
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
