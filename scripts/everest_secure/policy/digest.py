"""What a policy says, in a digest: two files that say the same are the same policy, wherever they lie."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from everest_secure.plain import plain
from everest_secure.policy.profile import Evidence, Policy, Waiver


def policy_digest(policy: Policy) -> str:
    """Return a SHA-256 in hex over all that decides: parameters, waivers, evidence, the product's own checks, and what is in the files that it names."""
    named = policy.parameters.secure_boot_certificates
    said = {
        "profile": policy.profile,
        "parameters": plain(replace(policy.parameters, secure_boot_certificates=())),
        "certificates": [_content(path) for path in named],
        "waivers": [_without_place(each) for each in policy.waivers],
        "evidence": [_without_place(each) for each in policy.evidence],
        "declared": [repr(each) for each in policy.declared],
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()


def _content(path: Path) -> str:
    """Return a digest of a file, or its name where it cannot be read, of which the check tells."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return str(path)


def _without_place(entry: Waiver | Evidence) -> dict[str, Any]:
    return {key: value for key, value in plain(entry).items() if key != "where"}
