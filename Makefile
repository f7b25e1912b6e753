# SPDX-License-Identifier: MIT
# Salvor's build. `make help` lists the targets. Every file that is built stands in a list below.

CC      ?= cc
BUILD   ?= build
OPTIMIZE ?= -O2
SANITIZE ?=
PREFIX  ?= /usr/local
WERROR  ?=
# What a rule runs is shown in short; V=1 shows it whole.
V ?=
say = $(if $(V),,@echo "  $(1)" &&)
# What the code asks of the C library, said once: POSIX 2008 and, for CLOCK_BOOTTIME and eventfd, Linux.
STANDARD = -std=c11 -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE
WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Wno-string-conversion -Wstrict-prototypes \
    -Wmissing-prototypes -Wvla $(WERROR)
MSGPACK := $(shell pkg-config --exists msgpack-c 2>/dev/null && echo msgpack-c || echo msgpack)
LIBRARIES = hiredis libcurl $(MSGPACK) sqlite3 jansson yaml-0.1 libzstd libcrypto
PACKAGE_FLAGS := $(filter-out -I/usr/include/hiredis,$(shell pkg-config --cflags $(LIBRARIES) 2>/dev/null))
PACKAGE_LIBS := $(shell pkg-config --libs $(LIBRARIES) 2>/dev/null)
CPPFLAGS += -I. -I$(BUILD)/generated $(PACKAGE_FLAGS)
CFLAGS  += $(STANDARD) $(WARNINGS) $(OPTIMIZE) -g -pthread $(SANITIZE)
LDFLAGS += -pthread $(SANITIZE)
LDLIBS   = $(PACKAGE_LIBS) -lm

# --- what is built, folder by folder, in the order of who may include whom ---
BASE = alloc arena bytes check clock crash error hash json log palette sha256 yaml
REDUCERS = apply codec decision event fold fold_fleet fold_leader list lot msgpack_check narrow \
    policy reduce_answer reduce_cancel reduce_deadline reduce_end reduce_fleet reduce_hold \
    reduce_loss reduce_operator reduce_outcome reduce_retry reduce_submitted reduce_worker rows \
    snapshot sound state table timers verdict view words
STORE = audit audit_backup audit_jobs audit_policy audit_prune audit_read audit_schema \
    audit_snapshot audit_table audit_verify audit_write capture_files capture_format capture_keep \
    capture_read capture_seek capture_write database
REPLAY = anonymize anonymize_entry anonymize_proof capture_source compare corpus cut cut_job \
    cut_prove decision_line diff_audits diff_captures diff_entry evidence excerpt journal \
    journal_keep journal_open line_diff loop otherwise otherwise_rules owner phrase place \
    policy_facts pseudonyms reasoning record replay scenario scenario_ids scenario_lines scenario_rows \
    scenario_words scenario_write scribe standing story story_fold what_if what_if_answers \
    what_if_compare what_if_record what_if_side why why_events why_json why_page \
    why_state why_text
STREAM = dispatch duty lead live live_sink names patience queue range reader redis redis_url \
    survey survey_rights survey_settings
CONNECTORS = alarms allow answer breaker bucket cache connectors endpoint engine engine_endpoint \
    engine_task engine_variant lookup profile profile_request question question_cancel \
    question_status rule_parse rules secret service service_check shipped template transport
CLI = audit audit_backup audit_export audit_prune audit_verify capture capture_anonymize \
    capture_cut capture_inspect capture_record check check_data check_report check_services color \
    config config_policy config_rules config_secret config_services diff diff_report interrupt \
    main place policy_file policy_in_force policy_text progress replay_check replay_report \
    replay_verb run send send_policy send_wait services tell verb what_if what_if_json \
    what_if_text why_verb
# Files that are put into the program as they are: folder/name.ext becomes the array name_ext.
EMBEDDED = stream/take_over.lua stream/append.lua stream/lease.lua stream/queue.lua \
    store/schema.sql $(wildcard connectors/*.yaml)

# --- tests, by the folder whose code they test; each may use what that folder may use ---
TESTS_BASE = arena bytes check crash error hash json log sha256 yaml
TESTS_REDUCERS = codec codec_fields decision event msgpack_check words fold list lot policy narrow \
    policy_services snapshot sound table timers view
TESTS_STORE = capture capture_damage capture_keep capture_seek audit audit_backup audit_faults \
    audit_prune audit_readers audit_tamper
TESTS_REPLAY = anonymize anonymize_proof capture_flip diff journal journal_keep journal_prune \
    line_diff loop otherwise phrase pseudonyms replay scenario scenario_write stories what_if \
    what_if_scenarios why
TESTS_STREAM = lead live live_faults queue_scripts reader redis survey
TESTS_CONNECTORS = alarms allow breaker bucket cache connectors engine engine_answers \
    engine_fairness fixtures hostile lookup profile profile_hostile profile_mistakes question \
    rules secret service_check template transport
TESTS_CLI = config place policy_text services
TEST_LIBRARY = capture_lines redis_proxy redis_server hostile_service http_service folder \
    entries audit_rows \
    event_draft reply small_stream tree large_stream bare_loop asker history fleet_queue fleet_worker \
    comfy_jobs busy_stream scenario_capture bench_place scripted_service live_scene \
    standing_replies story_draft
INTEGRATION = test_replay.py test_replay_doc.py test_scenarios.sh test_crash.py test_stop.py \
    test_disk_full.py test_events_doc.sh test_audit_doc.sh test_audit_upkeep.py \
    test_command_line.py test_rescue.py test_readme.py test_outage.py \
    test_redis_faults.py test_bad_entries.py test_service_faults.py test_config_errors.py \
    test_check.py test_words_doc.py test_demo.sh test_policy.py test_rclone.py test_mass_loss.py \
    test_comfyui.py \
    test_hostile_services.py test_three_services.py test_tokens.py test_forbidden_places.py \
    test_policy_rows.py test_policy_rows_ask.py test_captures.py test_anonymize.py test_what_if.py \
    test_capture_verbs.py
# Runs when all others have left their captures.
LAST = test_determinism.py test_what_if_captures.py
FUZZERS = json yaml codec fold profile capture scenario snapshot config
# Programs that tests, demo and bench start: tests/NAME.c becomes $(BUILD)/tests/NAME.
TEST_PROGRAMS = tools/make_capture tools/scenario tools/situations tools/fold_stream tools/decode_stream tools/replay_abroad \
    tools/make_audit bench/bench bench/replay bench/questions fleet/comfy_service fleet/fleet

LIB = $(BUILD)/lib
# Archives, lowest last, as the linker wants them.
NEEDS_BASE = $(LIB)/base.a
NEEDS_REDUCERS = $(LIB)/reducers.a $(NEEDS_BASE)
NEEDS_STORE = $(LIB)/store.a $(NEEDS_REDUCERS)
NEEDS_REPLAY = $(LIB)/replay.a $(NEEDS_STORE)
NEEDS_STREAM = $(LIB)/stream.a $(NEEDS_REPLAY)
NEEDS_CONNECTORS = $(LIB)/connectors.a $(NEEDS_REDUCERS)
NEEDS_CLI = $(LIB)/cli.a $(LIB)/stream.a $(LIB)/connectors.a $(NEEDS_REPLAY)

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDARY:

define archive # $(1) list, $(2) folder
# The list is in this file: what it newly names is then made too.
$(LIB)/$(2).a: $$(addprefix $(BUILD)/$(2)/,$$(addsuffix .o,$$($(1)))) Makefile
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(call say,AR    $$@) ar rcs $$@ $$(filter %.o,$$^)
endef
$(eval $(call archive,BASE,base))
$(eval $(call archive,REDUCERS,reducers))
$(eval $(call archive,STORE,store))
$(eval $(call archive,REPLAY,replay))
$(eval $(call archive,STREAM,stream))
$(eval $(call archive,CONNECTORS,connectors))
$(eval $(call archive,CLI,cli))
$(eval $(call archive,TEST_LIBRARY,tests/lib))

GENERATED = $(foreach file,$(EMBEDDED),$(BUILD)/generated/$(subst .,_,$(notdir $(file))).h)
$(foreach file,$(EMBEDDED),$(eval $(BUILD)/generated/$(subst .,_,$(notdir $(file))).h: $(file) tools/embed))
$(GENERATED):
	@mkdir -p $(@D)
	$(call say,EMBED $<) tools/embed $< > $@

$(BUILD)/%.o: %.c | $(GENERATED)
	@mkdir -p $(@D)
	$(call say,CC    $<) $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

define tests # $(1) list suffix
$$(addprefix $(BUILD)/tests/unit/test_,$$(TESTS_$(1))): $(BUILD)/tests/unit/test_%: $(BUILD)/tests/unit/test_%.o $(LIB)/tests/lib.a $$(NEEDS_$(1))
	$$(call say,LINK  $$@) $(CC) $(LDFLAGS) -o $$@ $$^ $(LDLIBS) -lcmocka
endef
$(foreach folder,BASE REDUCERS STORE REPLAY STREAM CONNECTORS CLI,$(eval $(call tests,$(folder))))
UNIT_TESTS = $(foreach folder,BASE REDUCERS STORE REPLAY STREAM CONNECTORS CLI,$(addprefix $(BUILD)/tests/unit/test_,$(TESTS_$(folder))))

# Runs the reducers' scenarios: what stands below `----` is what the events above it must give.
SCENARIO = $(BUILD)/tests/tools/scenario
SITUATIONS = $(BUILD)/tests/tools/situations
$(SCENARIO) $(SITUATIONS): %: %.o $(LIB)/tests/lib.a $(NEEDS_REPLAY)
	$(call say,LINK  $@) $(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# The simulated fleet and the service it works with: programs of their own, for tests and the demo.
$(BUILD)/tests/fleet/comfy_service: $(BUILD)/tests/fleet/comfy_service.o $(LIB)/tests/lib.a $(NEEDS_BASE)
	$(call say,LINK  $@) $(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lmicrohttpd
$(BUILD)/tests/fleet/fleet: $(BUILD)/tests/fleet/fleet.o $(LIB)/tests/lib.a $(NEEDS_BASE)
	$(call say,LINK  $@) $(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)
FLEET = $(BUILD)/tests/fleet/comfy_service $(BUILD)/tests/fleet/fleet
# Tests that start the service find it beside themselves.
$(addprefix $(BUILD)/tests/unit/test_,connectors engine hostile): | $(BUILD)/tests/fleet/comfy_service

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

clean: ## remove what was built
	rm -rf $(BUILD)

# --- the program and the tests' own programs ---
JOBS ?= $(shell nproc 2>/dev/null || echo 1)
# For a make below make: in parallel, unless the caller has chosen already.
PARALLEL = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(JOBS))
AGAIN = +$(MAKE) --no-print-directory $(PARALLEL)
export BUILD

all: $(if $(wildcard cli/main.c),$(BUILD)/salvor) ## build the program (the default)

$(BUILD)/salvor: $(BUILD)/cli/main.o $(NEEDS_CLI)
	$(call say,LINK  $@) $(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

PROGRAMS = $(addprefix $(BUILD)/tests/,$(filter-out fleet/% tools/scenario tools/situations,$(TEST_PROGRAMS)))
$(PROGRAMS): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(LIB)/tests/lib.a $(NEEDS_CLI)
	$(call say,LINK  $@) $(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lmicrohttpd

# An integration test with a dot in its name is a script, run as it is; any other is C.
SCRIPTS = $(foreach name,$(INTEGRATION),$(if $(findstring .,$(name)),$(name)))
INTEGRATION_C = $(addprefix $(BUILD)/tests/integration/test_,$(filter-out $(SCRIPTS),$(INTEGRATION)))
$(INTEGRATION_C): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(LIB)/tests/lib.a $(NEEDS_CLI)
	$(call say,LINK  $@) $(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS) -lmicrohttpd -lcmocka
INTEGRATION_TESTS = $(INTEGRATION_C) $(addprefix tests/integration/,$(SCRIPTS))

# --- tests ---
test: ## install what is missing, build, run all tests
	@tools/install-packages test
	$(AGAIN) test-run

test-run: all $(UNIT_TESTS) $(SCENARIO) $(SITUATIONS) $(PROGRAMS) $(FLEET) $(INTEGRATION_C)
	@rm -rf $(BUILD)/captures
	@tools/run-tests $(INTEGRATION_TESTS) $(UNIT_TESTS) -- $(addprefix tests/integration/,$(LAST))

define unit # $(1) list suffix, $(2) folder
unit-$(2): $$(addprefix $(BUILD)/tests/unit/test_,$$(TESTS_$(1)))
	@tools/run-tests $$^
.PHONY: unit-$(2)
endef
$(eval $(call unit,BASE,base))
$(eval $(call unit,REDUCERS,reducers))
$(eval $(call unit,STORE,store))
$(eval $(call unit,REPLAY,replay))
$(eval $(call unit,STREAM,stream))
$(eval $(call unit,CONNECTORS,connectors))
$(eval $(call unit,CLI,cli))

golden: all $(SCENARIO) $(SITUATIONS) $(BUILD)/tests/unit/test_stories ## write what the reducers give into scenarios and docs/policy.md: read the difference
	@$(SCENARIO) --rewrite tests/scenarios/*.txt
	@$(SITUATIONS) --into docs/policy.md tests/situations/*.txt
	@REWRITE_STORIES=1 $(BUILD)/tests/unit/test_stories >/dev/null
	@tests/integration/test_replay_doc.py --rewrite

asan: ## all tests under AddressSanitizer and UndefinedBehaviorSanitizer
	UBSAN_OPTIONS=print_stacktrace=1 $(MAKE) --no-print-directory $(PARALLEL) test-run LAST= \
	    BUILD=$(BUILD)/asan OPTIMIZE=-O1 \
	    SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer"

# Where threads meet: the connectors and the log, alone and in the running program.
THREADED = $(addprefix $(BUILD)/tests/unit/test_,log connectors engine engine_answers \
    engine_fairness hostile transport live live_faults) \
    $(addprefix tests/integration/,test_rescue.py test_service_faults.py test_stop.py test_crash.py)

tsan: ## the tests in which threads meet, under ThreadSanitizer
	TSAN_OPTIONS=halt_on_error=1 $(MAKE) --no-print-directory $(PARALLEL) threads-run \
	    BUILD=$(BUILD)/tsan OPTIMIZE=-O1 SANITIZE="-fsanitize=thread -fno-omit-frame-pointer"

threads-run: all $(UNIT_TESTS) $(FLEET) $(BUILD)/tests/tools/fold_stream
	@tools/run-tests $(THREADED)

# hiredis keeps pointers to the middle of its blocks: those count as possibly lost, and a test's
# forked child would end with an error for them.
valgrind: $(UNIT_TESTS) ## the unit tests under valgrind
	@TEST_WRAPPER="valgrind -q --fair-sched=yes --error-exitcode=9 --trace-children=no --leak-check=full \
	    --show-leak-kinds=definite --errors-for-leak-kinds=definite" \
	    tools/run-tests $(UNIT_TESTS)

# These wait for clocks and reach no line that shorter tests do not.
UNCOVERED = test_mass_loss.py test_policy_rows.py test_policy_rows_ask.py test_three_services.py \
    test_hostile_services.py test_outage.py test_demo.sh test_readme.py

coverage: ## tests with gcov; the reducers must reach 100 %, the whole 85 % of lines
	$(AGAIN) test-run BUILD=$(BUILD)/coverage OPTIMIZE=-O0 LAST= \
	    INTEGRATION="$(filter-out $(UNCOVERED),$(INTEGRATION))" \
	    SANITIZE="--coverage -fprofile-update=atomic"
	tools/coverage $(BUILD)/coverage

# --- checks of the source ---
SOURCES = $(wildcard */*.c */*.h tests/*/*.c tests/*/*.h)

tidy: ## include directions, banned calls, files that nobody builds
	@tools/tidy
	@tests/tidy.sh

format: ## let clang-format write the sources
	clang-format -i $(SOURCES)

format-check: ## fail where clang-format would write
	clang-format --dry-run -Werror $(SOURCES)

PURE = $(addprefix $(BUILD)/,$(addsuffix .o,$(REDUCERS:%=reducers/%) base/arena base/bytes base/hash))
PURE_FLAGS = BUILD=$(BUILD)/purity SANITIZE= OPTIMIZE="-O2 -U_FORTIFY_SOURCE -fno-stack-protector"

purity: purity-only ## prove that the reducers see no clock, file, network, locale or environment
	$(AGAIN) $(PURE_FLAGS) replay-check
	@MAKE="$(MAKE)" tests/purity.sh

purity-only:
	$(AGAIN) $(PURE_FLAGS) purity-check

purity-check: $(PURE)
	@tools/purity $(PURE)

# The linker is the proof: everything that replays, whole, without hiredis and libcurl.
replay-check: $(NEEDS_REPLAY)
	@echo 'int main(void) { return 0; }' | $(CC) $(LDFLAGS) -o $(BUILD)/replay-alone -x c - -x none \
	    -Wl,--whole-archive $(NEEDS_REPLAY) -Wl,--no-whole-archive $(filter-out -lhiredis -lcurl,$(LDLIBS))
	@echo "purity: the replay links without hiredis and libcurl"

# --- fuzzing: tests/fuzz/fuzz_NAME.c with the corpus tests/fuzz/corpus/NAME/ ---
FUZZ_SECONDS ?= 60
FUZZ_RUNS ?=
FUZZ_LIMIT = $(if $(FUZZ_RUNS),-runs=$(FUZZ_RUNS),-max_total_time=$(FUZZ_SECONDS))
FUZZ_PROGRAMS = $(addprefix $(BUILD)/tests/fuzz/fuzz_,$(FUZZERS))
FUZZ_SANITIZE = address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

fuzz: ## fuzz each parser for FUZZ_SECONDS (60), or FUZZ_RUNS inputs
	$(AGAIN) fuzz-run BUILD=$(BUILD)/fuzz CC=clang SANITIZE="-fsanitize=fuzzer-no-link,$(FUZZ_SANITIZE)"

$(FUZZ_PROGRAMS): $(BUILD)/tests/fuzz/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(NEEDS_CLI)
	$(call say,LINK  $@) $(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

fuzz-run: $(FUZZ_PROGRAMS)
	@for name in $(FUZZERS); do \
	    mkdir -p $(BUILD)/corpus/$$name && cp -R tests/fuzz/corpus/$$name/. $(BUILD)/corpus/$$name && \
	    $(BUILD)/tests/fuzz/fuzz_$$name $(FUZZ_LIMIT) -timeout=10 -rss_limit_mb=4096 -print_final_stats=1 \
	        -artifact_prefix=$(BUILD)/fuzz_$$name- $(BUILD)/corpus/$$name >$(BUILD)/fuzz_$$name.log 2>&1 && \
	    echo "fuzz  $$name: $$(sed -n 's/stat::number_of_executed_units: *//p' $(BUILD)/fuzz_$$name.log) inputs" || \
	    { tail -n 60 $(BUILD)/fuzz_$$name.log; echo "FAIL  $$name"; exit 1; }; \
	done

# --- for people ---
demo: ## install what is missing, build, and watch Salvor rescue five jobs
	@tools/install-packages demo
	@echo "building; what make says goes to $(BUILD)/demo.log"
	+@mkdir -p $(BUILD) && \
	    $(MAKE) --no-print-directory $(PARALLEL) all $(FLEET) >$(BUILD)/demo.log 2>&1 || \
	    { tail -n 30 $(BUILD)/demo.log; exit 1; }
	@tools/demo

bench: ## measure: reading, folding, committing, replaying, memory
	@tools/install-packages demo
	$(AGAIN) all $(BUILD)/tests/bench/bench $(BUILD)/tests/bench/replay $(BUILD)/tests/bench/questions $(FLEET)
	@tools/bench

hooks: ## install the pre-commit hook
	ln -sf "$(CURDIR)/tools/pre-commit" "$$(git rev-parse --git-path hooks)/pre-commit"

install: all ## install program and man page under PREFIX (/usr/local)
	install -D -m 755 $(BUILD)/salvor $(DESTDIR)$(PREFIX)/bin/salvor
	install -D -m 644 cli/salvor.1 $(DESTDIR)$(PREFIX)/share/man/man1/salvor.1

ci: ## everything that a change must pass; the same line CI runs
	$(AGAIN) test WERROR=-Werror
	@tools/install-packages check
	$(AGAIN) format-check
	$(AGAIN) tidy
	$(AGAIN) purity WERROR=-Werror
	$(AGAIN) asan WERROR=-Werror
	$(AGAIN) tsan WERROR=-Werror
	$(AGAIN) valgrind WERROR=-Werror
	$(AGAIN) coverage WERROR=-Werror
	$(AGAIN) fuzz WERROR=-Werror FUZZ_SECONDS=8

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

.PHONY: all test golden test-run asan tsan valgrind coverage tidy format format-check purity purity-only \
    purity-check replay-check fuzz fuzz-run demo bench hooks install ci help clean
