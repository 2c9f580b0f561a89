// What libocpp's own code logs of messages and security events with a charger's configuration:
//     1.6 CONFIGURATION SHARED USER_CONFIGURATION LOGS MESSAGES BYTES EVENTS
//     2.0.1 COMPONENTS MIGRATIONS DATABASE LOGS MESSAGES BYTES EVENTS
//     roots COMPONENTS MIGRATIONS DATABASE
// MESSAGES of BYTES each are logged, then EVENTS. Messages and events are numbered from 0. What goes to the CSMS is printed,
// and of `roots` which kinds it may install.
#include "sources.inc"
#include <ocpp/common/ocpp_logging.hpp>

using namespace ocpp;

/// Takes a message for the CSMS.
struct Dispatcher {
    void dispatch_call(const json& call) { std::cout << call.dump() << std::endl; }
};

namespace ocpp::v2 {
struct Security {
    struct {
        Dispatcher& message_dispatcher;
    } context;
    MessageLogging& logging;
    std::function<void(const CiString<50>&, const std::optional<CiString<255>>&)> security_event_callback;

    void security_event_notification_req(const CiString<50>&, const std::optional<CiString<255>>&, bool, bool,
                                         const std::optional<DateTime>& = std::nullopt);
};

struct ChargePoint {
    std::unique_ptr<DeviceModel> device_model;
    struct {
        std::optional<std::function<void(const std::string&, MessageDirection)>> ocpp_messages_callback;
    } callbacks;
    std::shared_ptr<MessageLogging> logging;
    std::unique_ptr<Security> security;

    void configure_message_logging_format(const std::string&);
};
#include "logging_2.inc"
#include "security_2.inc"
} // namespace ocpp::v2

namespace ocpp::v2::roots {
struct Security {
    struct {
        DeviceModel& device_model;
    } context;

    bool should_allow_certificate_install(InstallCertificateUseEnum) const;
};
#include "roots_2.inc"
} // namespace ocpp::v2::roots

namespace ocpp::v16 {
struct ChargePointImpl {
    ChargePointConfigurationInterface& configuration;
    std::string message_log_path;
    std::unique_ptr<Dispatcher> message_dispatcher;
    std::shared_ptr<MessageLogging> logging;
    std::function<void(const std::string&, const std::string&)> security_event_callback;

    void securityEventNotification(const CiString<50>&, const std::optional<CiString<255>>&, bool,
                                   const std::optional<bool>& = std::nullopt, const std::optional<DateTime>& = std::nullopt);

    void configure_logging() {
#include "logging_16.inc"
    }
};
#include "security_16.inc"
} // namespace ocpp::v16

static const std::string EVENT = "MaintenanceLoginFailed";

template <typename Raise> static void log(MessageLogging& logging, char** arguments, Raise raise) {
    const auto messages = std::stoul(arguments[0]), bytes = std::stoul(arguments[1]), events = std::stoul(arguments[2]);
    const auto payload = json{{"data", std::string(bytes, 'x')}};
    for (std::size_t number = 0; number < messages; number++)
        logging.charge_point("Unknown", json::array({2, "message " + std::to_string(number), "DataTransfer", payload}).dump());
    for (std::size_t number = 0; number < events; number++)
        raise(CiString<255>("event " + std::to_string(number)));
}

static void log_16(char** arguments) {
    std::ifstream file(arguments[0]);
    const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    v16::ChargePointConfiguration configuration(text, arguments[1], arguments[2]);
    v16::ChargePointImpl charger{configuration, arguments[3], std::make_unique<Dispatcher>()};
    charger.configure_logging();
    log(*charger.logging, arguments + 4, [&](const auto& what) { charger.securityEventNotification(EVENT, what, true); });
}

static std::unique_ptr<v2::DeviceModel> device_model(char** arguments) {
    return std::make_unique<v2::DeviceModel>(std::make_unique<v2::DeviceModelStorageSqlite>(arguments[2], arguments[1], arguments[0]));
}

static void log_2(char** arguments) {
    v2::ChargePoint charger{device_model(arguments)};
    charger.configure_message_logging_format(arguments[3]);
    Dispatcher dispatcher;
    charger.security = std::make_unique<v2::Security>(v2::Security{{dispatcher}, *charger.logging});
    log(*charger.logging, arguments + 4, [&](const auto& what) { charger.security->security_event_notification_req(EVENT, what, true, true); });
}

static void roots_2(char** arguments) {
    const auto model = device_model(arguments);
    const v2::roots::Security security{{*model}};
    for (const auto kind : {"CSMSRootCertificate", "ManufacturerRootCertificate", "MORootCertificate", "V2GRootCertificate"})
        if (security.should_allow_certificate_install(v2::conversions::string_to_install_certificate_use_enum(kind)))
            std::cout << kind << std::endl;
}

int main(int, char** argv) {
    const std::string what = argv[1];
    (what == "1.6" ? log_16 : what == "roots" ? roots_2 : log_2)(argv + 2);
}
