# What a developer does here. Every target installs what it needs; `make help` lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Debian packages by what needs them. The tools that make images come in a root of their own (reference/toolsroot.py).
DEMO_PACKAGES := bubblewrap debian-archive-keyring mmdebstrap openssl uidmap
LINT_PACKAGES := shellcheck
BOOT_PACKAGES := bubblewrap cryptsetup-bin dbus e2fsprogs fdisk iproute2 mosquitto-clients openssl ovmf qemu-system-x86 qemu-utils rauc squashfs-tools swtpm systemd-container
SIGNING_PACKAGES := libengine-pkcs11-openssl rauc softhsm2 squashfs-tools
TEST_PACKAGES := $(DEMO_PACKAGES) $(LINT_PACKAGES) $(BOOT_PACKAGES) $(SIGNING_PACKAGES) binutils bmap-tools busybox-static bzip2 casync chromium cpio cryptsetup-bin dbus device-tree-compiler dosfstools e2fsprogs efibootmgr erofs-utils \
	fakeroot faketime fdisk gawk jq kmod libarchive-tools libtss2-tcti-swtpm0 libtss2-tcti-tabrmd0 locales lz4 lzop mandoc mosquitto mosquitto-clients mtd-utils mtools nftables osslsigncode p7zip-full qemu-system-arm rpm sbsigntool systemd systemd-journal-remote \
	systemd-boot-efi tpm2-abrmd tpm2-openssl tpm2-tools u-boot-qemu u-boot-tools xz-utils zip zstd
# What OE-Core wants of a build host (Yocto Project Reference Manual), what the prebuilt way wants, and what makes disks.
YOCTO_PACKAGES := bubblewrap build-essential bzip2 chrpath cpio dbus debian-archive-keyring device-tree-compiler diffstat dosfstools file gawk gdisk git libssl-dev libtss2-dev locales lz4 mmdebstrap mtools \
	parted patch qemu-system-arm swtpm systemd u-boot-tools uidmap wget zstd
# What the prebuilt way wants besides, and Debian 13 has not.
PREBUILT_PACKAGES := pseudo
# What EVerest's own code is compiled with, and what moves the clock for its logs.
EVEREST_PACKAGES := build-essential cmake faketime libboost-dev libcap-dev libfmt-dev libhowardhinnant-date-dev libpugixml-dev libsqlite3-dev libssl-dev ninja-build nlohmann-json3-dev zlib1g-dev
# What hawkBit's client is compiled with, and its TPM in software.
HAWKBIT_PACKAGES := build-essential libcurl4-openssl-dev libglib2.0-dev libjson-glib-dev libsystemd-dev libtss2-tcti-swtpm0 meson tpm2-openssl
# What the layers' RAUC is compiled with, and what signs with its bundles.
RAUC_PACKAGES := build-essential libcurl4-openssl-dev libdbus-1-dev libfdisk-dev libglib2.0-dev libjson-glib-dev libnl-genl-3-dev libssl-dev meson $(SIGNING_PACKAGES)
YOCTO_LOCALE := en_US
# The public validator of SARIF files, with which the tests compare (tests/support/sarif.py).
SARIF_VALIDATOR := @microsoft/sarif-multitool-linux@5.7.0

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	@scripts/setup.sh packages python3-venv
	@scripts/environment.sh $(PYTHON) $(VENV)
	@touch $@

.PHONY: setup
setup: $(READY) ## Make the Python environment from requirements.lock

.PHONY: demo
demo: $(READY) ## Make keys, a reference image and its bundle in build/demo, and verify them
	@scripts/setup.sh packages $(DEMO_PACKAGES)
	@scripts/as-root.sh $(BIN)/everest-secure demo

.PHONY: lint
lint: $(READY) ## Static checks of Python, shell, YAML and recipes
	@scripts/setup.sh packages $(LINT_PACKAGES)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	shellcheck --enable=all --exclude=SC2250,SC2312 $$(git grep --files-with-matches '^#! */bin/sh\|^# shellcheck shell=sh')
	$(BIN)/oelint-adv --quiet $$(git ls-files 'meta-everest-secure/*.bb' 'meta-everest-secure/*.bbappend')
	$(BIN)/oelint-adv --quiet $$(git ls-files 'meta-everest-prebuilt/*.bb')

.PHONY: test
test: $(READY) ## Set up and run all tests but those that need upstream layers or QEMU
	@scripts/setup.sh packages $(TEST_PACKAGES)
	@scripts/setup.sh locale $(YOCTO_LOCALE)
	@scripts/setup.sh npm $(VENV)/npm $(SARIF_VALIDATOR)
	$(BIN)/pytest --numprocesses 2 --dist loadfile -m "not yocto and not boot"

.PHONY: unit
unit: $(READY) ## The unit tests alone
	@scripts/setup.sh packages $(TEST_PACKAGES)
	@scripts/setup.sh locale $(YOCTO_LOCALE)
	@scripts/setup.sh npm $(VENV)/npm $(SARIF_VALIDATOR)
	$(BIN)/pytest --numprocesses 3 -m "not yocto" tests/unit

.PHONY: test-yocto
test-yocto: $(READY) ## Test the layer on the real upstream layers (skipped where they are out of reach): about an hour
	@scripts/setup.sh packages $(YOCTO_PACKAGES) $(EVEREST_PACKAGES) $(HAWKBIT_PACKAGES) $(RAUC_PACKAGES) $(BOOT_PACKAGES)
	@scripts/setup.sh optional $(PREBUILT_PACKAGES)
	@scripts/setup.sh locale $(YOCTO_LOCALE)
	$(BIN)/pytest -m yocto

.PHONY: test-yocto-quick
test-yocto-quick: $(READY) ## The same without what parses or checks all of upstream: minutes, for CI
	@scripts/setup.sh packages $(YOCTO_PACKAGES) $(EVEREST_PACKAGES) $(HAWKBIT_PACKAGES) $(RAUC_PACKAGES)
	@scripts/setup.sh locale $(YOCTO_LOCALE)
	$(BIN)/pytest -m "yocto and not full"

.PHONY: boot
IMAGES := build/demo
KEYS := build/keys/development
boot: $(READY) ## Boot the demonstration's image in QEMU and look at it (after make demo), or IMAGES=build/yocto/images KEYS=DIR (docs/target.md)
	@scripts/setup.sh packages $(BOOT_PACKAGES) $(HAWKBIT_PACKAGES)
	@code=0; EVEREST_SECURE_INSTALLED=1 EVEREST_SECURE_IMAGES=$(IMAGES) EVEREST_SECURE_KEYS=$(KEYS) $(BIN)/pytest -m boot tests/boot || code=$$?; \
	$(BIN)/everest-secure report merge $(IMAGES)/report.json $(IMAGES)/proofs.json --quiet --html $(IMAGES)/proven.html --json $(IMAGES)/proven.json || code=$$?; \
	exit $$code

.PHONY: boot-soak
CUTS := 200
boot-soak: $(READY) ## Cut the power CUTS=200 times while the demonstration's image is updated in QEMU (after make demo): hours
	@scripts/setup.sh packages $(BOOT_PACKAGES)
	EVEREST_SECURE_INSTALLED=1 EVEREST_SECURE_PROOFS=build/demo/soak.json EVEREST_SECURE_POWER_CUTS=$(CUTS) EVEREST_SECURE_POWER_CUTS_KILLED=$(CUTS) \
		$(BIN)/pytest -m boot tests/boot/test_power_cuts.py

.PHONY: fuzz
SECONDS := 60
TARGET :=
fuzz: $(READY) ## Fuzz all readers for SECONDS=60 each, or TARGET='ext4 tar' (docs/fuzzing.md)
	@scripts/setup.sh packages $(TEST_PACKAGES)
	@$(BIN)/pip --disable-pip-version-check install --quiet --no-deps --only-binary :all: --require-hashes --requirement fuzz/requirements.lock
	PYTHONPATH=.:tests $(BIN)/python -m fuzz --seconds $(SECONDS) $(TARGET)

.PHONY: bench
bench: $(READY) ## Measure the figures in docs/figures.md and print them
	@scripts/as-root.sh $(BIN)/python bench/demo.py
	@scripts/as-root.sh env PYTHONPATH=.:scripts:tests $(BIN)/python bench/check.py build/bench
	@scripts/as-root.sh env PYTHONPATH=.:scripts:tests $(BIN)/python bench/growth.py build/bench
	@scripts/as-root.sh env PYTHONPATH=.:scripts:tests $(BIN)/python bench/bundle.py build/bench
	@scripts/as-root.sh env PYTHONPATH=.:scripts:tests $(BIN)/python bench/monitor.py
	@scripts/as-root.sh env PYTHONPATH=.:scripts:tests $(BIN)/python bench/certificates.py
	@scripts/setup.sh packages $(BOOT_PACKAGES)
	@env PYTHONPATH=.:scripts:tests $(BIN)/python bench/boot.py
	@env PYTHONPATH=.:scripts:tests $(BIN)/python bench/update.py

.PHONY: docs
docs: $(READY) ## Write docs/checks.md anew from the catalogue and the checks, and the schema of parameters for editors
	$(BIN)/everest-secure explain --page > docs/checks.md
	$(BIN)/python -m everest_secure.policy.schema > conf/policy/schema/parameters.schema.json

.PHONY: lock
lock: ## Resolve requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --extra dev --extra target --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --upgrade --output-file requirements.lock
	uv pip compile fuzz/requirements.in --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 --output-file fuzz/requirements.lock

.PHONY: clean
clean: ## Remove build/ with its caches and keys
	@scripts/as-root.sh rm -rf build
