// One charging session, logged by EvseManager's own code: SETTINGS (JSON) [open].
#include "SessionLog.hpp"
#include <everest/helpers/helpers.hpp>
#include <nlohmann/json.hpp>

using json = nlohmann::json;
using module::session_log;

struct EvseManager {
    struct {
        bool session_logging;
        std::string session_logging_path;
        bool session_logging_xml;
    } config;
    struct {
        std::string id;
    } info;
    struct {
        void publish(const std::string&, const std::string&) {}
    } mqtt;

    void init() {
#include "init.inc"
    }
};

namespace everest::helpers {
#include "escape_html.inc"
}

int main(int count, char** argv) {
    const auto settings = json::parse(argv[1]);
    EvseManager manager{{settings.at("session_logging"), settings.at("session_logging_path"), settings.at("session_logging_xml")}};
    manager.init();
    session_log.startSession("session");
    session_log.car(true, "V2G SessionSetupReq", "<SessionSetupReq/>", "", "", "");
    session_log.evse(false, "Session Started: EVConnected");
    if (count == 2)
        session_log.stopSession();
}
