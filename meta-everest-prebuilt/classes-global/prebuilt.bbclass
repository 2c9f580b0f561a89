# Refuses a production build with stand-ins before anything else is looked at (BIN-02).
#
# Usage: INHERIT += "prebuilt", as tcmode-prebuilt.inc does.

addhandler prebuilt_refuse_production
prebuilt_refuse_production[eventmask] = "bb.event.ConfigParsed"
python prebuilt_refuse_production() {
    if d.getVar("EVEREST_PRODUCTION") == "1":
        bb.fatal("BIN-02: a prebuilt image holds stand-ins and is never for the field; leave out kas/opt/prebuilt.yml, or build the development variant")
}
prebuilt_refuse_production[doc] = "Ends BitBake when EVEREST_PRODUCTION is 1"
