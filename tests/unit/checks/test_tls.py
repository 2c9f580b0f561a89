import pytest

from support.mutation import Mutation, check_mutation, move_behind, sentence
from support.rootfs import UNITS, failing, good_root

POLICY = "/etc/everest/openssl.cnf"
DROP_IN = f"{UNITS}/everest.service.d/50-everest-secure.conf"

MUTATIONS = [
    Mutation(
        "a file of variables names another policy",
        "TLS-02",
        lambda fs: (
            fs.append(DROP_IN, "[Service]\nEnvironmentFile=-/etc/x\n"),
            fs.file("/etc/x", "A=1\nOPENSSL_CONF='/etc/ssl/openssl.cnf'\n"),
        ),
    ),
    Mutation(
        "one of several files of variables has the keys of sessions written down",
        "TLS-02",
        lambda fs: (
            fs.append(DROP_IN, "[Service]\nEnvironmentFile=-/etc/default/everest.d/*.env\n"),
            fs.file("/etc/default/everest.d/debug.env", "SSLKEYLOGFILE=/var/log/everest/keys\n"),
        ),
    ),
    Mutation(
        "one of several files of variables leads to the data partition",
        "TLS-02",
        lambda fs: (
            fs.append(DROP_IN, "[Service]\nEnvironmentFile=-/etc/default/everest.d/*.env\n"),
            fs.link("/etc/default/everest.d/own.env", "/var/lib/everest/own.env"),
        ),
    ),
    Mutation(
        "all services have the keys of their sessions written down",
        "TLS-02",
        lambda fs: fs.file("/etc/systemd/system.conf.d/debug.conf", "[Manager]\nDefaultEnvironment=SSLKEYLOGFILE=/var/log/keys\n"),
    ),
    Mutation(
        "variables come from the data partition",
        "TLS-02",
        lambda fs: fs.append(DROP_IN, "[Service]\nEnvironmentFile=-/var/lib/everest/env\n"),
    ),
    Mutation("the variable is taken out again", "TLS-02", lambda fs: fs.append(DROP_IN, "[Service]\nUnsetEnvironment=OPENSSL_CONF\n")),
    Mutation("the policy file is a link to the data partition", "TLS-02", lambda fs: move_behind(fs, POLICY)),
    Mutation(
        "a second ssl_conf replaces the first",
        "TLS-02",
        lambda fs: (
            fs.replace(POLICY, "^(ssl_conf = .*)$", r"\1\nssl_conf.1 = weak"),
            fs.append(POLICY, "[weak]\nsystem_default = w\n[w]\nMinProtocol = TLSv1\n"),
        ),
    ),
    Mutation("the service does not name the policy file", "TLS-02", lambda fs: fs.replace(DROP_IN, "^Environment=.*$", "")),
    Mutation("a later line resets the service's environment", "TLS-02", lambda fs: fs.append(DROP_IN, "[Service]\nEnvironment=\n")),
    Mutation("the service names another file", "TLS-02", lambda fs: fs.replace(DROP_IN, "everest/openssl.cnf", "ssl/openssl.cnf")),
    Mutation("the policy file is missing", "TLS-02", lambda fs: fs.remove(POLICY), also=("TPM-05",)),
    Mutation("TLS 1.1 is allowed", "TLS-02", lambda fs: fs.replace(POLICY, "TLSv1.2", "TLSv1.1")),
    Mutation("no minimum is set", "TLS-02", lambda fs: fs.replace(POLICY, "^MinProtocol.*$", "")),
    Mutation("the minimum stands in a section that nothing names", "TLS-02", lambda fs: fs.replace(POLICY, "^system_default = .*$", "")),
    Mutation("a weak suite is allowed", "TLS-02", lambda fs: fs.replace(POLICY, "^(CipherString = )", r"\1AES128-SHA:")),
    Mutation("a group of suites is allowed", "TLS-02", lambda fs: fs.replace(POLICY, "^CipherString = .*$", "CipherString = HIGH")),
    Mutation(
        "a suite that the policy does not list is allowed for TLS 1.3",
        "TLS-02",
        lambda fs: fs.replace(POLICY, "^(Ciphersuites = )", r"\1TLS_AES_128_CCM_SHA256:"),
    ),
    Mutation("suites are left to OpenSSL", "TLS-02", lambda fs: fs.replace(POLICY, "^CipherString.*$", "")),
    Mutation("the security level is lowered", "TLS-02", lambda fs: fs.replace(POLICY, "^(CipherString = )", r"\1@SECLEVEL=0:")),
    Mutation("old protocols are switched on again", "TLS-02", lambda fs: fs.append(POLICY, "Protocol = ALL\n")),
    Mutation(
        "the security level is lowered between other separators",
        "TLS-02",
        lambda fs: fs.replace(POLICY, "^(CipherString = .*)$", r"\1,@SECLEVEL=0"),
    ),
    Mutation(
        "one of several options weakens TLS",
        "TLS-02",
        lambda fs: fs.append(POLICY, "1.Options = +UnsafeLegacyRenegotiation\n2.Options = ServerPreference\n"),
    ),
    Mutation(
        "an engine that may be missing stands before the TLS defaults",
        "TLS-02",
        lambda fs: (
            fs.replace(POLICY, "^(providers = .*)$", r"engines = engine_sect\n\1"),
            fs.append(POLICY, "[engine_sect]\npkcs11 = p\n[p]\ndynamic_path = /usr/lib/engines-3/pkcs11.so\n"),
        ),
    ),
    Mutation(
        "the TLS defaults come from a file beside, which OpenSSL looks for in the service's working directory",
        "TLS-02",
        lambda fs: (
            fs.replace(POLICY, "^MinProtocol = .*$", ".include tls.cnf"),
            fs.file("/etc/everest/tls.cnf", "MinProtocol = TLSv1.2\n"),
        ),
    ),
    Mutation(
        "a later section of the same name changes the minimum",
        "TLS-02",
        lambda fs: fs.append(POLICY, "[other]\n[system_default_sect]\nMinProtocol = TLSv1\n"),
    ),
]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=sentence)
def test_one_fault_fails_exactly_its_requirement(mutation: Mutation) -> None:
    check_mutation(mutation)


def test_a_stricter_policy_file_holds_too() -> None:
    fs = good_root()
    fs.replace(POLICY, "TLSv1.2", "TLSv1.3")
    fs.replace(POLICY, "^CipherString = .*$", "CipherString = @SECLEVEL=3:ECDHE-ECDSA-AES256-GCM-SHA384")
    assert not failing(fs)


def test_the_policy_file_may_be_that_of_all_services() -> None:
    fs = good_root().replace(DROP_IN, "^Environment=OPENSSL_CONF=.*$", "")
    assert not failing(fs.file("/usr/lib/systemd/system.conf.d/tls.conf", f"[Manager]\nDefaultEnvironment=OPENSSL_CONF={POLICY}\n"))


def test_bounds_for_datagrams_beside_those_for_tls_hold() -> None:
    fs = good_root().replace(POLICY, "^MinProtocol", "DTLS.MinProtocol = DTLSv1.2\nTLS.MinProtocol")
    fs.replace(POLICY, "^(CipherString = )", r"DTLS.MaxProtocol = DTLSv1.2\n\1")
    assert not failing(fs)


def test_an_include_below_the_service_s_working_directory_holds() -> None:
    fs = good_root().replace(POLICY, "^MinProtocol = .*$", ".include tls.cnf").file("/etc/everest/tls.cnf", "MinProtocol = TLSv1.2\n")
    assert not failing(fs.append(DROP_IN, "[Service]\nWorkingDirectory=-/etc/everest\n"))


def test_without_everest_s_service_nothing_of_it_holds() -> None:
    found = failing(good_root().remove(f"{UNITS}/everest.service"))
    missing = "everest.service is missing or masked"
    assert {requirement for requirement, said in found.items() if missing in said} >= {"ACC-05", "TLS-02"}
