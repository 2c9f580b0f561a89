# Decides whether the management side has IPv6.
#
# Purpose: the lines of its .network file that EVEREST_MANAGEMENT_IPV6 decides (NET-05). For everest-network alone.
#
# Usage: inherit everest-secure-network; name the variables below between @ signs in the file.

inherit everest-secure-template

EVEREST_TEMPLATES = "10-everest-plc.network 15-everest-management.network"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_MANAGEMENT_DHCP EVEREST_MANAGEMENT_INTERFACE EVEREST_MANAGEMENT_LINK_LOCAL EVEREST_MANAGEMENT_ROUTER \
                              EVEREST_PLC_INTERFACE"

EVEREST_MANAGEMENT_DHCP = "${@everest_secure_with_ipv6('yes', 'ipv4', d)}"
EVEREST_MANAGEMENT_DHCP[doc] = "DHCP= of the management interface."
EVEREST_MANAGEMENT_LINK_LOCAL = "${@everest_secure_with_ipv6('ipv6', 'no', d)}"
EVEREST_MANAGEMENT_LINK_LOCAL[doc] = "LinkLocalAddressing= of the management interface; without it there is no IPv6 at all."
EVEREST_MANAGEMENT_ROUTER = "${@everest_secure_with_ipv6('yes', 'no', d)}"
EVEREST_MANAGEMENT_ROUTER[doc] = "IPv6AcceptRA= of the management interface."

def everest_secure_with_ipv6(there, absent, d):
    return there if bb.utils.to_boolean(d.getVar("EVEREST_MANAGEMENT_IPV6")) else absent
