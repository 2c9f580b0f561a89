"""What an image must not have: features that open a door, programs that belong on a desk, the name of the other variant."""

from __future__ import annotations

from everest_policy.facts import Data, is_on, words

_OPEN = "lets somebody in without a password"
_ROOT = "lets root log in"
_TOOLS = "puts a developer's tools in reach of whoever gets in"

FEATURES = {
    # ACC-01: all six debug features
    "debug-tweaks": ("ACC-01", f"{_OPEN} and {_ROOT}"),
    "allow-empty-password": ("ACC-01", _OPEN),
    "empty-root-password": ("ACC-01", _OPEN),
    "allow-root-login": ("ACC-01", _ROOT),
    "serial-autologin-root": ("ACC-01", "gives whoever has the serial console a shell of root"),
    "post-install-logging": ("ACC-01", "is for images that somebody debugs, and writes to a root that is read-only"),
    # NET-06: no login over the network, no service that nobody needs
    "ssh-server-dropbear": ("NET-06", "lets somebody log in over the network"),
    "ssh-server-openssh": ("NET-06", "lets somebody log in over the network"),
    "nfs-server": ("NET-06", "shares files with the network"),
    # RAUC-07: everything comes in through the bundle
    "package-management": ("RAUC-07", "installs packages past the update bundle"),
    # BIN-02
    "dbg-pkgs": ("BIN-02", _TOOLS),
    "dev-pkgs": ("BIN-02", _TOOLS),
    "eclipse-debug": ("BIN-02", _TOOLS),
    "ptest-pkgs": ("BIN-02", _TOOLS),
    "src-pkgs": ("BIN-02", _TOOLS),
    "staticdev-pkgs": ("BIN-02", _TOOLS),
    "tools-debug": ("BIN-02", _TOOLS),
    "tools-profile": ("BIN-02", _TOOLS),
    "tools-sdk": ("BIN-02", _TOOLS),
    "tools-testapps": ("BIN-02", _TOOLS),
}
"""Image feature to the requirement that it contradicts, and why."""

PACKAGES = {
    "everest-admin-panel": ("NET-03", "lets everyone on the network change the configuration"),
    "everest-node-red-flows": ("NET-03", "lets everyone on the network run programs"),
    "everest-examples": ("BIN-02", "is for a desk"),
    "dropbear": ("NET-06", "lets somebody log in over the network"),
    "openssh": ("NET-06", "lets somebody log in over the network"),
    "openssh-sshd": ("NET-06", "lets somebody log in over the network"),
    "inetutils-telnetd": ("NET-06", "lets somebody log in over the network"),
    "avahi-daemon": ("NET-06", "tells the network what the charger is"),
    "rpcbind": ("NET-06", "offers services to the network"),
    "gdb": ("BIN-02", _TOOLS),
    "gdbserver": ("BIN-02", _TOOLS),
    "strace": ("BIN-02", _TOOLS),
    "tcpdump": ("BIN-02", _TOOLS),
}
"""Package to the requirement that it contradicts, and why; PACKAGE_EXCLUDE keeps those out that others would pull in."""


def features(d: Data) -> str:
    """FS-01, ACC-01, NET-06, RAUC-07, BIN-02: no image feature takes back what the layer builds in."""
    chosen = words(d, "IMAGE_FEATURES")
    for feature, (identifier, why) in FEATURES.items():
        if feature in chosen:
            return f"{identifier}: the image feature '{feature}' {why}; take it out of IMAGE_FEATURES and EXTRA_IMAGE_FEATURES"
    if "read-only-rootfs" not in chosen:
        return "FS-01: the image feature 'read-only-rootfs' is missing; add to IMAGE_FEATURES instead of setting it"
    return ""


def packages(d: Data) -> str:
    """NET-03, NET-06, BIN-02: the image asks for no program that opens a door."""
    chosen = words(d, "IMAGE_INSTALL")
    for package, (identifier, why) in PACKAGES.items():
        if package in chosen:
            return f"{identifier}: the package '{package}' {why}; take it out of IMAGE_INSTALL"
    return ""


def variant(d: Data) -> str:
    """RAUC-02: what is built for the field and what is built for the workshop cannot be taken for each other."""
    name, variant_id, production = d.getVar("PN"), d.getVar("EVEREST_IMAGE_VARIANT") or "", is_on(d, "EVEREST_PRODUCTION")
    if is_on(d, "EVEREST_IMAGE_PRODUCTION") and not production:
        return (
            f"RAUC-02: {name} is for the field and this is no production build; set EVEREST_PRODUCTION to 1 or build the development image"
        )
    if production and not is_on(d, "EVEREST_IMAGE_PRODUCTION"):
        return (
            f"RAUC-02: {name} is for the workshop and this is a production build; build the production image or set EVEREST_PRODUCTION to 0"
        )
    if production and variant_id.endswith("-development"):
        return f"RAUC-02: a production image calls itself '{variant_id}'; set EVEREST_IMAGE_VARIANT to the name of the product"
    if not production and variant_id == "everest-secure":
        return (
            f"RAUC-02: a development image calls itself '{variant_id}' as production does; let EVEREST_IMAGE_VARIANT end with -development"
        )
    wrong = "everest-keyring-development" if production else "everest-keyring"
    if wrong in words(d, "IMAGE_INSTALL"):
        return f"RAUC-02: {name} would trust the authority of the other variant; take '{wrong}' out of IMAGE_INSTALL"
    return ""
