# `make demo` and `make test` need git, make and python3 (any version from 3.8): uv is installed into .tools, and uv
# finds or fetches Python 3.10 and installs what uv.lock names into .venv. A second call starts at once.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-any-cpu check format docs wheel-check audit tables fuzz conformance bench-emulator clean

# Hundreds of processes import torch: compiled once, not in each, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

UV := .tools/uv/bin/uv
VENV := .venv
SYNCED := $(VENV)/.synced
BIN := $(VENV)/bin

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' Makefile

demo: $(SYNCED) ## Train, export, compile, simulate, verify in Lava and price a small network on embedded data, anew
	"$(BIN)/snnergy" demo --force

# Tests run in parallel processes: one thread of torch's in each is enough, and more fight for the cores.
test: export OMP_NUM_THREADS = 1
test: check ## Run the checks and the tests
	"$(BIN)/pytest"

# As on a processor with the oldest instructions and four cores: sums are added up in another order.
test-any-cpu: $(SYNCED) ## Run the tests as on another processor
	NPY_DISABLE_CPU_FEATURES="$$("$(BIN)/python" -c "import numpy; \
	print(*numpy.show_config('dicts')['SIMD Extensions']['found'])")" \
	ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_ENABLE_INSTRUCTIONS=SSE4_2 OPENBLAS_CORETYPE=Prescott \
	OMP_NUM_THREADS=4 "$(BIN)/pytest"

check: $(SYNCED) ## Check format, lint, types and import arrows
	"$(BIN)/ruff" format --check
	"$(BIN)/ruff" check
	"$(BIN)/mypy"
	"$(BIN)/lint-imports"

format: $(SYNCED) ## Format the code
	"$(BIN)/ruff" format
	"$(BIN)/ruff" check --fix

# The tutorials run on networks of a few neurons, where a second thread only waits for the first.
docs: export OMP_NUM_THREADS = 1
docs: $(SYNCED) ## Build the documentation, tutorials run, every warning an error: docs/_build/html/index.html
	"$(BIN)/sphinx-build" --fail-on-warning --keep-going --nitpicky --jobs 2 docs docs/_build/html

# `make wheel-check PYTHONS="3.10 3.12" ARCHIVES=whl` checks other versions than the one that the project runs on, or the
# wheel alone.
PYTHONS := 3.10
ARCHIVES := whl tar.gz
wheel-check: export OMP_NUM_THREADS = 1
wheel-check: $(filter .tools/%,$(UV)) ## Build wheel and source archive, install each elsewhere, and use them there
	UV="$(UV)" ARCHIVES="$(ARCHIVES)" ./.ci/wheel-check $(PYTHONS)

audit: $(filter .tools/%,$(UV)) ## Hold every locked dependency to the published advisories (needs the network)
	UV="$(UV)" ./.ci/audit

# `make tables QUICK=1` runs every row for one epoch on embedded data, and leaves the results under runs/. Attention, and
# what a sample takes, are measured on one thread. The page leaves out what has no results.
results = $(if $(QUICK),runs/$(1)-quick,benchmarks/results/$(1)).json
tables: $(SYNCED) ## Train what is missing of the paper's tables (hours), and write their pages; QUICK=1: minutes
	"$(BIN)/python" -m benchmarks.tables $(if $(QUICK),--quick) --jobs 2 -o $(call results,tables)
	"$(BIN)/python" -m benchmarks.table1 $(if $(QUICK),--quick) --jobs 2 -o $(call results,table1)
	OMP_NUM_THREADS=1 "$(BIN)/python" -m benchmarks.table1 --time -o $(call results,table1)
	"$(BIN)/python" -m benchmarks.fusion $(if $(QUICK),train.epochs=1 train.batch_size=64 model.base_dim=8 --seeds 0 \
	--runs runs/quick) --jobs 2 -o $(call results,fusion)
	$(if $(QUICK),,"$(BIN)/python" -m benchmarks.fusion --config configs/digits-binding.yaml --jobs 2 \
	-o benchmarks/results/fusion-binding.json)
	$(if $(QUICK),,"$(BIN)/python" -m benchmarks.fusion --config configs/grid-correspondence.yaml --words --jobs 2 \
	-o benchmarks/results/fusion-grid.json)
	OMP_NUM_THREADS=1 "$(BIN)/python" -m benchmarks.attention $(if $(QUICK),--quick) -o $(call results,attention) \
	--page $(if $(QUICK),runs/attention-quick.md,docs/attention.md)
	"$(BIN)/python" -m benchmarks.tables_page $(call results,tables) \
	--fusion $(if $(QUICK),runs/fusion-quick.json,$(wildcard benchmarks/results/fusion*.json)) \
	--systems $(call results,table1) --finetune $(call results,finetune) --attention $(call results,attention) \
	-o $(if $(QUICK),runs/tables-quick.md,docs/tables.md)

# It goes on where it was; FUZZ_SEED names other files, runs/fuzz/failures/ keeps the first of each kind of fault.
FUZZ_SEED := 0
fuzz: $(SYNCED) ## Hand 24,000 mutated files to the commands on two cores (hours): benchmarks/results/fuzz.json
	"$(BIN)/python" -m tests.fuzz --seed $(FUZZ_SEED) --files 24000 --jobs 2 -o benchmarks/results/fuzz.json

# It goes on where it was; a graph that is refused is counted apart, and takes its place among the 600.
conformance: export OMP_NUM_THREADS = 1
conformance: $(SYNCED) ## Hold 500 random graphs and more to a second oracle and to Lava (half an hour): benchmarks/results/conformance.json
	"$(BIN)/python" -m benchmarks.conformance --graphs 600 --jobs 2 -o benchmarks/results/conformance.json

# Other simulators run in environments that uv makes of the first lines of their scripts, in benchmarks/simulators.
bench-emulator: export OMP_NUM_THREADS = 1
bench-emulator: export UV := $(if $(filter .tools/%,$(UV)),$(CURDIR)/$(UV),$(UV))
bench-emulator: $(SYNCED) ## Time the emulator beside other simulators and Lava (half an hour): benchmarks/results/emulator.json
	"$(BIN)/python" -m benchmarks.emulator -o benchmarks/results/emulator.json --page docs/speed.md

clean: ## Remove environments, caches and what is built; runs/ stays
	rm -rf "$(VENV)" .tools dist docs/_build docs/api/generated .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# `make UV=uv` takes a uv that is installed already.
$(SYNCED): $(filter .tools/%,$(UV)) pyproject.toml uv.lock
	"$(UV)" sync --locked
	@touch "$@"

.tools/uv/bin/uv: .ci/install-uv
	./.ci/install-uv .tools/uv
	@touch "$@"
