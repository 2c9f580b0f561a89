"""Monitoring and response: LOG-04."""

import json
import re

from everest_secure.checks.common import at
from everest_secure.checks.core import Notes, Root, Scope, check
from everest_secure.errors import ArtefactError
from everest_secure.policy.parameters import Parameters

RELEASE = "/etc/everest/everest_release.json"
_NO_VERSION = ("", "git", "unknown", "none")
"""What EVerest's own class writes when it does not know (bitbake's PV of a recipe without version is `git`)."""
_REVISION = re.compile(r"-r\d+(?:\.\d+)*")
"""Of a package, which says nothing of the version before it."""
_UNEXPANDED = "${"
"""Begins a variable that BitBake does not know, and leaves as it is written."""


@check("LOG-04", on=Scope.ROOT)
def release_file_names_the_real_version(root: Root, policy: Parameters, note: Notes) -> None:
    """The release file exists and its version, channel and components say something."""
    if root.tree.resolve(RELEASE) is None:
        note.finding(f"{RELEASE} does not exist", at=at(root, RELEASE), remedy="Let the image inherit everest-secure-image.")
        return
    try:
        release = json.loads(root.tree.text(RELEASE))
    except (ValueError, RecursionError):
        raise ArtefactError(f"{root.artefact.name}: {RELEASE} is no JSON; build the image again") from None
    remedy = "Set EVEREST_VERSION, EVEREST_IMAGE_VERSION and EVEREST_UPDATE_CHANNEL, and use this layer's class."
    if not isinstance(release, dict):
        note.finding("the release file is no mapping", at=at(root, RELEASE), remedy=remedy)
        return
    components = release.get("components")
    named = {f"component '{each.get('name')}'": each.get("version") for each in components or [] if isinstance(each, dict)}
    for what, value in {"version": release.get("version"), "channel": release.get("channel"), **named}.items():
        if _says_nothing(value):
            note.finding(f"the release file has no real {what}: '{value}'", at=at(root, RELEASE), remedy=remedy)
    note.saw(f"{RELEASE}: version {release.get('version')}, channel {release.get('channel')}, {len(named)} components")


def _says_nothing(value: object) -> bool:
    text = str(value).strip().lower() if isinstance(value, str | int | float) else ""
    return _REVISION.sub("", text) in _NO_VERSION or _UNEXPANDED in text
