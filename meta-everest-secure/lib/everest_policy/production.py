"""What a build for the field must say, because no default can be right."""

from __future__ import annotations

from everest_policy.facts import Data, is_on, meaning, tagged, words


def knobs(d: Data) -> str:
    """OCPP-01 and others: each of EVEREST_REQUIRED_IN_PRODUCTION is set."""
    if not is_on(d, "EVEREST_PRODUCTION"):
        return ""
    for knob in words(d, "EVEREST_REQUIRED_IN_PRODUCTION"):
        if not (d.getVar(knob) or "").strip():
            return tagged(d, knob, f"{knob} is empty in a production build; set it ({meaning(d, knob)})")
    return ""


def verity(d: Data) -> str:
    """FS-02: a device in the field verifies its root."""
    if is_on(d, "EVEREST_PRODUCTION") and not is_on(d, "EVEREST_VERITY"):
        return "FS-02: EVEREST_VERITY is not 1 in a production build, whose devices would read a root that anybody may have changed; set it to 1"
    return ""


def encryption(d: Data) -> str:
    """FS-04: the TPM tells the product's system from any other."""
    if all(is_on(d, knob) for knob in ("EVEREST_PRODUCTION", "EVEREST_DATA_ENCRYPTION")) and not is_on(d, "EVEREST_SECURE_BOOT"):
        return (
            "FS-04: EVEREST_DATA_ENCRYPTION is 1 and EVEREST_SECURE_BOOT is not in a production build, so that the TPM opens the data partition for "
            "whatever anybody starts on the machine; set EVEREST_SECURE_BOOT to 1"
        )
    return ""
