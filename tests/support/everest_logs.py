"""Programs in which EVerest's own code writes the logs of sessions and of OCPP, or says which roots OCPP takes, and what of EVerest they are made of.

Of classes that need all of a module, the lines that read the settings are cut out of the checkout (`excerpt`); all others are compiled as they are.
"""

import re
from pathlib import Path

from everest_secure.build.configuration import Repository
from support.everest_code import compile_part, compile_with
from support.upstream_code import check_out, excerpt

HERE = Path(__file__).parent
RECIPES = "yocto/scarthgap/meta-everest/recipes-backports"
OCPP = "lib/everest/ocpp"
MIGRATIONS = f"{OCPP}/config/v2/device_model_migrations"
LOGGING = f"{OCPP}/lib/ocpp/common/ocpp_logging.cpp"
DATE = ("-DONLY_C_LOCALE=1", "-DUSE_OS_TZDB=1", "-ldate-tz")
"""How Debian compiled its library of dates."""
_SOURCES = {
    "common": ("database/database_handler_common", "call_types", "schemas", "types", "utils"),
    "v16": (
        *("charge_point_configuration", "charge_point_configuration_base", "known_keys", "messages/SecurityEventNotification"),
        *("ocpp_enums", "ocpp_types", "types", "utils"),
    ),
    "v2": (
        *("ctrlr_component_variables", "device_model", "device_model_storage_sqlite", "enums", "init_device_model_db"),
        *("messages/SecurityEventNotification", "ocpp_enums", "ocpp_types", "types", "utils"),
    ),
}
_INCLUDED = ("evse_security", "helpers", "ocpp", "sqlite", "timer", "util")


def recipe_code(everest: Path, name: str, place: Path) -> Path:
    """Check out what one of EVerest's recipes builds, in a new directory; skips the test where that is out of reach."""
    (recipe,) = (everest / RECIPES / name).glob(f"{name}_*.bb")
    text = recipe.read_text()
    address, revision = re.search(r"git://([^;\s\"]+)", text), re.search(r'^SRCREV = "(\w+)"', text, re.MULTILINE)
    assert address
    assert revision
    place.mkdir(parents=True)
    return check_out(Repository(name, f"https://{address[1]}", name, revision[1]), place)


def session_program(place: Path, everest: Path) -> Path:
    """EvseManager's log of one session, as session_log.cpp says."""
    manager, framework, helpers = (everest / name for name in ("modules/EVSE/EvseManager", "lib/everest/framework", "lib/everest/helpers"))
    set_up = excerpt(manager / "EvseManager.cpp", "session_log.setPath(", "    session_log.xmlOutput(config.session_logging_xml);")
    write(place, {"init.inc": set_up, "escape_html.inc": excerpt(helpers / "src/helpers.cpp", "std::string escape_html(", "}")})
    code = [manager / "SessionLog.cpp", manager / "v2gMessage.cpp", framework / "lib/date.cpp"]
    headers = [f"-I{path}" for path in (manager, framework / "include", helpers / "include")]
    return compile_with(place, (HERE / "session_log.cpp").read_text(), *headers, *code, *DATE, "-lfmt", "-lpugixml")


def ocpp_programs(place: Path, everest: Path, *trees: Path) -> list[Path]:
    """Compile the program that ocpp_log.cpp describes, for each tree of EVerest's code with the logging that it has."""
    ocpp = everest / OCPP / "lib/ocpp"
    validator = recipe_code(everest, "json-schema-validator", place / "validator")
    sources = [ocpp / directory / f"{name}.cpp" for directory, names in _SOURCES.items() for name in names]
    sources += [*(everest / "lib/everest/sqlite/lib").rglob("*.cpp"), *(validator / "src").glob("*.cpp")]
    write(
        place,
        {
            # One after the other they cost half a minute less than each with all its headers.
            "sources.inc": "".join(f'#include "{path}"\n' for path in sources),
            "logging_2.inc": excerpt(ocpp / "v2/charge_point.cpp", "void ChargePoint::configure_message_logging_format(", "}"),
            "security_2.inc": excerpt(ocpp / "v2/functional_blocks/security.cpp", "void Security::security_event_notification_req(", "}"),
            "roots_2.inc": excerpt(ocpp / "v2/functional_blocks/security.cpp", "bool Security::should_allow_certificate_install(", "}"),
            "logging_16.inc": excerpt(ocpp / "v16/charge_point_impl.cpp", "auto log_formats =", "    }"),
            "security_16.inc": excerpt(ocpp / "v16/charge_point_impl.cpp", "void ChargePointImpl::securityEventNotification(", "}"),
        },
    )
    newest = max(int(path.name.partition("_")[0]) for path in (everest / MIGRATIONS).glob("*_up-*.sql"))
    common = [*include(everest), *DATE, "-ffunction-sections"]
    settings = [f"-I{validator}/src", f"-DMIGRATION_DEVICE_MODEL_FILE_VERSION_V2={newest}"]
    rest = compile_with(place, (HERE / "ocpp_log.cpp").read_text(), "-c", *common, *settings)
    programs = []
    for number, tree in enumerate(trees):
        logging = compile_part(place / f"{number}.o", place, "-c", *common, tree / LOGGING)
        libraries = ("-Wl,--gc-sections", "-lfmt", "-lcrypto", "-lsqlite3", *DATE)
        programs.append(compile_part(place / f"ocpp-{number}", place, rest, logging, *libraries))
    return programs


def include(everest: Path) -> list[str]:
    """Return where libocpp finds headers of EVerest's."""
    return [f"-I{everest}/lib/everest/{name}/include" for name in _INCLUDED] + [f"-I{everest}/{OCPP}/3rd_party"]


def write(place: Path, texts: dict[str, str]) -> None:
    """Write what a program includes besides EVerest's files."""
    place.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (place / name).write_text(text)
