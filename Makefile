# SPDX-License-Identifier: Apache-2.0
# A thin face on Meson and tools/. `make help` lists the targets.
DESTDIR ?=
PREFIX  ?= /usr
BUILD   ?= build
# Debian puts modules under lib/<triplet>.
LIBDIR  ?= lib/$(shell gcc -dumpmachine 2>/dev/null || echo x86_64-linux-gnu)

.PHONY: all install docs demo check check-all soak bench format clean help

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)

$(BUILD)/build.ninja:
	@command -v meson >/dev/null && command -v ninja >/dev/null && command -v pkg-config >/dev/null || \
	    { echo "make: meson, ninja or pkg-config is missing: run tools/setup first (as root or with sudo)" >&2; exit 2; }
	@meson setup $(BUILD) -Dtests=false >$(BUILD).log 2>&1 || \
	    { cat $(BUILD).log >&2; echo "make: meson failed; if a package is missing, run tools/setup" >&2; exit 2; }
	@mv -f $(BUILD).log $(BUILD)/setup.log

install: all
	@meson configure $(BUILD) -Dprefix=$(PREFIX) -Dlibdir=$(LIBDIR) >/dev/null
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --tags runtime,man,devel

docs: all
	@python3 tools/gendocs connectors $(BUILD)/wherry

demo:
	@tests/demo/demo

check:
	@tools/check

check-all:
	@tools/check --all

soak:
	@tools/check --soak

bench: all
	@tests/bench/bench

format:
	@git ls-files '*.c' '*.h' | xargs clang-format-14 -i

clean:
	rm -rf build build-*

help:
	@echo "make              build into build/; build/wherry runs from there"
	@echo "make install      DESTDIR= PREFIX=/usr: program, modules, headers, manual pages, completions,"
	@echo "                  where Debian would put them"
	@echo "make docs         write the tables of settings in docs/connectors from those of the program"
	@echo "make demo         install what is missing, build, and copy real tables there and back"
	@echo "make check        the gate, about 10 minutes; tools/check --list shows its stages"
	@echo "make check-all    what CI runs, under 40 minutes on 2 cores"
	@echo "make soak         hours"
	@echo "make bench        measured ratios beside native tools, content verified"
	@echo "make format       clang-format on every C file"
	@echo "make clean        remove build/ and build-*/"
