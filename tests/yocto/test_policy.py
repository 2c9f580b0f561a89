"""What contradicts a requirement is refused by real BitBake in one sentence, before a task runs; a recipe for each contradiction, one parse for all."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from everest_secure.pki.store import Store
from support.kas import git
from support.pki import LONG_AGO, PASSPHRASE, add_odd_signer, add_signer, make, now, small
from support.yocto import QUICK, Checkout, refusals

pytestmark = pytest.mark.yocto

TOP = "kas/qemux86-64.yml"
PRODUCTION = 'EVEREST_PRODUCTION = "1"\nEVEREST_IMAGE_PRODUCTION = "1"\nEVEREST_RAUC_KEYRING = "{release}/keyring.pem"\n'
"""A production image, complete but for what a case changes."""
FROM_RELEASE = (
    'EVEREST_BUNDLE_KEY = "{release}/signer.key.pem"\nEVEREST_BUNDLE_CERT = "{release}/signer.cert.pem"\n'
    'EVEREST_BUNDLE_INTERMEDIATE = "{release}/signer.chain.pem"\n'
)

IMAGES: Mapping[str, tuple[str, str]] = {
    "debug-tweaks": (
        'IMAGE_FEATURES += "debug-tweaks"',
        "ACC-01: the image feature 'debug-tweaks' lets somebody in without a password and lets root log in; "
        "take it out of IMAGE_FEATURES and EXTRA_IMAGE_FEATURES",
    ),
    "login-server": (
        'IMAGE_FEATURES += "ssh-server-openssh"',
        "NET-06: the image feature 'ssh-server-openssh' lets somebody log in over the network",
    ),
    "writable": ('IMAGE_FEATURES:remove = "read-only-rootfs"', "FS-01: the image feature 'read-only-rootfs' is missing"),
    "panel": ('IMAGE_INSTALL += "everest-admin-panel"', "NET-03: the package 'everest-admin-panel' lets everyone on the network"),
    "false-name": (
        'EVEREST_IMAGE_VARIANT = "everest-secure"',
        "RAUC-02: a development image calls itself 'everest-secure' as production does",
    ),
    "field-image": ('EVEREST_IMAGE_PRODUCTION = "1"', "RAUC-02: field-image is for the field and this is no production build"),
    "no-keyring": ('EVEREST_RAUC_KEYRING_DEVELOPMENT = ""', "RAUC-02: EVEREST_RAUC_KEYRING_DEVELOPMENT '' is not set; name a PEM file"),
    "lost-keyring": (
        'EVEREST_RAUC_KEYRING_DEVELOPMENT = "/nowhere/ca.pem"',
        "RAUC-02: EVEREST_RAUC_KEYRING_DEVELOPMENT '/nowhere/ca.pem' is no file",
    ),
    "locked-keyring": ('EVEREST_RAUC_KEYRING_DEVELOPMENT = "{locked}"', "RAUC-02: .* cannot be read by whoever builds"),
    "key-for-keyring": ('EVEREST_RAUC_KEYRING_DEVELOPMENT = "{keys}/signer.key.pem"', "RAUC-02: .* holds no certificate"),
    "expired-keyring": (
        'EVEREST_RAUC_KEYRING_DEVELOPMENT = "{expired}/keyring.pem"',
        "RAUC-02: .* holds '.*', which has expired; renew it",
    ),
    "no-secure-boot-key": (
        'EVEREST_SECURE_BOOT = "1"\nEVEREST_SECURE_BOOT_KEY = "/nowhere/db.key"',
        "BOOT-01: EVEREST_SECURE_BOOT_KEY '/nowhere/db.key' is no file; name the private key of EVEREST_SECURE_BOOT_CERT",
    ),
    "wrong-secure-boot-key": (
        'EVEREST_SECURE_BOOT = "1"\nEVEREST_SECURE_BOOT_KEY = "{keys}/signer.key.pem"',
        "BOOT-01: EVEREST_SECURE_BOOT_KEY '.*' is not the key of EVEREST_SECURE_BOOT_CERT",
    ),
    "changed-checkout": ('EVEREST_CORE_PATH = "{changed}"', "SUP-03: EVerest's checkout .* was changed \\('M README'\\); undo that"),
    "untagged-checkout": ('EVEREST_CORE_PATH = "{untagged}"', "SUP-03: EVerest's checkout .* is not at the tag 2026.02.1"),
    "changed-for-the-field": (
        PRODUCTION + 'EVEREST_CHANGED_CHECKOUT = "1"\nEVEREST_CORE_PATH = "{changed}"',
        "SUP-03: EVerest's checkout .* was changed",
    ),
    "no-checkout": ('EVEREST_CORE_PATH = "/nowhere"', "SUP-03: /nowhere is no checkout of EVerest that git can read"),
    "half-on": ('EVEREST_SECURE_BOOT = "yes"', "BOOT-01: EVEREST_SECURE_BOOT is 'yes', which is neither on nor off; set it to 1 or 0"),
    "opened-for-anybody": (
        PRODUCTION + 'EVEREST_DATA_ENCRYPTION = "1"\nEVEREST_SECURE_BOOT = "0"',
        "FS-04: EVEREST_DATA_ENCRYPTION is 1 and EVEREST_SECURE_BOOT is not in a production build",
    ),
    "unverified": (PRODUCTION + 'EVEREST_VERITY = "0"', "FS-02: EVEREST_VERITY is not 1 in a production build"),
    "unsaid": (
        PRODUCTION + 'EVEREST_CSMS_URL = ""',
        r"OCPP-01: EVEREST_CSMS_URL is empty in a production build; set it \(Where the CSMS listens",
    ),
    "workshop-keyring": (
        PRODUCTION + 'EVEREST_RAUC_KEYRING = "{keys}/keyring.pem"',
        "RAUC-02: EVEREST_RAUC_KEYRING '.*' holds '.*', an authority of development; name the one for release",
    ),
    "workshop-secure-boot": (
        PRODUCTION + 'EVEREST_SECURE_BOOT = "1"',
        "RAUC-02: EVEREST_SECURE_BOOT_CERT '.*' holds '.*', an authority of development",
    ),
}
BUNDLES: Mapping[str, tuple[str, str]] = {
    "plain-bundle": ('RAUC_BUNDLE_FORMAT = "plain"', "RAUC-01: .*plain"),
    "no-signer": ('EVEREST_BUNDLE_KEY = ""', "RAUC-03: EVEREST_BUNDLE_KEY '' is not set; name the private key of EVEREST_BUNDLE_CERT"),
    "wrong-signer": (
        'EVEREST_BUNDLE_KEY = "{keys}/intermediate.key.pem"',
        "RAUC-03: EVEREST_BUNDLE_KEY '.*' is not the key of EVEREST_BUNDLE_CERT",
    ),
    "expired-signer": (
        'EVEREST_BUNDLE_KEY = "{keys}/old.key.pem"\nEVEREST_BUNDLE_CERT = "{keys}/old.cert.pem"',
        "RAUC-03: EVEREST_BUNDLE_CERT '.*' holds '.*', which has expired; renew it",
    ),
    "foreign-signer": (FROM_RELEASE, "RAUC-03: EVEREST_BUNDLE_CERT '.*' is not of an authority in"),
    "workshop-signer": (PRODUCTION, "RAUC-02: EVEREST_BUNDLE_CERT '.*' holds '.*', an authority of development"),
    "mail-signer": (
        'EVEREST_BUNDLE_KEY = "{keys}/mail.key.pem"\nEVEREST_BUNDLE_CERT = "{keys}/mail.cert.pem"',
        "RAUC-03: EVEREST_BUNDLE_CERT '.*' holds '.*', which is not for code signing",
    ),
    "copied-signer": (PRODUCTION + FROM_RELEASE, "RAUC-02: EVEREST_BUNDLE_KEY is a file, which every task of the build can copy"),
    "public-pin": (
        'EVEREST_BUNDLE_KEY = "pkcs11:token=bundles;object=signer?pin-source=/etc/hostname"',
        "RAUC-03: EVEREST_BUNDLE_KEY has its PIN in '/etc/hostname', which others may read",
    ),
}
GOOD = {
    "good-image": "",
    "good-production-image": PRODUCTION + 'EVEREST_SECURE_BOOT = "0"',
    "good-changed-checkout": 'EVEREST_CHANGED_CHECKOUT = "1"\nEVEREST_CORE_PATH = "{changed}"',
    "good-secure-boot": 'EVEREST_SECURE_BOOT = "1"',
}
GOOD_BUNDLES = {
    "good-bundle": "",
    "good-production-bundle": PRODUCTION + 'EVEREST_BUNDLE_RESIGN = "1"\nEVEREST_BUNDLE_KEYRING = "{keys}/keyring.pem"\n',
    "good-token": PRODUCTION + FROM_RELEASE + 'EVEREST_BUNDLE_KEY = "pkcs11:token=bundles;object=signer"\n',
}
REQUIRED = "".join(
    f'EVEREST_{knob} = "{value}"\n'
    for knob, value in {
        "CSMS_URL": "wss://csms.example/ocpp",
        "CHARGE_POINT_VENDOR": "Example",
        "CHARGE_POINT_MODEL": "One",
        "ORGANIZATION": "Example",
        "COUNTRY": "DE",
    }.items()
)


def repository(directory: Path, *, tag: str, changed: bool) -> None:
    directory.mkdir()
    git("init", "--quiet", ".", cwd=directory)
    (directory / "README").write_text("EVerest\n")
    git("add", "--all", cwd=directory)
    git("commit", "--quiet", "--message", "first", cwd=directory)
    git("tag", tag, cwd=directory)
    if changed:
        (directory / "README").write_text("not EVerest\n")


def recipe(kind: str, lines: str, places: Mapping[str, Path]) -> str:
    licence = 'LICENSE = "Apache-2.0"\nLIC_FILES_CHKSUM = "file://${COMMON_LICENSE_DIR}/Apache-2.0;md5=89aea4e17d99a7cacdbeed46a0096b10"\n'
    for name, path in places.items():
        lines = lines.replace(f"{{{name}}}", str(path))
    return f'{licence}inherit everest-secure-{kind}\nIMAGE_INSTALL ?= "everest-core"\n{REQUIRED}{lines}\n'


@pytest.fixture(scope="module")
def said(checkout: Checkout) -> str:
    """What real BitBake says of all these recipes."""
    top = checkout.user.directory
    places = {name: top / name for name in ("keys", "release", "expired", "changed", "untagged", "locked")}
    add_signer(Store(checkout.keys), "old", at=now() - LONG_AGO)
    add_odd_signer(Store(checkout.keys), "mail", purposes=[ExtendedKeyUsageOID.EMAIL_PROTECTION])
    make(places["release"], chosen=small("release"), passphrase=PASSPHRASE)
    make(places["expired"], at=now() - LONG_AGO)
    repository(places["changed"], tag="2026.02.1", changed=True)
    repository(places["untagged"], tag="2026.02.0", changed=False)
    shutil.copy(checkout.keys / "keyring.pem", places["locked"])
    for name in ("keys", "release", "expired", "changed", "untagged"):
        checkout.user.own(places[name])
    places["locked"].chmod(0)
    images = {name: recipe("image", lines, places) for name, lines in {**{n: c[0] for n, c in IMAGES.items()}, **GOOD}.items()}
    bundles = {name: recipe("bundle", lines, places) for name, lines in {**{n: c[0] for n, c in BUNDLES.items()}, **GOOD_BUNDLES}.items()}
    layer = checkout.layer("contradictions", images | bundles)
    names = " ".join(images | bundles)
    done = checkout.shell(TOP, f"bitbake --dry-run --continue {names} tpm2-openssl; true", layers=[layer], lines=QUICK)
    return done.stdout


@pytest.fixture(scope="module")
def refused(said: str) -> Mapping[str, str]:
    """Why each is refused."""
    found = refusals(said)
    assert found, said
    return found


@pytest.mark.parametrize(("name", "sentence"), [(name, sentence) for name, (_, sentence) in (*IMAGES.items(), *BUNDLES.items())])
def test_a_contradiction_is_refused_in_one_sentence(refused: Mapping[str, str], name: str, sentence: str) -> None:
    assert re.match(sentence, refused.get(name, "nothing"))


def test_the_old_provider_of_the_tpm_is_refused(refused: Mapping[str, str]) -> None:
    assert refused["tpm2-openssl"].startswith("TPM-01: tpm2-openssl 1.1.1 is older than 1.2.0; add EVerest's")


@pytest.mark.parametrize("name", [*GOOD, *GOOD_BUNDLES])
def test_without_a_contradiction_nothing_is_refused(said: str, refused: Mapping[str, str], name: str) -> None:
    assert name not in refused
    assert re.search(rf"/{name}\.bb\b.* DEPENDS on or otherwise requires it", said), (
        "BitBake looked for what it depends on, which QUICK leaves out"
    )
