# SPDX-License-Identifier: MIT
# Everything built is under $(BUILD). `make help` lists the targets.

BUILD   ?= build
$(if $(word 2,$(BUILD)),$(error BUILD='$(BUILD)': make takes a blank for the end of a name; build in a folder without one))
CC      := gcc
PREFIX  ?= /usr/local
DESTDIR ?=
CFLAGS  ?= -O2 -g

WARNINGS := -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
            -Wundef -Wformat=2 -Wwrite-strings -Wvla -Wimplicit-fallthrough -Wnull-dereference \
            -Wno-missing-field-initializers -Werror
PACKAGES := liburing jansson libmnl libbpf libcap-ng libseccomp ck libmicrohttpd
# The folder that it is built in does not show in a program: the same sources give the same SHA-256, which is part
# of a measurement's conditions. The shell puts the folder in: whatever characters its name has, they are no words to it.
REPRODUCIBLE := -ffile-prefix-map="$$PWD"=.
ALL_CFLAGS  = -std=gnu11 -D_GNU_SOURCE $(WARNINGS) $(CFLAGS) $(SANITIZE) $(REPRODUCIBLE) -pthread -Irelay -Itrafficgen \
              $(shell pkg-config --cflags $(PACKAGES))
ALL_LDFLAGS = $(LDFLAGS) $(SANITIZE) -pthread
LIBS        = -Wl,--as-needed $(shell pkg-config --libs $(PACKAGES))

# The folders show who runs what; ci/lint checks who may include whom.
COMMON          := $(wildcard relay/common/*.c)
RELAY           := $(wildcard $(addprefix relay/,contract/*.c worker/*.c supervisor/*.c control/*.c))
CTL             := $(wildcard relay/ctl/*.c)
TRAFFICGEN_PURE := $(addprefix trafficgen/,payload.c sizes.c pacer.c histogram.c arrivals.c flows.c samples.c cpu_times.c calibration.c tunnel.c)
TRAFFICGEN      := $(addprefix trafficgen/,main.c run.c batch.c send.c source.c sender.c send_report.c recv.c port.c receiver.c recv_report.c calibrate.c)

PROGRAMS   := $(BUILD)/mcrelay $(BUILD)/mcrelayctl $(BUILD)/trafficgen
MANPAGES   := $(BUILD)/mcrelay.8 $(BUILD)/mcrelayctl.8 $(BUILD)/trafficgen.1
UNIT_TESTS := $(patsubst %.c,$(BUILD)/unit/%,$(wildcard relay/tests/*/test_*.c trafficgen/tests/test_*.c))

FUZZERS      := $(patsubst relay/fuzz/fuzz_%.c,%,$(wildcard relay/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

# `make V=1` shows the commands instead of these lines
say = @printf '  %-4s %s\n'
ifneq ($(V),1)
.SILENT:
else
say = @:
endif

# Else make takes these for intermediate files, and removes them
.SECONDARY: $(UNIT_TESTS:$(BUILD)/unit/%=$(BUILD)/obj/%.o) $(FUZZERS:%=$(BUILD)/obj/relay/fuzz/fuzz_%.o)

.PHONY: all unit-tests fuzzers test gate asan drill tsan fuzz lint format install clean help
all: $(PROGRAMS) $(BUILD)/packet_path $(MANPAGES) $(BUILD)/mcrelay.service  ## build the programs and man pages (default)

$(BUILD)/mcrelay: $(call objects,relay/main.c $(RELAY) $(COMMON))
$(BUILD)/mcrelayctl: $(call objects,$(CTL) $(COMMON))
$(BUILD)/trafficgen: $(call objects,$(TRAFFICGEN) $(TRAFFICGEN_PURE) $(COMMON))
$(PROGRAMS):
	$(say) LD $@
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

# What the programs were built with: part of the machine profile, and a reason to build anew.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(CFLAGS) $(SANITIZE)$(if $(LDFLAGS), $(LDFLAGS))' | cmp -s - $@ || \
		printf '%s\n' '$(CC) $(CFLAGS) $(SANITIZE)$(if $(LDFLAGS), $(LDFLAGS))' >$@
.PHONY: FORCE
FORCE:

$(BUILD)/obj/%.o: %.c Makefile $(BUILD)/flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Man pages take their options and counters from the programs' own tables.
$(BUILD)/mcrelay.8: relay/dist/mcrelay.8.in $(BUILD)/mcrelay
	$(say) MAN $@
	$(BUILD)/mcrelay --man-options >$@.options
	$(BUILD)/mcrelay --man-counters >$@.counters
	sed -e '/^@OPTIONS@$$/{r $@.options' -e 'd}' -e '/^@COUNTERS@$$/{r $@.counters' -e 'd}' $< >$@
	rm $@.options $@.counters

$(BUILD)/mcrelayctl.8: relay/dist/mcrelayctl.8.in $(BUILD)/mcrelayctl
	$(say) MAN $@
	$(BUILD)/mcrelayctl --man-options >$@.options
	$(BUILD)/mcrelayctl add --man-options >$@.add
	$(BUILD)/mcrelayctl remove --man-options >$@.remove
	$(BUILD)/mcrelayctl watch --man-options >$@.watch
	sed -e '/^@OPTIONS@$$/{r $@.options' -e 'd}' -e '/^@ADD_OPTIONS@$$/{r $@.add' -e 'd}' \
		-e '/^@REMOVE_OPTIONS@$$/{r $@.remove' -e 'd}' -e '/^@WATCH_OPTIONS@$$/{r $@.watch' -e 'd}' $< >$@
	rm $@.options $@.add $@.remove $@.watch

$(BUILD)/mcrelay.service: relay/dist/mcrelay.service Makefile
	@mkdir -p $(@D)
	$(say) SED $@
	sed 's|@PREFIX@|$(PREFIX)|g' $< >$@

$(BUILD)/trafficgen.1: trafficgen/trafficgen.1.in $(BUILD)/trafficgen
	$(say) MAN $@
	$(BUILD)/trafficgen send --man-options >$@.send
	$(BUILD)/trafficgen recv --man-options >$@.recv
	$(BUILD)/trafficgen calibrate --man-options >$@.calibrate
	sed -e '/^@SEND_OPTIONS@$$/{r $@.send' -e 'd}' -e '/^@RECV_OPTIONS@$$/{r $@.recv' -e 'd}' \
		-e '/^@CALIBRATE_OPTIONS@$$/{r $@.calibrate' -e 'd}' $< >$@
	rm $@.send $@.recv $@.calibrate

# The tests of what starts threads: TSan has nothing to say of the others.
THREADED := $(wildcard $(foreach file,$(shell grep -l pthread_create relay/*/*.c), \
                relay/tests/$(subst relay/,,$(dir $(file)))test_$(notdir $(file))))

.PHONY: threaded threaded-tests
threaded: $(PROGRAMS) $(THREADED:%.c=$(BUILD)/unit/%)
threaded-tests:
	@printf '%s\n' $(THREADED)

# Of the archives, the linker takes what a test needs and does not define itself.
$(BUILD)/relay.a: $(call objects,$(RELAY) $(COMMON) $(filter-out relay/ctl/mcrelayctl.c,$(CTL)))
$(BUILD)/trafficgen.a: $(call objects,$(TRAFFICGEN_PURE) relay/common/geneve.c)
$(BUILD)/relay.a $(BUILD)/trafficgen.a:
	$(say) AR $@
	rm -f $@
	ar rcs $@ $^

$(BUILD)/unit/relay/tests/%: $(BUILD)/obj/relay/tests/%.o $(BUILD)/relay.a
	@mkdir -p $(@D)
	$(say) LD $@
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS) -lcmocka

$(BUILD)/unit/trafficgen/tests/%: $(BUILD)/obj/trafficgen/tests/%.o $(BUILD)/trafficgen.a
	@mkdir -p $(@D)
	$(say) LD $@
	$(CC) $(ALL_LDFLAGS) -o $@ $^ -ljansson -lcmocka

# The packet path against a made-up kernel, for valgrind to count: bench budget
$(BUILD)/packet_path: $(BUILD)/obj/relay/tests/cost/packet_path.o $(BUILD)/relay.a
	$(say) LD $@
	$(CC) $(ALL_LDFLAGS) -o $@ $^ $(LIBS)

unit-tests: $(UNIT_TESTS) ## build the unit tests under build/unit; each is a program that needs no root

$(BUILD)/fuzz/fuzz_%: $(BUILD)/obj/relay/fuzz/fuzz_%.o $(BUILD)/relay.a
	@mkdir -p $(@D)
	$(say) LD $@
	$(CC) $(ALL_LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)

fuzzers: $(FUZZERS:%=$(BUILD)/fuzz/fuzz_%) # of a build by `make asan` only

test: ## run every test (as root: the bats part makes network namespaces)
	ci/test --no-setup

gate: ## run the main job, the PHASE4 pipeline, and print the verdict (as root)
	ci/gate --no-setup

# One build for unit tests, fuzzers and the tests of behaviour: its objects tell a fuzzer which way they took.
# Clang says to a program what gcc says, if it is told to.
asan: ## build programs, unit tests and fuzzers with ASan and UBSan under build/asan (clang)
	$(MAKE) BUILD=$(BUILD)/asan CC=clang CFLAGS='-O1 -gline-tables-only -fno-omit-frame-pointer' \
		SANITIZE='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -D__SANITIZE_ADDRESS__=1' \
		$(or $(ONLY),all unit-tests fuzzers)

drill: ## a relay that can be slowed down on purpose (--drill-delay-ns), build/drill/mcrelay
	$(MAKE) BUILD=$(BUILD)/drill CFLAGS='$(CFLAGS) -DDRILL' $(BUILD)/drill/mcrelay

tsan: ## build programs and unit tests with TSan under build/tsan
	$(MAKE) BUILD=$(BUILD)/tsan CFLAGS='-O1 -g' SANITIZE='-fsanitize=thread -Wno-tsan' $(or $(ONLY),all unit-tests)

fuzz: $(addprefix fuzz-,$(FUZZERS)) ## fuzz the parsers with libFuzzer, FUZZ_SECONDS=60 each (clang)

.PHONY: asan-fuzzers
asan-fuzzers:
	$(MAKE) asan ONLY=fuzzers

# What it finds goes to $(BUILD)/fuzz, beside the programs; the seeds stay as they are.
fuzz-%: asan-fuzzers
	@mkdir -p $(BUILD)/fuzz/corpus/$*
	$(say) RUN "fuzz_$* for $(FUZZ_SECONDS) s"
	$(BUILD)/asan/fuzz/fuzz_$* -max_total_time=$(FUZZ_SECONDS) -timeout=10 -print_final_stats=1 -verbosity=0 \
		-artifact_prefix=$(BUILD)/fuzz/ $(addprefix -dict=,$(wildcard relay/fuzz/$*.dict)) \
		$(BUILD)/fuzz/corpus/$* relay/fuzz/corpus/$*

lint: ## includes, shellcheck, clang-format and cppcheck
	ci/lint

format: ## clang-format all C files in place
	clang-format -i $$(git ls-files '*.c' '*.h')

install: all ## install programs and man pages under $(DESTDIR)$(PREFIX)
	install -D -m 755 -t "$(DESTDIR)$(PREFIX)/bin" $(PROGRAMS)
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/man/man1" $(BUILD)/trafficgen.1
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/man/man8" $(BUILD)/mcrelay.8 $(BUILD)/mcrelayctl.8
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/lib/systemd/system" $(BUILD)/mcrelay.service

clean: ## remove $(BUILD)
	rm -rf $(BUILD)

help: ## print this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
