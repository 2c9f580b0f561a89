"""The data partition as it left the factory, by the command of the target on a tree that systemd-tmpfiles made (FS-03, RAUC-05, LOG-03)."""

import os
import pty
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support.factory_reset import ALWAYS, IDENTITY, KEPT, NOTE, ORDER, PERSONAL, Charger, charger
from support.journald import beside_journald, entries, needs_journald
from support.layer import UNITS, Bench, contents
from support.shells import SHELLS, shell
from support.tpm import software_tpm
from support.waiting import eventually

pytestmark = [pytest.mark.layer, pytest.mark.skipif(os.geteuid() != 0, reason="only root resets a charger")]


@pytest.fixture(params=SHELLS)
def box(layer: Bench, request: pytest.FixtureRequest, tmp_path: Path) -> Charger:
    return charger(layer, tmp_path, request.param)


def test_the_recipe_installs_command_and_unit_and_the_image_has_it(layer: Bench) -> None:
    package = layer.package("everest-factory-reset")
    assert contents(package) == {f"/{UNITS}/everest-factory-reset.service": 0o644, "/usr/sbin/everest-factory-reset": 0o755}
    assert package.services == ("everest-factory-reset.service",)
    assert "everest-factory-reset" in layer.package("packagegroup-everest-secure").depends


@pytest.mark.parametrize("mode", KEPT)
def test_what_was_written_goes_and_what_the_list_keeps_stays(box: Charger, mode: str) -> None:
    owners = {name: (box.data / name).stat().st_uid for name in KEPT[mode] - {NOTE}}
    box.order(*mode.split())
    assert box.left() > {*PERSONAL, *IDENTITY}, "nothing happens before the restart"
    box.restart()
    assert box.left() == KEPT[mode]
    assert {name: (box.data / name).stat().st_uid for name in owners} == owners
    assert all((box.data / name).read_text() == name for name in owners)
    subprocess.run(["systemd-tmpfiles", f"--root={box.place}", "--create", box.lists.parent / "everest-state.conf"], check=True)
    assert (box.data / "lib/everest/certs/client/csms").is_dir()


@pytest.mark.parametrize("mode", KEPT)
def test_a_second_start_erases_nothing_more(box: Charger, mode: str) -> None:
    box.order(*mode.split())
    box.restart()
    (box.data / "lib/new").write_text("")
    done = box.call("--carry-out")
    assert (done.returncode, done.stderr) == (2, "everest-factory-reset: nobody has ordered a reset\n")
    assert box.left() == {*KEPT[mode], "lib/new"}


def link_away(box: Charger) -> set[str]:
    shutil.rmtree(box.data / "lib/everest/certs")
    (box.data / "lib/everest/certs").symlink_to(box.place / "outside")
    return {"lib/everest-identity/charge-point-id"}


def link_above(box: Charger) -> set[str]:
    (box.data / "lib/everest/ocpp16/out").symlink_to(box.place / "outside", target_is_directory=True)
    return {*IDENTITY}


def link_of_an_ancestor(box: Charger) -> set[str]:
    shutil.rmtree(box.data / "lib/everest")
    (box.data / "lib/everest").symlink_to(box.place / "outside")
    return {"lib/everest-identity/charge-point-id"}


@pytest.mark.parametrize("link", [link_away, link_above, link_of_an_ancestor])
def test_a_link_is_removed_and_never_followed(box: Charger, link: Callable[[Charger], set[str]]) -> None:
    (box.place / "outside/certs").mkdir(parents=True)
    (box.place / "outside/certs/file").write_text("of others")
    stays = link(box)
    box.order()
    box.restart()
    assert box.left() == {*ALWAYS, *stays, NOTE}
    assert (box.place / "outside/certs/file").read_text() == "of others"


def test_what_is_mounted_below_is_emptied_and_left_mounted(box: Charger) -> None:
    (box.data / "volatile/log").mkdir(parents=True)
    (box.data / "volatile/log/line").write_text("")
    table = box.place / "mountinfo"
    table.write_text(f"1 0 0:1 / {box.data / 'volatile'} rw - tmpfs tmpfs rw\n")
    box.order()
    assert box.call("--carry-out", EVEREST_MOUNTS=str(table)).returncode == 0
    assert list((box.data / "volatile").iterdir()) == []


@pytest.mark.parametrize("fault", ["none", "row", "word"])
def test_a_list_that_nobody_understands_erases_nothing(box: Charger, fault: str) -> None:
    box.order()
    before = box.left()
    state = box.lists / "state.tsv"
    match fault:
        case "none":
            state.unlink()
        case "row":
            state.write_text(state.read_text().replace("\tkeep", ""))
        case _:
            state.write_text(state.read_text().replace("\tidentity", "\tmaybe", 1))
    for arguments in (["--carry-out"], ["--yes", "--no-reboot"]):
        done = box.call(*arguments)
        assert done.returncode == 2
        assert "list" in done.stderr
        assert box.left() == before


def test_state_of_other_packages_is_known_by_lists_of_their_own(box: Charger) -> None:
    (box.lists / "state.d").mkdir()
    (box.lists / "state.d/client.tsv").write_text("/var/lib/client\troot\troot\t0700\tpersistent\t-\tidentity\n")
    for name in ("lib/client/key.pem", "lib/clients"):
        (box.data / name).parent.mkdir(exist_ok=True)
        (box.data / name).write_text("")
    box.order()
    box.restart()
    assert box.left() == {*KEPT[""], "lib/client/key.pem"}


def test_the_floor_of_versions_stays_even_if_a_list_does_not_say_so(box: Charger) -> None:
    state = box.lists / "state.tsv"
    state.write_text(state.read_text().replace("\tkeep", "\terase"))
    box.order("--everything")
    box.restart()
    assert box.left() == KEPT["--everything"]


def test_nobody_resets_a_charger_by_accident(box: Charger) -> None:
    before = box.left()
    done = box.call()
    assert (done.returncode, done.stdout) == (64, "")
    assert "--yes says that it is meant" in done.stderr
    for wrong in (["--tpm-parent", "--yes"], ["--cancel", "--yes"], ["--carry-out", "--yes"], ["--everythink"]):
        assert box.call(*wrong).returncode == 64
    assert box.call("--help").stdout.startswith("Usage: everest-factory-reset [--everything")
    assert box.left() == before


@pytest.mark.parametrize(("answer", "code"), [("RESET", 0), ("yes", 1), ("", 1)])
def test_whoever_sits_at_a_terminal_types_the_word(box: Charger, answer: str, code: int) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    command = [*box.command, "--no-reboot"]
    done = subprocess.run(command, env=box.environment(), stdin=theirs, capture_output=True, text=True, check=False)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == code
    assert "but for its identity, certificates and keys" in done.stdout
    assert (box.data / ORDER).exists() == (code == 0)


def test_only_root_may(box: Charger) -> None:
    source = (box.files / "usr/sbin/everest-factory-reset").read_text()
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *shell(box.sh), "-s", "--"]
    for argument in ("--yes", "--cancel", "--carry-out"):
        done = subprocess.run(
            [*become, argument], env=box.environment(), input=source, cwd="/", capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (4, "everest-factory-reset: only root may reset a charger\n")


def test_an_order_can_be_taken_back(box: Charger) -> None:
    before = box.left()
    box.order("--everything")
    assert box.call("--cancel").returncode == 0
    assert box.left() == before
    assert box.call("--cancel").returncode == 2


def test_the_tpm_forgets_the_parent_when_asked_and_never_that_of_the_encrypted_partition(box: Charger) -> None:
    with software_tpm(box.place) as tpm:
        for command in (
            ["tpm2_createprimary", "-Q", "-C", "o", "-G", "ecc", "-c", box.place / "primary"],
            ["tpm2_evictcontrol", "-Q", "-C", "o", "-c", box.place / "primary", "0x81000001"],
            ["tpm2_flushcontext", "-Q", "-t"],
        ):
            assert tpm.run(*command).returncode == 0
        asked = ["--everything", "--tpm-parent", "--yes", "--no-reboot"]
        (box.place / "crypttab").write_text("data PARTLABEL=data none tpm2-device=auto,headless=true\n")
        done = box.call(*asked, EVEREST_TPM_TCTI=tpm.tcti)
        assert done.returncode == 2
        assert "would be lost" in done.stderr
        assert not (box.data / ORDER).exists()
        (box.place / "crypttab").unlink()
        for _ in range(2):
            assert "0x81000001" not in tpm.run("tpm2_getcap", "handles-persistent").stdout or not (box.data / ORDER).exists()
            assert box.call(*asked, EVEREST_TPM_TCTI=tpm.tcti).returncode == 0
        assert "0x81000001" not in tpm.run("tpm2_getcap", "handles-persistent").stdout
    done = box.call(*asked, EVEREST_TPM_TCTI=tpm.tcti)
    assert done.returncode == 2
    assert "does not answer" in done.stderr


@needs_journald
def test_order_and_reset_are_in_the_journal_with_ids_of_their_own(box: Charger) -> None:
    script = 'set -e; "$@" --yes --no-reboot; "$@" --carry-out; touch "$DONE"; sleep 100'
    variables = box.environment(EVEREST_JOURNAL="/run/systemd/journal/socket", DONE=str(box.place / "done"))
    journal = box.place / "said"
    with beside_journald(journal, ["sh", "-c", script, "sh", *box.command], variables):
        eventually((box.place / "done").exists)
        eventually(lambda: len(entries(journal, SYSLOG_IDENTIFIER="everest-factory-reset")) >= 2)
    ordered, done = entries(journal, SYSLOG_IDENTIFIER="everest-factory-reset")
    assert (ordered["MESSAGE_ID"], done["MESSAGE_ID"]) == ("88bca09abdb747d48a6266236360ce57", "a2bc60d78c64402fa9712a0dff06eb54")
    assert done["MESSAGE"].endswith(f"(keep-identity); the log before ended with event 7, digest {'a' * 64}.")


@needs_journald
def test_the_new_security_log_begins_with_how_the_old_one_ended_and_says_it_once(layer: Bench, box: Charger) -> None:
    monitor = layer.package("everest-security-monitor").files
    journal = box.place / "input"
    journal.mkdir()
    program: list[str | Path] = [*shell(box.sh), monitor / "usr/libexec/everest-secure/everest-security-monitor"]
    variables = box.environment(
        EVEREST_SECURITY_LOG=str(box.log / "security.log"),
        EVEREST_SECURITY_LIBRARY=str(monitor / "usr/lib/everest-secure"),
        EVEREST_PCRS=str(box.place / "none"),
        EVEREST_OWN_JOURNAL=f"--directory={box.place / 'said'}",
    )
    box.order()
    box.restart()
    sentence = (box.data / NOTE).read_text()
    for _ in range(2):
        # As if the power had gone before the note was taken away.
        (box.data / NOTE).write_text(sentence)
        with beside_journald(box.place / "said", [*program, "follow"], variables):
            eventually(lambda: not (box.data / NOTE).exists())
    shown = subprocess.run([*program, "show"], env=variables, capture_output=True, text=True, check=True).stdout.splitlines()
    (line,) = (each.split("\t") for each in shown)
    assert line[2:] == ["factory-reset", "4", "1", sentence.strip()]
    assert f"ended with event 7, digest {'a' * 64}" in sentence
    assert subprocess.run([*program, "verify"], env=variables, capture_output=True, text=True, check=False).returncode == 0
