# Decides the packet filter's rules that depend on knobs.
#
# Purpose: a rule for the TCP ports of each interface, or none when there are no ports; IPv6 on the management side; the door of the MQTT API
# (NET-02, NET-04). For everest-firewall alone.
#
# Usage: inherit everest-secure-firewall; name the variables below between @ signs in the rule set.

inherit everest-secure-template

EVEREST_TEMPLATES = "everest-firewall.nft"
EVEREST_TEMPLATE_VARIABLES = "EVEREST_MANAGEMENT_IPV6_RULES EVEREST_MANAGEMENT_TCP_RULE EVEREST_MQTT_API_RULE EVEREST_MQTT_API_SET \
                              EVEREST_PLC_INTERFACE EVEREST_PLC_TCP_RULE"

EVEREST_PLC_TCP_RULE = "${@everest_secure_tcp_rule('EVEREST_PLC_INTERFACE', 'EVEREST_PLC_INBOUND_TCP', d)}"
EVEREST_PLC_TCP_RULE[doc] = "Rule that accepts EVEREST_PLC_INBOUND_TCP."
EVEREST_MANAGEMENT_TCP_RULE = "${@everest_secure_tcp_rule('EVEREST_MANAGEMENT_INTERFACE', 'EVEREST_MANAGEMENT_INBOUND_TCP', d)}"
EVEREST_MANAGEMENT_TCP_RULE[doc] = "Rule that accepts EVEREST_MANAGEMENT_INBOUND_TCP; empty when that is empty."
EVEREST_MANAGEMENT_IPV6_RULES = "${@everest_secure_ipv6_rules(d)}"
EVEREST_MANAGEMENT_IPV6_RULES[doc] = "Rules that accept what an IPv6 host needs of its own link, when EVEREST_MANAGEMENT_IPV6 is 1."
EVEREST_MQTT_API_SET = "${@everest_secure_mqtt_api('set mqtt_api { type inet_service; flags timeout; }', d)}"
EVEREST_MQTT_API_SET[doc] = "Set that holds the port of the MQTT API while that is on; an element leaves it by itself."
EVEREST_MQTT_API_RULE = "${@everest_secure_mqtt_api(everest_secure_mqtt_api_rule(d), d)}"
EVEREST_MQTT_API_RULE[doc] = "Rule that accepts EVEREST_MQTT_API_PORT on the management interface while it is in that set."

def everest_secure_ipv6_rules(d):
    if not bb.utils.to_boolean(d.getVar("EVEREST_MANAGEMENT_IPV6")):
        return "# no IPv6"
    interface = d.getVar("EVEREST_MANAGEMENT_INTERFACE")
    kinds = "{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }"
    return """iifname "%s" icmpv6 type %s ip6 hoplimit 255 accept
        iifname "%s" ip6 saddr fe80::/10 udp dport 546 accept""" % (interface, kinds, interface)

def everest_secure_mqtt_api(line, d):
    return line if bb.utils.to_boolean(d.getVar("EVEREST_MQTT_API")) else "# no MQTT API"

def everest_secure_mqtt_api_rule(d):
    ports = everest_secure_ports("EVEREST_MQTT_API_PORT", d)
    if len(ports) != 1:
        bb.fatal("EVEREST_MQTT_API_PORT is '%s'; set it to one TCP port" % d.getVar("EVEREST_MQTT_API_PORT"))
    return 'iifname "%s" tcp dport %s tcp dport @mqtt_api accept' % (d.getVar("EVEREST_MANAGEMENT_INTERFACE"), ports[0])

def everest_secure_ports(ports, d):
    listed = d.getVar(ports).split()
    wrong = [port for port in listed if not (port.isdigit() and 0 < int(port) < 65536)]
    if wrong:
        bb.fatal("%s has '%s', which is no TCP port; list numbers from 1 to 65535 separated by spaces" % (ports, wrong[0]))
    return listed

def everest_secure_tcp_rule(interface, ports, d):
    listed = everest_secure_ports(ports, d)
    return 'iifname "%s" tcp dport { %s } accept' % (d.getVar(interface), ", ".join(listed)) if listed else "# no TCP port is open"
