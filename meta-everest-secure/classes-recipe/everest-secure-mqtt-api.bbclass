# Decides which topics leave and enter a charger through the exposed MQTT API.
#
# Purpose: from two lists of topics come the lines of the bridge and of the access control list (NET-02). Only EVerest's API is ever in them: a
# topic names the API's type and direction without a wildcard, so that no list reaches EVerest's own bus, or lets a client pose as the hardware
# or as EVerest. For everest-mqtt-api alone.
#
# Usage: inherit everest-secure-mqtt-api; name @EVEREST_MQTT_API_BRIDGE@ and @EVEREST_MQTT_API_ACL@ in the files.

inherit everest-secure-template

EVEREST_MQTT_API_BRIDGE = "${@everest_secure_mqtt_bridge(d)}"
EVEREST_MQTT_API_BRIDGE[doc] = "Lines of the bridge: what comes in from EVerest's broker and what goes out to it."
EVEREST_MQTT_API_ACL = "${@everest_secure_mqtt_acl(d)}"
EVEREST_MQTT_API_ACL[doc] = "Lines of the access control list: everybody with a certificate reads, EVEREST_MQTT_API_WRITERS write."

def everest_secure_mqtt_topics(knob, new, old, d):
    """Topics of a knob: everest_api/VERSION/TYPE/MODULE/`new`/... or, of the module API, everest_api/MODULE/`old`/... ; MODULE may be +."""
    import re

    word = "[A-Za-z0-9_.-]+"
    rest = "(/(%s|[+]))*/(%s|[+#])" % (word, word)
    good = "everest_api/([0-9]+/%s/(%s|[+])/%s|%s/%s)%s" % (word, word, new, word, old, rest)
    topics = d.getVar(knob).split()
    for topic in topics:
        if not re.fullmatch(good, topic):
            wanted = "everest_api/VERSION/TYPE/MODULE/%s/... or everest_api/MODULE/%s/..." % (new, old)
            bb.fatal("NET-02: %s has '%s', which is no topic of EVerest's API in this direction; write %s" % (knob, topic, wanted))
    return topics

def everest_secure_mqtt_read(d):
    topics = everest_secure_mqtt_topics("EVEREST_MQTT_API_READ", "e2m", "var", d)
    if not topics:
        bb.fatal("NET-02: EVEREST_MQTT_API_READ is empty, so that the MQTT API shows nothing; list topics or set EVEREST_MQTT_API to 0")
    return topics

def everest_secure_mqtt_write(d):
    return everest_secure_mqtt_topics("EVEREST_MQTT_API_WRITE", "m2e", "cmd", d)

def everest_secure_mqtt_bridge(d):
    lines = ["topic %s in 1" % topic for topic in everest_secure_mqtt_read(d)]
    return "\n".join(lines + ["topic %s out 1" % topic for topic in everest_secure_mqtt_write(d)])

def everest_secure_mqtt_acl(d):
    import re

    writers, topics = d.getVar("EVEREST_MQTT_API_WRITERS").split(), everest_secure_mqtt_write(d)
    if bool(writers) != bool(topics):
        bb.fatal("NET-02: EVEREST_MQTT_API_WRITE and EVEREST_MQTT_API_WRITERS belong together; set both, or neither for an API that only shows")
    for writer in writers:
        if not re.fullmatch("[A-Za-z0-9_.@-]+", writer):
            bb.fatal("NET-02: EVEREST_MQTT_API_WRITERS has '%s', which is no common name of a certificate that can be listed" % writer)
    lines = ["pattern read %s" % topic for topic in everest_secure_mqtt_read(d)]
    for writer in writers:
        lines += ["user %s" % writer] + ["topic write %s" % topic for topic in topics]
    return "\n".join(lines)
