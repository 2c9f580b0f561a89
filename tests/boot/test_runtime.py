"""What the running image proves of itself by its audit unit, at a first start and at the one after it.

Run by `make boot`, after `make demo`.
"""

from pathlib import Path

import pytest

from everest_secure.parse.everest_config import read_everest_config
from support.charger_in_qemu import Charger

from .conftest import Witness

pytestmark = pytest.mark.boot

SAYS = "everest-reference: "


def holds(charger: Charger, proof: Witness, *requirements: str) -> None:
    """Every fact that the audit gives on these requirements holds, at both starts."""
    for requirement in requirements:
        for start in range(2):
            facts = charger.facts(requirement, start)
            proof.excerpt(f"{requirement} start {start + 1}: {'ok' if ok else 'FAILED'} {what}" for ok, what in facts)
            assert facts
            assert [what for ok, what in facts if not ok] == []


@pytest.mark.proves("FS-01")
def test_root_itself_cannot_write_to_the_root_file_system(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "FS-01")


@pytest.mark.proves("FS-02")
def test_the_root_is_the_one_of_the_signed_hash_and_the_kernel_verifies_it(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "FS-02")


@pytest.mark.proves("FS-03")
def test_state_outlasts_a_restart_and_no_program_runs_from_it(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "FS-03")
    numbers = [what for start in range(2) for _, what in charger.facts("FS-03", start) if what.startswith("start ")]
    assert numbers == ["start 1 of this machine", "start 2 of this machine"]


@pytest.mark.proves("ACC-01", "NET-07")
def test_no_account_has_a_password_and_nothing_asks_for_one(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "ACC-01", "NET-07")
    others = [line for line in charger.said() if not line.startswith("everest-proof: ")]
    assert not [line for line in others if "login:" in line or line.endswith(("#", "$"))]
    for title, picture in charger.pictures.items():
        proof.screenshot(picture, title)


@pytest.mark.proves("ACC-02")
def test_the_service_user_has_its_ids_groups_and_no_shell(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "ACC-02")


@pytest.mark.proves("ACC-03", "ACC-04")
def test_every_module_runs_as_the_service_user_with_its_capabilities_and_can_gain_none(charger: Charger, proof: Witness) -> None:
    lines = [line.removeprefix(f"{SAYS}module ") for line in charger.said() if line.startswith(f"{SAYS}module ")]
    proof.excerpt(lines)
    configuration = read_everest_config(charger.tree("rootfs-a"))
    wanted = {
        module.id: {"uid": "1500", "CapAmb": f"{1 << 13 if module.id == 'slac' else 0:016x}", "NoNewPrivs": "1"}
        for module in configuration.modules
    }
    assert {name: dict(fact.split("=") for fact in facts) for name, *facts in map(str.split, lines)} == wanted


@pytest.mark.proves("ACC-05")
def test_the_service_is_up_and_its_processes_are_bounded(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "ACC-05")
    assert [line for line in charger.said() if line.startswith(f"{SAYS}failed units")] == [f"{SAYS}failed units: none"]


@pytest.mark.proves("ACC-06")
def test_the_service_user_cannot_change_its_own_privileges(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "ACC-06")


@pytest.mark.proves("NET-01")
def test_the_service_user_reaches_the_broker_and_nobody_else_does(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "NET-01")


@pytest.mark.proves("NET-04", "NET-05")
def test_firewall_routes_and_kernel_keep_the_two_networks_apart(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "NET-04", "NET-05")


@pytest.mark.proves("NET-06")
def test_nothing_listens_but_the_clients_that_ask_for_an_address(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "NET-06")


@pytest.mark.proves("NET-08")
def test_a_usb_disk_that_was_plugged_in_is_no_block_device(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "NET-08")


@pytest.mark.proves("BOOT-01", "BOOT-03")
def test_secure_boot_is_on_and_the_command_line_is_the_signed_one(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "BOOT-01", "BOOT-03")


@pytest.mark.proves("BOOT-02")
def test_keys_pressed_while_the_machine_starts_change_nothing(charger: Charger, proof: Witness) -> None:
    cmdlines = {what for start in range(2) for _, what in charger.facts("BOOT-03", start) if what.startswith("cmdline: ")}
    # Keys were pressed at the first start alone.
    assert len(cmdlines) == 1
    proof.excerpt(["pressed: e, space, ESC, F2, F8, F12 and return, on the keyboard and at the serial port", *cmdlines])
    for title, picture in charger.pictures.items():
        proof.screenshot(picture, title)


@pytest.mark.proves("BOOT-05")
def test_the_hardware_watchdog_is_armed(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "BOOT-05")


@pytest.mark.proves("KERN-01")
def test_the_kernel_has_every_setting_of_the_layer(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "KERN-01")


@pytest.mark.proves("TPM-01", "TPM-03", "TPM-05")
def test_the_service_user_uses_the_tpm_through_openssl_and_others_cannot(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "TPM-01", "TPM-03", "TPM-05")


@pytest.mark.proves("TPM-04", "TPM-06", "CERT-02")
def test_keys_made_at_the_first_start_are_in_the_tpm_and_serve_requests_and_handshakes(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "TPM-04", "TPM-06", "CERT-02")


@pytest.mark.proves("TLS-02")
def test_the_policy_of_openssl_refuses_old_protocols_and_weak_ciphers(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "TLS-02")


@pytest.mark.proves("RAUC-04")
def test_a_user_who_is_neither_root_nor_the_service_user_may_not_speak_to_rauc(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "RAUC-04")


@pytest.mark.proves("LOG-02")
def test_the_journal_of_the_start_before_can_be_read(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "LOG-02")
    assert [what for _, what in charger.facts("LOG-02", 1) if what.startswith("last of the start before")]


@pytest.mark.proves("LOG-04")
def test_the_release_file_and_rauc_say_which_version_runs(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "LOG-04")


@pytest.mark.proves("CERT-01", "TPM-04", "LOG-02", "FS-03")
def test_store_keys_and_journal_are_on_the_disk_after_the_machine_is_off(charger: Charger, proof: Witness) -> None:
    holds(charger, proof, "CERT-01")
    data = charger.tree("data")
    for key in ("client/csms/CSMS_LEAF.tkey", "client/cso/SECC_LEAF.tkey"):
        node = data.get(f"/lib/everest/certs/{key}")
        assert node is not None
        assert (node.uid, node.mode & 0o7777) == (1500, 0o600)
        assert data.text(node.path).startswith("-----BEGIN TSS2 PRIVATE KEY-----")
    (machine,) = {Path(node.path).parts[3] for node in data.under("/log/journal") if len(Path(node.path).parts) > 3}
    partition = next(line for line in charger.said() if line.startswith(f"{SAYS}machine "))
    proof.excerpt([partition])
    assert machine in partition
