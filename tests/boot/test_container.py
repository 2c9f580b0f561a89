"""What systemd makes of the image's units: failed boots, reboots, the MQTT API and its end (BOOT-05, ACC-05, NET-02, NET-06).

Run by `make boot`, after `make demo`, as root.
"""

from pathlib import Path

import pytest

from support.container import IN_A_CONTAINER, REBOOTED, boot
from support.layer import Bench
from support.mqtt import make_certificates

from .conftest import Witness

pytestmark = pytest.mark.boot

LASTING = "[Unit]\nDescription=A data partition with something on it\n[Mount]\nWhat=/data\nWhere=/var\nType=none\nOptions=bind,nodev,nosuid,noexec\n"
NEEDED_MOUNT = "[Unit]\nBefore=local-fs.target\n[Mount]\nWhat=/nowhere\nWhere=/mnt\nType=ext4\n"
HANGS = "[Unit]\nDefaultDependencies=no\nBefore=sysinit.target\n[Service]\nType=oneshot\nExecStart=/bin/sleep 1000\n"
STORE = "/etc/everest/certs"
TOPIC = "everest_api/1/evse_manager_consumer/connector_1/e2m/session_event"
ASK = "mosquitto_sub -h 192.0.2.1 -p 8883 --cafile pki/ca.pem --insecure -C 1 -W 5 -v -t '#'"
IDENTIFIED = f"{ASK} --cert pki/viewer.pem --key pki/viewer.key"


def test_all_comes_up_on_an_empty_data_partition_and_the_service_user_restarts_it(image: Path, tmp_path: Path) -> None:
    probe = """systemctl --failed --plain --no-legend | sed 's/ .*//; s/^/failed: /'
systemctl show -p RuntimeWatchdogUSec
find /etc/everest/certs/server/mqtt-api /var/log/journal/* -maxdepth 0 -printf '%u %m\\n'
sync
setpriv --reuid=everest --clear-groups /sbin/reboot"""
    outcome = boot(image, tmp_path, probe=probe)
    # The container has no TPM.
    failed = ["failed: everest-tpm-provision.service"]
    assert outcome.probe.splitlines() == [*failed, "RuntimeWatchdogUSec=30s", "everest 700", "root 2755"]
    assert outcome.status == REBOOTED


def test_without_a_tpm_the_journal_says_by_its_id_that_there_are_no_keys(image: Path, layer: Bench, tmp_path: Path) -> None:
    probe = """systemctl start everest-tpm-provision.service; echo $?
journalctl --sync; journalctl MESSAGE_ID=2352c838e0264df2b5cbd36b4dcf9c64 _UID=1500 -o cat | sort -u
find /etc/everest/certs/client -type f
systemctl --no-block poweroff"""
    outcome = boot(image, tmp_path, probe=probe, trees=(layer.package("everest-tpm").files,))
    status, *said = outcome.probe.splitlines()
    assert status != "0"
    assert said[-1] == "there is no TPM at /dev/tpmrm0; enable it in the firmware, and the kernel's driver for it"


def test_a_reset_that_was_ordered_is_done_before_anything_uses_the_data_partition(image: Path, layer: Bench, tmp_path: Path) -> None:
    probe = """ls -A /var/lib/everest-identity /var/lib/everest/ocpp201 /var/.everest-factory-reset 2>&1
find /var/log/journal/* -name old.journal; find /etc/everest/certs/client/csms -type f
journalctl --sync; journalctl MESSAGE_ID=a2bc60d78c64402fa9712a0dff06eb54 -o cat
systemctl is-failed everest-factory-reset.service
ended=$(systemctl show -p InactiveEnterTimestampMonotonic --value everest-factory-reset)
for unit in systemd-journal-flush systemd-tmpfiles-setup; do
    began=$(systemctl show -p InactiveExitTimestampMonotonic --value $unit)
    [ 0 -lt "$ended" ] && [ "$ended" -lt "$began" ] && echo "before $unit"
done
systemctl --no-block poweroff"""
    files = {
        "etc/systemd/system/var.mount": LASTING,
        "data/.everest-factory-reset": "keep-identity\n",
        "data/lib/everest/ocpp201/queue.db": "personal",
        "data/lib/everest/certs/client/csms/CSMS_LEAF.tkey": "key",
        "data/lib/everest-identity/charge-point-id": "CP1",
        "data/lib/rauc/version-floor": "1.0.0",
        "data/log/journal/machine/old.journal": "personal",
    }
    packages = [layer.package(name).files for name in ("everest-factory-reset", "everest-state")]
    wants = tmp_path / "wants/etc/systemd/system/local-fs.target.wants"
    wants.mkdir(parents=True)
    (wants / "everest-factory-reset.service").symlink_to("/usr/lib/systemd/system/everest-factory-reset.service")
    outcome = boot(image, tmp_path, probe=probe, files=files, trees=(*packages, tmp_path / "wants"))
    said = outcome.probe.splitlines()
    assert "ls: cannot access '/var/.everest-factory-reset': No such file or directory" in said
    assert "charge-point-id" in said
    assert "/etc/everest/certs/client/csms/CSMS_LEAF.tkey" in said
    assert "(keep-identity); there was no log before." in outcome.probe
    assert not {"queue.db", "failed"} & set(said)
    assert "old.journal" not in outcome.probe
    assert said[-2:] == ["before systemd-journal-flush", "before systemd-tmpfiles-setup"]


def test_a_mount_that_fails_restarts_the_charger_and_opens_no_shell(image: Path, tmp_path: Path) -> None:
    files = {
        "etc/systemd/system/mnt.mount": NEEDED_MOUNT,
        "etc/systemd/system/local-fs.target.d/needs.conf": "[Unit]\nRequires=mnt.mount\n",
        "etc/systemd/system/everest-failed-boot.service.d/soon.conf": "[Service]\nExecStart=\nExecStart=/usr/bin/sleep 1\n",
    }
    outcome = boot(image, tmp_path, files=files)
    assert "Finished" in outcome.console
    assert "everest-failed-boot.service" in outcome.console
    assert outcome.status == REBOOTED


def test_a_boot_that_hangs_is_ended(image: Path, tmp_path: Path) -> None:
    files = {
        "etc/systemd/system/hangs.service": HANGS,
        "etc/systemd/system/sysinit.target.d/needs.conf": "[Unit]\nWants=hangs.service\n",
        "etc/systemd/system/basic.target.d/60-soon.conf": "[Unit]\nJobTimeoutSec=5\n",
    }
    outcome = boot(image, tmp_path, files=files)
    assert "Forcibly rebooting: job timed out" in outcome.console
    assert outcome.status == REBOOTED


@pytest.mark.proves("NET-02")
def test_the_mqtt_api_is_off_until_it_is_started_and_off_again_when_its_time_is_over(
    image: Path, layer: Bench, tmp_path: Path, proof: Witness
) -> None:
    pki = tmp_path / "pki"
    pki.mkdir()
    make_certificates(pki)
    settings = {"EVEREST_MQTT_API": "1", "EVEREST_MANAGEMENT_INTERFACE": "eth0"}
    packages = [layer.package(name, **settings).files for name in ("everest-mqtt-api", "everest-firewall")]
    outcome = boot(
        image,
        tmp_path / "machine",
        trees=tuple(packages),
        files={
            **{f"pki/{file}": (pki / file).read_text() for file in ("ca.pem", "server.pem", "server.key")},
            "etc/systemd/system/everest-mqtt-api-off.timer.d/soon.conf": "[Timer]\nOnActiveSec=\nOnActiveSec=15s\n",
        },
        probe=f"""systemctl is-active everest-mqtt-api.service
cp /pki/ca.pem {STORE}/ca/mqtt-api/ && cp /pki/server.pem /pki/server.key {STORE}/server/mqtt-api/
mosquitto_pub --unix /run/mosquitto/everest.sock -r -q 1 -t {TOPIC} -m charging
mosquitto_pub --unix /run/mosquitto/everest.sock -r -q 1 -t everest/modules/secret -m secret
systemctl start everest-mqtt-api.service && systemctl is-active everest-mqtt-api.service
until nft list set inet everest mqtt_api | grep expires >/dev/null; do sleep 0.1; done
echo open
until [ "$(systemctl is-active everest-mqtt-api.service)" = inactive ]; do sleep 0.2; done
systemctl is-active everest-mqtt-api-front.socket everest-mqtt-api-back.socket everest-mqtt-api-off.timer
nft list set inet everest mqtt_api | grep -c expires
sync
systemctl --no-block poweroff""",
        outside=f"""cp -r ../pki pki
tries=0
until {IDENTIFIED} || [ $((tries += 1)) -gt 40 ]; do sleep 0.5; done 2>/dev/null
{ASK} 2>/dev/null || echo refused
timeout 3 mosquitto_sub -h 192.0.2.1 -p 1883 -C 1 -W 2 -t '#' >/dev/null 2>&1 || echo closed""",
    )
    assert outcome.probe.split() == ["inactive", "active", "open", "inactive", "inactive", "inactive", "0"]
    proof.excerpt([IN_A_CONTAINER, *outcome.probe.splitlines(), *outcome.outside.splitlines()])
    assert outcome.outside.splitlines() == [f"{TOPIC} charging", "refused", "closed"]
