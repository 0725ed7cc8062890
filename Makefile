# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
#
#   bpf/X.bpf.c --clang--> X.bpf.o --bpftool--> X.skel.h --cc--> build/pagetrim
#   user/*/*.c, without cli, run and service --cc--> build/libpagetrim.a: the
#                 rooms, every symbol, for our own programs --ld--> build/lib: what others
#                 link, the symbols of user/api/pagetrim.map alone
#
# make             build the agent          make V=1     show the commands
# make check       unit and BPF tests       make test    everything (scripts/test.sh)
# make check-net   namespace tests          make demo    scripts/demo.sh
# make san         units under ASan, UBSan  make lint    cppcheck, shellcheck
# make tsan        threads under ThreadSanitizer, units and transfers (root)
# make bench       against its peers        make install [DESTDIR=] [PREFIX=/usr/local]
#                                             [BINDIR=] [LIBDIR=]
# make check-kernel  tests under Debian 12's own kernel (scripts/test-kernel.sh)
# make check-nic   emulated cards with zero copy (scripts/test-nic.sh)
# make deb         Debian packages, and lintian's word on them (scripts/package.sh)
#
# WERROR=1: a warning is an error.  HARDEN=: without stack protector and the like.

B      ?= build
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
CC     ?= gcc
CLANG  ?= clang
OBJCOPY ?= objcopy
BPFTOOL ?= bpftool
PKG_CONFIG ?= pkg-config
CFLAGS ?= -O2 -g

# scripts/test.sh sets WERROR=1.  By default a warning of a compiler or a library
# that is newer than this code stops no build.
WERROR   ?=
WARNINGS := -Wall -Wextra $(if $(filter 1,$(WERROR)),-Werror)

# The hardening that this compiler has for its target; `make HARDEN=` builds
# without it.  Fortified functions need optimization; a caller that sets their
# level (dpkg-buildflags) keeps it.
HARDEN ?= 1
ifneq ($(HARDEN),)
HARDENING := $(shell for flag in -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection -mbranch-protection=standard; do \
		$(CC) -Werror $$flag -S -o - -x c /dev/null >/dev/null 2>&1 && echo $$flag; \
	done)
ifneq ($(filter-out -O0,$(filter -O%,$(CFLAGS))),)
ifeq ($(findstring _FORTIFY_SOURCE,$(CPPFLAGS) $(CFLAGS)),)
HARDENING += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
endif
endif
HARDENING += -fPIE
PIE       := -pie
endif

# Without one of these, frames are not compressed by its method; `make PACKERS=`
# builds without both.
PACKERS    ?= $(shell for p in liblz4 libzstd; do $(PKG_CONFIG) --exists $$p && echo $$p; done)
# Without it, systemd is not notified; `make SYSTEMD=` builds without.
SYSTEMD    ?= $(shell $(PKG_CONFIG) --exists libsystemd && echo libsystemd)
# Without it, system calls are not filtered; `make SECCOMP=` builds without.
SECCOMP    ?= $(shell $(PKG_CONFIG) --exists libseccomp && echo libseccomp)
LIB_PKGS   := libbpf libxdp libxxhash jansson libmnl libssl libcrypto $(PACKERS)
PKGS       := $(LIB_PKGS) libcap-ng
PROGRAM_LIBS := $(if $(SYSTEMD)$(SECCOMP),$(shell $(PKG_CONFIG) --libs $(SYSTEMD) $(SECCOMP)))
OUR_CFLAGS := -std=gnu11 -D_GNU_SOURCE $(WARNINGS) $(HARDENING) -pthread \
	      -Iinclude -iquote user -I$(B) $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
# Bound before main: the linker that binds at a first call leaves the registers
# on the stack, and there are keys in them.
LDLIBS     := -Wl,-z,relro,-z,now $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null) -pthread -lm
LINK        = $(CC) $(CFLAGS) $(PIE) $(LDFLAGS)
SONAME     := libpagetrim.so.0
VERSION    := $(shell sed -n 's/^.define PT_VERSION_TEXT "\(.*\)"/\1/p' include/pagetrim/pagetrim.h)

# AES-GCM of libipsec-mb where there is one (x86-64, 1.3 or newer), else of
# libcrypto alone; `make IPSEC_MB=` builds without.  A compiler for another
# processor finds the header, too, in a folder that all share.
IPSEC_MB ?= $(if $(filter x86_64-%,$(shell $(CC) -dumpmachine)),$(shell $(CC) -include intel-ipsec-mb.h -dM -E -x c /dev/null \
	      2>/dev/null | grep -o IMB_FEATURE_SELF_TEST_PASS))
ifneq ($(IPSEC_MB),)
OUR_CFLAGS += -DPT_WITH_IPSEC_MB
LDLIBS     += -lIPSec_MB
endif

OUR_CFLAGS += $(patsubst lib%,-DPT_WITH_%,$(PACKERS) $(SYSTEMD))

# In the target's byte order, and with the kernel's headers of $(CC).
BPF_TARGET := $(if $(shell $(CC) -dM -E -x c /dev/null | \
	      grep '__BYTE_ORDER__ __ORDER_BIG'),bpfeb,bpfel)
ASM_TYPES  := $(filter %/asm/types.h,$(shell $(CC) -M -include asm/types.h \
	      -x c /dev/null))
BPF_CFLAGS := -O2 -g -target $(BPF_TARGET) -mcpu=v3 $(WARNINGS) -Iinclude -Ibpf \
	      $(patsubst %/asm/types.h,-idirafter %,$(ASM_TYPES))

# The rooms of the program alone, which no embedder links.
CLI_SRC  := $(sort $(wildcard $(patsubst %,user/%/*.c,cli confine run service)))
LIB_SRC  := $(filter-out $(CLI_SRC),$(sort $(wildcard user/*/*.c)))
LIB_OBJ  := $(LIB_SRC:%.c=$(B)/%.o)
CLI_OBJ  := $(CLI_SRC:%.c=$(B)/%.o)
UNIT     := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/unit/test_*.c)))
BPFTEST  := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/bpf/test_*.c)))
FUZZ     := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
JUDGE    := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/vectors/*.c)))
NET      := $(filter-out $(B)/tests/net/wire_%,$(patsubst %.c,$(B)/%,$(sort $(wildcard tests/net/*.c))))
BENCH    := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/bench/*.c)))
LIVE     := $(B)/tests/live/guest
TOOLS    := $(filter-out %.bpf,$(NET) $(BENCH)) $(JUDGE) $(LIVE)

ifeq ($(V),1)
Q :=
say =
else
Q := @
say = @printf '  %-5s %s\n' $(1) $(2:$(B)/%=%)
endif

.DELETE_ON_ERROR:	# or a failed `bpftool > x` leaves a stub that looks built
.SECONDARY:
.PHONY: .FORCE all lib tools units tests check check-net check-kernel check-nic san tsan lint headers bench demo test install clean

all: $(B)/pagetrim lib

lib: $(patsubst %,$(B)/lib/%,libpagetrim.so libpagetrim.a libpagetrim.pc)

tools: $(TOOLS)

# Those that need neither BPF nor a network of their own.
units: $(UNIT) $(FUZZ) $(JUDGE)

tests: $(UNIT) $(BPFTEST) $(FUZZ) $(TOOLS) $(B)/count.bpf.o

$(B)/pagetrim: $(CLI_OBJ) $(B)/libpagetrim.a
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(PROGRAM_LIBS) $(LDLIBS)
	$(if $(IPSEC_MB),,@echo "  NOTE  built without libipsec-mb (README.md)")

$(B)/libpagetrim.a: $(LIB_OBJ)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# Hidden, a function is called and inlined as in a program, not by the table.
$(LIB_OBJ): Makefile
$(LIB_OBJ): private OUR_CFLAGS += -fPIC -fvisibility=hidden

$(B)/user/confine/confine.o: private OUR_CFLAGS += $(SECCOMP:lib%=-DPT_WITH_%)

MAP := user/api/pagetrim.map
$(B)/lib/$(SONAME): $(LIB_OBJ) $(MAP)
	$(call say,LINK,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -o $@ $(LIB_OBJ) -Wl,-soname,$(SONAME) \
		-Wl,--version-script=$(MAP),--as-needed $(LDLIBS)

$(B)/lib/libpagetrim.so: $(B)/lib/$(SONAME)
	$(Q)ln -sf $(SONAME) $@

# One object, so that what the map does not list can be made local.
$(B)/lib/libpagetrim.a: $(LIB_OBJ) $(MAP)
	$(call say,AR,$@)
	$(Q)mkdir -p $(@D) && rm -f $@
	$(Q)$(LD) -r -o $(@:.a=.o) $(LIB_OBJ)
	$(Q)sed -n 's/^\t\(pt_.*\);/\1/p' $(MAP) >$(@:.a=.symbols)
	$(Q)$(OBJCOPY) --keep-global-symbols=$(@:.a=.symbols) $(@:.a=.o)
	$(Q)$(AR) rcs $@ $(@:.a=.o)

# Always anew: PREFIX may be another one by the time of install.
$(B)/lib/libpagetrim.pc: scripts/libpagetrim.pc.in include/pagetrim/pagetrim.h .FORCE
	$(Q)mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
		-e 's|@VERSION@|$(VERSION)|' -e 's|@REQUIRES@|$(LIB_PKGS)|' \
		-e 's|@PRIVATE@|$(filter -lIPSec_MB,$(LDLIBS)) -pthread|' $< >$@

# Their cmocka.h includes the library's, and evens out its versions.
$(B)/tests/%.o: private OUR_CFLAGS += -Itests/compat

# The skeletons must exist before the first object that may include one.
$(B)/%.o: %.c | $(patsubst %,$(B)/%.skel.h,pagetrim pass look targets)
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CFLAGS) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

define BPF_RULE
$$(B)/%.bpf.o: $(1)/%.bpf.c
	$$(call say,BPF,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CLANG) $$(BPF_CFLAGS) -MMD -MP -MF $$(@:.o=.d) -c $$< -o $$@
endef
$(foreach dir,bpf tests/net tests/bench tests/bpf tests/kernel,$(eval $(call BPF_RULE,$(dir))))

$(B)/%.skel.h: $(B)/%.bpf.o
	$(call say,SKEL,$@)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf > $@

$(B)/tests/unit/test_%: $(B)/tests/unit/test_%.o $(B)/libpagetrim.a
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $(filter %.o,$^) \
		$(filter %.a,$^) -lcmocka $(PROGRAM_LIBS) $(LDLIBS)

$(B)/tests/unit/test_wire_plan: $(patsubst %,$(B)/tests/net/wire_%.o,plan hold)
$(B)/tests/unit/test_wire_parts: $(B)/tests/net/wire_parts.o
$(B)/tests/unit/test_privilege: $(B)/user/cli/privilege.o
$(B)/tests/unit/test_confine: $(B)/user/confine/confine.o
$(B)/tests/unit/test_arrival: $(patsubst %,$(B)/user/cli/%.o,arrival record output scribe)
$(B)/tests/unit/test_inspect: $(patsubst %,$(B)/user/cli/%.o,inspect leftout options options_text svg output scribe)
$(B)/tests/unit/test_ask: $(B)/user/cli/ask.o
$(B)/tests/unit/test_metrics: $(B)/user/cli/metrics.o
$(B)/tests/unit/test_report: $(patsubst %,$(B)/user/cli/%.o,report report_compression report_live record profile output scribe)
$(B)/tests/unit/test_run: $(patsubst %,$(B)/user/run/%.o,run_draw run_read)
$(B)/tests/unit/test_notify: $(B)/user/service/notify.o
$(B)/tests/unit/test_reload: $(patsubst %,$(B)/user/service/%.o,notify reload)
$(B)/tests/unit/test_scribe: $(B)/user/cli/scribe.o
$(B)/tests/unit/test_config: $(patsubst %,$(B)/user/cli/%.o,options options_text output scribe)
$(B)/tests/unit/test_options: $(patsubst %,$(B)/user/cli/%.o,options options_text output scribe)
$(B)/tests/unit/test_commands: $(filter-out %/main.o,$(CLI_OBJ))

$(B)/tests/bpf/test_%: $(B)/tests/bpf/test_%.o $(B)/libpagetrim.a
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ -lcmocka $(LDLIBS)

# A fuzz target with a plain main that replays its corpus; scripts/fuzz.sh puts
# libFuzzer's in its place.
FUZZ_MAIN ?= $(B)/tests/fuzz/replay.o
$(B)/tests/fuzz/fuzz_%: $(B)/tests/fuzz/fuzz_%.o $(FUZZ_MAIN) $(B)/libpagetrim.a
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ -lcmocka $(LDLIBS)

# Each test tool is one C file; the wire has parts.
$(B)/tests/net/wire: $(patsubst %.c,$(B)/%.o,$(wildcard tests/net/wire_*.c))
$(patsubst %.c,$(B)/%.o,$(wildcard tests/net/*.c)): | $(patsubst tests/net/%.bpf.c,$(B)/%.skel.h,$(wildcard tests/net/*.bpf.c))
$(patsubst %.c,$(B)/%.o,$(wildcard tests/bench/*.c)): | $(patsubst tests/bench/%.bpf.c,$(B)/%.skel.h,$(wildcard tests/bench/*.bpf.c))
$(filter-out %.bpf,$(NET) $(BENCH)) $(JUDGE): $(B)/%: $(B)/%.o $(B)/libpagetrim.a
	$(call say,LINK,$@)
	$(Q)$(LINK) -o $@ $^ $(LDLIBS)

# Process 1 of a guest without a userland: static, and whatever CFLAGS are.
$(LIVE): $(wildcard tests/live/*.[ch])
	$(call say,CC,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(OUR_CFLAGS) -O2 -static -o $@ $(filter %.c,$^)

check: $(UNIT) $(BPFTEST) $(FUZZ) $(TOOLS)
	$(Q)scripts/check.sh $(B)

check-net: all tools
	$(Q)tests/net/run.sh

check-kernel: all tests
	$(Q)scripts/test-kernel.sh

check-nic: all
	$(Q)scripts/test-nic.sh

.PHONY: deb
deb:
	$(Q)scripts/package.sh --out $(B)/packages

# gcc 12 does not look for uses after return unless it is told to; gcc 13 does.
san:
	$(Q)ASAN_OPTIONS=detect_stack_use_after_return=1 $(MAKE) --no-print-directory B=$(B)/san HARDEN= \
		CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all" check-units

.PHONY: check-units
check-units: $(UNIT) $(FUZZ)
	$(Q)scripts/check.sh $(B) unit

# GCC's own warning is wrong about code that is instrumented so.
tsan:
	$(Q)$(MAKE) --no-print-directory B=$(B)/tsan HARDEN= \
		CFLAGS="-O1 -g -fsanitize=thread -Wno-maybe-uninitialized" check-tsan

# Unit tests in which threads hand data over.  Others are left out if only the test's
# own threads race (lane_copies, source_process), or if they work in a signal handler
# (seal_wiped).
TSAN_UNIT := placer store rx_queue rx_queue_probes rebuild_threads recheck inbox \
	     pacer conn connect tls guard lease scribe worker

.PHONY: check-tsan
check-tsan: $(B)/pagetrim $(TSAN_UNIT:%=$(B)/tests/unit/test_%) $(B)/tests/net/wire \
		$(B)/tests/net/rounds
	$(Q)scripts/tsan.sh $(B) $(TSAN_UNIT)

lint: headers
	$(Q)scripts/lint.sh

# Each header compiles alone; those that others may include as C++, too.
headers: $(patsubst %,$(B)/%.skel.h,pagetrim pass look targets)
	$(Q)printf '%s\n' user/*/*.h include/pagetrim/*.h | xargs -P "$$(nproc)" -I {} \
		$(CC) $(OUR_CFLAGS) $(CFLAGS) -Wno-unused-function -fsyntax-only \
			-include {} -x c /dev/null
	$(Q)for header in include/pagetrim/*.h; do \
		$(CXX) -Iinclude $(WARNINGS) -fsyntax-only \
			-include $$header -x c++ /dev/null || exit 1; \
	done

bench: all tools
	$(Q)scripts/bench.sh

demo:
	$(Q)scripts/demo.sh

test:
	$(Q)scripts/test.sh

install: all
	install -D -m 0755 $(B)/pagetrim $(DESTDIR)$(BINDIR)/pagetrim
	install -D -m 0755 $(B)/lib/$(SONAME) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libpagetrim.so
	install -D -m 0644 $(B)/lib/libpagetrim.a $(DESTDIR)$(LIBDIR)/libpagetrim.a
	install -D -m 0644 $(B)/lib/libpagetrim.pc $(DESTDIR)$(LIBDIR)/pkgconfig/libpagetrim.pc
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/include/pagetrim include/pagetrim/pagetrim.h \
		include/pagetrim/live.h
	install -d $(patsubst %,$(DESTDIR)$(PREFIX)/share/man/man%,3 5 8)
	install -m 0644 docs/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	install -m 0644 docs/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 0644 docs/man/*.3 $(DESTDIR)$(PREFIX)/share/man/man3/
	$(Q)for page in docs/man/*.[1-8]; do \
		sed -i 's/^\.Os$$/.Os pagetrim $(VERSION)/' \
			$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/} || exit 1; \
	done
	$(Q)for page in docs/man/*.3; do \
		for name in $$(sed -n 's/^\.Nm \(pt_[a-z_]*\).*/\1/p' $$page); do \
			ln -sf $$(basename $$page) $(DESTDIR)$(PREFIX)/share/man/man3/$$name.3; \
		done; \
	done
	install -d $(DESTDIR)$(PREFIX)/share/pagetrim
	install -m 0644 examples/wireshark/*.lua $(DESTDIR)$(PREFIX)/share/pagetrim/
	install -D -m 0644 scripts/completion.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/pagetrim

clean:
	rm -rf $(B)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
