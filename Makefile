# Two commands first: `make demo` and `make test`. Each sets up what it needs in $(VENV).
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   ?= .venv
OUT    ?= out/demo
TORCH  ?= torch==2.13.0
SLURM  ?= /tmp/sightline-slurm
SLOW   ?= /tmp/sightline-slow
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
FORMATS := $(VENV)/.formats

.PHONY: demo test slow-test cluster-test lint format bench pictures docs clean

demo: $(READY)
	$(BIN)/sightline demo $(OUT)

test: $(READY) $(FORMATS)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# Exports read back by the libraries they are for, each in an environment of its own below $(SLOW), made on the first run.
slow-test: $(READY)
	SIGHTLINE_SLOW=$(SLOW) OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m slow -rs

# A real Slurm of one node and a Ray of two. Needs root and slurm-wlm (apt-get install slurm-wlm).
cluster-test: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'ray>=2.40'
	bash tests/execution/start_cluster.sh start $(SLURM)
	SLURM_CONF=$(SLURM)/slurm.conf OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m cluster tests/execution; \
	status=$$?; bash tests/execution/start_cluster.sh stop $(SLURM); exit $$status

lint: $(READY)
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench

format: $(READY)
	$(BIN)/ruff check --fix src tests bench
	$(BIN)/ruff format src tests bench

bench: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python bench/run.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/depth.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/sens.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/objects.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/facts.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/correspondences.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/questions.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/frame_sampling.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/model_geometry.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/loader.py
	OMP_NUM_THREADS=1 $(BIN)/python bench/scaling.py

# The pictures of docs/tasks: one question of every kind, asked about procedural flats.
pictures: $(READY)
	$(BIN)/sightline rooms out/pictures/rooms --num-scans 8 --seed 5 width=480 height=360 second_pass=true
	$(BIN)/sightline import out/pictures/rooms out/pictures/store
	$(BIN)/sightline measure out/pictures/store
	$(BIN)/sightline generate out/pictures/store out/pictures/data
	$(BIN)/sightline cards out/pictures/data docs/pictures/tasks --per-task 1 --kind jpg

docs: $(READY)
	$(BIN)/mkdocs build --strict --site-dir site

# CPU torch comes first: whatever depends on torch then finds it and brings no CUDA packages.
$(READY): requirements/locked.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Sightline needs Python >= 3.11; found $$($(PYTHON) --version). Set PYTHON=..."; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "Could not make a virtual environment. On Debian: apt-get install python3-venv"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/locked.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(READY)

# Libraries of single formats, one by one: a machine without a C compiler skips the tests of Record3D and runs the others.
$(FORMATS): $(READY) requirements/formats.txt
	@grep -v '^#' requirements/formats.txt | while read package; do \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$package" || echo "$$package could not be installed: its tests are skipped"; done
	@touch $(FORMATS)

clean:
	rm -rf out site .pytest_cache .ruff_cache
