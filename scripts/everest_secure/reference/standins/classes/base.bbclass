# Stand-in for OE-Core's base.bbclass: fetch and unpack local files, and the chain of tasks up to do_install.

python base_do_fetch() {
    urls = (d.getVar("SRC_URI") or "").split()
    if urls:
        bb.fetch2.Fetch(urls, d).download()
}

python base_do_unpack() {
    urls = (d.getVar("SRC_URI") or "").split()
    if urls:
        bb.fetch2.Fetch(urls, d).unpack(d.getVar("WORKDIR"))
}

base_do_patch() {
    :
}

base_do_configure() {
    :
}

base_do_compile() {
    :
}

base_do_install() {
    :
}

addtask fetch
addtask unpack after do_fetch
addtask patch after do_unpack
addtask configure after do_patch
addtask compile after do_configure
addtask install after do_compile

do_unpack[dirs] = "${WORKDIR}"
do_install[dirs] = "${B}"
do_install[cleandirs] = "${D}"
do_install[umask] = "022"

bbnote() {
    printf 'NOTE: %s\n' "$*"
}

bbwarn() {
    printf 'WARNING: %s\n' "$*"
}

bbfatal() {
    printf 'ERROR: %s\n' "$*"
    exit 1
}

EXPORT_FUNCTIONS do_fetch do_unpack do_patch do_configure do_compile do_install
