"""What a booted image shows of each requirement: cases for OE-Core's testimage, a class per group of requirements.

A hardened image has no login, and testimage needs one. They run on an image of a CI layer, never of a product, that is the same but for that:

    require recipes-core/images/everest-secure-image.inc
    IMAGE_FEATURES += "ssh-server-dropbear"
    EVEREST_POLICY:remove = "everest_policy.image.features"
    PACKAGE_EXCLUDE:remove = "dropbear"

with IMAGE_CLASSES += "testimage", EVEREST_MANAGEMENT_INBOUND_TCP = "22", TEST_SUITES = "ping ssh everest_hardening" and a key for root. What that image opens
(a login, a port) is not asked here; make boot asks the image as it is.
"""

import json

from oeqa.core.decorator.data import skipIfNotFeature
from oeqa.core.decorator.depends import OETestDepends
from oeqa.runtime.case import OERuntimeTestCase
from oeqa.runtime.decorator.package import OEHasPackage

FEATURE = "everest-secure"
REASON = "everest-secure is not in DISTRO_FEATURES"
LOGIN = ["ssh.SSHTest.test_ssh"]
LOOPBACK = ("0100007F:", "3500007F:", "00000000000000000000000001000000:")
"""127.0.0.1, 127.0.0.53 and ::1, as /proc/net/tcp writes them."""


class HardeningTestCase(OERuntimeTestCase):
    """Commands on the target."""

    def said(self, command):
        """Return what a command prints; it must succeed."""
        status, output = self.target.run(command)
        self.assertEqual(status, 0, msg=f"{command}: {output}")
        return output

    def refused(self, command):
        """Return what a command says that must fail."""
        status, output = self.target.run(command)
        self.assertNotEqual(status, 0, msg=f"{command} went through: {output}")
        return output

    def unit(self, name, prop):
        """Return a property of a unit as systemd has it."""
        return self.said(f"systemctl show --value --property={prop} {name}")


class RootFileSystemTest(HardeningTestCase):
    """FS-01 to FS-04."""

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_the_root_cannot_be_written(self):
        """FS-01."""
        self.refused("touch /usr/written-by-a-test")
        self.refused("mount -o remount,rw /")

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_the_root_is_verified(self):
        """FS-02."""
        if self.td["EVEREST_VERITY"] != "1":
            self.skipTest("EVEREST_VERITY is 0")
        self.assertIn("roothash=", self.said("cat /proc/cmdline"))
        self.assertRegex(self.said("cat /sys/block/dm-*/dm/uuid"), r"(?m)^CRYPT-VERITY-")

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_state_lies_on_a_partition_from_which_nothing_runs(self):
        """FS-03."""
        options = self.said("awk '$2 == \"/var\" { print $4 }' /proc/mounts").split(",")
        self.assertEqual({"nodev", "noexec", "nosuid"} - set(options), set())

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_state_is_encrypted_where_that_was_decided(self):
        """FS-04."""
        if self.td["EVEREST_DATA_ENCRYPTION"] != "1":
            self.skipTest("EVEREST_DATA_ENCRYPTION is 0")
        self.assertRegex(self.said("cat /sys/block/dm-*/dm/uuid"), r"(?m)^CRYPT-LUKS2-")


class AccountsTest(HardeningTestCase):
    """ACC-01 to ACC-06."""

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_no_account_has_a_password(self):
        """ACC-01."""
        fields = [line.split(":") for line in self.said("cat /etc/shadow").splitlines()]
        self.assertTrue(fields)
        self.assertEqual([name for name, secret, *_ in fields if not secret.startswith(("!", "*"))], [])

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    @OEHasPackage(["everest-user"])
    def test_the_service_user_is_who_the_modules_expect(self):
        """ACC-02."""
        self.assertEqual(self.said("grep ^everest: /etc/passwd").split(":")[2:], ["1500", "1500", "", "/home/everest", "/bin/false"])
        self.assertIn("tss", self.said("id -nG everest").split())

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    @OEHasPackage(["everest-service-hardening"])
    def test_no_module_runs_as_root(self):
        """ACC-03: the manager itself is root until it has started them all."""
        users = "for p in $(cat /sys/fs/cgroup/system.slice/everest.service/cgroup.procs); do stat -c %u /proc/$p; done | sort -u"
        self.said(f'tries=0; until [ "$({users})" = 1500 ] || [ $((tries += 1)) -gt 60 ]; do sleep 1; done')
        self.assertEqual(self.said(users).split(), ["1500"])

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    @OEHasPackage(["everest-service-hardening"])
    def test_the_service_is_bounded(self):
        """ACC-04, ACC-05."""
        expected = {"NoNewPrivileges": "yes", "PrivateTmp": "yes", "ProtectSystem": "strict", "ProtectHome": "yes", "UMask": "0077"}
        self.assertEqual({prop: self.unit("everest.service", prop) for prop in expected}, expected)
        self.assertNotIn("cap_sys_admin", self.unit("everest.service", "CapabilityBoundingSet"))

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    @OEHasPackage(["everest-config"])
    def test_the_service_user_cannot_rewrite_its_privileges(self):
        """ACC-06."""
        self.assertEqual(self.said("stat -c %U /etc/everest/config.yaml"), "root")
        self.assertEqual(self.said("find /etc/everest -xdev -user everest ! -path /etc/everest/certs"), "")


class NetworkTest(HardeningTestCase):
    """NET-01, NET-03 to NET-08."""

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_nothing_listens_but_what_is_let_in(self):
        """NET-06: in /proc/net/tcp a socket that listens is in state 0A; the login of the test is among what is let in."""
        wanted = " ".join(self.td[knob] for knob in ("EVEREST_MANAGEMENT_INBOUND_TCP", "EVEREST_PLC_INBOUND_TCP")).split()
        sockets = [line.split() for line in self.said("cat /proc/net/tcp /proc/net/tcp6").splitlines()]
        self.assertTrue(sockets)
        heard = {
            str(int(socket[1].rpartition(":")[2], 16)) for socket in sockets if socket[3] == "0A" and not socket[1].startswith(LOOPBACK)
        }
        self.assertEqual(heard - set(wanted), set())

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    @OEHasPackage(["everest-broker-conf"])
    def test_the_broker_listens_on_its_socket_alone(self):
        """NET-01: 1883 is 075B in hexadecimal."""
        self.said("test -S /run/mosquitto/everest.sock")
        self.assertEqual(self.said("stat -c %a /run/mosquitto"), "750")
        self.assertNotIn(":075B ", self.said("cat /proc/net/tcp /proc/net/tcp6"))

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_no_admin_panel_listens(self):
        """NET-03: 8849 is 2291 in hexadecimal."""
        self.assertNotIn(":2291 ", self.said("cat /proc/net/tcp /proc/net/tcp6"))

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    @OEHasPackage(["everest-firewall"])
    def test_what_is_not_allowed_in_is_dropped(self):
        """NET-04."""
        rules = self.said("nft list ruleset")
        self.assertRegex(rules, r"type filter hook input priority [^;]+; policy drop;")

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_nothing_is_forwarded(self):
        """NET-05."""
        for key in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
            self.assertEqual(self.said("cat /proc/sys/" + key.replace(".", "/")), "0", msg=key)

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    @OEHasPackage(["everest-unit-policy"])
    def test_shells_are_masked(self):
        """NET-07."""
        for unit in ("debug-shell.service", "getty@tty1.service", "serial-getty@ttyS0.service", "rescue.service", "emergency.service"):
            self.assertEqual(self.unit(unit, "LoadState"), "masked", msg=unit)

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_a_usb_device_is_not_used_unasked(self):
        """NET-08."""
        self.assertIn("usbcore.authorized_default=0", self.said("cat /proc/cmdline").split())


class BootTest(HardeningTestCase):
    """BOOT-01, BOOT-03, BOOT-05, KERN-01."""

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_the_firmware_checks_what_it_starts(self):
        """BOOT-01: the fifth byte of the variable is its value."""
        if self.td["EVEREST_SECURE_BOOT"] != "1" or self.td["EVEREST_BOOT_CHAIN"] != "uki":
            self.skipTest("no secure boot of UEFI in this build")
        self.assertEqual(self.said("od -An -tu1 -j4 /sys/firmware/efi/efivars/SecureBoot-*").strip(), "1")

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_the_command_line_opens_no_door(self):
        """BOOT-03."""
        words = self.said("cat /proc/cmdline").split()
        doors = ("init=", "rd.break", "systemd.debug", "single", "rescue", "emergency", "systemd.unit=", "console=")
        self.assertEqual([word for word in words if word.startswith(doors)], [])

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_a_frozen_system_is_started_again(self):
        """BOOT-05."""
        self.assertNotIn(self.said("systemctl show --value --property=RuntimeWatchdogUSec"), ("0", "infinity", ""))

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_the_kernel_is_locked_down(self):
        """KERN-01."""
        self.assertRegex(self.said("cat /sys/kernel/security/lockdown"), r"\[(integrity|confidentiality)\]")
        self.refused("test -e /dev/mem")


class TpmTest(HardeningTestCase):
    """TPM-01, TPM-03 to TPM-06."""

    @skipIfNotFeature("tpm2", "tpm2 is not in DISTRO_FEATURES")
    @OETestDepends(LOGIN)
    @OEHasPackage(["tpm2-openssl"])
    @OEHasPackage(["openssl-bin"])
    def test_the_service_user_reaches_the_tpm_through_openssl(self):
        """TPM-01, TPM-03."""
        self.assertEqual(self.said("stat -c %G /dev/tpmrm0"), "tss")
        self.assertIn("tpm2", self.said("openssl list -providers -provider default -provider tpm2"))

    @skipIfNotFeature("tpm2", "tpm2 is not in DISTRO_FEATURES")
    @OETestDepends(LOGIN)
    @OEHasPackage(["everest-tpm"])
    def test_keys_are_made_in_the_tpm_at_the_first_start(self):
        """TPM-04, TPM-06."""
        self.said("systemctl start everest-tpm-provision.service")
        self.assertEqual(self.said("everest-tpm verify").count("in the TPM, signs"), 2)
        self.assertIn("BEGIN CERTIFICATE REQUEST", self.said("everest-tpm csr csms --common-name TEST --dns test.example"))
        self.assertNotIn("NOT RIGHT", self.said("everest-tpm status"))

    @skipIfNotFeature("tpm2", "tpm2 is not in DISTRO_FEATURES")
    @OETestDepends(LOGIN)
    @OEHasPackage(["openssl-bin"])
    @OEHasPackage(["everest-openssl-policy"])
    def test_a_digest_does_not_wait_for_the_tpm(self):
        """TPM-05: it is made without one."""
        nowhere = "OPENSSL_CONF=/etc/everest/openssl.cnf TPM2OPENSSL_TCTI=device:/dev/null"
        self.assertRegex(self.said(nowhere + " openssl dgst -sha256 /etc/os-release"), r"= [0-9a-f]{64}$")


class StoreTest(HardeningTestCase):
    """CERT-01, CERT-02, TLS-02."""

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    @OEHasPackage(["everest-state"])
    def test_the_certificate_store_belongs_to_the_service_user(self):
        """CERT-01, CERT-02."""
        self.assertEqual(self.said("stat -c '%U %a' /etc/everest/certs"), "everest 700")
        self.assertEqual(self.said("find /etc/everest/certs -name '*.key' -perm /077"), "")

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    @OEHasPackage(["everest-openssl-policy"])
    def test_the_service_uses_the_tls_policy(self):
        """TLS-02."""
        self.assertIn("OPENSSL_CONF=/etc/everest/openssl.cnf", self.unit("everest.service", "Environment"))


class UpdateTest(HardeningTestCase):
    """RAUC-01, RAUC-02, RAUC-04."""

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    @OEHasPackage(["rauc"])
    def test_rauc_knows_the_booted_slot(self):
        """RAUC-01."""
        status = json.loads(self.said("rauc status --output-format=json"))
        self.assertEqual(status["compatible"], self.td["EVEREST_COMPATIBLE"])
        self.assertIn(status["booted"], ("A", "B"))

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    @OEHasPackage(["everest-keyring"])
    @OEHasPackage(["openssl-bin"])
    def test_the_keyring_holds_no_authority_of_development(self):
        """RAUC-02."""
        shown = self.said("openssl storeutl -noout -text -certs /etc/rauc/keyring.pem")
        self.assertIn("Subject:", shown)
        self.assertNotIn("DEVELOPMENT - NOT FOR RELEASE", shown)

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    @OEHasPackage(["everest-rauc-dbus-policy"])
    @OEHasPackage(["util-linux-setpriv"])
    def test_only_root_and_the_service_user_drive_rauc(self):
        """RAUC-04."""
        ask = "setpriv --reuid=%s --clear-groups busctl get-property de.pengutronix.rauc / de.pengutronix.rauc.Installer Operation"
        self.assertIn("idle", self.said(ask % "everest"))
        self.assertIn("denied", self.refused(ask % "nobody").lower())


class LogTest(HardeningTestCase):
    """LOG-01 to LOG-04."""

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    @OEHasPackage(["everest-config"])
    def test_session_logs_have_a_place_where_the_service_writes(self):
        """LOG-01."""
        self.assertEqual(self.said("stat -c %U /var/log/everest/ocpp /var/log/everest/session").split(), ["everest", "everest"])

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    @OEHasPackage(["everest-security-monitor"])
    def test_security_events_are_watched(self):
        """LOG-03."""
        self.assertEqual(self.unit("everest-security-monitor.service", "ActiveState"), "active")
        self.assertEqual(self.unit("everest-security-monitor.timer", "ActiveState"), "active")

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_the_journal_lies_on_the_data_partition(self):
        """LOG-02."""
        self.said("ls /var/log/journal/*/system.journal")

    @skipIfNotFeature(FEATURE, REASON)
    @OETestDepends(LOGIN)
    def test_the_release_file_names_the_version(self):
        """LOG-04."""
        self.assertEqual(json.loads(self.said("cat /etc/everest/everest_release.json"))["version"], self.td["EVEREST_VERSION"])
