import subprocess
import sys

from everest_secure.report.renderer import renderers


def test_the_renderers_register_themselves() -> None:
    assert set(renderers()) >= {"table", "json", "html", "junit", "sarif", "markdown"}
    assert all(entry.summary and entry.name == name for name, entry in renderers().items())


def test_naming_the_renderers_loads_neither_a_library_nor_a_check_nor_a_format() -> None:
    program = (
        "import sys; from everest_secure.report.renderer import renderers; renderers();"
        "print(*(n for n in sys.modules if n.split('.')[0] in {'yaml', 'rich', 'jinja2', 'jsonschema', 'xml'}"
        " or n.startswith(('everest_secure.image', 'everest_secure.checks', 'everest_secure.parse'))))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == ""
