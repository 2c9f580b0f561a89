// One attempt of libocpp's own client to reach a CSMS: URL SECURITY_PROFILE ROOTS CERTIFICATE KEY CIPHERS CIPHERSUITES. Prints `connected` when it could.
#include "sources.inc"
#include <future>

using namespace ocpp;

/// The certificate store; what a connection does not ask for is not there.
struct Store final : EvseSecurity {
    std::string roots, certificate, key;

    std::string get_verify_file(const CaCertificateType&) override { return roots; }
    std::string get_verify_location(const CaCertificateType&) override { return roots; }
    bool is_ca_certificate_installed(const CaCertificateType&) override { return true; }
    bool update_certificate_links(const CertificateSigningUseEnum&) override { return true; }
    GetCertificateInfoResult get_leaf_certificate_info(const CertificateSigningUseEnum&, bool) override {
        CertificateInfo info;
        info.key_path = key;
        info.certificate_path = info.certificate_single_path = certificate;
        GetCertificateInfoResult result;
        result.status = GetCertificateInfoStatus::Accepted;
        result.info = info;
        return result;
    }

    InstallCertificateResult install_ca_certificate(const std::string&, const CaCertificateType&) override { std::abort(); }
    DeleteCertificateResult delete_certificate(const CertificateHashDataType&) override { std::abort(); }
    InstallCertificateResult update_leaf_certificate(const std::string&, const CertificateSigningUseEnum&) override { std::abort(); }
    CertificateValidationResult verify_certificate(const std::string&, const LeafCertificateType&) override { std::abort(); }
    CertificateValidationResult verify_certificate(const std::string&, const std::vector<LeafCertificateType>&) override { std::abort(); }
    std::vector<CertificateHashDataChain> get_installed_certificates(const std::vector<CertificateType>&) override { std::abort(); }
    std::vector<OCSPRequestData> get_v2g_ocsp_request_data() override { std::abort(); }
    std::vector<OCSPRequestData> get_mo_ocsp_request_data(const std::string&) override { std::abort(); }
    void update_ocsp_cache(const CertificateHashDataType&, const std::string&) override { std::abort(); }
    GetCertificateSignRequestResult generate_certificate_signing_request(const CertificateSigningUseEnum&, const std::string&, const std::string&,
                                                                         const std::string&, bool) override {
        std::abort();
    }
    int get_leaf_expiry_days_count(const CertificateSigningUseEnum&) override { std::abort(); }
};

int main(int, char** argv) {
    WebsocketConnectionOptions options{};
    options.ocpp_versions = {OcppProtocolVersion::v201};
    options.security_profile = std::stoi(argv[2]);
    options.csms_uri = Uri::parse_and_validate(argv[1], "charger", options.security_profile);
    options.authorization_key = "a password of some length";
    options.message_timeout = std::chrono::seconds(30);
    options.supported_ciphers_12 = argv[6];
    options.supported_ciphers_13 = argv[7];
    options.verify_csms_common_name = true;

    auto store = std::make_shared<Store>();
    store->roots = argv[3];
    store->certificate = argv[4];
    store->key = argv[5];
    auto logging = std::make_shared<MessageLogging>(false, "", "", false, false, false, false, false, false, false, nullptr);
    std::promise<const char*> outcome;
    Websocket websocket(options, store, logging);
    websocket.register_connected_callback([&](auto) { outcome.set_value("connected"); });
    websocket.register_disconnected_callback([] {});
    websocket.register_stopped_connecting_callback([&](auto) { outcome.set_value("stopped"); });
    websocket.register_message_callback([](const auto&) {});
    websocket.register_connection_failed_callback([](auto) {});
    websocket.start_connecting();
    std::cout << outcome.get_future().get() << std::endl;
    std::_Exit(0);
}
