# Decides the packet filter's rules that depend on knobs.
#
# Purpose: a rule for the TCP ports of each interface, or none when there are no ports (NET-04). For everest-firewall alone.
#
# Usage: inherit everest-secure-firewall; name @EVEREST_PLC_TCP_RULE@ and @EVEREST_MANAGEMENT_TCP_RULE@ in the rule set.

inherit everest-secure-template

EVEREST_TEMPLATES = "everest-firewall.nft"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_PLC_INTERFACE EVEREST_PLC_TCP_RULE EVEREST_MANAGEMENT_TCP_RULE"

EVEREST_PLC_TCP_RULE = "${@everest_secure_tcp_rule('EVEREST_PLC_INTERFACE', 'EVEREST_PLC_INBOUND_TCP', d)}"
EVEREST_PLC_TCP_RULE[doc] = "Rule that accepts EVEREST_PLC_INBOUND_TCP."
EVEREST_MANAGEMENT_TCP_RULE = "${@everest_secure_tcp_rule('EVEREST_MANAGEMENT_INTERFACE', 'EVEREST_MANAGEMENT_INBOUND_TCP', d)}"
EVEREST_MANAGEMENT_TCP_RULE[doc] = "Rule that accepts EVEREST_MANAGEMENT_INBOUND_TCP; empty when that is empty."

def everest_secure_tcp_rule(interface, ports, d):
    listed = d.getVar(ports).split()
    wrong = [port for port in listed if not (port.isdigit() and 0 < int(port) < 65536)]
    if wrong:
        bb.fatal("%s has '%s', which is no TCP port; list numbers from 1 to 65535 separated by spaces" % (ports, wrong[0]))
    return 'iifname "%s" tcp dport { %s } accept' % (d.getVar(interface), ", ".join(listed)) if listed else "# no TCP port is open"
