// EvseSecurity as its module makes it: SETTINGS (JSON). Requests of a CSMS and what the store answers are lines of JSON.
#include <evse_security/evse_security.hpp>
#include <iostream>
#include <nlohmann/json.hpp>

using namespace evse_security;
using json = nlohmann::json;

struct Module {
    struct {
        std::string csms_ca_bundle, mf_ca_bundle, mo_ca_bundle, v2g_ca_bundle, csms_leaf_cert_directory, csms_leaf_key_directory,
            secc_leaf_cert_directory, secc_leaf_key_directory, private_key_password;
    } config;
    struct {
        struct {
            fs::path etc{"/etc/everest"};
        } paths;
    } info;
};

struct evse_securityImpl {
    Module* mod;
    std::unique_ptr<EvseSecurity> evse_security;
    void init();
};
#include "init.inc"

const std::map<std::string, CaCertificateType> ROOTS{
    {"CSMS", CaCertificateType::CSMS}, {"MF", CaCertificateType::MF}, {"MO", CaCertificateType::MO}, {"V2G", CaCertificateType::V2G}};
const std::map<std::string, LeafCertificateType> LEAVES{{"CSMS", LeafCertificateType::CSMS}, {"V2G", LeafCertificateType::V2G}};
const std::vector<CertificateType> TYPES{CertificateType::CSMSRootCertificate, CertificateType::MFRootCertificate,
                                         CertificateType::MORootCertificate, CertificateType::V2GRootCertificate,
                                         CertificateType::V2GCertificateChain};

json hash(const CertificateHashData& data) {
    return {{"hashAlgorithm", conversions::hash_algorithm_to_string(data.hash_algorithm)},
            {"issuerNameHash", data.issuer_name_hash},
            {"issuerKeyHash", data.issuer_key_hash},
            {"serialNumber", data.serial_number}};
}

CertificateHashData hash(const json& data) {
    return {conversions::string_to_hash_algorithm(data.at("hashAlgorithm")), data.at("issuerNameHash"), data.at("issuerKeyHash"),
            data.at("serialNumber")};
}

json installed(EvseSecurity& store) {
    json found = json::array();
    for (const auto& chain : store.get_installed_certificates(TYPES).certificate_hash_data_chain) {
        json children = json::array();
        for (const auto& child : chain.child_certificate_hash_data)
            children.push_back(hash(child));
        found.push_back({{"certificateType", conversions::certificate_type_to_string(chain.certificate_type)},
                         {"certificateHashData", hash(chain.certificate_hash_data)},
                         {"childCertificateHashData", children}});
    }
    return found;
}

json leaf(EvseSecurity& store, LeafCertificateType type) {
    const auto found = store.get_leaf_certificate_info(type, EncodingFormat::PEM);
    if (found.status != GetCertificateInfoStatus::Accepted)
        return nullptr;
    return {{"key", found.info->key}, {"chain", found.info->certificate.value_or("")}, {"leaf", found.info->certificate_single.value_or("")}};
}

json answer(EvseSecurity& store, const json& request) {
    const std::string what = request.at("do");
    const std::string type = request.value("type", "");
    if (what == "InstallCertificate")
        return conversions::install_certificate_result_to_string(store.install_ca_certificate(request.at("certificate"), ROOTS.at(type)));
    if (what == "GetInstalledCertificateIds")
        return installed(store);
    if (what == "DeleteCertificate")
        return conversions::delete_certificate_result_to_string(store.delete_certificate(hash(request.at("hash"))).result);
    if (what == "SignCertificate")
        return store.generate_certificate_signing_request(LEAVES.at(type), "DE", "Operator", "charger", request.at("tpm")).csr.value_or("");
    if (what == "CertificateSigned")
        return conversions::install_certificate_result_to_string(store.update_leaf_certificate(request.at("certificate"), LEAVES.at(type)));
    if (what == "leaf")
        return leaf(store, LEAVES.at(type));
    if (what == "verify file")
        return store.get_verify_file(ROOTS.at(type));
    if (what == "keep OCSP") {
        store.update_ocsp_cache(hash(request.at("hash")), request.at("response"));
        return store.retrieve_ocsp_cache(hash(request.at("hash"))).value_or("");
    }
    if (what == "clean") {
        store.garbage_collect();
        return nullptr;
    }
    throw std::invalid_argument(what);
}

int main(int, char** argv) {
    const auto settings = json::parse(argv[1]);
    const auto set = [&settings](const char* name) { return settings.at(name).get<std::string>(); };
    Module module{{set("csms_ca_bundle"), set("mf_ca_bundle"), set("mo_ca_bundle"), set("v2g_ca_bundle"), set("csms_leaf_cert_directory"),
                   set("csms_leaf_key_directory"), set("secc_leaf_cert_directory"), set("secc_leaf_key_directory"),
                   set("private_key_password")}};
    evse_securityImpl implementation{&module};
    implementation.init();
    for (std::string line; std::getline(std::cin, line);)
        std::cout << answer(*implementation.evse_security, json::parse(line)) << std::endl;
}
