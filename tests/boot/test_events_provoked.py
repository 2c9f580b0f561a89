"""Security events that real programs provoke in the image's own services: each is one line of the journal for the monitor, and one of the log (LOG-03).

Run by `make boot`, after `make demo`, as root: the real systemd, journald, mosquitto, RAUC, su and PAM of the image, in a container. What only a kernel, a
TPM or EVerest says is provoked elsewhere: tests/layer/test_events_of_the_machine.py, tests/boot/test_monitoring.py and tests/yocto/test_everest_events.py.
"""

import os
import subprocess
from pathlib import Path

import pytest

from support.authority import issue
from support.container import IN_A_CONTAINER, boot
from support.layer import Bench
from support.mqtt import make_certificates
from support.reference import require

from .conftest import Witness

pytestmark = pytest.mark.boot

STORE = "/etc/everest/certs"
MONITOR = "/usr/libexec/everest-secure/everest-security-monitor"
LIBRARY = "/usr/lib/everest-secure"
RAUC_WITHOUT_A_BOOT_LOADER = "[Service]\nExecStart=\nExecStart=/usr/bin/rauc --override-boot-slot=A --mount=/run/rauc/mnt service\n"
MANIFEST = "[update]\ncompatible={compatible}\nversion=9\n[bundle]\nformat=verity\n[image.rootfs]\nfilename=rootfs.img\n"
CHATTY = "[Service]\nType=oneshot\nLogRateLimitIntervalSec=1s\nLogRateLimitBurst=10\nExecStart=/bin/sh /chatty.sh\n"
# What was held back is said with the next line after the interval.
TALK = "i=0; while [ $i -lt 50 ]; do echo line $i; i=$((i + 1)); done; sleep 2; echo last\n"
ASK = "mosquitto_sub -h 192.0.2.1 -p 8883 --cafile pki/ca.pem --insecure -C 1 -W 5 -t x"
# Everything that happened so far, whatever the log counts only: the lines of the journal that are an event for the monitor.
OCCURRENCES = f"""{{ sed -n "/^[^#]/s/^/rule$(printf '\\t')/p" {LIBRARY}/security-events.tsv; journalctl -b --output=json; }} |
awk -f {LIBRARY}/find-security-events.awk | cut -f 3,6"""
PROVOKE = f"""
cp /pki/ca.pem {STORE}/ca/mqtt-api/ && cp /pki/server.pem /pki/server.key {STORE}/server/mqtt-api/
systemctl start everest-mqtt-api.service
tries=0; until [ -e /outside-is-done ] || [ $((tries += 1)) -gt 600 ]; do sleep 0.1; done
rauc install /forged.raucb >/dev/null; rauc install /unsigned.raucb >/dev/null
echo wrong | setpriv --reuid=everest --regid=everest --clear-groups su root -c true 2>/dev/null
systemctl start chatty.service
cp /soon.pem {STORE}/ca/mo/
systemctl start everest-security-monitor-daily.service
tries=0; until {MONITOR} show | grep -q certificate-expires || [ $((tries += 1)) -gt 50 ]; do sleep 0.2; done
log=/var/log/everest-security/security.log
sed -i '2s/Z\\t/A\\t/' $log
systemctl start everest-security-monitor-daily.service
tries=0; until {MONITOR} show | grep -q log-tampered || [ $((tries += 1)) -gt 50 ]; do sleep 0.2; done
journalctl --sync
{OCCURRENCES}
echo ==
{MONITOR} show | cut -f 3,5,6
systemctl poweroff --force --no-block"""
PROVOKED = {
    "tls-handshake-failed": (
        "peer did not return a certificate",
        "certificate verify failed",
        "unsupported protocol",
        "alert unknown ca",
    ),
    "authentication-failed": ("disconnected, not authorised.", "pam_unix(su:auth): authentication failure; logname= uid=1500"),
    "update-signature-refused": ("signature verification failed: Verify error: self-signed certificate", "Signature size is 0"),
    "messages-dropped": ("messages from chatty.service",),
    # The day is looked at twice.
    "certificate-expires": ("soon.pem",) * 2,
    "log-tampered": ("the security log is not what was written",),
}
"""What is said of each thing that was provoked, in its order."""


def forged(place: Path, image: Path) -> None:
    """Make `forged.raucb`, signed by somebody whom nobody trusts, and `unsigned.raucb`, the same without a signature."""
    content = place / "content"
    content.mkdir()
    (content / "rootfs.img").write_bytes(os.urandom(65536))
    conf = (image / "etc/rauc/system.conf").read_text()
    compatible = next(line.partition("=")[2] for line in conf.splitlines() if line.startswith("compatible="))
    (content / "manifest.raucm").write_text(MANIFEST.format(compatible=compatible))
    stranger = issue("Stranger")
    for name, text in {"stranger.pem": stranger.pem, "stranger.key": stranger.key_pem}.items():
        (place / name).write_text(text)
    bundles = place / "bundles"
    bundles.mkdir()
    made = bundles / "forged.raucb"
    signer = ("--cert", place / "stranger.pem", "--key", place / "stranger.key")
    subprocess.run(["rauc", "bundle", *signer, content, made], capture_output=True, check=True)
    (bundles / "unsigned.raucb").write_bytes(made.read_bytes()[:-8] + bytes(8))


@pytest.mark.proves("LOG-03", "CERT-04")
def test_what_is_provoked_once_is_found_once_in_what_the_real_programs_say_and_is_in_the_log(
    image: Path, layer: Bench, tmp_path: Path, proof: Witness
) -> None:
    require("openssl", "rauc", "mksquashfs")
    pki = tmp_path / "pki"
    pki.mkdir()
    make_certificates(pki)
    forged(tmp_path, image)
    settings = {"EVEREST_MQTT_API": "1", "EVEREST_MANAGEMENT_INTERFACE": "eth0"}
    packages = [layer.package(name, **settings).files for name in ("everest-mqtt-api", "everest-firewall")]
    outcome = boot(
        image,
        tmp_path / "machine",
        trees=(*packages, layer.package("everest-security-monitor").files, tmp_path / "bundles"),
        files={
            **{f"pki/{file}": (pki / file).read_text() for file in ("ca.pem", "server.pem", "server.key")},
            "soon.pem": issue("Soon", authority=True, days=10).pem,
            "etc/systemd/system/rauc.service.d/slot.conf": RAUC_WITHOUT_A_BOOT_LOADER,
            "etc/systemd/system/chatty.service": CHATTY,
            "chatty.sh": TALK,
        },
        probe=PROVOKE,
        outside=f"""cp -r ../pki pki
tries=0
until openssl s_client -connect 192.0.2.1:8883 -CAfile pki/ca.pem -cert pki/viewer.pem -key pki/viewer.key || [ $((tries += 1)) -gt 60 ]; do
    sleep 0.5
done </dev/null >/dev/null 2>&1
{ASK}
{ASK} --cert pki/stranger.pem --key pki/stranger.key
openssl s_client -connect 192.0.2.1:8883 -tls1_1 -cipher DEFAULT@SECLEVEL=0 </dev/null
{ASK.replace("ca.pem", "other-ca.pem")} --cert pki/viewer.pem --key pki/viewer.key
{ASK} --cert pki/nameless.pem --key pki/nameless.key
touch root/outside-is-done""",
    )
    found, told = ([line.split("\t") for line in part.splitlines() if "\t" in line] for part in outcome.probe.split("\n==\n"))
    proof.excerpt([IN_A_CONTAINER, *(f"{event}: {text}" for event, _, text in told)])
    assert {event for event, _ in found} == set(PROVOKED)
    for event, reasons in PROVOKED.items():
        texts = [text for name, text in found if name == event]
        assert len(texts) == len(reasons), texts
        assert all(reason in text for reason, text in zip(reasons, texts, strict=True)), texts
    assert {event for event, *_ in told} == set(PROVOKED)
    for event, reasons in PROVOKED.items():
        (first, *others) = [(count, text) for name, count, text in told if name == event]
        assert first[0] == "1"
        assert reasons[0] in first[1]
        # The last may not have been told yet.
        assert sum(int(count) for count, _ in others) in (0, len(reasons) - 1)
