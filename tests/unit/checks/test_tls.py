import pytest

from support.mutation import Mutation, check_mutation, sentence
from support.rootfs import UNITS, failing, good_root

POLICY = "/etc/everest/openssl.cnf"
DROP_IN = f"{UNITS}/everest.service.d/50-everest-secure.conf"

MUTATIONS = [
    Mutation("the service does not name the policy file", "TLS-02", lambda fs: fs.replace(DROP_IN, "^Environment=.*$", "")),
    Mutation("a later line resets the service's environment", "TLS-02", lambda fs: fs.append(DROP_IN, "[Service]\nEnvironment=\n")),
    Mutation("the service names another file", "TLS-02", lambda fs: fs.replace(DROP_IN, "everest/openssl.cnf", "ssl/openssl.cnf")),
    Mutation("the policy file is missing", "TLS-02", lambda fs: fs.remove(POLICY)),
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
