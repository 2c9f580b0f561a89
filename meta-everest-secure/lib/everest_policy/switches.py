"""Knobs that are 1 or 0: BitBake itself takes "yes" and " 1" for 1 in some places and not in others, so that half of what belongs together would be on."""

from __future__ import annotations

from everest_policy.facts import Data, tagged

SWITCHES = (
    "EVEREST_ADAPTIVE_UPDATES",
    "EVEREST_BUNDLE_RESIGN",
    "EVEREST_CHANGED_CHECKOUT",
    "EVEREST_CHECK_CRL",
    "EVEREST_CRYPT_BUNDLE",
    "EVEREST_DATA_ENCRYPTION",
    "EVEREST_HAWKBIT",
    "EVEREST_HAWKBIT_RESTART",
    "EVEREST_IMAGE_PRODUCTION",
    "EVEREST_LATE_FALLBACK_PREVENTED",
    "EVEREST_MANAGEMENT_IPV6",
    "EVEREST_MQTT_API",
    "EVEREST_PRODUCTION",
    "EVEREST_PYTHON",
    "EVEREST_SECURE_BOOT",
    "EVEREST_VERITY",
)


def known(d: Data) -> str:
    """Every switch says what it means: a "true" for EVEREST_SECURE_BOOT would sign a FIT for a U-Boot that asks for no signature (BOOT-01)."""
    for knob in SWITCHES:
        if d.getVar(knob) not in ("0", "1"):
            return tagged(d, knob, f"{knob} is '{d.getVar(knob) or ''}', which is neither on nor off; set it to 1 or 0")
    return ""
